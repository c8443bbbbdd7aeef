/* model.c - see chat/model.h */
#include "chat/model.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_mould.h"
#include "base/text.h"
#include "chat/model_guard.h"
#include "chat/model_server.h"
#include "config/config.h"
#include "net/http_client.h"
#include "net/sse.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"

/* A whole answer, or a list of models. */
#define ANSWER_MAX_BYTES ((size_t)8 * 1024 * 1024)
/* What is read of an error's body, and for how long. */
#define ERROR_MAX_BYTES ((size_t)64 * 1024)
#define ERROR_WAIT_MS 5000
/* A pause before the second attempt: longer ones are the client's to wait. */
#define RETRY_AFTER_MAX_SECS 5
#define RETRY_PAUSE_MIN_MS 100
#define RETRY_PAUSE_SPREAD_MS 400
/* Advice to a client when the model itself gave none. */
#define RETRY_ADVICE_SECS 5

#define DONE "[DONE]"

struct model_call {
	struct http_call *http;
	const char *body;
	size_t body_len;
	bool stream;
	const struct logger *log;
	bool retried;
	bool accepted;
	bool finished;                  /* a chunk gave a finish_reason */
	bool refused_tools;
	struct model_guard guard;
	int64_t give_up_ms;             /* without a byte until then */
	int64_t heard_ms;               /* when the last came, or the call was sent */
	int64_t look_ms;                /* is its server there? */
	struct sse sse;
	struct json_mould *mould;       /* of the stream's events */
	const char *unread;             /* of what http_read() showed */
	size_t unread_len;
	size_t shown_len;
};

/* From now on nothing is heard. */
static void
begin_silence(struct model_call *m)
{
	const int64_t silence_ms = config()->openai_silence_ms;

	m->heard_ms = loop_now_ms();
	m->look_ms = silence_ms > 0 ? m->heard_ms + silence_ms : FIBER_NO_DEADLINE;
}

static void
note_heard(struct model_call *m)
{
	model_heard();
	begin_silence(m);
}

struct model_call *
model_open(const char *body, size_t len, bool stream, const struct logger *log, struct err *err)
{
	struct model_guard guard;
	struct model_call *m;

	if (!config_has(FEATURE_MODEL)) {
		err_set(err, ERR_UNAVAILABLE, "No model is configured on this server.");
		err->retry_after_secs = 60;
		return NULL;
	}
	if (model_guard_enter(&guard, err) == -1)
		return NULL;
	m = mem_alloc(sizeof(*m));
	m->guard = guard;
	m->body = body;
	m->body_len = len;
	m->stream = stream;
	m->log = log;
	m->give_up_ms = loop_now_ms() + (stream ? config()->openai_first_byte_timeout_ms
	                                        : config()->openai_answer_timeout_ms);
	sse_init(&m->sse);
	begin_silence(m);
	m->http = model_request("/chat/completions", body, len, err);
	if (m->http == NULL)
		model_close(&m);
	return m;
}

bool
model_refused_tools(const struct model_call *m)
{
	return m->refused_tools;
}

void
model_close(struct model_call **m)
{
	if (*m == NULL)
		return;
	model_guard_unknown(&(*m)->guard);
	http_close(&(*m)->http);
	sse_free(&(*m)->sse);
	json_mould_free(&(*m)->mould);
	free(*m);
	*m = NULL;
}

COLD static enum model_event
fail(struct err *err, enum err_code code, const char *message)
{
	char cause[sizeof(err->cause)];

	text_copy(cause, sizeof(cause), err->cause);
	err_set(err, code, "%s", message);
	err_cause(err, "%s", cause);
	if (code == ERR_UPSTREAM || code == ERR_UPSTREAM_TIMEOUT || code == ERR_UNAVAILABLE)
		err->retry_after_secs = RETRY_ADVICE_SECS;
	return MODEL_FAILED;
}

COLD static enum model_event
fail_slow(struct err *err)
{
	err->cause[0] = '\0';
	return fail(err, ERR_UPSTREAM_TIMEOUT, "The model did not answer in time; please try again.");
}

/* How long a wait may last that the caller limits to `until_ms`. */
static int64_t
wait_until_ms(const struct model_call *m, int64_t until_ms)
{
	int64_t deadline = until_ms < m->give_up_ms ? until_ms : m->give_up_ms;

	return deadline < m->look_ms ? deadline : m->look_ms;
}

