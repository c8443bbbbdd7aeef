/* turn.c - see chat/turn.h */
#include "chat/turn.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "chat/record.h"
#include "chat/tool_support.h"
#include "chat/turn_parts.h"
#include "config/config.h"
#include "guard/identity.h"
#include "http/request.h"
#include "http/response.h"
#include "runtime/loop.h"
#include "runtime/work.h"
#include "store/usage.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

/* Of texts, roughly. */
#define BYTES_PER_TOKEN 4
/* A model that is silent for so long may be thinking, or loading, or away: a person is told. */
#define WAITING_TOLD_MS 8000
/* Larger prompts are written off the loop. */
#define WRITTEN_HERE_BYTES ((size_t)256 * 1024)

static int
client_gone(struct err *err)
{
	return err_set(err, ERR_CANCELLED, "The client went away.");
}

/* ---- the model's answer, streamed ---- */

/* When the client should have a sign at the latest: sooner, and in words, while this round has said nothing. */
static int64_t
sign_due_ms(const struct turn *t)
{
	const int64_t ping_ms = config()->ping_secs * 1000;
	bool tells = !t->told_waiting && t->chunks == t->chunks_before;

	return loop_now_ms() + (tells && ping_ms > WAITING_TOLD_MS ? WAITING_TOLD_MS : ping_ms);
}

static int
give_sign(struct turn *t)
{
	if (!t->told_waiting && t->chunks == t->chunks_before) {
		t->told_waiting = true;
		if (relay_waiting(t) == -1)
			return -1;
	}
	return relay_ping(t);
}

/* The model has accepted the call: pass on chunk by chunk.  What is there at
   once goes out together. */
static int
relay_chunks(struct turn *t, struct err *err)
{
	for (;;) {
		struct model_chunk chunk;
		enum model_event event = model_next_chunk(t->model, 0, &chunk, err);

		if (event == MODEL_SILENT) {
			if (response_flush(t->rq) == -1)
				return client_gone(err);
			event = model_next_chunk(t->model, sign_due_ms(t), &chunk, err);
		}
		int sent = 0;

		switch (event) {
		case MODEL_READY:
			sent = relay_chunk(t, &chunk);
			break;
		case MODEL_SILENT:
			sent = give_sign(t);
			break;
		case MODEL_END:
			return 0;
		case MODEL_FAILED:
			return -1;
		}
		if (sent == -1)
			return client_gone(err);
	}
}

/* Until the model accepts, errors can still be answered by a status; but
   a client is not left without a sign for longer than a ping's time. */
static int
await_model(struct turn *t, struct err *err)
{
	for (;;) {
		switch (model_wait(t->model, sign_due_ms(t), err)) {
		case MODEL_SILENT:
			if (give_sign(t) == -1)
				return client_gone(err);
			break;
		case MODEL_FAILED:
			return -1;
		case MODEL_READY:
		case MODEL_END:
			return 0;
		}
	}
}

static int
stream_answer(struct turn *t, struct err *err)
{
	if (await_model(t, err) == -1)
		return -1;
	buffer_free(&t->body);
	if (relay_begin(t) == -1)
		return client_gone(err);
	return relay_chunks(t, err);
}

/* ---- the same, whole ---- */

/* Calls of our tools, and what was said beside them. */
static void
take_calls(struct turn *t)
{
	struct json_object *choices = json_member(t->answer, "choices", json_type_array);
	struct json_object *choice = choices != NULL ? json_object_array_get_idx(choices, 0) : NULL;
	struct json_object *message = json_member(choice, "message", json_type_object);
	struct json_object *calls = json_member(message, "tool_calls", json_type_array);

	if (t->prompt->tools == 0 || calls == NULL || json_object_array_length(calls) == 0)
		return;
	t->calls = tool_calls_new();
	tool_calls_add(t->calls, calls);
}

static int
whole_answer(struct turn *t, struct err *err)
{
	json_object_put(t->answer);
	t->answer = NULL;
	if (model_read_answer(t->model, &t->answer, err) == -1)
		return -1;
	buffer_free(&t->body);
	turn_note_usage(t, t->answer);
	take_calls(t);
	return 0;
}

/* ---- asking ---- */

