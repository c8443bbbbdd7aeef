/* test_model.c - a model that answers, refuses, breaks off, is slow */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/model.h"
#include "config/config.h"
#include "free_port.h"
#include "in_fiber.h"
#include "net/http_client.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"
#include "tiny_server.h"

#define BODY "{\"model\":\"main\",\"stream\":true}"
#define KEY "sk-unit-0123456789"
#define PATIENT_MS 120000
#define FIRST_BYTE_MS 400               /* of tests that wait for it to pass */
#define IDLE_MS 300                      /* likewise */
#define STREAM_HEADERS "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n"
#define CHUNK(content) "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" content "\"}}]}\n\n"
#define LAST_CHUNK "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define JSON_HEADERS "Content-Type: application/json\r\nConnection: close\r\n\r\n"

/* A model's server: what it says to the first call and to the second. */
struct script {
	const char *answers[2];         /* the second NULL: as the first */
	int pause_ms;                   /* before an answer */
	bool waits;                     /* before an answer, until `go` */
	bool lingers;                   /* after it, until the client goes */
	_Atomic bool go;
	_Atomic unsigned calls;
	char request[4096];             /* the last */
};

static void
serve(int fd, void *arg)
{
	struct script *s = arg;
	const char *answer;

	if (!tiny_read_request(fd, s->request, sizeof(s->request)))
		return;
	answer = s->calls++ > 0 && s->answers[1] != NULL ? s->answers[1] : s->answers[0];
	tiny_pause(s->pause_ms);
	while (s->waits && !s->go)
		tiny_pause(1);
	tiny_send(fd, answer);
	if (s->lingers)
		tiny_await_close(fd);
}

static void
set_ms(const char *name, int ms)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", ms);
	setenv(name, text, 1);
}

/* Run check(s) in a fiber with `s` as the model's server. */
static void
with_model(struct script *s, void (*check)(void *arg))
{
	struct tiny_server *server = tiny_server_start(serve, s);
	char url[64];

	snprintf(url, sizeof(url), "%s/v1", tiny_server_url(server));
	setenv("OPENAI_BASE_URL", url, 1);
	assert_int_equal(config_load(stderr), 0);
	in_fiber(check, s);
	assert_int_equal(http_open_calls(), 0);
	s->go = true;
	tiny_server_stop(&server);
}

static struct model_call *
open_model(bool stream)
{
	struct err err = {0};
	struct model_call *m = model_open(BODY, strlen(BODY), stream, &log_root, &err);

	if (m == NULL)
		fail_msg("%s", err.message);
	return m;
}

/* Read chunks until something else comes; how many there were. */
static unsigned
read_chunks(struct model_call *m, enum model_event *event_r, struct err *err)
{
	struct model_chunk chunk;
	unsigned count = 0;

	while ((*event_r = model_next_chunk(m, FIBER_NO_DEADLINE, &chunk, err)) == MODEL_READY) {
		struct json_object *json = json_parse_trusted(chunk.text.text, chunk.text.len);

		assert_true(json_object_is_type(json, json_type_object));
		json_object_put(json);
		count++;
	}
	return count;
}

/* ---- streams ---- */

static void
check_stream(void *arg)
{
	struct model_call *m = open_model(true);
	struct model_chunk chunk;
	struct err err;

	(void)arg;
	assert_int_equal(model_wait(m, FIBER_NO_DEADLINE, &err), MODEL_READY);
	assert_int_equal(model_next_chunk(m, FIBER_NO_DEADLINE, &chunk, &err), MODEL_READY);
	assert_int_equal(chunk.id.len, 3);
	assert_memory_equal(chunk.id.text, "\"x\"", 3);
	assert_memory_equal(chunk.choices.text, "[{\"index\":0,", 12);
	assert_int_equal(chunk.usage.len, 0);
	assert_memory_equal(chunk.text.text + chunk.text.len - 9, "\"Mur\"}}]}", 9);
	assert_int_equal(model_next_chunk(m, FIBER_NO_DEADLINE, &chunk, &err), MODEL_READY);
	assert_int_equal(model_next_chunk(m, FIBER_NO_DEADLINE, &chunk, &err), MODEL_END);
	model_close(&m);
	assert_null(m);
	model_close(&m);
}