/* Such a wait has ended without a byte.  MODEL_READY: wait on. */
COLD static enum model_event
heed_silence(struct model_call *m, int64_t until_ms, struct err *err)
{
	int64_t now = loop_now_ms();

	if (now >= m->give_up_ms)
		return fail_slow(err);
	if (now >= m->look_ms) {
		m->look_ms = model_look(m->heard_ms);
		if (m->look_ms == MODEL_IS_AWAY) {
			fail(err, ERR_UPSTREAM_TIMEOUT, "The model's server does not answer; please try again.");
			err_cause(err, "silent for %lld ms, and GET /models was not answered either", (long long)(now - m->heard_ms));
			return MODEL_FAILED;
		}
	}
	return now >= until_ms ? MODEL_SILENT : MODEL_READY;
}

COLD static enum model_event
fail_malformed(struct err *err, const char *what)
{
	fail(err, ERR_UPSTREAM, "The model's answer could not be understood; please try again.");
	err_cause(err, "%s", what);
	return MODEL_FAILED;
}

/* What the model itself said was wrong. */
struct complaint {
	char words[240];                /* fit to be shown; "" if it said nothing */
	bool unknown_model;
	bool about_tools;
};

/* Providers may quote the key that they refuse. */
static void
read_complaint(struct json_object *body, struct complaint *c)
{
	struct json_object *error = json_member(body, "error", json_type_object);
	const char *code = json_member_text(error, "code");
	const char *key = config()->openai_api_key;
	/* Ollama's errors are bare strings */
	const char *words = error != NULL ? json_member_text(error, "message") : json_member_text(body, "error");

	c->unknown_model = code != NULL && strcmp(code, "model_not_found") == 0;
	/* Ollama: "... does not support tools"; vLLM: "... tool choice requires ..."; llama.cpp: "tools param requires ..." */
	c->about_tools = words != NULL && strstr(words, "tool") != NULL;
	c->words[0] = '\0';
	if (words != NULL && (key[0] == '\0' || strstr(words, key) == NULL))
		log_scrub(c->words, sizeof(c->words), words);
}

/* A status that says no, and what the model said, as an error of ours. */
static enum model_event
refusal(long status, const struct complaint *c, int64_t retry_after, struct err *err)
{
	char cause[sizeof(err->cause)];

	snprintf(cause, sizeof(cause), "the model answered %ld: %.200s", status, c->words);
	if (status == 429 || status == 503)
		fail(err, ERR_UNAVAILABLE, "The model is overloaded at the moment; please try again.");
	else if (status == 404 || c->unknown_model)
		fail(err, ERR_UNPROCESSABLE, "The model does not know the model asked for; see GET /v1/models.");
	else if (status == 400 || status == 413 || status == 422)
		fail(err, ERR_INVALID_REQUEST, c->words[0] != '\0' ? c->words : "The model refused the request.");
	else if (status == 401 || status == 403)
		fail(err, ERR_UPSTREAM, "The model's server refused ours; the operator has to look at the key.");
	else if (status == 504)
		fail(err, ERR_UPSTREAM_TIMEOUT, "The model did not answer in time; please try again.");
	else
		fail(err, ERR_UPSTREAM, "The model failed; please try again.");
	err_cause(err, "%s", cause);
	if (retry_after > 0 && err->retry_after_secs > 0)
		err->retry_after_secs = (int)retry_after;
	return MODEL_FAILED;
}

/* *about_tools_r: the model's words are about tools. */
COLD static enum model_event
read_refusal(struct http_call *http, bool *about_tools_r, struct err *err)
{
	long status = http_status(http);
	int64_t retry_after = http_retry_after_secs(http);
	struct json_object *body = NULL;
	struct complaint complaint;
	char *text = NULL;
	size_t len;

	if (http_read_all(http, ERROR_MAX_BYTES, loop_now_ms() + ERROR_WAIT_MS, &text, &len, err) == 0)
		body = json_parse_trusted(text, len);
	else if (err->code == ERR_CANCELLED)
		return MODEL_FAILED;
	read_complaint(body, &complaint);
	refusal(status, &complaint, retry_after, err);
	*about_tools_r = complaint.about_tools && (status == 400 || status == 404 || status == 422 || status == 500 || status == 501);
	json_object_put(body);
	free(text);
	return MODEL_FAILED;
}