/* In later rounds the model is free to answer. */
static bool
is_left_out(const struct turn *t, const char *name, struct json_object *value)
{
	if (!t->offers_tools && t->prompt->tools != 0)
		return strcmp(name, "tools") == 0 || strcmp(name, "tool_choice") == 0 ||
		       strcmp(name, "parallel_tool_calls") == 0;
	return t->rounds > 0 && strcmp(name, "tool_choice") == 0 &&
	       !(json_object_is_type(value, json_type_string) && strcmp(json_object_get_string(value), "auto") == 0);
}

struct writing {
	struct json_object *root;
	struct buffer *text;
	int rc;
};

static void
write_root(void *arg)
{
	struct writing *w = arg;
	size_t len;
	const char *text = json_text(w->root, &len);

	w->text->max = len;
	w->rc = buffer_append(w->text, text, len);
}

/* The prompt as text.  Serialized from a copy of its root, since json-c keeps
   the text as long as the object that it was made from. */
static int
write_prompt(struct turn *t, struct err *err)
{
	struct json_object *root = json_object_new_object();
	struct writing w = {.root = root, .text = &t->body};

	json_object_object_foreach(t->prompt->body, name, value) {
		if (!is_left_out(t, name, value))
			json_object_object_add(root, name, json_object_get(value));
	}
	if (t->messages != NULL)
		json_object_object_add(root, "messages", json_object_get(t->messages));
	buffer_free(&t->body);
	/* nothing else changes these objects meanwhile: they are of this request, but for the tools' definitions, which stay */
	if (prompt_weight(json_object_object_get(root, "messages")) > WRITTEN_HERE_BYTES)
		work_run(write_root, &w);
	else
		write_root(&w);
	t->prompt_bytes = t->body.len;
	json_object_put(root);
	return w.rc == 0 ? 0 : err_set(err, ERR_INTERNAL, "The request needs too much memory.");
}

/* A model that told no usage of this round, be it that it was cut off or never does: about a token a chunk. */
static void
estimate_usage(struct turn *t)
{
	if (t->round_usage.prompt_tokens + t->round_usage.completion_tokens > 0 || t->chunks == t->chunks_before)
		return;
	t->round_usage.prompt_tokens = (int64_t)(t->prompt_bytes / BYTES_PER_TOKEN);
	t->round_usage.completion_tokens = t->chunks - t->chunks_before;
}

static void
begin_round(struct turn *t)
{
	estimate_usage(t);
	t->offers_tools = t->prompt->tools != 0 && !t->tools_over && !tool_support_is_missing(t->prompt->model);
	t->usage.prompt_tokens += t->round_usage.prompt_tokens;
	t->usage.completion_tokens += t->round_usage.completion_tokens;
	t->round_usage = (struct usage){0};
	t->said_in_round = false;
	t->told_waiting = false;
	t->chunks_before = t->chunks;
	buffer_free(&t->said);
	t->said.max = t->offers_tools ? TURN_SAID_MAX_BYTES : 0;
	tool_calls_free(&t->calls);
}

static int
ask_once(struct turn *t, struct err *err)
{
	bool refused_tools;
	int rc;

	if (write_prompt(t, err) == -1)
		return -1;
	t->model = model_open(t->body.data, t->body.len, t->prompt->stream, &t->rq->log, err);
	if (t->model == NULL)
		return -1;
	rc = t->prompt->stream ? stream_answer(t, err) : whole_answer(t, err);
	refused_tools = rc == -1 && t->offers_tools && model_refused_tools(t->model);
	model_close(&t->model);
	if (refused_tools)
		tool_support_note_missing(t->prompt->model);
	return refused_tools ? 1 : rc;
}

/* One round: ask the model and pass its answer on.  A model that cannot use tools is asked without. */
static int
ask_model(struct turn *t, struct err *err)
{
	int rc;

	begin_round(t);
	rc = ask_once(t, err);
	if (rc != 1)
		return rc;
	LOG_WARN(&t->rq->log, "the model takes no tools", LOG_STR("model", t->prompt->model), LOG_STR("cause", err->cause));
	*err = (struct err){0};
	t->offers_tools = false;
	t->said.max = 0;
	return ask_once(t, err);
}

/* Keep what was said, whole or not, before the client hears of its end; what he should be told of it, or NULL. */
static struct json_object *
keep_answer(struct turn *t, bool complete)
{
	const struct record_facts facts = {
	    .complete = complete,
	    .model = t->prompt->model,
	    .prompt_tokens = t->usage.prompt_tokens + t->round_usage.prompt_tokens,
	    .completion_tokens = t->usage.completion_tokens + t->round_usage.completion_tokens,
	    .tools = t->activity,
	};

	return t->prompt->record != NULL ? record_end(t->prompt->record, &facts) : NULL;
}

