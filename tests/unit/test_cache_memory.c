/* test_cache_memory.c - the cache of the host's memory, and processes that are killed in it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork_tied.h"
#include "net/cache_memory.h"
#include "runtime/shm.h"

#define TTL_MS 1000
#define STALE_MS 5000
#define KILLS 300
#define KEYS 40

static char shm_name[64];

static int
start(void **state)
{
	struct err err;

	(void)state;
	snprintf(shm_name, sizeof(shm_name), "/bakame-test-cache-%d", (int)getpid());
	shm_unlink(shm_name);
	if (shm_start(shm_name, &err) == -1)
		return -1;
	cache_memory_start();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	shm_stop();
	shm_unlink(shm_name);
	return 0;
}

static void
put(const char *id, const char *text, int64_t now_ms)
{
	struct cache_record r = {.form = CACHE_PLAIN, .raw_len = strlen(text), .data = text, .len = strlen(text)};

	cache_memory_put(id, &r, TTL_MS, now_ms);
}

/* What is there, for free(); NULL without.  Its age must be right. */
static char *
get(const char *id, int64_t now_ms, bool *fresh_r, int64_t *age_ms_r)
{
	struct cache_record r;
	char *room, *text = NULL;

	if (!cache_memory_get(id, now_ms, STALE_MS, &r, &room, age_ms_r, fresh_r)) {
		assert_null(room);
		return NULL;
	}
	assert_int_equal(r.form, CACHE_PLAIN);
	assert_int_equal(r.raw_len, r.len);
	text = strndup(r.data, r.len);
	free(room);
	return text;
}

static void
expect(const char *id, int64_t now_ms, const char *text, bool fresh, int64_t age_ms)
{
	bool is_fresh;
	int64_t age;
	char *found = get(id, now_ms, &is_fresh, &age);

	if (text == NULL) {
		assert_null(found);
		return;
	}
	assert_string_equal(found, text);
	assert_int_equal(is_fresh, fresh);
	assert_int_equal(age, age_ms);
	free(found);
}

static void
what_was_put_is_there_until_it_is_too_old(void **state)
{
	(void)state;
	expect("a:1", 100, NULL, false, 0);
	put("a:1", "one", 100);
	put("a:2", "two", 200);
	expect("a:1", 1099, "one", true, 999);
	expect("a:1", 1100, "one", false, 1000);
	expect("a:1", 100 + TTL_MS + STALE_MS, NULL, false, 0);
	put("a:1", "another", 7000);
	expect("a:1", 7000, "another", true, 0);
	expect("a:2", 210, "two", true, 10);
}

static void
what_is_too_large_is_not_kept(void **state)
{
	char *text = malloc(CACHE_MEMORY_DATA_BYTES + 2);

	(void)state;
	memset(text, 'x', CACHE_MEMORY_DATA_BYTES + 1);
	text[CACHE_MEMORY_DATA_BYTES + 1] = '\0';
	put("large:1", text, 100);
	expect("large:1", 100, NULL, false, 0);
	text[CACHE_MEMORY_DATA_BYTES] = '\0';
	put("large:2", text, 100);
	expect("large:2", 100, text, true, 0);
	free(text);
}

static void
it_holds_so_many_and_those_used_last(void **state)
{
	char id[CACHE_ID_BYTES];
	unsigned held = 0;

	(void)state;
	for (int i = 0; i < 4 * CACHE_MEMORY_SLOTS; i++) {
		snprintf(id, sizeof(id), "many:%d", i);
		put(id, id, 10000 + i);
	}
	expect(id, 10000, id, true, 10000 - (10000 + 4 * CACHE_MEMORY_SLOTS - 1));
	for (int i = 0; i < 4 * CACHE_MEMORY_SLOTS; i++) {
		bool fresh;
		int64_t age;
		char *found;

		snprintf(id, sizeof(id), "many:%d", i);
		found = get(id, 10000, &fresh, &age);
		if (found != NULL)
			assert_string_equal(found, id);
		held += found != NULL;
		free(found);
	}
	assert_true(held > CACHE_MEMORY_SLOTS / 2 && held <= CACHE_MEMORY_SLOTS);
}

static void
make(char *id, char *text, unsigned key, unsigned turn)
{
	size_t len = 1000 + (key * 7919 + turn * 104729) % 12000;

	snprintf(id, CACHE_ID_BYTES, "kill:%u", key);
	memset(text, 'a' + (int)(turn % 26), len);
	text[len] = '\0';
}

/* Write and read as fast as it goes, until killed. */
static void
work_until_killed(unsigned seed)
{
	static char text[16384];
	char id[CACHE_ID_BYTES];

	for (unsigned turn = seed;; turn++) {
		bool fresh;
		int64_t age;

		make(id, text, turn % KEYS, turn);
		put(id, text, 1000000);
		free(get(id, 1000000, &fresh, &age));
	}
}

/* A value is of one letter, from its first byte to its last: no half of another. */
static void
check_whole(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		assert_int_equal(*p, text[0]);
}

static void
a_process_killed_inside_leaves_it_sound_and_usable(void **state)
{
	static char text[16384];
	char id[CACHE_ID_BYTES];
	unsigned found = 0;

	(void)state;
	for (unsigned i = 0; i < KILLS; i++) {
		pid_t pids[2];

		for (unsigned p = 0; p < 2; p++) {
			pids[p] = fork_tied();
			if (pids[p] == 0)
				work_until_killed(i * 1000 + p);
		}
		usleep(1000 + i % 7 * 150);
		for (unsigned p = 0; p < 2; p++) {
			kill(pids[p], SIGKILL);
			waitpid(pids[p], NULL, 0);
		}
		for (unsigned key = 0; key < KEYS; key++) {
			bool fresh;
			int64_t age;
			char *value;

			snprintf(id, sizeof(id), "kill:%u", key);
			value = get(id, 1000000, &fresh, &age);
			if (value != NULL)
				check_whole(value);
			found += value != NULL;
			free(value);
			/* whoever held the lock when it died, the place can be used again */
			make(id, text, key, i);
			put(id, text, 1000000);
			expect(id, 1000000, text, true, 0);
		}
	}
	assert_true(found > KILLS * KEYS / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_put_is_there_until_it_is_too_old),
	    cmocka_unit_test(what_is_too_large_is_not_kept),
	    cmocka_unit_test(it_holds_so_many_and_those_used_last),
	    cmocka_unit_test(a_process_killed_inside_leaves_it_sound_and_usable),
	};

	return cmocka_run_group_tests_name("cache_memory", tests, start, end);
}