/* Is it worth asking once more? */
static bool
may_retry(const struct model_call *m)
{
	long status = http_status(m->http);

	if (m->retried)
		return false;
	if (http_call_failure(m->http) == HTTP_NO_CONNECTION)
		return true;
	if (status != 429 && status != 502 && status != 503)
		return false;
	return http_retry_after_secs(m->http) <= RETRY_AFTER_MAX_SECS;
}

/* Close the failed attempt, pause, begin the second. */
static int
retry(struct model_call *m, struct err *err)
{
	int64_t asked_secs = http_retry_after_secs(m->http);
	int64_t pause_ms = RETRY_PAUSE_MIN_MS + randombytes_uniform(RETRY_PAUSE_SPREAD_MS);

	if (asked_secs > 0)
		pause_ms += asked_secs * 1000;
	/* if it fails again, that is an error and told as one */
	LOG_INFO(m->log, "asking the model again", LOG_INT("status", http_status(m->http)), LOG_INT("pause_ms", pause_ms));
	m->retried = true;
	m->give_up_ms += pause_ms;
	http_close(&m->http);
	if (fiber_sleep(pause_ms, err) == -1)
		return -1;
	begin_silence(m);
	m->http = model_request("/chat/completions", m->body, m->body_len, err);
	return m->http != NULL ? 0 : -1;
}

static enum model_event
accept_answer(struct model_call *m, struct err *err)
{
	const char *type = http_header(m->http, "Content-Type");

	if (m->stream && (type == NULL || !text_has_prefix_nocase(type, "text/event-stream")))
		return fail_malformed(err, "the model's answer is not an event stream");
	m->accepted = true;
	return MODEL_READY;
}

/* Tell the breaker of a call that failed. */
static void
note_failure(struct model_call *m, const struct err *err)
{
	long status = m->http != NULL && !m->accepted ? http_status(m->http) : 0;

	if (m->refused_tools)
		model_guard_ok(&m->guard);
	else
		model_guard_failed(&m->guard, status, err);
}

static enum model_event
await_acceptance(struct model_call *m, int64_t until_ms, struct err *err)
{
	while (!m->accepted) {
		enum http_event event = http_wait_status(m->http, wait_until_ms(m, until_ms), err);

		if (event == HTTP_CANCELLED)
			return MODEL_FAILED;
		if (event == HTTP_TIMEOUT) {
			enum model_event silence = heed_silence(m, until_ms, err);

			if (silence != MODEL_READY)
				return silence;
			continue;
		}
		if (event == HTTP_READY)
			note_heard(m);
		if (event == HTTP_READY && http_status(m->http) == 200)
			return accept_answer(m, err);
		if (may_retry(m)) {
			if (retry(m, err) == -1)
				return MODEL_FAILED;
			continue;
		}
		if (event == HTTP_READY)
			return read_refusal(m->http, &m->refused_tools, err);
		return fail(err, ERR_UPSTREAM, "The model could not be reached; please try again.");
	}
	return MODEL_READY;
}

enum model_event
model_wait(struct model_call *m, int64_t until_ms, struct err *err)
{
	enum model_event event = await_acceptance(m, until_ms, err);

	if (event == MODEL_FAILED)
		note_failure(m, err);
	return event;
}

/* The model says that it failed where its answer should be; `said` has the member "error". */
COLD static enum model_event
said_error(struct json_object *said, struct err *err)
{
	char message[sizeof(err->message)];
	struct complaint complaint;

	read_complaint(said, &complaint);
	snprintf(message, sizeof(message), "The model failed while answering: %s",
	         complaint.words[0] != '\0' ? complaint.words : "no reason given.");
	err->cause[0] = '\0';
	return fail(err, ERR_UPSTREAM, message);
}

COLD static enum model_event
streamed_error(struct json_slice text, struct err *err)
{
	struct json_object *event = json_parse_trusted(text.text, text.len);

	said_error(event, err);
	json_object_put(event);
	return MODEL_FAILED;
}

/* An array of objects, or nothing.  (Its first element tells.) */
static bool
are_choices(struct json_slice choices)
{
	struct json_slice rest = choices, choice;

	if (!json_slice_given(choices))
		return true;
	if (choices.text[0] != '[')
		return false;
	return !json_scan_next(&rest, &choice) || choice.text[0] == '{';
}