static void
a_stream_is_read_chunk_by_chunk_up_to_its_end(void **state)
{
	struct script s = {.answers = {STREAM_HEADERS ": hello\n\n" CHUNK("Mur") LAST_CHUNK "data: [DONE]\n\n" CHUNK("late")}};

	(void)state;
	with_model(&s, check_stream);
	assert_int_equal(s.calls, 1);
	assert_int_equal(strncmp(s.request, "POST /v1/chat/completions HTTP/1.1\r\n", 36), 0);
	assert_non_null(strstr(s.request, "\r\nAuthorization: Bearer " KEY "\r\n"));
	assert_non_null(strstr(s.request, "\r\nContent-Type: application/json\r\n"));
	assert_string_equal(strstr(s.request, "\r\n\r\n") + 4, BODY);
}

/* How a stream that is `text` ends. */
struct ending {
	const char *text;
	enum model_event event;
	enum err_code code;
	unsigned chunks;
	const char *says;               /* in message or cause */
};

static const struct ending *ending;

static void
check_ending(void *arg)
{
	struct model_call *m = open_model(true);
	enum model_event event;
	struct err err = {0};
	unsigned count;

	(void)arg;
	assert_int_equal(model_wait(m, FIBER_NO_DEADLINE, &err), MODEL_READY);
	count = read_chunks(m, &event, &err);
	if (event != ending->event || err.code != ending->code || count != ending->chunks)
		fail_msg("\"%s\" gave %u chunks and ended with %d (%s: %s)", ending->text, count, (int)event,
		         err_type(err.code), err.message);
	if (ending->says != NULL && strstr(err.message, ending->says) == NULL && strstr(err.cause, ending->says) == NULL)
		fail_msg("\"%s\" said \"%s\" (%s), not \"%s\"", ending->text, err.message, err.cause, ending->says);
	assert_int_equal(event == MODEL_FAILED, err.retry_after_secs > 0);
	model_close(&m);
}

static void
try_endings(const struct ending *endings, size_t count)
{
	for (ending = endings; ending < endings + count; ending++) {
		struct script s = {.answers = {ending->text}};

		with_model(&s, check_ending);
	}
}

static void
streams_end_well_with_done_or_a_finish_reason(void **state)
{
	static const struct ending endings[] = {
	    {STREAM_HEADERS "data: [DONE]\n\n", MODEL_END, ERR_NONE, 0, NULL},
	    {STREAM_HEADERS CHUNK("a") "data: [DONE]\n\n", MODEL_END, ERR_NONE, 1, NULL},
	    {STREAM_HEADERS CHUNK("a") LAST_CHUNK, MODEL_END, ERR_NONE, 2, NULL},
	    {STREAM_HEADERS LAST_CHUNK "data: {\"choices\":[],\"usage\":{}}\n\n", MODEL_END, ERR_NONE, 2, NULL},
	    {STREAM_HEADERS "data: {\"choices\":null}\n\ndata: {}\n\ndata: [DONE]\n\n", MODEL_END, ERR_NONE, 2, NULL},
	    {STREAM_HEADERS "data: {\"error\":null,\"choices\":[]}\n\ndata: [DONE]\n\n", MODEL_END, ERR_NONE, 1, NULL},
	    {STREAM_HEADERS "data: {\"a\":\ndata: 1}\n\ndata: [DONE]\n\n", MODEL_END, ERR_NONE, 1, NULL},
	    {STREAM_HEADERS "data:\n\ndata: [DONE]\n\n", MODEL_END, ERR_NONE, 0, NULL},
	};

	(void)state;
	try_endings(endings, sizeof(endings) / sizeof(endings[0]));
}

