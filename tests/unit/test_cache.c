/* test_cache.c - the cache against a private redis-server, in good health and in bad */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"
#include "in_fiber.h"
#include "net/breaker.h"
#include "net/cache.h"
#include "net/cache_record.h"
#include "net/redis.h"
#include "redis_process.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/shm.h"

#define W(text) REDIS_TEXT(text)
#define ARENA_BYTES ((size_t)16 * 1024 * 1024)
/* Longer than any of this takes, on whatever machine. */
#define PATIENCE_MS 120000
#define PATIENT "60000"                 /* the most that REDIS_TIMEOUT_MS may be */
#define TTL_SECS 600

static struct redis_process server;
static char shm_name[64];

static int
start_server(void **state)
{
	(void)state;
	snprintf(shm_name, sizeof(shm_name), "/bakame-test-cache-%d", (int)getpid());
	shm_unlink(shm_name);
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

/* Run check in a fiber with an empty cache; Redis at `url`. */
static void
with_redis_at(const char *url, const char *timeout_ms, void (*check)(void *arg))
{
	struct err err;
	struct breaker *b;

	if (url != NULL)
		setenv("REDIS_URL", url, 1);
	set_timeout(timeout_ms);
	assert_int_equal(shm_start(shm_name, &err), 0);
	breakers_start();
	redis_start();
	b = breaker_find("redis");
	if (b != NULL)
		breaker_reset(b, loop_now_ms());
	cache_start();
	in_fiber(check, NULL);
	redis_stop();
	shm_stop();
	shm_unlink(shm_name);
	config_unload();
	unsetenv("REDIS_URL");
}

/* However short the time that the cache gives Redis. */
static struct redis_value
ask(struct arena *a, const struct redis_word *words, size_t count)
{
	struct redis_value v;
	struct err err;

	if (redis_command_until(redis_shared(), a, loop_now_ms() + PATIENCE_MS, &v, &err, words, count) == -1)
		fail_msg("%s %s", err.message, err.cause);
	return v;
}

static void (*checked)(void *arg);

static void
flush_and_check(void *arg)
{
	struct arena *a = arena_new(ARENA_BYTES);

	ask(a, REDIS_WORDS(W("FLUSHALL")));
	arena_free(&a);
	checked(arg);
}

static void
with_redis(void (*check)(void *arg))
{
	checked = check;
	with_redis_at(server.url, PATIENT, flush_and_check);
}

/* ---- a thing to fetch ---- */

static const struct cache_kind kind = {
    .name = "thing", .ttl_secs = TTL_SECS, .negative_ttl_secs = TTL_SECS, .lease_ms = 3 * PATIENCE_MS};
/* past its time as soon as it is there */
static const struct cache_kind stale_kind = {
    .name = "stale", .ttl_secs = 0, .negative_ttl_secs = 0, .lease_ms = 3 * PATIENCE_MS};

struct source {
	const char *text;
	size_t len;                     /* 0: of the text */
	enum err_code fails;
	int64_t takes_ms;
	unsigned fetches;
	void (*meanwhile)(void);
};

static int
fetch_cb(void *arg, struct buffer *out, struct err *err)
{
	struct source *s = arg;

	s->fetches++;
	if (s->takes_ms > 0 && fiber_sleep(s->takes_ms, err) == -1)
		return -1;
	if (s->meanwhile != NULL)
		s->meanwhile();
	if (s->fails != ERR_NONE) {
		err_set(err, s->fails, "The provider says %s.", s->text);
		err->retry_after_secs = 3;
		return -1;
	}
	return buffer_append(out, s->text, s->len > 0 ? s->len : strlen(s->text));
}

/* One call of the cache, in a fiber of its own or this. */
struct call {
	const struct cache_kind *kind;
	const char *key;
	struct source *source;
	struct arena *arena;
	struct cache_value value;
	struct err err;
	int rc;
	bool ended;
};

static void
call_main(void *arg)
{
	struct call *c = arg;

	c->rc = cache_get(c->kind, c->key, fetch_cb, c->source, c->arena, &c->value, &c->err);
	c->ended = true;
}

static struct call
get(const struct cache_kind *k, const char *key, struct source *s, struct arena *a)
{
	struct call c = {.kind = k, .key = key, .source = s, .arena = a};

	call_main(&c);
	return c;
}

static void
expect(const struct cache_kind *k, const char *key, struct source *s, const char *text, enum cache_source from)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct call c = get(k, key, s, a);

	if (c.rc == -1)
		fail_msg("%s: %s (%s)", key, c.err.message, c.err.cause);
	assert_string_equal(c.value.text, text);
	assert_int_equal(c.value.len, strlen(text));
	assert_int_equal(c.value.source, from);
	assert_true(c.value.age_secs >= 0 && c.value.age_secs < TTL_SECS);
	arena_free(&a);
}

