/* test_model_server.c - a model that is silent: does it think, or is its server away? */
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
#include "chat/model_server.h"
#include "config/config.h"
#include "in_fiber.h"
#include "net/http_client.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"
#include "tiny_server.h"

#define BODY "{\"model\":\"main\"}"
#define SILENCE_MS 200
#define MOST_SILENCE_MS 25000           /* SILENCE_MS times a power of five */
#define LONG_SILENCE_MS 60000
#define STREAM_HEADERS "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define CHUNK "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"
#define END "data: [DONE]\n\n"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

/* A model's server. */
struct script {
	bool hangs;                     /* nobody gets a word, once its stream has begun */
	bool begins;                    /* ... a chunk before that */
	int thinks_ms;                  /* before a stream goes on to its end */
	_Atomic unsigned questions;     /* GET /models */
	_Atomic unsigned calls;
	_Atomic bool over;
};

static int silence_ms;                  /* OPENAI_SILENCE_MS */

static void
set_silence(int ms)
{
	char text[16];

	silence_ms = ms;
	snprintf(text, sizeof(text), "%d", ms);
	setenv("OPENAI_SILENCE_MS", text, 1);
}

/* A machine that is slow, or stood still, may bring what the server says only when a short silence has passed: if it did
   not come out as it must, once more with a longer one.  What is wrong comes out wrong each time. */
static bool
try_again(bool came_out)
{
	if (came_out || silence_ms >= MOST_SILENCE_MS)
		return false;
	set_silence(silence_ms * 5);
	return true;
}

static void
hang(const struct script *s)
{
	while (!s->over)
		tiny_pause(5);
}

static void
serve(int fd, void *arg)
{
	struct script *s = arg;
	char request[4096];

	if (!tiny_read_request(fd, request, sizeof(request)))
		return;
	if (strncmp(request, "GET /v1/models ", 15) == 0) {
		s->questions++;
		if (s->hangs)
			hang(s);
		tiny_send(fd, NOT_FOUND);
		return;
	}
	s->calls++;
	if (s->begins)
		tiny_send(fd, STREAM_HEADERS CHUNK);
	if (s->hangs) {
		hang(s);
		return;
	}
	tiny_pause(s->thinks_ms);
	tiny_send(fd, s->begins ? END : STREAM_HEADERS CHUNK END);
}

/* One call, to its end. */
struct call {
	enum model_event end;
	unsigned chunks;
	int64_t took_ms;
	struct err err;
	bool ended;
};

static void
call_main(void *arg)
{
	struct call *c = arg;
	struct model_chunk chunk;
	struct model_call *m = model_open(BODY, strlen(BODY), true, &log_root, &c->err);
	int64_t began = loop_now_ms();

	if (m == NULL)
		fail_msg("%s", c->err.message);
	c->end = model_wait(m, FIBER_NO_DEADLINE, &c->err);
	while (c->end == MODEL_READY &&
	       (c->end = model_next_chunk(m, FIBER_NO_DEADLINE, &chunk, &c->err)) == MODEL_READY)
		c->chunks++;
	c->took_ms = loop_now_ms() - began;
	model_close(&m);
	c->ended = true;
}

#define CALLS 20

static void
many_main(void *arg)
{
	struct call *calls = arg;
	struct err err;

	for (unsigned i = 0; i < CALLS; i++)
		fiber_spawn(call_main, &calls[i]);
	for (unsigned i = 0; i < CALLS; i++)
		while (!calls[i].ended)
			assert_int_equal(fiber_sleep(5, &err), 0);
}

struct run {
	void (*fn)(void *arg);
	void *arg;
};

/* A question may be on its way when the call that it was asked for has ended. */
static void
run_main(void *arg)
{
	const struct run *run = arg;
	struct err err;

	run->fn(run->arg);
	while (fiber_count() > 1)
		assert_int_equal(fiber_sleep(5, &err), 0);
}

static void
with_server(struct script *s, void (*fn)(void *arg), void *arg)
{
	struct run run = {fn, arg};
	struct tiny_server *server = tiny_server_start(serve, s);
	char url[64];

	snprintf(url, sizeof(url), "%s/v1", tiny_server_url(server));
	setenv("OPENAI_BASE_URL", url, 1);
	assert_int_equal(config_load(stderr), 0);
	in_fiber(run_main, &run);
	s->over = true;
	tiny_server_stop(&server);
	assert_int_equal(http_open_calls(), 0);
}

