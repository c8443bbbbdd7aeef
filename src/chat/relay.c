/* relay.c - what the client sees of a turn; see chat/turn_parts.h */
#include <string.h>
#include <time.h>

#include "chat/record.h"
#include "chat/turn_parts.h"
#include "http/request.h"
#include "http/response.h"
#include "http/sse_writer.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

/* Of one call of the model. */
#define TOKENS_MAX 100000000

/* ---- events of our own ---- */

static int
send_json(struct turn *t, struct json_object *event)
{
	size_t len;
	const char *text = json_text(event, &len);

	return sse_event(t->rq, text, len);
}

static struct json_object *
id_object(const struct turn *t)
{
	return json_object_new_string_len(t->id + 1, (int)t->id_len - 2);
}

/* A chunk without choices, for what is ours. */
static struct json_object *
own_chunk(const struct turn *t)
{
	struct json_object *chunk = json_object_new_object();

	json_object_object_add(chunk, "id", id_object(t));
	json_object_object_add(chunk, "object", json_object_new_string("chat.completion.chunk"));
	json_object_object_add(chunk, "created", json_object_new_int64((int64_t)time(NULL)));
	json_object_object_add(chunk, "model", json_object_new_string(t->prompt->model));
	json_object_object_add(chunk, "choices", json_object_new_array());
	return chunk;
}

static struct json_object *
own_extras(const struct turn *t)
{
	struct json_object *extras = json_object_new_object();

	json_object_object_add(extras, "request_id", json_object_new_string(t->rq->id));
	if (t->prompt->record != NULL)
		record_add_extras(t->prompt->record, extras);
	return extras;
}

static int
send_extras(struct turn *t, struct json_object *extras)
{
	struct json_object *event = own_chunk(t);
	int rc;

	json_object_object_add(event, "bakame", extras);
	rc = send_json(t, event);
	json_object_put(event);
	return rc;
}

int
relay_begin(struct turn *t)
{
	if (response_begun(t->rq))
		return 0;
	if (sse_begin(t->rq) == -1)
		return -1;
	return t->extras ? send_extras(t, own_extras(t)) : 0;
}

int
relay_ping(struct turn *t)
{
	if (relay_begin(t) == -1 || sse_ping(t->rq) == -1)
		return -1;
	return response_flush(t->rq);
}

int
relay_waiting(struct turn *t)
{
	struct json_object *extras;

	if (!t->extras)
		return 0;
	if (relay_begin(t) == -1)
		return -1;
	extras = json_object_new_object();
	json_object_object_add(extras, "waiting", json_object_new_string("model"));
	return send_extras(t, extras);
}

int
relay_tool(struct turn *t, struct json_object *tool)
{
	struct json_object *extras = json_object_new_object();

	json_object_object_add(extras, "tool", json_object_get(tool));
	if (relay_begin(t) == -1 || send_extras(t, extras) == -1)
		return -1;
	return response_flush(t->rq);
}

int
relay_news(struct turn *t, struct json_object *news)
{
	return send_extras(t, json_object_get(news));
}

void
relay_failure(struct turn *t, const struct err *err)
{
	struct json_object *body;

	if (err->code == ERR_CANCELLED || t->rq->broken)
		return;
	body = response_error_body(t->rq, err);
	fiber_mask_begin();
	if (send_json(t, body) == 0)
		(void)!response_flush(t->rq);
	fiber_mask_end();
	json_object_put(body);
}

/* ---- usage ---- */

/* What a model says may be anything. */
static int64_t
tokens_of(struct json_object *usage, const char *kind)
{
	int64_t tokens = json_object_get_int64(json_object_object_get(usage, kind));

	return tokens < 0 ? 0 : tokens > TOKENS_MAX ? TOKENS_MAX : tokens;
}

void
turn_note_usage(struct turn *t, struct json_object *answer)
{
	struct json_object *usage = json_member(answer, "usage", json_type_object);

	if (usage == NULL)
		return;
	t->round_usage.prompt_tokens = tokens_of(usage, "prompt_tokens");
	t->round_usage.completion_tokens = tokens_of(usage, "completion_tokens");
}