static void
expect_failure(const struct cache_kind *k, const char *key, struct source *s, enum err_code code)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct call c = get(k, key, s, a);

	assert_int_equal(c.rc, -1);
	assert_int_equal(c.err.code, code);
	if (s->text != NULL)
		assert_non_null(strstr(c.err.message, s->text));
	arena_free(&a);
}

static void
await(const struct call *calls, unsigned count)
{
	struct err err;

	for (unsigned i = 0; i < count; i++)
		while (!calls[i].ended)
			assert_int_equal(fiber_sleep(1, &err), 0);
}

/* The one key that is in Redis and ends (or does not end) in ":lease"; NULL without. */
static const char *
find_key(struct arena *a, bool lease)
{
	struct redis_value keys = ask(a, REDIS_WORDS(W("KEYS"), W("bakame:{cache:*")));
	const char *found = NULL;

	for (size_t i = 0; i < keys.count; i++) {
		const char *name = keys.items[i].text;

		if ((strstr(name, "}:lease") != NULL) != lease)
			continue;
		assert_null(found);
		found = name;
	}
	return found;
}

/* ---- hits and misses ---- */

static void
check_hit(void *arg)
{
	struct source s = {.text = "sunny"}, other = {.text = "rain"};
	struct arena *a = arena_new(ARENA_BYTES);

	(void)arg;
	expect(&kind, "kigali", &s, "sunny", CACHE_FETCHED);
	s.text = "changed";
	expect(&kind, "kigali", &s, "sunny", CACHE_HIT);
	expect(&kind, "butare", &other, "rain", CACHE_FETCHED);
	expect(&stale_kind, "kigali", &other, "rain", CACHE_FETCHED);
	assert_int_equal(s.fetches, 1);
	assert_null(find_key(a, true));
	arena_free(&a);
}

static void
what_was_fetched_is_a_hit_until_its_time_and_keys_and_kinds_are_apart(void **state)
{
	(void)state;
	with_redis(check_hit);
}

static void
check_expired(void *arg)
{
	struct source s = {.text = "one"};

	(void)arg;
	expect(&stale_kind, "key", &s, "one", CACHE_FETCHED);
	s.text = "two";
	expect(&stale_kind, "key", &s, "two", CACHE_FETCHED);
	assert_int_equal(s.fetches, 2);
}

static void
past_its_time_it_is_fetched_anew(void **state)
{
	(void)state;
	with_redis(check_expired);
}

static void
check_sizes(void *arg)
{
	static const size_t sizes[] = {1, 5000, 100000, CACHE_VALUE_MAX_BYTES};
	struct arena *a = arena_new(ARENA_BYTES * 2);

	(void)arg;
	for (unsigned i = 0; i < 8; i++) {
		size_t len = sizes[i / 2];
		char *bytes = mem_alloc(len), key[16];
		struct source s = {.text = bytes, .len = len};
		struct call c;

		if (i % 2 == 0)
			randombytes_buf(bytes, len);
		else
			memset(bytes, 'x', len);
		snprintf(key, sizeof(key), "%u", i);
		c = get(&kind, key, &s, a);
		assert_int_equal(c.value.source, CACHE_FETCHED);
		c = get(&kind, key, &s, a);
		assert_int_equal(c.value.source, CACHE_HIT);
		assert_int_equal(c.value.len, len);
		assert_memory_equal(c.value.text, bytes, len);
		free(bytes);
	}
	arena_free(&a);
}

static void
values_of_any_bytes_up_to_the_largest_are_kept(void **state)
{
	(void)state;
	with_redis(check_sizes);
}