/* The text of an answer that came whole. */
static void
note_answer(struct turn *t)
{
	struct json_object *choices = json_member(t->answer, "choices", json_type_array);
	struct json_object *choice = choices != NULL ? json_object_array_get_idx(choices, 0) : NULL;
	struct json_object *content =
	    json_member(json_member(choice, "message", json_type_object), "content", json_type_string);
	struct json_slice quoted = {0};

	if (content == NULL || t->prompt->record == NULL)
		return;
	quoted.text = json_text(content, &quoted.len);
	record_note(t->prompt->record, quoted);
}

static int
end_answer(struct turn *t, struct err *err)
{
	struct json_object *news;
	int rc = 0;

	if (!t->prompt->stream)
		note_answer(t);
	news = keep_answer(t, true);
	if (!t->prompt->stream)
		relay_answer(t, news);
	else if ((news != NULL && relay_news(t, news) == -1) || relay_end(t) == -1)
		rc = client_gone(err);
	json_object_put(news);
	return rc;
}

/* The model answers, or calls tools and is asked again with what they found. */
static int
answer_in_rounds(struct turn *t, struct err *err)
{
	for (;;) {
		if (ask_model(t, err) == -1)
			return -1;
		if (t->calls == NULL || !t->offers_tools)
			return end_answer(t, err);
		if (tool_round_run(t, err) == -1)
			return -1;
		t->tools_over = t->rounds >= TURN_ROUNDS_MAX || t->asked >= TURN_CALLS_MAX;
	}
}

/* For the sums and the budget. */
static void
count_usage(struct turn *t, struct prompt *prompt, int rc, const struct err *err)
{
	estimate_usage(t);
	struct usage_sums sums = {
	    .requests = 1,
	    .prompt_tokens = t->usage.prompt_tokens + t->round_usage.prompt_tokens,
	    .completion_tokens = t->usage.completion_tokens + t->round_usage.completion_tokens,
	    .tool_calls = t->asked,
	    .errors = rc == -1 && err->code != ERR_CANCELLED,
	};
	const struct identity *who = t->rq->who;

	prompt->used = sums.prompt_tokens + sums.completion_tokens;
	metric_add(metric_series(METRIC_TOKENS, "kind=\"prompt\""), (uint64_t)sums.prompt_tokens);
	metric_add(metric_series(METRIC_TOKENS, "kind=\"completion\""), (uint64_t)sums.completion_tokens);
	usage_count(who != NULL && who->kind == IDENTITY_USER ? who->user_id : "", &sums);
}

static void
log_turn(const struct turn *t)
{
	LOG_INFO(&t->rq->log, "answer", LOG_STR("model", t->prompt->model), LOG_BOOL("stream", t->prompt->stream),
	         LOG_INT("first_chunk_ms", t->first_chunk_ms > 0 ? t->first_chunk_ms - t->rq->started_ms : -1),
	         LOG_INT("prompt_tokens", t->usage.prompt_tokens + t->round_usage.prompt_tokens),
	         LOG_INT("completion_tokens", t->usage.completion_tokens + t->round_usage.completion_tokens),
	         LOG_INT("tool_calls", t->asked));
}

static void
free_turn(struct turn *t)
{
	buffer_free(&t->body);
	buffer_free(&t->said);
	tool_calls_free(&t->calls);
	json_object_put(t->messages);
	json_object_put(t->activity);
	json_object_put(t->answer);
}

int
turn_run(struct request *rq, struct prompt *prompt, bool extras, struct err *err)
{
	struct turn t = {.rq = rq, .prompt = prompt, .extras = extras};
	int rc;

	/* request ids have no character that JSON escapes */
	t.id = arena_printf(rq->arena, "\"chatcmpl-%s\"", rq->id);
	if (t.id == NULL)
		return err_set(err, ERR_INTERNAL, "The request needs too much memory.");
	t.id_len = strlen(t.id);
	rc = answer_in_rounds(&t, err);
	if (rc == -1)
		json_object_put(keep_answer(&t, false));
	if (rc == -1 && response_begun(rq))
		relay_failure(&t, err);
	count_usage(&t, prompt, rc, err);
	log_turn(&t);
	free_turn(&t);
	return rc;
}