/* One event of the stream. */
static enum model_event
take_event(struct model_call *m, struct json_slice text, struct model_chunk *chunk_r, struct err *err)
{
	enum { ID, CHOICES, USAGE, ERROR, FINISH_REASON, CONTENT, TOOL_CALLS, CREATED, OBFUSCATION, COUNT };
	struct json_want wants[COUNT] = {
	    [ID] = {.name = "id"},
	    [CHOICES] = {.name = "choices"},
	    [USAGE] = {.name = "usage"},
	    [ERROR] = {.name = "error"},
	    [FINISH_REASON] = {.name = "finish_reason", .anywhere = true},
	    [CONTENT] = {.name = "content", .anywhere = true},
	    [TOOL_CALLS] = {.name = "tool_calls", .anywhere = true},
	    [CREATED] = {.name = "created"},
	    [OBFUSCATION] = {.name = "obfuscation"},
	};
	/* from chunk to chunk: with llama.cpp and Ollama the time, with OpenAI a padding */
	static const unsigned varying = 1U << CONTENT | 1U << CREATED | 1U << OBFUSCATION;

	if (text.len == sizeof(DONE) - 1 && memcmp(text.text, DONE, text.len) == 0)
		return MODEL_END;
	if (json_mould_scan(&m->mould, text, wants, COUNT, varying) == -1)
		return fail_malformed(err, "an event of the model's stream is not a JSON object");
	if (json_slice_given(wants[ERROR].value))
		return streamed_error(text, err);
	if (!are_choices(wants[CHOICES].value))
		return fail_malformed(err, "an event of the model's stream is not a chunk");
	if (json_slice_given(wants[FINISH_REASON].value))
		m->finished = true;
	*chunk_r = (struct model_chunk){text, wants[ID].value, wants[CHOICES].value, wants[USAGE].value,
	                                wants[CONTENT].value, wants[TOOL_CALLS].value, wants[FINISH_REASON].value};
	return MODEL_READY;
}

/* Get more bytes of the stream. */
static enum model_event
read_more(struct model_call *m, int64_t until_ms, struct err *err)
{
	enum http_event event;

	http_consume(m->http, m->shown_len);
	m->shown_len = 0;
	while ((event = http_read(m->http, wait_until_ms(m, until_ms), &m->unread, &m->unread_len, err)) == HTTP_TIMEOUT) {
		enum model_event silence = heed_silence(m, until_ms, err);

		if (silence != MODEL_READY)
			return silence;
	}
	switch (event) {
	case HTTP_READY:
		m->shown_len = m->unread_len;
		m->give_up_ms = loop_now_ms() + config()->openai_idle_timeout_ms;
		note_heard(m);
		return MODEL_READY;
	case HTTP_END:
		/* some servers leave the last line out */
		if (m->finished)
			return MODEL_END;
		err->cause[0] = '\0';
		return fail(err, ERR_UPSTREAM, "The model's answer broke off; please try again.");
	case HTTP_TIMEOUT:
	case HTTP_FAILED:
		return fail(err, ERR_UPSTREAM, "The model's answer broke off; please try again.");
	case HTTP_CANCELLED:
		break;
	}
	return MODEL_FAILED;
}

static enum model_event
next_event(struct model_call *m, int64_t until_ms, struct model_chunk *chunk_r, struct err *err)
{
	for (;;) {
		struct json_slice text;
		size_t used;
		enum sse_result result;
		enum model_event event;

		result = sse_feed(&m->sse, m->unread, m->unread_len, &used, &text.text, &text.len);
		m->unread += used;
		m->unread_len -= used;
		if (result == SSE_EVENT && text.len == 0)
			continue;
		if (result == SSE_EVENT)
			return take_event(m, text, chunk_r, err);
		if (result == SSE_TOO_LARGE)
			return fail_malformed(err, "an event of the model's stream is too large");
		event = read_more(m, until_ms, err);
		if (event != MODEL_READY)
			return event;
	}
}

enum model_event
model_next_chunk(struct model_call *m, int64_t until_ms, struct model_chunk *chunk_r, struct err *err)
{
	enum model_event event = next_event(m, until_ms, chunk_r, err);

	if (event == MODEL_READY)
		model_guard_first_chunk(&m->guard);
	else if (event == MODEL_END)
		model_guard_ok(&m->guard);
	else if (event == MODEL_FAILED)
		note_failure(m, err);
	return event;
}

/* As strictly as the chunks of a stream. */
static int
parse_answer(const char *text, size_t len, struct json_object **answer_r, struct err *err)
{
	struct json_facts facts;

	*answer_r = json_scan_check((struct json_slice){text, len}, &facts) ? json_parse_trusted(text, len) : NULL;
	if (json_object_is_type(*answer_r, json_type_object))
		return 0;
	json_object_put(*answer_r);
	*answer_r = NULL;
	fail_malformed(err, "the model's answer is not a JSON object");
	return -1;
}