static void
check_too_large(void *arg)
{
	size_t len = CACHE_VALUE_MAX_BYTES + 1;
	char *bytes = mem_alloc(len);
	struct source s = {.text = bytes, .len = len};
	struct arena *a = arena_new(ARENA_BYTES);

	(void)arg;
	for (unsigned i = 1; i <= 2; i++) {
		struct call c = get(&kind, "large", &s, a);

		assert_int_equal(c.rc, 0);
		assert_int_equal(c.value.len, len);
		assert_int_equal(c.value.source, CACHE_FETCHED);
		assert_int_equal(s.fetches, i);
		assert_null(find_key(a, true));
	}
	arena_free(&a);
	free(bytes);
}

static void
a_value_that_is_too_large_is_handed_out_but_not_kept(void **state)
{
	(void)state;
	with_redis(check_too_large);
}

/* ---- failures ---- */

/* The fetch that came before has failed, and that is remembered for no longer than it should be.  From now on for so
   long as this test takes.  False when it was forgotten before this could be done: the machine stood still. */
static bool
hold_failure(struct arena *a)
{
	const char *lease = find_key(a, true);
	int64_t left = lease != NULL ? ask(a, REDIS_WORDS(W("PTTL"), W(lease))).integer : -2;

	assert_true(left == -2 || (left >= 0 && left <= CACHE_FAILED_MS));
	return left >= 0 && ask(a, REDIS_WORDS(W("PEXPIRE"), W(lease), W("600000"))).integer == 1;
}

/* And the moment has passed. */
static void
end_failure(struct arena *a)
{
	const char *lease = find_key(a, true);
	struct err err;

	assert_non_null(lease);
	ask(a, REDIS_WORDS(W("PEXPIRE"), W(lease), W("20")));
	while (ask(a, REDIS_WORDS(W("EXISTS"), W(lease))).integer != 0)
		assert_int_equal(fiber_sleep(5, &err), 0);
}

static void
check_stale(void *arg)
{
	struct source s = {.text = "old"}, broken = {.text = "no", .fails = ERR_UPSTREAM};
	struct arena *a = arena_new(ARENA_BYTES);

	(void)arg;
	expect(&stale_kind, "key", &s, "old", CACHE_FETCHED);
	do {
		broken.fetches = 0;
		expect(&stale_kind, "key", &broken, "old", CACHE_STALE);
		assert_int_equal(broken.fetches, 1);
	} while (!hold_failure(a));
	/* and for a moment nobody tries again */
	expect(&stale_kind, "key", &broken, "old", CACHE_STALE);
	assert_int_equal(broken.fetches, 1);
	arena_free(&a);
}

static void
a_failed_fetch_gives_what_is_past_its_time(void **state)
{
	(void)state;
	with_redis(check_stale);
}

static void
check_failure(void *arg)
{
	struct source s = {.text = "no", .fails = ERR_UNAVAILABLE};
	struct arena *a = arena_new(ARENA_BYTES);
	struct call c;

	(void)arg;
	do {
		s.fetches = 0;
		expect_failure(&kind, "key", &s, ERR_UNAVAILABLE);
		assert_int_equal(s.fetches, 1);
	} while (!hold_failure(a));
	c = get(&kind, "key", &s, a);
	assert_int_equal(c.err.code, ERR_UNAVAILABLE);
	assert_int_equal(c.err.retry_after_secs, 3);
	assert_string_equal(c.err.message, "The provider says no.");
	assert_int_equal(s.fetches, 1);
	end_failure(a);
	s.fails = ERR_NONE;
	expect(&kind, "key", &s, "no", CACHE_FETCHED);
	arena_free(&a);
}

static void
a_failure_is_known_to_all_for_a_moment_and_then_tried_again(void **state)
{
	(void)state;
	with_redis(check_failure);
}

static void
check_negative(void *arg)
{
	struct source s = {.text = "nowhere", .fails = ERR_NOT_FOUND};
	struct arena *a = arena_new(ARENA_BYTES);

	(void)arg;
	expect_failure(&kind, "atlantis", &s, ERR_NOT_FOUND);
	expect_failure(&kind, "atlantis", &s, ERR_NOT_FOUND);
	assert_int_equal(s.fetches, 1);
	assert_true(ask(a, REDIS_WORDS(W("PTTL"), W(find_key(a, false)))).integer <= TTL_SECS * 1000);
	arena_free(&a);
}

static void
that_there_is_no_such_thing_is_remembered(void **state)
{
	(void)state;
	with_redis(check_negative);
}

static void
check_negative_replaces(void *arg)
{
	struct source s = {.text = "there"}, gone = {.text = "gone", .fails = ERR_NOT_FOUND};

	(void)arg;
	expect(&stale_kind, "key", &s, "there", CACHE_FETCHED);
	expect_failure(&stale_kind, "key", &gone, ERR_NOT_FOUND);
}

