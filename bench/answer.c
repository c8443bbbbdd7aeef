#include "answer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common.h"

#define PROMPT_TOKENS 12

/* Every event is gathered here before it is framed as one HTTP chunk. */
static struct text event;

static void
text_add_args(struct text *text, const char *format, va_list args)
{
	size_t left = text->room - text->length;
	va_list again;
	int length;

	va_copy(again, args);
	length = vsnprintf(left > 0 ? text->data + text->length : NULL, left, format, args);
	if (length < 0)
		die("cannot format a reply");
	if ((size_t)length >= left) {
		text->room = text->length + (size_t)length + 4096;
		text->data = must_realloc(text->data, text->room);
		vsnprintf(text->data + text->length, text->room - text->length, format, again);
	}
	va_end(again);
	text->length += (size_t)length;
}

void
text_add(struct text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_add_args(text, format, args);
	va_end(args);
}

static int64_t
plan_number(const char *prompt, const char *name, int64_t otherwise)
{
	const char *found = strstr(prompt, name);

	return found != NULL ? strtoll(found + strlen(name), NULL, 10) : otherwise;
}

static bool
json_is_true(const char *body, const char *key)
{
	const char *value = json_value(body, key);

	return value != NULL && strncmp(value, "true", 4) == 0;
}

void
plan_parse(const char *body, const struct plan *defaults, struct plan *plan)
{
	const char *prompt = strstr(body, "bench id=");
	const char *model = json_value(body, "model");

	*plan = *defaults;
	plan->stream = json_is_true(body, "stream");
	plan->usage = json_is_true(body, "include_usage");
	if (model != NULL && *model == '"') {
		size_t length = strcspn(model + 1, "\"\\");

		if (length < sizeof(plan->model) && model[1 + length] == '"')
			snprintf(plan->model, sizeof(plan->model), "%.*s", (int)length, model + 1);
	}
	if (prompt == NULL)
		return;
	plan->id = (long)plan_number(prompt, "id=", -1);
	plan->chunks = (long)plan_number(prompt, "chunks=", plan->chunks);
	plan->interval_us = plan_number(prompt, "interval_us=", plan->interval_us);
	plan->first_us = plan_number(prompt, "first_us=", plan->first_us);
	plan->pad = (int)plan_number(prompt, "pad=", plan->pad);
	if (plan->pad < 0 || plan->pad > PAD_MAX)
		plan->pad = PAD_MAX;
}

void
answer_json(struct text *text, const char *status, const char *body)
{
	text_add(text, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		 status, strlen(body), body);
}

static void
event_begin(const struct plan *plan)
{
	event.length = 0;
	text_add(&event,
		 "data: {\"id\":\"chatcmpl-bench%08ld\",\"object\":\"chat.completion.chunk\","
		 "\"created\":%lld,\"model\":\"%s\",\"system_fingerprint\":null,",
		 plan->id, (long long)time(NULL), plan->model);
}

/* Ends the event and adds it to the reply. */
static void
event_end(struct text *text)
{
	text_add(&event, "}\n\n");
	text_add(text, "%zx\r\n%s\r\n", event.length, event.data);
}

void
answer_begin(struct text *text, const struct plan *plan)
{
	text_add(text, "HTTP/1.1 200 OK\r\n"
		       "Content-Type: text/event-stream; charset=utf-8\r\n"
		       "Cache-Control: no-cache\r\n"
		       "Transfer-Encoding: chunked\r\n\r\n");
	event_begin(plan);
	text_add(&event, "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
			 "\"logprobs\":null,\"finish_reason\":null}]");
	event_end(text);
}

void
answer_chunk(struct text *text, const struct plan *plan, long sequence, bool last)
{
	event_begin(plan);
	text_add(&event,
		 "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%ld %" PRId64 " %s%*s\"},"
		 "\"logprobs\":null,\"finish_reason\":null}]",
		 sequence, now_us(), last ? "end" : "", plan->pad, "");
	event_end(text);
}

void
answer_end(struct text *text, const struct plan *plan, long chunks)
{
	event_begin(plan);
	text_add(&event, "\"choices\":[{\"index\":0,\"delta\":{},"
			 "\"logprobs\":null,\"finish_reason\":\"stop\"}]");
	event_end(text);
	if (plan->usage) {
		event_begin(plan);
		text_add(&event,
			 "\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%ld,"
			 "\"total_tokens\":%ld}",
			 PROMPT_TOKENS, chunks, PROMPT_TOKENS + chunks);
		event_end(text);
	}
	text_add(text, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
}

void
answer_whole(struct text *text, const struct plan *plan)
{
	event.length = 0;
	text_add(&event,
		 "{\"id\":\"chatcmpl-bench%08ld\",\"object\":\"chat.completion\",\"created\":%lld,"
		 "\"model\":\"%s\",\"system_fingerprint\":null,\"choices\":[{\"index\":0,\"message\":"
		 "{\"role\":\"assistant\",\"content\":\"0 %" PRId64 " end%*s\",\"refusal\":null},"
		 "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":%d,"
		 "\"completion_tokens\":1,\"total_tokens\":%d}}",
		 plan->id, (long long)time(NULL), plan->model, now_us(), plan->pad, "", PROMPT_TOKENS,
		 PROMPT_TOKENS + 1);
	answer_json(text, "200 OK", event.data);
}