/* All of an answer that was accepted.  Some servers accept at once and send blanks until it is made. */
static int
read_body(struct model_call *m, struct buffer *body, struct err *err)
{
	const char *data;
	size_t len;

	for (;;) {
		switch (http_read(m->http, wait_until_ms(m, FIBER_NO_DEADLINE), &data, &len, err)) {
		case HTTP_READY:
			note_heard(m);
			if (buffer_append(body, data, len) == -1) {
				fail_malformed(err, "the model's answer is too large");
				return -1;
			}
			http_consume(m->http, len);
			break;
		case HTTP_TIMEOUT:
			if (heed_silence(m, FIBER_NO_DEADLINE, err) == MODEL_FAILED)
				return -1;
			break;
		case HTTP_END:
			return 0;
		case HTTP_FAILED:
			fail(err, ERR_UPSTREAM, "The model's answer broke off; please try again.");
			return -1;
		case HTTP_CANCELLED:
			return -1;
		}
	}
}

/* Some servers, and what stands between them and us, say by status 200 that they failed. */
static int
check_answer(struct json_object *answer, struct err *err)
{
	struct json_object *choices = json_member(answer, "choices", json_type_array);

	if (json_object_object_get(answer, "error") != NULL) {
		said_error(answer, err);
		return -1;
	}
	if (choices != NULL && json_object_array_length(choices) > 0 &&
	    json_object_is_type(json_object_array_get_idx(choices, 0), json_type_object))
		return 0;
	fail_malformed(err, "the model's answer has no choices");
	return -1;
}

int
model_read_answer(struct model_call *m, struct json_object **answer_r, struct err *err)
{
	struct buffer body = BUFFER_INIT(ANSWER_MAX_BYTES);
	int rc;

	*answer_r = NULL;
	if (model_wait(m, FIBER_NO_DEADLINE, err) != MODEL_READY)
		return -1;
	rc = read_body(m, &body, err);
	if (rc == 0)
		rc = parse_answer(body.data != NULL ? body.data : "", body.len, answer_r, err);
	buffer_free(&body);
	if (rc == 0 && (rc = check_answer(*answer_r, err)) == -1) {
		json_object_put(*answer_r);
		*answer_r = NULL;
	}
	if (rc == -1)
		note_failure(m, err);
	else
		model_guard_ok(&m->guard);
	return rc;
}

static int
read_list_answer(struct http_call *http, int64_t deadline_ms, struct json_object **list_r, struct err *err)
{
	char *text;
	size_t len;
	int rc;

	if (http_read_all(http, ANSWER_MAX_BYTES, deadline_ms, &text, &len, err) == -1) {
		if (err->code == ERR_UPSTREAM)
			fail(err, ERR_UPSTREAM, "The model's answer broke off; please try again.");
		else if (err->code == ERR_UPSTREAM_TIMEOUT)
			fail_slow(err);
		return -1;
	}
	rc = parse_answer(text, len, list_r, err);
	free(text);
	return rc;
}

static int
read_list(struct http_call *http, int64_t deadline, struct json_object **list_r, struct err *err)
{
	bool about_tools;

	switch (http_wait_status(http, deadline, err)) {
	case HTTP_READY:
		if (http_status(http) == 200)
			return read_list_answer(http, deadline, list_r, err);
		read_refusal(http, &about_tools, err);
		break;
	case HTTP_TIMEOUT:
		fail_slow(err);
		break;
	case HTTP_END:
	case HTTP_FAILED:
		fail(err, ERR_UPSTREAM, "The model could not be reached; please try again.");
		break;
	case HTTP_CANCELLED:
		break;
	}
	return -1;
}

int
model_list(struct json_object **list_r, struct err *err)
{
	int64_t deadline = loop_now_ms() + config()->openai_first_byte_timeout_ms;
	struct model_guard guard;
	struct http_call *http;
	int rc = -1;

	if (model_guard_enter(&guard, err) == -1)
		return -1;
	http = model_request("/models", NULL, 0, err);
	if (http != NULL) {
		rc = read_list(http, deadline, list_r, err);
		if (rc == 0)
			model_guard_ok(&guard);
		else
			model_guard_failed(&guard, http_status(http), err);
	}
	model_guard_unknown(&guard);
	http_close(&http);
	return rc;
}