static void
what_is_no_longer_there_is_not_answered_from_before(void **state)
{
	(void)state;
	with_redis(check_negative_replaces);
}

/* ---- many at once ---- */

#define HERD 50

static void
check_herd(void *arg)
{
	struct source s = {.text = "one", .takes_ms = 50};
	struct call calls[HERD] = {{0}};
	unsigned fetched = 0, coalesced = 0;

	(void)arg;
	for (unsigned i = 0; i < HERD; i++) {
		calls[i] = (struct call){.kind = &kind, .key = "herd", .source = &s, .arena = arena_new(ARENA_BYTES)};
		fiber_spawn(call_main, &calls[i]);
	}
	await(calls, HERD);
	for (unsigned i = 0; i < HERD; i++) {
		assert_int_equal(calls[i].rc, 0);
		assert_string_equal(calls[i].value.text, "one");
		fetched += calls[i].value.source == CACHE_FETCHED;
		coalesced += calls[i].value.source == CACHE_COALESCED;
		arena_free(&calls[i].arena);
	}
	assert_int_equal(s.fetches, 1);
	assert_int_equal(fetched, 1);
	assert_int_equal(coalesced, HERD - 1);
}

static void
calls_at_once_share_one_fetch(void **state)
{
	(void)state;
	with_redis(check_herd);
}

static void
check_herd_failure(void *arg)
{
	struct source s = {.text = "no", .takes_ms = 20, .fails = ERR_UPSTREAM};
	struct call calls[HERD] = {{0}};

	(void)arg;
	for (unsigned i = 0; i < HERD; i++) {
		calls[i] = (struct call){.kind = &kind, .key = "key", .source = &s, .arena = arena_new(ARENA_BYTES)};
		fiber_spawn(call_main, &calls[i]);
	}
	await(calls, HERD);
	for (unsigned i = 0; i < HERD; i++) {
		assert_int_equal(calls[i].rc, -1);
		assert_int_equal(calls[i].err.code, ERR_UPSTREAM);
		arena_free(&calls[i].arena);
	}
	assert_int_equal(s.fetches, 1);
}

static void
they_share_its_failure_too(void **state)
{
	(void)state;
	with_redis(check_herd_failure);
}

static void
check_cancelled_leader(void *arg)
{
	struct source s = {.text = "one", .takes_ms = 100};
	struct call calls[4] = {{0}};
	struct fiber *fibers[4];
	struct err err;

	(void)arg;
	for (unsigned i = 0; i < 4; i++) {
		calls[i] = (struct call){.kind = &kind, .key = "key", .source = &s, .arena = arena_new(ARENA_BYTES)};
		fibers[i] = fiber_spawn(call_main, &calls[i]);
	}
	while (s.fetches == 0)
		assert_int_equal(fiber_sleep(1, &err), 0);
	fiber_cancel(fibers[0], FIBER_CLIENT_GONE);     /* who fetches */
	fiber_cancel(fibers[2], FIBER_CLIENT_GONE);     /* and one who waits */
	await(calls, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(calls[i].rc, i % 2 == 0 ? -1 : 0);
		if (i % 2 == 0)
			assert_int_equal(calls[i].err.code, ERR_CANCELLED);
		else
			assert_string_equal(calls[i].value.text, "one");
		arena_free(&calls[i].arena);
	}
	assert_int_equal(s.fetches, 2);
}

static void
a_fetcher_that_is_cancelled_hands_over_to_who_waits(void **state)
{
	(void)state;
	with_redis(check_cancelled_leader);
}

static void
check_cancelled_alone(void *arg)
{
	struct source s = {.text = "one", .takes_ms = PATIENCE_MS};
	struct call calls[2] = {{0}};
	struct fiber *fibers[2];
	struct arena *a = arena_new(ARENA_BYTES);
	struct err err;

	(void)arg;
	for (unsigned i = 0; i < 2; i++) {
		calls[i] = (struct call){.kind = &kind, .key = "key", .source = &s, .arena = a};
		fibers[i] = fiber_spawn(call_main, &calls[i]);
	}
	while (s.fetches == 0)
		assert_int_equal(fiber_sleep(1, &err), 0);
	assert_non_null(find_key(a, true));
	fiber_cancel(fibers[0], FIBER_CLIENT_GONE);
	fiber_cancel(fibers[1], FIBER_CLIENT_GONE);
	await(calls, 2);
	assert_null(find_key(a, true));
	s.takes_ms = 0;
	expect(&kind, "key", &s, "one", CACHE_FETCHED);
	arena_free(&a);
}