static void
assert_given_up(const struct call *c)
{
	assert_int_equal(c->end, MODEL_FAILED);
	assert_int_equal(c->err.code, ERR_UPSTREAM_TIMEOUT);
	assert_string_equal(c->err.message, "The model's server does not answer; please try again.");
	assert_int_equal(c->err.retry_after_secs, 5);
	assert_true(c->took_ms >= 2 * silence_ms);
}

static void
a_server_that_answers_nobody_is_given_up(void **state)
{
	struct script s;
	struct call c;

	(void)state;
	set_silence(SILENCE_MS);
	do {
		s = (struct script){.hangs = true};
		c = (struct call){0};
		with_server(&s, call_main, &c);
	} while (try_again(s.questions == 1 && s.calls == 1));
	assert_given_up(&c);
	assert_int_equal(s.questions, 1);
	assert_int_equal(s.calls, 1);
}

static void
so_is_one_that_stops_in_the_middle_of_an_answer(void **state)
{
	struct script s;
	struct call c;

	(void)state;
	set_silence(SILENCE_MS);
	do {
		s = (struct script){.hangs = true, .begins = true};
		c = (struct call){0};
		with_server(&s, call_main, &c);
	} while (try_again(s.questions == 1 && c.chunks == 1));
	assert_given_up(&c);
	assert_int_equal(c.chunks, 1);
	assert_int_equal(s.questions, 1);
}

static void
a_model_that_thinks_is_waited_for_whatever_its_server_says(void **state)
{
	struct script s;
	struct call c;

	(void)state;
	set_silence(SILENCE_MS);
	do {
		s = (struct script){.thinks_ms = 4 * silence_ms};
		c = (struct call){0};
		with_server(&s, call_main, &c);
	} while (try_again(c.end == MODEL_END && s.questions >= 1));
	assert_int_equal(c.end, MODEL_END);
	assert_int_equal(c.chunks, 1);
	assert_in_range(s.questions, 1, c.took_ms / silence_ms);
}

static void
one_question_serves_all_calls(void **state)
{
	struct call calls[CALLS];
	struct script s;

	(void)state;
	set_silence(SILENCE_MS);
	do {
		s = (struct script){.hangs = true};
		memset(calls, 0, sizeof(calls));
		with_server(&s, many_main, calls);
	} while (try_again(s.questions == 1));
	for (unsigned i = 0; i < CALLS; i++)
		assert_given_up(&calls[i]);
	assert_int_equal(s.questions, 1);
}

static void
look_after_call(void *arg)
{
	unsigned fibers;
	int64_t look_ms;

	call_main(arg);
	fibers = fiber_count();
	look_ms = model_look(loop_now_ms() - 10 * LONG_SILENCE_MS);
	assert_in_range(look_ms, loop_now_ms(), loop_now_ms() + LONG_SILENCE_MS);
	assert_int_equal(fiber_count(), fibers);        /* nobody was sent to ask */
}

static void
bytes_of_another_call_show_that_it_is_there(void **state)
{
	struct script s = {0};
	struct call c = {0};

	(void)state;
	set_silence(LONG_SILENCE_MS);
	with_server(&s, look_after_call, &c);
	assert_int_equal(c.end, MODEL_END);
	assert_int_equal(s.questions, 0);
}

static void
a_server_that_does_one_thing_at_a_time_is_not_asked(void **state)
{
	struct script s = {.thinks_ms = 3 * SILENCE_MS};
	struct call c = {0};

	(void)state;
	set_silence(0);
	with_server(&s, call_main, &c);
	assert_int_equal(c.end, MODEL_END);
	assert_int_equal(s.questions, 0);
}

static int
set_up(void **state)
{
	(void)state;
	log_init("test_model_server", LOG_LEVEL_ERROR, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	unsetenv("BAKAME_ENV_FILE");
	setenv("BAKAME_ENV", "development", 1);
	setenv("BREAKER_OPENAI", "off", 1);
	setenv("OPENAI_CONNECT_TIMEOUT_MS", "60000", 1);
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
	    /* before anything else is heard */
	    cmocka_unit_test(bytes_of_another_call_show_that_it_is_there),
	    cmocka_unit_test(a_server_that_answers_nobody_is_given_up),
	    cmocka_unit_test(so_is_one_that_stops_in_the_middle_of_an_answer),
	    cmocka_unit_test(a_model_that_thinks_is_waited_for_whatever_its_server_says),
	    cmocka_unit_test(one_question_serves_all_calls),
	    cmocka_unit_test(a_server_that_does_one_thing_at_a_time_is_not_asked),
	};

	return cmocka_run_group_tests_name("model_server", tests, set_up, tear_down);
}
