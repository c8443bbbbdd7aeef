/* test_limit_redis.c - the limiter's script against a plain model, in a private redis-server */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "config/config.h"
#include "guard/limit_redis.h"
#include "in_fiber.h"
#include "net/breaker.h"
#include "net/redis.h"
#include "redis_process.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"

#define MS ((int64_t)1000)
#define MODEL_MAX 200000
#define W(text) REDIS_TEXT(text)
#define HEADER_BYTES 36
#define PATIENT "60000"                 /* the most that REDIS_TIMEOUT_MS may be */
#define LONG (3600 * 1000 * MS)         /* a window that does not end while this runs */
#define LATE_MS 100

static struct redis_process server;

static int
start_server(void **state)
{
	(void)state;
	setenv("BAKAME_ENV", "development", 1);
	redis_process_start(&server);
	return 0;
}

static int
end_server(void **state)
{
	redis_process_end(&server);
	return in_fiber_teardown(state);
}

/* From now on Redis has so long to answer. */
static void
set_timeout(const char *ms)
{
	setenv("REDIS_TIMEOUT_MS", ms, 1);
	assert_int_equal(config_load(stderr), 0);
}

static void
with_redis(void (*check)(void *arg))
{
	setenv("REDIS_URL", server.unix_url, 1);
	set_timeout(PATIENT);
	redis_start();
	breaker_reset(breaker_find("redis"), loop_now_ms());
	in_fiber(check, NULL);
	redis_stop();
	config_unload();
}

/* ---- plain commands ---- */

static struct arena *arena;

static struct redis_value
ask(const struct redis_word *words, size_t count)
{
	struct redis_value reply = {0};
	struct err err = {0};

	arena_free(&arena);
	arena = arena_new((size_t)1024 * 1024);
	if (redis_command(redis_shared(), arena, &reply, &err, words, count) == -1)
		fail_msg("%s %s", err.message, err.cause);
	return reply;
}

static const char *
name_of(const char *key)
{
	static char name[128];

	snprintf(name, sizeof(name), "bakame:{limit:%s}", key);
	return name;
}

static size_t
length_of(const char *key)
{
	return (size_t)ask(REDIS_WORDS(W("STRLEN"), W(name_of(key)))).integer;
}

static int
hit(const char *key, int64_t limit, int64_t window_us, struct limit_count *r)
{
	struct err err = {0};
	int rc = limit_redis_hit_us(key, limit, window_us, r, &err);

	if (rc == -1)
		fail_msg("%s %s", err.message, err.cause);
	return rc;
}

/* ---- a model: all hits in a list, by the times that Redis says ---- */

struct model {
	int64_t *hits;
	size_t from, to;
	unsigned admitted, refused;
};

static struct model
new_model(void)
{
	return (struct model){.hits = calloc(MODEL_MAX, sizeof(int64_t))};
}

static void
assert_same(struct model *m, const char *key, int64_t limit, int64_t window_us)
{
	struct limit_count r;
	int rc = hit(key, limit, window_us, &r);
	int64_t left;

	while (m->from < m->to && r.at_us - m->hits[m->from] >= window_us)
		m->from++;
	assert_int_equal(rc, (int64_t)(m->to - m->from) < limit);
	if (rc == 1)
		m->hits[m->to++] = r.at_us;
	left = (int64_t)(m->to - m->from);
	assert_int_equal(r.hits, left);
	assert_int_equal(r.wait_us,
	                 window_us - (r.at_us - m->hits[left > limit ? m->to - (size_t)limit : m->from]));
	if (rc == 1)
		m->admitted++;
	else
		m->refused++;
}

static void
pause_us(int64_t us)
{
	struct err err;

	if (us >= 1000)
		assert_int_equal(fiber_sleep(us / 1000, &err), 0);
}

/* ---- exactness ---- */

static void
follow_limits(void *arg)
{
	static const int64_t limits[] = {1, 2, 3, 30, 100, 1000};
	static const int64_t windows[] = {3 * MS, 20 * MS, 100 * MS};

	(void)arg;
	srand(1);
	for (size_t i = 0; i < 6; i++) {
		for (size_t w = 0; w < 3; w++) {
			struct model m = new_model();
			char key[32];

			snprintf(key, sizeof(key), "u:%zu-%zu", i, w);
			for (int n = 0; n < 1200; n++) {
				if (rand() % 200 == 0)
					pause_us(windows[w] * (rand() % 5) / 4);
				assert_same(&m, key, limits[i], windows[w]);
			}
			assert_true(m.admitted > 0);
			free(m.hits);
		}
	}
}