static void
when_all_are_cancelled_the_lease_is_given_back(void **state)
{
	(void)state;
	with_redis(check_cancelled_alone);
}

/* ---- leases of others ---- */

/* The names of what "thing" keeps of `key`: fetched once, then removed. */
static void
names_of(struct arena *a, const char *key, const char **value_r, const char **lease_r)
{
	struct source s = {.text = "x"};

	expect(&kind, key, &s, "x", CACHE_FETCHED);
	*value_r = find_key(a, false);
	*lease_r = arena_printf(a, "%s:lease", *value_r);
	ask(a, REDIS_WORDS(W("DEL"), W(*value_r)));
}

static void
check_dead_fetcher(void *arg)
{
	struct source s = {.text = "mine"};
	struct arena *a = arena_new(ARENA_BYTES);
	const char *value, *lease;

	(void)arg;
	names_of(a, "key", &value, &lease);
	ask(a, REDIS_WORDS(W("SET"), W(lease), W("of one who died"), W("PX"), W("300")));
	expect(&kind, "key", &s, "mine", CACHE_FETCHED);
	assert_int_equal(ask(a, REDIS_WORDS(W("EXISTS"), W(lease))).integer, 0);
	arena_free(&a);
}

static void
the_lease_of_a_fetcher_that_died_ends(void **state)
{
	(void)state;
	with_redis(check_dead_fetcher);
}

static void
check_eternal_lease(void *arg)
{
	struct source s = {.text = "mine"};
	struct arena *a = arena_new(ARENA_BYTES);
	const char *value, *lease;

	(void)arg;
	names_of(a, "key", &value, &lease);
	ask(a, REDIS_WORDS(W("SET"), W(lease), W("for ever")));
	expect(&kind, "key", &s, "mine", CACHE_FETCHED);
	arena_free(&a);
}

static void
a_lease_without_an_end_is_none(void **state)
{
	(void)state;
	with_redis(check_eternal_lease);
}

static struct {
	struct arena *arena;
	const char *value;
	const char *lease;
} other;

static void
take_lease_meanwhile(void)
{
	ask(other.arena, REDIS_WORDS(W("SET"), W(other.lease), W("another's"), W("PX"), W("600000")));
}

static void
check_outlived_lease(void *arg)
{
	struct source s = {.text = "late", .meanwhile = take_lease_meanwhile};
	struct arena *a = other.arena = arena_new(ARENA_BYTES);

	(void)arg;
	names_of(a, "key", &other.value, &other.lease);
	expect(&kind, "key", &s, "late", CACHE_FETCHED);
	assert_int_equal(ask(a, REDIS_WORDS(W("EXISTS"), W(other.value))).integer, 0);
	assert_string_equal(ask(a, REDIS_WORDS(W("GET"), W(other.lease))).text, "another's");
	/* nor when it fails */
	ask(a, REDIS_WORDS(W("DEL"), W(other.lease)));
	s.fails = ERR_UPSTREAM;
	expect_failure(&kind, "key", &s, ERR_UPSTREAM);
	assert_string_equal(ask(a, REDIS_WORDS(W("GET"), W(other.lease))).text, "another's");
	arena_free(&a);
}

static void
a_fetch_that_outlives_its_lease_does_not_touch_anothers(void **state)
{
	(void)state;
	with_redis(check_outlived_lease);
}

static void
store_meanwhile(void)
{
	struct redis_value time = ask(other.arena, REDIS_WORDS(W("TIME")));
	const char *record = arena_printf(other.arena, "BK1 %s000 600000 p 5\nnewer", time.items[0].text);

	/* as the other does it in one step: who looks in between must not find neither */
	ask(other.arena, REDIS_WORDS(W("SET"), W(other.value), W(record)));
	ask(other.arena, REDIS_WORDS(W("DEL"), W(other.lease)));
}

static void
check_late(void *arg)
{
	struct source s = {.text = "late", .meanwhile = store_meanwhile}, none = {0};
	struct arena *a = other.arena = arena_new(ARENA_BYTES);

	(void)arg;
	names_of(a, "key", &other.value, &other.lease);
	expect(&kind, "key", &s, "late", CACHE_FETCHED);
	expect(&kind, "key", &none, "newer", CACHE_HIT);
	arena_free(&a);
}