/* The usage of all rounds in place of the last one's, whose further members would be of no sum. */
static void
put_sums(const struct turn *t, struct json_object *answer)
{
	struct json_object *usage;
	int64_t prompt = t->usage.prompt_tokens + t->round_usage.prompt_tokens;
	int64_t completion = t->usage.completion_tokens + t->round_usage.completion_tokens;

	if (t->rounds == 0)
		return;
	usage = json_object_new_object();
	json_object_object_add(usage, "prompt_tokens", json_object_new_int64(prompt));
	json_object_object_add(usage, "completion_tokens", json_object_new_int64(completion));
	json_object_object_add(usage, "total_tokens", json_object_new_int64(prompt + completion));
	json_object_object_add(answer, "usage", usage);
}

/* Does the chunk carry usage only? */
static bool
is_usage_chunk(const struct model_chunk *chunk)
{
	struct json_slice rest = chunk->choices, choice;

	return json_slice_given(chunk->usage) && !json_scan_next(&rest, &choice);
}

/* ---- chunks of the model ---- */

/* Send the chunk in the model's own words, but for the id. */
static int
send_own_words(struct turn *t, const struct model_chunk *chunk)
{
	const char *after_id = chunk->id.text + chunk->id.len;
	size_t before = (size_t)(chunk->id.text - chunk->text.text);

	return sse_event_parts(t->rq, chunk->text.text, before, t->id, t->id_len, after_id,
	                       chunk->text.len - before - chunk->id.len);
}

static struct json_object *
first_delta(struct json_object *chunk)
{
	struct json_object *choices = json_member(chunk, "choices", json_type_array);

	if (choices == NULL || json_object_array_length(choices) == 0)
		return NULL;
	return json_member(json_object_array_get_idx(choices, 0), "delta", json_type_object);
}

/* Does the delta say anything?  An empty text and members that are null do not. */
static bool
says_something(struct json_object *delta)
{
	if (delta == NULL)
		return false;
	json_object_object_foreach(delta, name, value) {
		(void)name;
		if (value != NULL && !(json_object_is_type(value, json_type_string) && json_object_get_string_len(value) == 0))
			return true;
	}
	return false;
}

/* The same for a chunk that has no id, goes over several lines, or is changed. */
static int
send_rewritten(struct turn *t, struct json_object *json)
{
	json_object_object_add(json, "id", id_object(t));
	if (json_object_object_get_ex(json, "usage", NULL))
		put_sums(t, json);
	return send_json(t, json);
}

/* A chunk that does not go on as it is: what it says of calls is taken in, and what is for the client sent.  In a later
   round the client knows the role already: libraries that join texts would join it too. */
COLD static int
take_apart(struct turn *t, const struct model_chunk *chunk)
{
	struct json_object *json = json_parse_trusted(chunk->text.text, chunk->text.len);
	struct json_object *delta = first_delta(json), *calls;
	bool goes_on = true;
	int rc = 0;

	if (json == NULL)       /* nested deeper than json-c was told to go */
		return 0;
	if (json_slice_given(chunk->usage))
		turn_note_usage(t, json);
	if (delta != NULL && (t->prompt->tools != 0)) {
		calls = json_member(delta, "tool_calls", json_type_array);
		if (calls != NULL && json_object_array_length(calls) > 0) {
			if (t->calls == NULL)
				t->calls = tool_calls_new();
			tool_calls_add(t->calls, calls);
		}
		if (calls != NULL || t->rounds > 0) {
			json_object_object_del(delta, "tool_calls");
			if (t->rounds > 0)
				json_object_object_del(delta, "role");
			goes_on = says_something(delta) || (t->calls == NULL && json_slice_given(chunk->finish_reason));
		}
	}
	/* the end of a round that is not the last, and what follows it */
	if (t->calls != NULL && (json_slice_given(chunk->finish_reason) || is_usage_chunk(chunk)))
		goes_on = false;
	if (!t->prompt->usage && is_usage_chunk(chunk))
		goes_on = false;
	if (goes_on) {
		t->said_in_round = true;
		rc = send_rewritten(t, json);
	}
	json_object_put(json);
	return rc;
}