static void
windows_are_exact_to_the_microsecond(void **state)
{
	(void)state;
	with_redis(follow_limits);
}

static void
fill_largest(void *arg)
{
	struct model m = new_model();

	(void)arg;
	for (int n = 0; n < LIMIT_COUNT_MAX + 50; n++)
		assert_same(&m, "largest", LIMIT_COUNT_MAX, LONG);
	assert_int_equal(m.admitted, LIMIT_COUNT_MAX);
	assert_int_equal(length_of("largest"), HEADER_BYTES + 4 * LIMIT_COUNT_MAX);
	free(m.hits);
}

static void
the_largest_limit_has_four_bytes_a_hit(void **state)
{
	(void)state;
	with_redis(fill_largest);
}

static void
roll_largest(void *arg)
{
	struct model m = new_model();

	(void)arg;
	/* so many hits in a window that rings wrap and thousands end at once */
	for (int n = 0; n < 25000; n++) {
		if (n % 5000 == 4999)
			pause_us(100 * MS);
		assert_same(&m, "rolling", LIMIT_COUNT_MAX, 150 * MS);
	}
	free(m.hits);
}

static void
large_rings_are_exact_as_they_roll(void **state)
{
	(void)state;
	with_redis(roll_largest);
}

static void
change_limits(void *arg)
{
	struct model m = new_model();

	(void)arg;
	srand(2);
	for (int n = 0; n < 8000; n++)
		assert_same(&m, "changing", 1 + rand() % (n % 1000 < 500 ? 20 : 200), 30 * MS);
	free(m.hits);
}

static void
a_limit_may_change_with_each_hit(void **state)
{
	(void)state;
	with_redis(change_limits);
}