static void
a_late_value_does_not_replace_a_newer_one(void **state)
{
	(void)state;
	with_redis(check_late);
}

/* Once it has been looked for and was not there. */
static void
store_after_a_look(void *arg)
{
	struct err err;

	(void)arg;
	while (strstr(ask(other.arena, REDIS_WORDS(W("INFO"), W("commandstats"))).text, "cmdstat_evalsha:") == NULL)
		assert_int_equal(fiber_sleep(5, &err), 0);
	store_meanwhile();
}

static void
check_other_worker(void *arg)
{
	struct source none = {0};
	struct arena *a = other.arena = arena_new(ARENA_BYTES);

	(void)arg;
	names_of(a, "key", &other.value, &other.lease);
	ask(a, REDIS_WORDS(W("SET"), W(other.lease), W("another's"), W("PX"), W("600000")));
	ask(a, REDIS_WORDS(W("CONFIG"), W("RESETSTAT")));
	fiber_spawn(store_after_a_look, NULL);
	expect(&kind, "key", &none, "newer", CACHE_COALESCED);
	assert_int_equal(none.fetches, 0);
	arena_free(&a);
}

static void
what_another_worker_fetches_is_waited_for(void **state)
{
	(void)state;
	with_redis(check_other_worker);
}

/* ---- what others may have put under our keys ---- */

static void
check_bad_values(void *arg)
{
	static const char *const bad[] = {"", "garbage", "BK1 99999999999999999999999 60000 p 3\nbad",
	                                  "BK1 %s000 600000 p 4\nbad", "BK1 %s000 600000 z 100000\nAAAA",
	                                  "BK1 %s000 600000 p 9999999\nbad", "BK1 %s000 600000 q 3\nbad"};
	struct arena *a = arena_new(ARENA_BYTES);

	(void)arg;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct redis_value time = ask(a, REDIS_WORDS(W("TIME")));
		const char *percent = strchr(bad[i], '%'), *record = bad[i];
		struct source s = {.text = "good"};
		const char *value, *lease;

		if (percent != NULL)
			record = arena_printf(a, "%.*s%s%s", (int)(percent - bad[i]), bad[i], time.items[0].text, percent + 2);
		names_of(a, "key", &value, &lease);
		ask(a, REDIS_WORDS(W("SET"), W(value), W(record)));
		expect(&kind, "key", &s, "good", CACHE_FETCHED);
		expect(&kind, "key", &s, "good", CACHE_HIT);
		assert_int_equal(s.fetches, 1);
		ask(a, REDIS_WORDS(W("DEL"), W(value)));
	}
	arena_free(&a);
}

static void
a_corrupt_value_is_fetched_anew_and_replaced(void **state)
{
	(void)state;
	with_redis(check_bad_values);
}

static void
check_types(void *arg)
{
	struct source s = {.text = "good"};
	struct arena *a = arena_new(ARENA_BYTES);
	const char *value, *lease;

	(void)arg;
	names_of(a, "key", &value, &lease);
	ask(a, REDIS_WORDS(W("RPUSH"), W(value), W("x")));
	ask(a, REDIS_WORDS(W("HSET"), W(lease), W("x"), W("y")));
	expect(&kind, "key", &s, "good", CACHE_FETCHED);
	expect(&kind, "key", &s, "good", CACHE_HIT);
	arena_free(&a);
}

static void
values_of_another_type_are_replaced(void **state)
{
	(void)state;
	with_redis(check_types);
}

/* ---- without Redis ---- */

static void
check_no_redis(void *arg)
{
	static const struct cache_kind short_kind = {.name = "short", .negative_ttl_secs = 60, .lease_ms = 1000};
	struct source s = {.text = "one"}, gone = {.text = "gone", .fails = ERR_NOT_FOUND};

	(void)arg;
	expect(&kind, "key", &s, "one", CACHE_FETCHED);
	expect(&kind, "key", &s, "one", CACHE_HIT);
	assert_int_equal(s.fetches, 1);
	expect_failure(&kind, "gone", &gone, ERR_NOT_FOUND);
	expect_failure(&kind, "gone", &gone, ERR_NOT_FOUND);
	assert_int_equal(gone.fetches, 1);
	s.fetches = 0;
	expect(&short_kind, "key", &s, "one", CACHE_FETCHED);
	s.fails = ERR_UPSTREAM;
	expect(&short_kind, "key", &s, "one", CACHE_STALE);
	assert_int_equal(s.fetches, 2);
	check_herd(NULL);
}