/* The text goes back to the model if a call of a tool follows it.  Past the maximum it is given up. */
static void
note_text(struct turn *t, struct json_slice content)
{
	if (content.len <= 2 || content.text[0] != '"' || t->said.max == 0)
		return;
	if (buffer_append(&t->said, content.text + 1, content.len - 2) == -1) {
		buffer_free(&t->said);
		t->said.max = 0;
	}
}

COLD static void
note_first_chunk(struct turn *t)
{
	t->first_chunk_ms = loop_now_ms();
	metric_observe(metric_series(METRIC_FIRST_TOKEN_SECONDS, ""), (double)(t->first_chunk_ms - t->rq->started_ms) / 1000);
}

int
relay_chunk(struct turn *t, const struct model_chunk *chunk)
{
	if (t->first_chunk_ms == 0)
		note_first_chunk(t);
	t->chunks++;
	if (t->offers_tools)
		note_text(t, chunk->content);
	if (t->prompt->record != NULL)
		record_note(t->prompt->record, chunk->content);
	if (json_slice_given(chunk->usage) || chunk->id.len == 0 ||
	    memchr(chunk->text.text, '\n', chunk->text.len) != NULL)
		return take_apart(t, chunk);
	if (t->prompt->tools != 0 && (json_slice_given(chunk->tool_calls) || t->calls != NULL ||
	                              (t->rounds > 0 && !t->said_in_round)))
		return take_apart(t, chunk);
	return send_own_words(t, chunk);
}

/* The model called tools that it was not offered any more: its last round ends like any other. */
COLD static int
send_finish(struct turn *t)
{
	struct json_object *chunk = own_chunk(t);
	struct json_object *choice = json_object_new_object();
	int rc;

	json_object_object_add(choice, "index", json_object_new_int(0));
	json_object_object_add(choice, "delta", json_object_new_object());
	json_object_object_add(choice, "finish_reason", json_object_new_string("stop"));
	json_object_array_add(json_object_object_get(chunk, "choices"), choice);
	rc = send_json(t, chunk);
	json_object_put(chunk);
	if (rc == -1 || !t->prompt->usage)
		return rc;
	chunk = own_chunk(t);
	put_sums(t, chunk);
	rc = send_json(t, chunk);
	json_object_put(chunk);
	return rc;
}

int
relay_end(struct turn *t)
{
	if (t->calls != NULL && send_finish(t) == -1)
		return -1;
	if (sse_event(t->rq, "[DONE]", 6) == -1)
		return -1;
	return response_flush(t->rq);
}

/* ---- an answer that is not streamed ---- */

/* The same as send_finish(): no client is to run these calls. */
static void
drop_calls(struct json_object *answer)
{
	struct json_object *choices = json_member(answer, "choices", json_type_array);
	struct json_object *choice = choices != NULL ? json_object_array_get_idx(choices, 0) : NULL;
	struct json_object *message = json_member(choice, "message", json_type_object);

	if (message == NULL)
		return;
	json_object_object_del(message, "tool_calls");
	json_object_object_add(choice, "finish_reason", json_object_new_string("stop"));
}

void
relay_answer(struct turn *t, struct json_object *news)
{
	if (t->calls != NULL)
		drop_calls(t->answer);
	put_sums(t, t->answer);
	if (t->extras) {
		struct json_object *extras = own_extras(t);

		if (t->activity != NULL)
			json_object_object_add(extras, "tools", json_object_get(t->activity));
		if (news != NULL) {
			json_object_object_foreach(news, name, value)
				json_object_object_add(extras, name, json_object_get(value));
		}
		json_object_object_add(t->answer, "bakame", extras);
	}
	response_json(t->rq, 200, t->answer);
}