static void
streams_that_break_off_or_are_none_fail(void **state)
{
	static const struct ending endings[] = {
	    {STREAM_HEADERS, MODEL_FAILED, ERR_UPSTREAM, 0, "broke off"},
	    {STREAM_HEADERS CHUNK("a"), MODEL_FAILED, ERR_UPSTREAM, 1, "broke off"},
	    {STREAM_HEADERS CHUNK("a") "data: [DO", MODEL_FAILED, ERR_UPSTREAM, 1, "broke off"},
	    {STREAM_HEADERS "data: nonsense\n\n", MODEL_FAILED, ERR_UPSTREAM, 0, "could not be understood"},
	    {STREAM_HEADERS CHUNK("a") "data: {\"a\":1}}\n\n", MODEL_FAILED, ERR_UPSTREAM, 1, "could not be understood"},
	    {STREAM_HEADERS "data: []\n\n", MODEL_FAILED, ERR_UPSTREAM, 0, "not a JSON object"},
	    {STREAM_HEADERS "data: \"x\"\n\n", MODEL_FAILED, ERR_UPSTREAM, 0, "not a JSON object"},
	    {STREAM_HEADERS "data: {\"a\":\"\xFF\"}\n\n", MODEL_FAILED, ERR_UPSTREAM, 0, "not a JSON object"},
	    {STREAM_HEADERS "data: {\"choices\":7}\n\n", MODEL_FAILED, ERR_UPSTREAM, 0, "not a chunk"},
	    {STREAM_HEADERS "data: {\"choices\":[7]}\n\n", MODEL_FAILED, ERR_UPSTREAM, 0, "not a chunk"},
	};

	(void)state;
	try_endings(endings, sizeof(endings) / sizeof(endings[0]));
}

static void
errors_within_a_stream_are_the_models_own_words_without_secrets(void **state)
{
	static const struct ending endings[] = {
	    {STREAM_HEADERS CHUNK("a") "data: {\"error\":{\"message\":\"out of memory\"}}\n\n", MODEL_FAILED,
	     ERR_UPSTREAM, 1, "out of memory"},
	    {STREAM_HEADERS "data: {\"error\":\"no such thing\"}\n\n", MODEL_FAILED, ERR_UPSTREAM, 0, "no such thing"},
	    {STREAM_HEADERS "data: {\"error\":{\"code\":7}}\n\n", MODEL_FAILED, ERR_UPSTREAM, 0, "no reason given"},
	    {STREAM_HEADERS "data: {\"error\":{\"message\":\"key sk-0123456789abcdefghij is bad\"}}\n\n", MODEL_FAILED,
	     ERR_UPSTREAM, 0, "key sk-*** is bad"},
	};

	(void)state;
	try_endings(endings, sizeof(endings) / sizeof(endings[0]));
}

static void
check_not_a_stream(void *arg)
{
	struct model_call *m = open_model(true);
	struct err err = {0};

	(void)arg;
	assert_int_equal(model_wait(m, FIBER_NO_DEADLINE, &err), MODEL_FAILED);
	assert_int_equal(err.code, ERR_UPSTREAM);
	assert_non_null(strstr(err.cause, "not an event stream"));
	model_close(&m);
}