static void
without_redis_the_memory_of_the_host_serves(void **state)
{
	(void)state;
	with_redis_at(NULL, "250", check_no_redis);
}

static void
check_killed(void *arg)
{
	struct source s = {.text = "one"};

	(void)arg;
	expect(&kind, "key", &s, "one", CACHE_FETCHED);
	redis_process_kill(&server);
	set_timeout("250");
	s.text = "two";
	expect(&kind, "key", &s, "two", CACHE_FETCHED);
	expect(&kind, "key", &s, "two", CACHE_HIT);
	assert_int_equal(s.fetches, 2);
}

static void
a_redis_that_died_is_done_without(void **state)
{
	(void)state;
	checked = check_killed;
	with_redis_at(server.url, PATIENT, flush_and_check);
	redis_process_start(&server);
}

static void
kill_redis(void)
{
	redis_process_kill(&server);
	set_timeout("250");
}

static void
check_killed_meanwhile(void *arg)
{
	struct source s = {.text = "one", .takes_ms = 20, .meanwhile = kill_redis};
	struct source stale = {.text = "one"};

	(void)arg;
	expect(&kind, "key", &s, "one", CACHE_FETCHED);
	expect(&kind, "key", &stale, "one", CACHE_HIT);
	assert_int_equal(stale.fetches, 0);
}

static void
a_redis_that_dies_during_the_fetch_costs_nothing_but_itself(void **state)
{
	(void)state;
	checked = check_killed_meanwhile;
	with_redis_at(server.url, PATIENT, flush_and_check);
	redis_process_start(&server);
}

static void
check_frozen(void *arg)
{
	struct source s = {.text = "one", .takes_ms = 5};

	(void)arg;
	redis_process_freeze(&server);
	check_herd(NULL);
	expect(&kind, "another", &s, "one", CACHE_FETCHED);
	redis_process_thaw(&server);
}

static void
a_frozen_redis_is_done_without(void **state)
{
	(void)state;
	checked = check_frozen;
	with_redis_at(server.url, "100", flush_and_check);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_fetched_is_a_hit_until_its_time_and_keys_and_kinds_are_apart),
	    cmocka_unit_test(past_its_time_it_is_fetched_anew),
	    cmocka_unit_test(values_of_any_bytes_up_to_the_largest_are_kept),
	    cmocka_unit_test(a_value_that_is_too_large_is_handed_out_but_not_kept),
	    cmocka_unit_test(a_failed_fetch_gives_what_is_past_its_time),
	    cmocka_unit_test(a_failure_is_known_to_all_for_a_moment_and_then_tried_again),
	    cmocka_unit_test(that_there_is_no_such_thing_is_remembered),
	    cmocka_unit_test(what_is_no_longer_there_is_not_answered_from_before),
	    cmocka_unit_test(calls_at_once_share_one_fetch),
	    cmocka_unit_test(they_share_its_failure_too),
	    cmocka_unit_test(a_fetcher_that_is_cancelled_hands_over_to_who_waits),
	    cmocka_unit_test(when_all_are_cancelled_the_lease_is_given_back),
	    cmocka_unit_test(the_lease_of_a_fetcher_that_died_ends),
	    cmocka_unit_test(a_lease_without_an_end_is_none),
	    cmocka_unit_test(a_fetch_that_outlives_its_lease_does_not_touch_anothers),
	    cmocka_unit_test(a_late_value_does_not_replace_a_newer_one),
	    cmocka_unit_test(what_another_worker_fetches_is_waited_for),
	    cmocka_unit_test(a_corrupt_value_is_fetched_anew_and_replaced),
	    cmocka_unit_test(values_of_another_type_are_replaced),
	    cmocka_unit_test(without_redis_the_memory_of_the_host_serves),
	    cmocka_unit_test(a_redis_that_died_is_done_without),
	    cmocka_unit_test(a_redis_that_dies_during_the_fetch_costs_nothing_but_itself),
	    cmocka_unit_test(a_frozen_redis_is_done_without),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests_name("cache", tests, start_server, end_server);
}