static void
lower_and_raise(void *arg)
{
	struct limit_count r;

	(void)arg;
	for (int i = 0; i < 80; i++)
		assert_int_equal(hit("override", 100, LONG, &r), 1);
	assert_int_equal(hit("override", 10, LONG, &r), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(hit("override", 100, LONG, &r), 1);
	assert_int_equal(hit("override", 100, LONG, &r), 0);
	for (int i = 0; i < 150; i++)
		assert_int_equal(hit("override", 250, LONG, &r), 1);
	assert_int_equal(hit("override", 250, LONG, &r), 0);
}

static void
lowering_and_raising_a_limit_forgets_nothing(void **state)
{
	(void)state;
	with_redis(lower_and_raise);
}

/* ---- the key in Redis ---- */

static void
look_at_key(void *arg)
{
	struct limit_count r;
	struct err err;
	int64_t left;

	(void)arg;
	assert_int_equal(hit("expiring", 2, LONG, &r), 1);
	left = ask(REDIS_WORDS(W("PTTL"), W(name_of("expiring")))).integer;
	assert_true(left > LONG / MS / 2 && left <= LONG / MS + 1);
	assert_int_equal(length_of("expiring"), HEADER_BYTES + 4);
	assert_int_equal(limit_redis_look("expiring", (struct limit){2, 3600}, &r, &err), 0);
	assert_int_equal(r.hits, 1);
	assert_int_equal(hit("expiring", 2, LONG, &r), 1);
	assert_int_equal(r.hits, 2);
	assert_int_equal(limit_redis_look("expiring", (struct limit){2, 3600}, &r, &err), 0);
	assert_int_equal(r.hits, 2);
	assert_int_equal(limit_redis_forget("expiring", &err), 0);
	assert_int_equal(hit("expiring", 2, LONG, &r), 1);
	assert_int_equal(r.hits, 1);
	assert_int_equal(hit("brief", 2, 20 * MS, &r), 1);
	pause_us(200 * MS);
	assert_int_equal(ask(REDIS_WORDS(W("EXISTS"), W(name_of("brief")))).integer, 0);
}

static void
a_key_expires_a_window_after_its_last_hit(void **state)
{
	(void)state;
	with_redis(look_at_key);
}

static void
count_commands(void *arg)
{
	struct limit_count r;
	int64_t before, after;
	const char *stats;

	(void)arg;
	assert_int_equal(hit("counted", 100, LONG, &r), 1);
	stats = ask(REDIS_WORDS(W("INFO"), W("commandstats"))).text;
	stats = strstr(stats, "cmdstat_evalsha:calls=");
	before = stats != NULL ? atoll(stats + strlen("cmdstat_evalsha:calls=")) : 0;
	for (int i = 0; i < 50; i++)
		assert_int_equal(hit("counted", 100, LONG, &r), 1);
	stats = strstr(ask(REDIS_WORDS(W("INFO"), W("commandstats"))).text, "cmdstat_evalsha:calls=");
	assert_non_null(stats);
	after = atoll(stats + strlen("cmdstat_evalsha:calls="));
	assert_int_equal(after - before, 50);
}

static void
a_decision_is_one_command(void **state)
{
	(void)state;
	with_redis(count_commands);
}

/* ---- what does not belong there ---- */

static void
put_foreign(const char *key, const char *bytes, size_t len)
{
	ask(REDIS_WORDS(W("SET"), W(name_of(key)), REDIS_BYTES(bytes, len)));
}

/* Nothing is admitted by what is there, and the next hit starts anew. */
static void
assert_replaced(const char *key)
{
	struct limit_count r;
	struct err err = {0};

	assert_int_equal(limit_redis_hit_us(key, 2, LONG, &r, &err), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
	assert_int_equal(hit(key, 2, LONG, &r), 1);
	assert_int_equal(r.hits, 1);
}

/* A header as the script writes it, with one thing wrong. */
static void
put_header(const char *key, uint32_t slots, uint32_t first, uint32_t count, double newest, double back)
{
	char bytes[HEADER_BYTES + 8] = "BKL1";
	uint32_t oldest = 0;

	memcpy(bytes + 4, &slots, 4);
	memcpy(bytes + 8, &first, 4);
	memcpy(bytes + 12, &count, 4);
	memcpy(bytes + 16, &oldest, 4);
	memcpy(bytes + 20, &newest, 8);
	memcpy(bytes + 28, &back, 8);
	put_foreign(key, bytes, sizeof(bytes));
}

static void
replace_foreign(void *arg)
{
	char noise[200];

	(void)arg;
	ask(REDIS_WORDS(W("LPUSH"), W(name_of("list")), W("x")));
	assert_replaced("list");
	ask(REDIS_WORDS(W("HSET"), W(name_of("hash")), W("f"), W("x")));
	assert_replaced("hash");
	put_foreign("text", "hello", 5);
	assert_replaced("text");
	put_foreign("number", "1", 1);
	assert_replaced("number");
	put_header("no-slots", 0, 0, 0, 1, 0);
	assert_replaced("no-slots");
	put_header("slots", 10001, 0, 1, 1, 0);
	assert_replaced("slots");
	put_header("first", 2, 2, 1, 1, 0);
	assert_replaced("first");
	put_header("count", 2, 0, 3, 1, 0);
	assert_replaced("count");
	put_header("newest", 2, 0, 2, -1, 0);
	assert_replaced("newest");
	put_header("newest-nan", 2, 0, 2, 0.0 / 0.0, 0);
	assert_replaced("newest-nan");
	put_header("newest-far", 2, 0, 2, 1e18, 0);
	assert_replaced("newest-far");
	put_header("back", 2, 0, 2, 1, 1.0 / 0.0);
	assert_replaced("back");
	srand(3);
	for (int i = 0; i < 500; i++) {
		size_t len = 1 + (size_t)rand() % (sizeof(noise) - 1);

		for (size_t at = 0; at < len; at++)
			noise[at] = (char)rand();
		put_foreign("noise", noise, len);
		assert_replaced("noise");
	}
}

static void
what_is_no_ring_is_replaced_and_admits_nobody(void **state)
{
	(void)state;
	with_redis(replace_foreign);
}

static void
cut_rings(void *arg)
{
	(void)arg;
	for (int len = 0; len < 40; len++) {
		struct limit_count r;
		struct err err = {0};
		char bytes[128];
		const struct redis_value *v;
		struct redis_value whole;
		int rc;

		for (int i = 0; i < 5; i++)
			assert_int_equal(hit("cut", 5, LONG, &r), 1);
		whole = ask(REDIS_WORDS(W("GET"), W(name_of("cut"))));
		v = &whole;
		assert_true(v->len < sizeof(bytes));
		memcpy(bytes, v->text, v->len);
		put_foreign("cut", bytes, (size_t)len);
		pause_us(3 * MS);
		rc = limit_redis_hit_us("cut", 5, 5 * MS, &r, &err);
		assert_true(rc == -1 || r.hits >= 1);
		assert_int_equal(limit_redis_forget("cut", &err), 0);
	}
}

static void
a_ring_that_was_cut_breaks_nothing(void **state)
{
	(void)state;
	with_redis(cut_rings);
}

/* ---- the clock ---- */

static void
meet_the_future(void *arg)
{
	struct limit_count r;
	uint32_t at;
	int64_t now;

	(void)arg;
	/* a ring by a clock that was an hour ahead: its hits count from now on */
	assert_int_equal(hit("clock", 100, 1000, &r), 1);
	now = r.at_us;
	put_header("ahead", 2, 0, 2, (double)(now + 3600 * 1000 * MS), 0);
	at = (uint32_t)(now + 3600 * 1000 * MS);
	ask(REDIS_WORDS(W("SETRANGE"), W(name_of("ahead")), W("16"), REDIS_BYTES((const char *)&at, 4)));
	ask(REDIS_WORDS(W("SETRANGE"), W(name_of("ahead")), W("36"), REDIS_BYTES((const char *)&at, 4)));
	ask(REDIS_WORDS(W("SETRANGE"), W(name_of("ahead")), W("40"), REDIS_BYTES((const char *)&at, 4)));
	assert_int_equal(hit("ahead", 2, 300 * MS, &r), 0);
	assert_int_equal(hit("ahead", 3, 300 * MS, &r), 1);
	pause_us(320 * MS);
	assert_int_equal(hit("ahead", 3, 300 * MS, &r), 1);
}

static void
a_clock_that_goes_back_admits_nobody_more_and_locks_nobody_out(void **state)
{
	(void)state;
	with_redis(meet_the_future);
}

static void
freeze_and_thaw(void *arg)
{
	struct limit_count r;
	struct err err = {0};
	char late[16];

	(void)arg;
	snprintf(late, sizeof(late), "%d", LATE_MS);
	for (int i = 0; i < 3; i++)
		assert_int_equal(hit("late", 100, LONG, &r), 1);
	redis_process_freeze(&server);
	set_timeout(late);
	for (int i = 0; i < 5; i++)
		assert_int_equal(limit_redis_hit("late", (struct limit){100, 3600}, &r, &err), -1);
	/* the last of them, too, is late by the clock that counts */
	for (int64_t until_us = loop_unix_us() + 2 * LATE_MS * MS; loop_unix_us() < until_us;)
		assert_int_equal(fiber_sleep(5, &err), 0);
	set_timeout(PATIENT);
	redis_process_thaw(&server);
	/* the commands that nobody waited for are carried out now; they do not count */
	while (limit_redis_look("late", (struct limit){100, 3600}, &r, &err) == -1)
		assert_int_equal(fiber_sleep(5, &err), 0);
	assert_int_equal(r.hits, 3);
}

static void
a_command_that_redis_gets_too_late_does_not_count(void **state)
{
	(void)state;
	with_redis(freeze_and_thaw);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(windows_are_exact_to_the_microsecond),
	    cmocka_unit_test(the_largest_limit_has_four_bytes_a_hit),
	    cmocka_unit_test(large_rings_are_exact_as_they_roll),
	    cmocka_unit_test(a_limit_may_change_with_each_hit),
	    cmocka_unit_test(lowering_and_raising_a_limit_forgets_nothing),
	    cmocka_unit_test(a_key_expires_a_window_after_its_last_hit),
	    cmocka_unit_test(a_decision_is_one_command),
	    cmocka_unit_test(what_is_no_ring_is_replaced_and_admits_nobody),
	    cmocka_unit_test(a_ring_that_was_cut_breaks_nothing),
	    cmocka_unit_test(a_clock_that_goes_back_admits_nobody_more_and_locks_nobody_out),
	    cmocka_unit_test(a_command_that_redis_gets_too_late_does_not_count),
	};

	return cmocka_run_group_tests_name("limit_redis", tests, start_server, end_server);
}