static void
an_answer_of_another_type_is_no_stream(void **state)
{
	struct script json = {.answers = {"HTTP/1.1 200 OK\r\n" JSON_HEADERS "{}"}};
	struct script untyped = {.answers = {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" CHUNK("a")}};

	(void)state;
	with_model(&json, check_not_a_stream);
	with_model(&untyped, check_not_a_stream);
}

/* ---- refusals ---- */

struct refusal {
	const char *status;             /* and further headers */
	const char *body;
	enum err_code code;
	int retry_after_secs;
	unsigned calls;
	const char *says;               /* in the message */
};

static const struct refusal *refusal;

static void
check_refusal(void *arg)
{
	struct model_call *m = open_model(true);
	struct err err = {0};

	(void)arg;
	assert_int_equal(model_wait(m, FIBER_NO_DEADLINE, &err), MODEL_FAILED);
	if (err.code != refusal->code || err.retry_after_secs != refusal->retry_after_secs)
		fail_msg("%s gave %s, retry after %d", refusal->status, err_type(err.code), err.retry_after_secs);
	if (strstr(err.message, refusal->says) == NULL)
		fail_msg("%s said \"%s\", not \"%s\"", refusal->status, err.message, refusal->says);
	if (strstr(err.cause, "the model answered") == NULL)
		fail_msg("%s has as cause \"%s\"", refusal->status, err.cause);
	model_close(&m);
}

static void
refusals_become_our_errors(void **state)
{
	static const struct refusal refusals[] = {
	    {"400 Bad", "{\"error\":{\"message\":\"too many tokens\"}}", ERR_INVALID_REQUEST, 0, 1, "too many tokens"},
	    {"400 Bad", "not JSON", ERR_INVALID_REQUEST, 0, 1, "The model refused the request"},
	    {"400 Bad", "{\"error\":{\"code\":\"model_not_found\"}}", ERR_UNPROCESSABLE, 0, 1, "does not know"},
	    {"401 No", "{\"error\":{\"message\":\"Incorrect key: " KEY "\"}}", ERR_UPSTREAM, 5, 1, "operator"},
	    {"403 No", "", ERR_UPSTREAM, 5, 1, "operator"},
	    {"404 None", "{\"error\":\"model 'x' not found\"}", ERR_UNPROCESSABLE, 0, 1, "does not know"},
	    {"413 Large", "", ERR_INVALID_REQUEST, 0, 1, "refused"},
	    {"422 No", "{\"error\":{\"message\":\"bad tool\"}}", ERR_INVALID_REQUEST, 0, 1, "bad tool"},
	    {"429 Slow", "", ERR_UNAVAILABLE, 5, 2, "overloaded"},
	    {"429 Slow\r\nRetry-After: 60", "", ERR_UNAVAILABLE, 60, 1, "overloaded"},
	    {"500 No", "{\"error\":{\"message\":\"stack trace\"}}", ERR_UPSTREAM, 5, 1, "The model failed"},
	    {"502 No", "", ERR_UPSTREAM, 5, 2, "The model failed"},
	    {"503 No", "<html>", ERR_UNAVAILABLE, 5, 2, "overloaded"},
	    {"503 No\r\nRetry-After: 6", "", ERR_UNAVAILABLE, 6, 1, "overloaded"},
	    {"504 Slow", "", ERR_UPSTREAM_TIMEOUT, 5, 1, "did not answer in time"},
	    {"204 Empty", "", ERR_UPSTREAM, 5, 1, "The model failed"},
	    {"302 Found\r\nLocation: /elsewhere", "", ERR_UPSTREAM, 5, 1, "The model failed"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		char answer[512];
		struct script s = {.answers = {answer}};

		refusal = &refusals[i];
		snprintf(answer, sizeof(answer), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n" JSON_HEADERS "%s", refusal->status,
		         strlen(refusal->body), refusal->body);
		with_model(&s, check_refusal);
		if (s.calls != refusal->calls)
			fail_msg("%s was asked %u times", refusal->status, s.calls);
	}
}

static void
check_key_not_told(void *arg)
{
	struct model_call *m = open_model(true);
	struct err err = {0};

	(void)arg;
	assert_int_equal(model_wait(m, FIBER_NO_DEADLINE, &err), MODEL_FAILED);
	assert_null(strstr(err.message, KEY));
	model_close(&m);
}

static void
a_refusal_that_repeats_the_key_does_not_tell_it_to_the_client(void **state)
{
	struct script s = {.answers = {"HTTP/1.1 400 Bad\r\n" JSON_HEADERS "{\"error\":{\"message\":\"bad key " KEY "\"}}"}};

	(void)state;
	with_model(&s, check_key_not_told);
}

/* ---- a second attempt ---- */

static void
check_one_chunk(void *arg)
{
	struct model_call *m = open_model(true);
	enum model_event event;
	struct err err = {0};

	(void)arg;
	assert_int_equal(model_wait(m, FIBER_NO_DEADLINE, &err), MODEL_READY);
	assert_int_equal(read_chunks(m, &event, &err), 1);
	assert_int_equal(event, MODEL_END);
	model_close(&m);
}

static void
one_failed_attempt_is_repeated(void **state)
{
	static const char good[] = STREAM_HEADERS CHUNK("a") "data: [DONE]\n\n";
	static const char *const bad[] = {
	    "HTTP/1.1 429 Slow\r\n" JSON_HEADERS,
	    "HTTP/1.1 502 No\r\n" JSON_HEADERS,
	    "HTTP/1.1 503 No\r\n" JSON_HEADERS,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct script s = {.answers = {bad[i], good}};

		with_model(&s, check_one_chunk);
		assert_int_equal(s.calls, 2);
	}
}

static void
a_short_retry_after_is_waited_for(void **state)
{
	struct script s = {.answers = {"HTTP/1.1 503 No\r\nRetry-After: 1\r\n" JSON_HEADERS,
	                    STREAM_HEADERS CHUNK("a") "data: [DONE]\n\n"}};
	int64_t start = tiny_now_ms();

	(void)state;
	with_model(&s, check_one_chunk);
	assert_int_equal(s.calls, 2);
	assert_in_range(tiny_now_ms() - start, 1000, PATIENT_MS);
}

static void
check_unreachable(void *arg)
{
	struct model_call *m = open_model(true);
	struct err err = {0};

	(void)arg;
	assert_int_equal(model_wait(m, FIBER_NO_DEADLINE, &err), MODEL_FAILED);
	assert_int_equal(err.code, ERR_UPSTREAM);
	assert_int_equal(err.retry_after_secs, 5);
	assert_non_null(strstr(err.message, "could not be reached"));
	model_close(&m);
}

static void
no_server_at_all_is_told_as_unreachable(void **state)
{
	char url[64];

	(void)state;
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/v1", free_port());
	setenv("OPENAI_BASE_URL", url, 1);
	assert_int_equal(config_load(stderr), 0);
	in_fiber(check_unreachable, NULL);
}

/* ---- time ---- */

static void
check_silence(void *arg)
{
	struct script *s = arg;
	struct model_call *m = open_model(true);
	struct model_chunk chunk;
	unsigned silences = 0;
	enum model_event event;
	struct err err = {0};

	while ((event = model_wait(m, loop_now_ms() + 20, &err)) == MODEL_SILENT)
		s->go = ++silences >= 2;
	assert_int_equal(event, MODEL_READY);
	assert_true(silences >= 2);
	assert_int_equal(model_next_chunk(m, FIBER_NO_DEADLINE, &chunk, &err), MODEL_READY);
	assert_int_equal(model_next_chunk(m, 0, &chunk, &err), MODEL_SILENT);
	assert_int_equal(model_next_chunk(m, loop_now_ms() + 20, &chunk, &err), MODEL_SILENT);
	assert_int_equal(s->calls, 1);
	model_close(&m);
}

static void
silence_is_told_when_asked_for_and_the_call_goes_on(void **state)
{
	struct script s = {.answers = {STREAM_HEADERS CHUNK("a")}, .waits = true, .lingers = true};

	(void)state;
	with_model(&s, check_silence);
}

static void
check_slow_start(void *arg)
{
	struct model_call *m = open_model(true);
	int64_t start = loop_now_ms();
	struct err err = {0};

	(void)arg;
	assert_int_equal(model_wait(m, FIBER_NO_DEADLINE, &err), MODEL_FAILED);
	assert_in_range(loop_now_ms() - start, FIRST_BYTE_MS, PATIENT_MS);
	assert_int_equal(err.code, ERR_UPSTREAM_TIMEOUT);
	assert_int_equal(err.retry_after_secs, 5);
	model_close(&m);
}

static void
a_model_that_says_nothing_is_given_up(void **state)
{
	struct script s = {.answers = {STREAM_HEADERS}, .waits = true};

	(void)state;
	set_ms("OPENAI_FIRST_BYTE_TIMEOUT_MS", FIRST_BYTE_MS);
	with_model(&s, check_slow_start);
	set_ms("OPENAI_FIRST_BYTE_TIMEOUT_MS", PATIENT_MS);
	/* nobody waits twice as long; the one call may have been given up before it came about */
	assert_true(s.calls <= 1);
}

static void
check_stall(void *arg)
{
	struct model_call *m = open_model(true);
	enum model_event event;
	struct err err = {0};
	int64_t start;

	(void)arg;
	assert_int_equal(model_wait(m, FIBER_NO_DEADLINE, &err), MODEL_READY);
	start = loop_now_ms();
	assert_int_equal(read_chunks(m, &event, &err), 1);
	assert_int_equal(event, MODEL_FAILED);
	assert_in_range(loop_now_ms() - start, IDLE_MS, PATIENT_MS);
	assert_int_equal(err.code, ERR_UPSTREAM_TIMEOUT);
	model_close(&m);
}

static void
a_model_that_falls_silent_is_given_up(void **state)
{
	struct script s = {.answers = {STREAM_HEADERS CHUNK("a")}, .lingers = true};

	(void)state;
	set_ms("OPENAI_IDLE_TIMEOUT_MS", IDLE_MS);
	with_model(&s, check_stall);
	set_ms("OPENAI_IDLE_TIMEOUT_MS", PATIENT_MS);
}

/* ---- cancelling ---- */

struct victim {
	bool read_chunks;
	enum model_event event;
	struct err err;
};

static void
victim_main(void *arg)
{
	struct victim *v = arg;
	struct model_call *m = open_model(true);

	v->event = model_wait(m, FIBER_NO_DEADLINE, &v->err);
	if (v->read_chunks)
		(void)read_chunks(m, &v->event, &v->err);
	model_close(&m);
}

static void
check_cancel(void *arg)
{
	struct script *s = arg;
	struct victim v = {.read_chunks = s->lingers};
	struct fiber *f = fiber_spawn(victim_main, &v);
	struct err err;

	while (s->calls == 0)
		assert_int_equal(fiber_sleep(1, &err), 0);
	assert_int_equal(fiber_sleep(100, &err), 0);    /* so that it is where it waits, if the machine is not slow */
	fiber_cancel(f, FIBER_CLIENT_GONE);
	while (fiber_count() > 1)
		assert_int_equal(fiber_sleep(1, &err), 0);
	assert_int_equal(v.event, MODEL_FAILED);
	assert_int_equal(v.err.code, ERR_CANCELLED);
}

static void
a_cancelled_call_ends_wherever_it_waits(void **state)
{
	struct script unanswered = {.answers = {STREAM_HEADERS}, .waits = true};
	struct script streaming = {.answers = {STREAM_HEADERS CHUNK("a")}, .lingers = true};
	struct script pausing = {.answers = {"HTTP/1.1 503 No\r\nRetry-After: 5\r\n" JSON_HEADERS}};

	(void)state;
	with_model(&unanswered, check_cancel);
	with_model(&streaming, check_cancel);
	with_model(&pausing, check_cancel);
}

/* ---- whole answers ---- */

static void
check_whole(void *arg)
{
	struct script *s = arg;
	struct model_call *m = open_model(false);
	struct json_object *answer = NULL;
	struct err err = {0};

	assert_int_equal(model_read_answer(m, &answer, &err), 0);
	assert_string_equal(json_member_text(answer, "id"), "y");
	json_object_put(answer);
	model_close(&m);
	assert_int_equal(s->calls, 1);
}

static void
a_whole_answer_may_take_longer_than_a_first_byte(void **state)
{
	struct script s = {.answers = {"HTTP/1.1 200 OK\r\n" JSON_HEADERS "{\"id\":\"y\",\"choices\":[{}]}"},
	                   .pause_ms = FIRST_BYTE_MS + 100};

	(void)state;
	set_ms("OPENAI_FIRST_BYTE_TIMEOUT_MS", FIRST_BYTE_MS);
	with_model(&s, check_whole);
	set_ms("OPENAI_FIRST_BYTE_TIMEOUT_MS", PATIENT_MS);
}

static void
check_bad_whole(void *arg)
{
	struct model_call *m = open_model(false);
	struct json_object *answer;
	struct err err = {0};

	(void)arg;
	assert_int_equal(model_read_answer(m, &answer, &err), -1);
	assert_int_equal(err.code, ERR_UPSTREAM);
	assert_true(err.retry_after_secs > 0);
	model_close(&m);
}

static void
whole_answers_that_are_none_fail(void **state)
{
	static const char *const answers[] = {
	    "HTTP/1.1 200 OK\r\n" JSON_HEADERS,
	    "HTTP/1.1 200 OK\r\n" JSON_HEADERS "[]",
	    "HTTP/1.1 200 OK\r\n" JSON_HEADERS "{\"a\":1",
	    "HTTP/1.1 200 OK\r\n" JSON_HEADERS "{\"a\":1} x",
	    "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n" JSON_HEADERS "{\"a\":1}",
	    "HTTP/1.1 500 No\r\n" JSON_HEADERS "{}",
	    "HTTP/1.1 200 OK\r\n" JSON_HEADERS "{}",
	    "HTTP/1.1 200 OK\r\n" JSON_HEADERS "{\"choices\":[]}",
	    "HTTP/1.1 200 OK\r\n" JSON_HEADERS "{\"choices\":[\"x\"]}",
	    "HTTP/1.1 200 OK\r\n" JSON_HEADERS "{\"choices\":[{\"x\":\"\xff\"}]}",
	    "HTTP/1.1 200 OK\r\n" JSON_HEADERS "{\"choices\":[{}],\"error\":\"no\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct script s = {.answers = {answers[i]}};

		with_model(&s, check_bad_whole);
	}
}

/* ---- the list, and no model at all ---- */

static void
check_list(void *arg)
{
	struct json_object *list = NULL;
	struct err err = {0};

	(void)arg;
	assert_int_equal(model_list(&list, &err), 0);
	assert_non_null(json_member(list, "data", json_type_array));
	json_object_put(list);
}

static void
the_list_of_models_is_asked_for(void **state)
{
	struct script s = {.answers = {"HTTP/1.1 200 OK\r\n" JSON_HEADERS "{\"data\":[]}"}};

	(void)state;
	with_model(&s, check_list);
	assert_int_equal(strncmp(s.request, "GET /v1/models HTTP/1.1\r\n", 25), 0);
	assert_non_null(strstr(s.request, "Bearer " KEY));
}

static void
check_bad_list(void *arg)
{
	struct json_object *list = NULL;
	struct err err = {0};

	(void)arg;
	assert_int_equal(model_list(&list, &err), -1);
	assert_int_equal(err.code, ERR_UPSTREAM);
}

static void
a_list_that_is_none_fails(void **state)
{
	struct script s = {.answers = {"HTTP/1.1 200 OK\r\n" JSON_HEADERS "nonsense"}};
	struct script refused = {.answers = {"HTTP/1.1 500 No\r\n" JSON_HEADERS}};

	(void)state;
	with_model(&s, check_bad_list);
	with_model(&refused, check_bad_list);
}

static void
check_unconfigured(void *arg)
{
	struct err err = {0};

	(void)arg;
	assert_null(model_open(BODY, strlen(BODY), true, &log_root, &err));
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_true(err.retry_after_secs > 0);
}

static void
without_a_model_a_call_is_unavailable(void **state)
{
	(void)state;
	unsetenv("OPENAI_BASE_URL");
	unsetenv("OPENAI_API_KEY");
	assert_int_equal(config_load(stderr), 0);
	in_fiber(check_unconfigured, NULL);
	setenv("OPENAI_API_KEY", KEY, 1);
}

static int
set_up(void **state)
{
	(void)state;
	log_init("test_model", LOG_LEVEL_ERROR, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	unsetenv("BAKAME_ENV_FILE");
	setenv("BAKAME_ENV", "development", 1);
	setenv("BREAKER_OPENAI", "off", 1);   /* tests fail in a row */
	setenv("OPENAI_API_KEY", KEY, 1);
	set_ms("OPENAI_FIRST_BYTE_TIMEOUT_MS", PATIENT_MS);
	set_ms("OPENAI_IDLE_TIMEOUT_MS", PATIENT_MS);
	set_ms("OPENAI_ANSWER_TIMEOUT_MS", 2 * PATIENT_MS);
	set_ms("OPENAI_CONNECT_TIMEOUT_MS", 60000);
	set_ms("OPENAI_SILENCE_MS", 0);         /* that is test_model_server's */
	http_client_start(8);
	return 0;
}

static int
tear_down(void **state)
{
	http_client_stop();
	config_unload();
	return in_fiber_teardown(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_stream_is_read_chunk_by_chunk_up_to_its_end),
	    cmocka_unit_test(streams_end_well_with_done_or_a_finish_reason),
	    cmocka_unit_test(streams_that_break_off_or_are_none_fail),
	    cmocka_unit_test(errors_within_a_stream_are_the_models_own_words_without_secrets),
	    cmocka_unit_test(an_answer_of_another_type_is_no_stream),
	    cmocka_unit_test(refusals_become_our_errors),
	    cmocka_unit_test(one_failed_attempt_is_repeated),
	    cmocka_unit_test(a_short_retry_after_is_waited_for),
	    cmocka_unit_test(no_server_at_all_is_told_as_unreachable),
	    cmocka_unit_test(silence_is_told_when_asked_for_and_the_call_goes_on),
	    cmocka_unit_test(a_model_that_says_nothing_is_given_up),
	    cmocka_unit_test(a_model_that_falls_silent_is_given_up),
	    cmocka_unit_test(a_cancelled_call_ends_wherever_it_waits),
	    cmocka_unit_test(a_whole_answer_may_take_longer_than_a_first_byte),
	    cmocka_unit_test(whole_answers_that_are_none_fail),
	    cmocka_unit_test(the_list_of_models_is_asked_for),
	    cmocka_unit_test(a_list_that_is_none_fails),
	    cmocka_unit_test(without_a_model_a_call_is_unavailable),
	    cmocka_unit_test(a_refusal_that_repeats_the_key_does_not_tell_it_to_the_client),
	};

	return cmocka_run_group_tests_name("model", tests, set_up, tear_down);
}
