/* test_redis.c - the client against a private redis-server, in good health and in bad */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "config/config.h"
#include "free_port.h"
#include "in_fiber.h"
#include "net/breaker.h"
#include "net/redis.h"
#include "net/redis_rest.h"
#include "redis_process.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"
#include "tiny_server.h"

#define PATIENCE_MS 120000
#define LOOK_MS 5
#define PATIENT "60000"                 /* the most that REDIS_TIMEOUT_MS may be */
#define IN_VAIN_MS 50                   /* for what is not to be answered */
#define W(text) REDIS_TEXT(text)

static struct redis_process server;

static int
start_server(void **state)
{
	(void)state;
	setenv("BAKAME_ENV", "development", 1);
	log_init("test_redis", LOG_LEVEL_ERROR, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	redis_process_start(&server);
	return 0;
}

static int
end_server(void **state)
{
	redis_process_end(&server);
	return in_fiber_teardown(state);
}

/* Run check(arg) in a fiber with Redis at `url`; commands, and four times that its greeting, may take `timeout_ms`. */
static void
with_redis_at(const char *url, const char *timeout_ms, void (*check)(void *arg), void *arg)
{
	struct breaker *b;

	setenv("REDIS_URL", url, 1);
	setenv("REDIS_TIMEOUT_MS", timeout_ms, 1);
	assert_int_equal(config_load(stderr), 0);
	redis_start();
	b = breaker_find("redis");
	if (b != NULL)
		breaker_reset(b, loop_now_ms());
	in_fiber(check, arg);
	redis_stop();
	unsetenv("REDIS_URL");
}

static void
with_redis(void (*check)(void *arg))
{
	with_redis_at(server.url, PATIENT, check, NULL);
}

static struct arena *
new_arena(void)
{
	return arena_new((size_t)8 * 1024 * 1024);
}

/* The command must do; its reply lives in `a`. */
static struct redis_value
ask(struct arena *a, const struct redis_word *words, size_t count)
{
	struct redis_value reply;
	struct err err = {0};

	if (redis_command(redis_shared(), a, &reply, &err, words, count) == -1)
		fail_msg("%s: %s (%s)", words[0].data, err.message, err.cause);
	return reply;
}

static struct err
ask_in_vain(struct arena *a, const struct redis_word *words, size_t count)
{
	struct redis_value reply;
	struct err err = {0};

	assert_int_equal(redis_command(redis_shared(), a, &reply, &err, words, count), -1);
	return err;
}

/* The same where no answer comes, or no connection: not for longer than need be. */
static struct err
ask_nobody(struct arena *a, const struct redis_word *words, size_t count)
{
	struct redis_value reply;
	struct err err = {0};

	assert_int_equal(redis_command_until(redis_shared(), a, loop_now_ms() + IN_VAIN_MS, &reply, &err, words, count), -1);
	return err;
}

/* ---- replies ---- */

static void
check_replies(void *arg)
{
	struct arena *a = new_arena();
	struct redis_value v;

	(void)arg;
	v = ask(a, REDIS_WORDS(W("PING")));
	assert_int_equal(v.type, REDIS_STRING);
	assert_string_equal(v.text, "PONG");
	assert_int_equal(v.len, 4);
	ask(a, REDIS_WORDS(W("FLUSHALL")));
	assert_int_equal(ask(a, REDIS_WORDS(W("GET"), W("none"))).type, REDIS_NIL);
	v = ask(a, REDIS_WORDS(W("INCRBY"), W("number"), W("-41")));
	assert_int_equal(v.type, REDIS_INTEGER);
	assert_int_equal(v.integer, -41);
	ask(a, REDIS_WORDS(W("SET"), W("bytes"), REDIS_BYTES("a\0\r\n\xFF", 5)));
	v = ask(a, REDIS_WORDS(W("GET"), W("bytes")));
	assert_int_equal(v.len, 5);
	assert_memory_equal(v.text, "a\0\r\n\xFF", 6);
	v = ask(a, REDIS_WORDS(W("SET"), W("empty"), W("")));
	assert_string_equal(v.text, "OK");
	assert_string_equal(ask(a, REDIS_WORDS(W("GET"), W("empty"))).text, "");
	v = ask(a, REDIS_WORDS(W("EVAL"), W("return {1, {'two', {}}, false}"), W("0")));
	assert_int_equal(v.type, REDIS_ARRAY);
	assert_int_equal(v.count, 3);
	assert_int_equal(v.items[0].integer, 1);
	assert_string_equal(v.items[1].items[0].text, "two");
	assert_int_equal(v.items[1].items[1].type, REDIS_ARRAY);
	assert_int_equal(v.items[1].items[1].count, 0);
	assert_int_equal(v.items[2].type, REDIS_NIL);
	arena_free(&a);
}

static void
every_kind_of_reply_is_handed_out(void **state)
{
	(void)state;
	with_redis(check_replies);
}

static void
a_unix_socket_serves_as_well(void **state)
{
	char url[160];

	(void)state;
	with_redis_at(server.unix_url, PATIENT, check_replies, NULL);
	snprintf(url, sizeof(url), "%s?db=3", server.unix_url);
	with_redis_at(url, PATIENT, check_replies, NULL);
	snprintf(url, sizeof(url), "redis://localhost:%d/2", server.port);
	with_redis_at(url, PATIENT, check_replies, NULL);
}

/* ---- scripts ---- */

static void
check_script(void *arg)
{
	struct redis_script script = {.source = "return {KEYS[1], ARGV[1], #ARGV}"};
	struct arena *a = new_arena();
	struct redis_value v;
	struct err err = {0};
	struct redis_word keys[] = {W("{k}")}, args[] = {W("one"), W("two")};

	(void)arg;
	for (int i = 0; i < 4; i++) {
		if (i == 2)
			ask(a, REDIS_WORDS(W("SCRIPT"), W("FLUSH")));   /* NOSCRIPT */
		if (redis_eval(redis_shared(), a, &script, &v, &err, keys, 1, args, 2) == -1)
			fail_msg("%s (%s)", err.message, err.cause);
		assert_int_equal(err.code, ERR_NONE);   /* or who answers would log it */
		assert_int_equal(strlen(script.sha1), 40);
		assert_string_equal(v.items[0].text, "{k}");
		assert_string_equal(v.items[1].text, "one");
		assert_int_equal(v.items[2].integer, 2);
	}
	arena_free(&a);
}

static void
a_script_runs_also_when_redis_has_forgotten_it(void **state)
{
	(void)state;
	with_redis(check_script);
}

/* ---- refusals ---- */

static void
check_wrong_command(void *arg)
{
	struct arena *a = new_arena();
	struct err err;

	(void)arg;
	ask(a, REDIS_WORDS(W("FLUSHALL")));
	ask(a, REDIS_WORDS(W("SADD"), W("set"), W("x")));
	for (int i = 0; i < 30; i++) {  /* more than open the breaker */
		err = ask_in_vain(a, REDIS_WORDS(W("GET"), W("set")));
		assert_int_equal(err.code, ERR_INTERNAL);
		assert_non_null(strstr(err.cause, "WRONGTYPE"));
	}
	assert_true(redis_usable());
	arena_free(&a);
}

static void
a_wrong_command_is_no_failure_of_redis(void **state)
{
	(void)state;
	with_redis(check_wrong_command);
}

/* ---- without Redis ---- */

static void
check_unconfigured(void *arg)
{
	struct arena *a = new_arena();
	struct err err = ask_in_vain(a, REDIS_WORDS(W("PING")));

	(void)arg;
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_false(redis_usable());
	assert_int_equal(redis_subscribe("x*", NULL, NULL), -1);
	arena_free(&a);
}

static void
without_redis_commands_fail_at_once(void **state)
{
	(void)state;
	with_redis_at("", PATIENT, check_unconfigured, NULL);
}

/* ---- Redis that comes and goes ---- */

static void
check_restart(void *arg)
{
	struct arena *a = new_arena();

	(void)arg;
	ask(a, REDIS_WORDS(W("SET"), W("key"), W("value")));
	redis_process_kill(&server);
	redis_process_start(&server);
	/* the connection may die under a command */
	for (int i = 0;; i++) {
		struct redis_value v;
		struct err err;

		if (redis_command(redis_shared(), a, &v, &err, REDIS_WORDS(W("GET"), W("key"))) == 0) {
			assert_int_equal(v.type, REDIS_NIL);
			break;
		}
		assert_int_equal(err.code, ERR_UNAVAILABLE);
		assert_true(i < 5);
	}
	arena_free(&a);
}

static void
after_a_restart_the_connection_comes_back(void **state)
{
	(void)state;
	with_redis(check_restart);
	/* here the first write after Redis' death raises SIGPIPE */
	with_redis_at(server.unix_url, PATIENT, check_restart, NULL);
}

static void
check_frozen(void *arg)
{
	struct arena *a = new_arena();
	struct err err;
	int64_t began;

	(void)arg;
	ask(a, REDIS_WORDS(W("PING")));
	redis_process_freeze(&server);
	for (int i = 0; i < 10; i++) {
		assert_true(redis_usable());
		err = ask_nobody(a, REDIS_WORDS(W("PING")));
		assert_int_equal(err.code, ERR_UNAVAILABLE);
	}
	assert_false(redis_usable());
	began = loop_now_ms();
	for (int i = 0; i < 1000; i++)
		err = ask_in_vain(a, REDIS_WORDS(W("PING")));
	assert_int_equal(loop_now_ms(), began);         /* none of them has waited */
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_int_equal(err.retry_after_secs, 1);
	redis_process_thaw(&server);
	while (!redis_usable() && loop_now_ms() < began + PATIENCE_MS)
		assert_int_equal(fiber_sleep(LOOK_MS, &err), 0);
	/* on a busy machine a probe may be late and the next come a second later */
	for (struct redis_value v; redis_command(redis_shared(), a, &v, &err, REDIS_WORDS(W("PING"))) == -1;) {
		assert_true(loop_now_ms() < began + PATIENCE_MS);
		assert_int_equal(fiber_sleep(LOOK_MS, &err), 0);
	}
	assert_int_equal(breaker_state(breaker_find("redis")), BREAKER_CLOSED);
	arena_free(&a);
}

static void
a_frozen_redis_opens_the_breaker_and_thawed_closes_it(void **state)
{
	(void)state;
	setenv("BREAKER_REDIS", "10/1", 1);
	with_redis_at(server.url, PATIENT, check_frozen, NULL);
	unsetenv("BREAKER_REDIS");
}

/* ---- many at once ---- */

#define CROWD 64
#define ROUNDS 50

struct crowd {
	unsigned running;
	struct fiber *waiting;
};

static void
crowd_main(void *arg)
{
	struct crowd *crowd = arg;
	struct arena *a = new_arena();
	char name[24], text[24];

	snprintf(name, sizeof(name), "k%p", (void *)a);
	for (int i = 0; i < ROUNDS; i++) {
		snprintf(text, sizeof(text), "%d", i);
		ask(a, REDIS_WORDS(W("SET"), W(name), W(text)));
		assert_string_equal(ask(a, REDIS_WORDS(W("GET"), W(name))).text, text);
	}
	arena_free(&a);
	if (--crowd->running == 0)
		fiber_wake(crowd->waiting);
}

static void
check_crowd(void *arg)
{
	struct crowd crowd = {CROWD, fiber_self()};
	struct arena *a = new_arena();

	(void)arg;
	ask(a, REDIS_WORDS(W("CONFIG"), W("RESETSTAT")));
	for (int i = 0; i < CROWD; i++)
		fiber_spawn(crowd_main, &crowd);
	while (crowd.running > 0)
		assert_int_not_equal(fiber_wait(FIBER_NO_DEADLINE), FIBER_TIMEOUT);
	/* all over one connection, and never one packet a command */
	assert_non_null(strstr(ask(a, REDIS_WORDS(W("INFO"), W("stats"))).text, "total_connections_received:0"));
	arena_free(&a);
}

static void
all_fibers_share_one_connection_and_each_gets_its_own_reply(void **state)
{
	(void)state;
	with_redis(check_crowd);
}

/* ---- those who do not wait for their reply ---- */

struct blocked {
	struct err err;
	int rc;
	bool done;
};

static void
blocked_main(void *arg)
{
	struct blocked *b = arg;
	struct arena *a = new_arena();
	struct redis_value v;

	b->rc = redis_command(redis_shared(), a, &v, &b->err, REDIS_WORDS(W("ECHO"), W("theirs")));
	arena_free(&a);
	b->done = true;
}

static void
check_cancelled(void *arg)
{
	struct blocked b = {.rc = 1};
	struct arena *a = new_arena();
	struct fiber *f;
	struct err err;

	(void)arg;
	ask(a, REDIS_WORDS(W("PING")));
	redis_process_freeze(&server);
	f = fiber_spawn(blocked_main, &b);
	assert_int_equal(fiber_sleep(LOOK_MS, &err), 0);        /* it has sent its command, and waits */
	assert_int_equal(redis_pending(), 1);
	fiber_cancel(f, FIBER_CLIENT_GONE);
	while (!b.done)
		assert_int_equal(fiber_sleep(LOOK_MS, &err), 0);
	redis_process_thaw(&server);
	assert_int_equal(b.rc, -1);
	assert_int_equal(b.err.code, ERR_CANCELLED);
	/* its reply comes to nobody, and the next command gets its own */
	assert_string_equal(ask(a, REDIS_WORDS(W("ECHO"), W("mine"))).text, "mine");
	assert_true(redis_usable());
	arena_free(&a);
}

static void
a_cancelled_fiber_leaves_and_the_others_keep_their_replies(void **state)
{
	(void)state;
	with_redis(check_cancelled);
}

/* ---- a connection of one's own ---- */

static void
check_own(void *arg)
{
	struct redis *own = redis_open();
	struct arena *a = new_arena();
	struct redis_value v;
	struct err err = {0};

	(void)arg;
	ask(a, REDIS_WORDS(W("FLUSHALL")));
	assert_int_equal(redis_command_until(own, a, loop_now_ms() + PATIENCE_MS, &v, &err,
	                                     REDIS_WORDS(W("BLPOP"), W("list"), W("0.05"))), 0);
	assert_int_equal(v.type, REDIS_NIL);
	/* given up, it does not hold up what follows */
	assert_int_equal(redis_command_until(own, a, loop_now_ms() + 100, &v, &err,
	                                     REDIS_WORDS(W("BLPOP"), W("list"), W("0"))), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_int_equal(redis_command(own, a, &v, &err, REDIS_WORDS(W("ECHO"), W("x"))), 0);
	assert_string_equal(v.text, "x");
	redis_close(&own);
	assert_null(own);
	arena_free(&a);
}

static void
a_connection_of_ones_own_may_block(void **state)
{
	(void)state;
	with_redis(check_own);
}

/* ---- subscriptions ---- */

struct heard {
	unsigned count;
	char channel[32], text[32];
	size_t len;
};

static void
heard_cb(void *arg, const char *channel, const char *text, size_t len)
{
	struct heard *h = arg;

	snprintf(h->channel, sizeof(h->channel), "%s", channel);
	snprintf(h->text, sizeof(h->text), "%s", text);
	h->len = len;
	h->count++;
}

/* Publish until it is heard: the subscription comes about by itself. */
static void
publish_until_heard(struct arena *a, struct heard *h)
{
	int64_t until = loop_now_ms() + PATIENCE_MS;
	unsigned before = h->count;
	struct redis_value v;
	struct err err;

	while (h->count == before && loop_now_ms() < until) {
		(void)!redis_command(redis_shared(), a, &v, &err, REDIS_WORDS(W("PUBLISH"), W("news.1"), W("hello")));
		assert_int_equal(fiber_sleep(LOOK_MS, &err), 0);
	}
	assert_true(h->count > before);
}

static void
check_subscription(void *arg)
{
	struct heard h = {0};
	struct arena *a = new_arena();

	(void)arg;
	assert_int_equal(redis_subscribe("news.*", heard_cb, &h), 0);
	publish_until_heard(a, &h);
	assert_string_equal(h.channel, "news.1");
	assert_string_equal(h.text, "hello");
	assert_int_equal(h.len, 5);
	redis_process_kill(&server);
	redis_process_start(&server);
	publish_until_heard(a, &h);
	arena_free(&a);
}

static void
a_subscription_hears_and_comes_back_after_a_restart(void **state)
{
	(void)state;
	with_redis(check_subscription);
}

/* ---- replies without measure ---- */

static void
check_huge(void *arg)
{
	struct arena *a = new_arena();
	struct err err;

	(void)arg;
	ask(a, REDIS_WORDS(W("FLUSHALL")));
	ask(a, REDIS_WORDS(W("SETRANGE"), W("large"), W("1999999"), W("x")));
	assert_int_equal(ask(a, REDIS_WORDS(W("GET"), W("large"))).len, 2000000);
	ask(a, REDIS_WORDS(W("SETRANGE"), W("huge"), W("50000000"), W("x")));
	err = ask_in_vain(a, REDIS_WORDS(W("GET"), W("huge")));
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	err = ask_in_vain(a, REDIS_WORDS(W("EVAL"), W("local t = {} for i = 1, 200000 do t[i] = i end return t"), W("0")));
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	err = ask_in_vain(a, REDIS_WORDS(W("EVAL"), W("return {{{{{{{{{{1}}}}}}}}}}"), W("0")));
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_string_equal(ask(a, REDIS_WORDS(W("PING"))).text, "PONG");
	arena_free(&a);
}

static void
a_huge_reply_is_an_error(void **state)
{
	(void)state;
	with_redis(check_huge);
}

static void
check_small_arena(void *arg)
{
	struct arena *a = new_arena(), *small = arena_new(2000);
	struct err err;

	(void)arg;
	ask(a, REDIS_WORDS(W("SETRANGE"), W("some"), W("5000"), W("x")));
	err = ask_in_vain(small, REDIS_WORDS(W("GET"), W("some")));
	assert_int_equal(err.code, ERR_INTERNAL);
	assert_true(redis_usable());
	arena_free(&small);
	arena_free(&a);
}

static void
a_reply_too_large_for_the_request_is_its_own_fault(void **state)
{
	(void)state;
	with_redis(check_small_arena);
}

/* ---- a Redis that is unwell ---- */

/* Words that make it so, the command that then fails, and what the log must say. */
struct illness {
	const char *words[4];
	const char *command[3];
	const char *cause;
};

static struct err
ask_the_ill(const struct illness *ill, struct arena *a, struct err (*ask_so)(struct arena *, const struct redis_word *, size_t))
{
	struct err err = ask_so(a, REDIS_WORDS(W(ill->command[0]), W(ill->command[1]), W(ill->command[2])));

	assert_int_equal(err.code, ERR_UNAVAILABLE);
	return err;
}

/* One that answers, and is unwell: each command fails by that. */
static void
check_illness(void *arg)
{
	const struct illness *ill = arg;
	struct redis_word words[4];
	struct arena *a = new_arena();
	size_t n = 0;

	for (; n < 4 && ill->words[n] != NULL; n++)
		words[n] = REDIS_TEXT(ill->words[n]);
	ask(a, words, n);
	for (int i = 0; i < 10; i++) {
		struct err err;

		assert_true(redis_usable());
		err = ask_the_ill(ill, a, ask_in_vain);
		if (strstr(err.cause, ill->cause) == NULL)
			fail_msg("%s is not in: %s", ill->cause, err.cause);
	}
	assert_false(redis_usable());
	arena_free(&a);
}

/* One that cannot be had at all.  In the end that is why, whatever comes first on a slow machine. */
static void
check_none(void *arg)
{
	const struct illness *ill = arg;
	const int64_t until = loop_now_ms() + PATIENCE_MS;
	struct arena *a = new_arena();
	struct err err = {0};

	for (int i = 0; i < 10; i++) {
		assert_true(redis_usable());
		err = ask_the_ill(ill, a, ask_nobody);
	}
	assert_false(redis_usable());
	while (strstr(err.cause, ill->cause) == NULL) {
		if (loop_now_ms() > until)
			fail_msg("%s is not in: %s", ill->cause, err.cause);
		breaker_reset(breaker_find("redis"), loop_now_ms());
		err = ask_the_ill(ill, a, ask_nobody);
	}
	arena_free(&a);
}

static void
an_unwell_redis_opens_the_breaker(void **state)
{
	static const struct illness illnesses[] = {
	    {{"CONFIG", "SET", "maxmemory", "1"}, {"SET", "a", "b"}, "OOM"},
	    {{"REPLICAOF", "127.0.0.1", "1"}, {"SET", "a", "b"}, "READONLY"},
	    {{"CONFIG", "SET", "maxmemory", "1"}, {"EVAL", "return redis.call('SET', 'a', 'b')", "0"}, "OOM"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(illnesses) / sizeof(illnesses[0]); i++) {
		struct redis_process own = {0};

		redis_process_start(&own);
		with_redis_at(own.url, PATIENT, check_illness, (void *)(uintptr_t)&illnesses[i]);
		redis_process_end(&own);
	}
}

static void
a_wrong_password_is_a_failure_that_is_named(void **state)
{
	static const char *const options[] = {"--requirepass", "right", NULL};
	struct illness wrong = {{NULL}, {"SET", "a", "b"}, "WRONGPASS"};
	struct illness none = {{NULL}, {"SET", "a", "b"}, "NOAUTH"};
	struct redis_process own = {.options = options};
	char url[160];

	(void)state;
	redis_process_start(&own);
	snprintf(url, sizeof(url), "redis://:wrong@127.0.0.1:%d", own.port);
	with_redis_at(url, PATIENT, check_none, &wrong);
	with_redis_at(own.url, PATIENT, check_none, &none);
	snprintf(url, sizeof(url), "redis://default:right@127.0.0.1:%d", own.port);
	with_redis_at(url, PATIENT, check_replies, NULL);
	redis_process_end(&own);
}

static void
nobody_there_is_a_failure(void **state)
{
	struct illness refused = {{NULL}, {"SET", "a", "b"}, "refused"};
	struct illness unknown = {{NULL}, {"SET", "a", "b"}, "Redis:"};
	char url[64];

	(void)state;
	snprintf(url, sizeof(url), "redis://127.0.0.1:%d", free_port());
	with_redis_at(url, PATIENT, check_none, &refused);
	with_redis_at("redis://no-such-host.invalid:1", PATIENT, check_none, &unknown);
	with_redis_at("unix:/nonexistent/redis.sock", PATIENT, check_none, &unknown);
}

/* ---- those who are no Redis ---- */

static void
speak(int fd, void *arg)
{
	const char *const *lines = arg;
	char request[4096];

	/* the greeting ends with PING; then one answer to each packet */
	for (; *lines != NULL; lines++) {
		if (read(fd, request, sizeof(request)) <= 0 || !tiny_send(fd, *lines))
			return;
	}
	tiny_await_close(fd);
}

static void
speak_http(int fd, void *arg)
{
	(void)arg;
	tiny_send(fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
	tiny_await_close(fd);
}

static void
with_impostor(void (*script)(int fd, void *arg), void *script_arg, const char *cause)
{
	struct illness ill = {{NULL}, {"SET", "a", "b"}, cause};
	struct tiny_server *impostor = tiny_server_start(script, script_arg);
	char url[64];

	snprintf(url, sizeof(url), "redis%s", strchr(tiny_server_url(impostor), ':'));
	with_redis_at(url, "40", check_none, &ill);
	tiny_server_stop(&impostor);
}

static void
another_protocol_on_the_port_is_a_failure(void **state)
{
	(void)state;
	with_impostor(speak_http, NULL, "Redis:");
}

/* Each first line is a good greeting. */
static void
garbage_ends_the_connection_and_nothing_else(void **state)
{
	static const char *const garbage[][4] = {
	    {"+PONG\r\n", "\x01\x02\x03\xFF\r\n"},
	    {"+PONG\r\n+what for?\r\n"},                /* a reply that nobody asked for */
	    {"+PONG\r\n*2\r\n+a\r\n:1\r\n"},
	    {"+PONG\r\n", "$9223372036854775807\r\nabc"},
	    {"+PONG\r\n", "$-7\r\n"},
	    {"+PONG\r\n", "*2147483647\r\n"},
	    {"+PONG\r\n", "*-5\r\n"},
	    {"+PONG\r\n", "*99999999999999999999\r\n"},
	    {"+PONG\r\n", ":12x\r\n"},
	    {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"},
	    {"-ERR max number of clients reached\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
		with_impostor(speak, (void *)(uintptr_t)garbage[i], "Redis:");
}

/* What a subscription gets to hear that is none of ours: hiredis would abort the process for some. */
static void
check_bad_messages(void *arg)
{
	struct heard *h = arg;
	struct err err;

	assert_int_equal(redis_subscribe("news.*", heard_cb, h), 0);
	assert_int_equal(fiber_sleep(150, &err), 0);
	assert_int_equal(h->count, 0);
}

static void
bad_messages_end_a_subscription_and_nothing_else(void **state)
{
	static const char *const bad[][3] = {
	    {"+PONG\r\n", "+OK\r\n"},
	    {"+PONG\r\n", "*1\r\n$8\r\npmessage\r\n"},
	    {"+PONG\r\n", "*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n"},
	    {"+PONG\r\n", "*4\r\n$8\r\npmessage\r\n:2\r\n:3\r\n:4\r\n"},
	    {"+PONG\r\n", "*3\r\n$12\r\npunsubscribe\r\n$6\r\nnews.*\r\n$1\r\nx\r\n"},
	    {"+PONG\r\n", "*3\r\n$10\r\npsubscribe\r\n$5\r\nother\r\n:1\r\n"},
	    {"+PONG\r\n", "*4\r\n$8\r\npmessage\r\n$6\r\nnews.*\r\n*1\r\n:1\r\n$1\r\nx\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct tiny_server *impostor = tiny_server_start(speak, (void *)(uintptr_t)bad[i]);
		struct heard h = {0};
		char url[64];

		snprintf(url, sizeof(url), "redis%s", strchr(tiny_server_url(impostor), ':'));
		with_redis_at(url, "40", check_bad_messages, &h);
		tiny_server_stop(&impostor);
	}
}

/* ---- REST ---- */

static void
read_rest(const char *json, enum redis_outcome wanted, struct arena *a, struct redis_value *v, char *said)
{
	struct json_object *answer = json_parse_trusted(json, strlen(json));

	assert_int_equal(redis_rest_read(answer, a, v, said), wanted);
	json_object_put(answer);
}

static void
answers_over_rest_are_read(void **state)
{
	char said[REDIS_SAID_BYTES];
	struct arena *a = new_arena();
	struct redis_value v;

	(void)state;
	read_rest("{\"result\":\"OK\"}", REDIS_DONE, a, &v, said);
	assert_string_equal(v.text, "OK");
	read_rest("{\"result\":\"AP9h\"}", REDIS_DONE, a, &v, said);
	assert_int_equal(v.len, 3);
	assert_memory_equal(v.text, "\0\xFF" "a", 4);
	read_rest("{\"result\":\"\"}", REDIS_DONE, a, &v, said);
	assert_int_equal(v.len, 0);
	read_rest("{\"result\":\"not base64!\"}", REDIS_DONE, a, &v, said);
	assert_string_equal(v.text, "not base64!");
	read_rest("{\"result\":9007199254740993}", REDIS_DONE, a, &v, said);
	assert_true(v.integer == 9007199254740993);
	read_rest("{\"result\":null}", REDIS_DONE, a, &v, said);
	assert_int_equal(v.type, REDIS_NIL);
	read_rest("{\"result\":[1,[\"YQ==\",null]]}", REDIS_DONE, a, &v, said);
	assert_string_equal(v.items[1].items[0].text, "a");
	assert_int_equal(v.items[1].items[1].type, REDIS_NIL);
	read_rest("{\"error\":\"WRONGTYPE no\"}", REDIS_SAID_NO, a, &v, said);
	assert_string_equal(said, "WRONGTYPE no");
	read_rest("{}", REDIS_LOST, a, &v, said);
	read_rest("[]", REDIS_LOST, a, &v, said);
	read_rest("null", REDIS_LOST, a, &v, said);
	read_rest("{\"result\":{}}", REDIS_TOO_LARGE, a, &v, said);
	read_rest("{\"result\":[[[[[[[[[1]]]]]]]]]}", REDIS_TOO_LARGE, a, &v, said);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_kind_of_reply_is_handed_out),
	    cmocka_unit_test(a_unix_socket_serves_as_well),
	    cmocka_unit_test(a_script_runs_also_when_redis_has_forgotten_it),
	    cmocka_unit_test(a_wrong_command_is_no_failure_of_redis),
	    cmocka_unit_test(without_redis_commands_fail_at_once),
	    cmocka_unit_test(after_a_restart_the_connection_comes_back),
	    cmocka_unit_test(a_frozen_redis_opens_the_breaker_and_thawed_closes_it),
	    cmocka_unit_test(all_fibers_share_one_connection_and_each_gets_its_own_reply),
	    cmocka_unit_test(a_cancelled_fiber_leaves_and_the_others_keep_their_replies),
	    cmocka_unit_test(a_connection_of_ones_own_may_block),
	    cmocka_unit_test(a_subscription_hears_and_comes_back_after_a_restart),
	    cmocka_unit_test(a_huge_reply_is_an_error),
	    cmocka_unit_test(a_reply_too_large_for_the_request_is_its_own_fault),
	    cmocka_unit_test(an_unwell_redis_opens_the_breaker),
	    cmocka_unit_test(a_wrong_password_is_a_failure_that_is_named),
	    cmocka_unit_test(nobody_there_is_a_failure),
	    cmocka_unit_test(another_protocol_on_the_port_is_a_failure),
	    cmocka_unit_test(garbage_ends_the_connection_and_nothing_else),
	    cmocka_unit_test(bad_messages_end_a_subscription_and_nothing_else),
	    cmocka_unit_test(answers_over_rest_are_read),
	};

	return cmocka_run_group_tests(tests, start_server, end_server);
}
