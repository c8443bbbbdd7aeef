/* test_cache_herd.c - many workers that miss the same thing at the same time */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config/config.h"
#include "fork_tied.h"
#include "net/breaker.h"
#include "net/cache.h"
#include "net/redis.h"
#include "redis_process.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/shm.h"
#include "tiny_server.h"

#define WORKERS 4
#define CALLS 500                       /* of each worker */
#define PATIENCE_MS 120000
#define LEASE_MS (3 * PATIENCE_MS)

/* What the processes tell each other. */
struct board {
	_Atomic unsigned ready;
	_Atomic bool go;
	_Atomic unsigned fetches;
	_Atomic bool first_dies;        /* whoever fetches first, while it does */
	_Atomic bool end_fetch;
	_Atomic int64_t fetched_ms;
	_Atomic int64_t last_ms;
	_Atomic unsigned right;         /* calls that got the value */
	_Atomic unsigned by_source[4];
	struct cache_kind kind;
	unsigned calls;
};

static struct redis_process server;
static struct board *board;
static char shm_name[64];
static unsigned ended;                  /* calls of this process */

static int
start(void **state)
{
	(void)state;
	setenv("BAKAME_ENV", "development", 1);
	setenv("REDIS_TIMEOUT_MS", "60000", 1);
	redis_process_start(&server);
	setenv("REDIS_URL", server.url, 1);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(shm_name, sizeof(shm_name), "/bakame-test-herd-%d", (int)getpid());
	shm_unlink(shm_name);
	return board == MAP_FAILED ? -1 : 0;
}

static int
end(void **state)
{
	(void)state;
	redis_process_end(&server);
	munmap(board, sizeof(*board));
	shm_unlink(shm_name);
	return 0;
}

/* The lease of who fetches ends in a second.  (One that is short from the start could end while its fetcher still
   lives, and whoever waits gives up after twice as long.) */
static void
shorten_lease(void)
{
	struct arena *a = arena_new(65536);
	struct redis_value v;
	struct err err;

	if (redis_command(redis_shared(), a, &v, &err, REDIS_WORDS(REDIS_TEXT("KEYS"), REDIS_TEXT("*:lease"))) == -1 ||
	    v.count != 1 ||
	    redis_command(redis_shared(), a, &v, &err,
	                  REDIS_WORDS(REDIS_TEXT("PEXPIRE"), REDIS_TEXT(v.items[0].text), REDIS_TEXT("1000"))) == -1)
		_exit(3);
	arena_free(&a);
}

static int
fetch_cb(void *arg, struct buffer *out, struct err *err)
{
	(void)arg;
	if (atomic_fetch_add(&board->fetches, 1) == 0 && board->first_dies) {
		shorten_lease();
		raise(SIGKILL);
	}
	while (!board->end_fetch)
		if (fiber_sleep(5, err) == -1)
			return -1;
	board->fetched_ms = tiny_now_ms();
	return buffer_append_text(out, "the weather");
}

static void
call_main(void *arg)
{
	struct arena *a = arena_new(65536);
	struct cache_value value;
	struct err err;

	if (cache_get(&board->kind, arg, fetch_cb, NULL, a, &value, &err) == 0 &&
	    strcmp(value.text, "the weather") == 0) {
		atomic_fetch_add(&board->right, 1);
		atomic_fetch_add(&board->by_source[value.source], 1);
		board->last_ms = tiny_now_ms();
	} else {
		fprintf(stderr, "%s (%s)\n", err.message, err.cause);
	}
	arena_free(&a);
	ended++;
}

static void
worker_main(void *arg)
{
	struct arena *a = arena_new(65536);
	struct redis_value v;
	struct err err;

	/* connected, all of them, before the first asks */
	(void)!redis_command(redis_shared(), a, &v, &err, REDIS_WORDS(REDIS_TEXT("PING")));
	arena_free(&a);
	(void)!fiber_sleep(50, &err);
	atomic_fetch_add(&board->ready, 1);
	while (!board->go)
		(void)!fiber_sleep(1, &err);
	for (unsigned i = 0; i < board->calls; i++)
		fiber_spawn(call_main, arg);
	while (ended < board->calls)
		(void)!fiber_sleep(5, &err);
	loop_stop();
}

/* A worker: a process with a loop of its own. */
static pid_t
start_worker(const char *key)
{
	pid_t pid = fork_tied();
	struct err err;

	if (pid != 0)
		return pid;
	if (config_load(stderr) == -1 || shm_start(shm_name, &err) == -1)
		_exit(2);
	breakers_start();
	redis_start();
	cache_start();
	fiber_spawn(worker_main, (void *)key);
	loop_run();
	_exit(0);
}

static void
await(const _Atomic unsigned *number, unsigned value)
{
	int64_t until = tiny_now_ms() + PATIENCE_MS;

	while (*number < value) {
		assert_true(tiny_now_ms() < until);
		tiny_pause(1);
	}
}

static void
start_workers(pid_t pids[WORKERS], const char *key, unsigned calls, bool first_dies)
{
	memset(board, 0, sizeof(*board));
	board->first_dies = first_dies;
	board->kind = (struct cache_kind){.name = "herd", .ttl_secs = 600, .lease_ms = LEASE_MS};
	board->calls = calls;
	for (unsigned i = 0; i < WORKERS; i++)
		pids[i] = start_worker(key);
	await(&board->ready, WORKERS);
	board->go = true;
}

/* Wait for all; how many were killed. */
static unsigned
end_workers(pid_t pids[WORKERS])
{
	unsigned killed = 0;

	for (unsigned i = 0; i < WORKERS; i++) {
		int status = -1;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			killed++;
		else
			assert_int_equal(status, 0);
	}
	return killed;
}

static void
misses_of_one_thing_over_4_workers_make_one_fetch(void **state)
{
	pid_t pids[WORKERS];

	(void)state;
	start_workers(pids, "kigali", CALLS, false);
	await(&board->fetches, 1);
	tiny_pause(300);                /* all have asked, and those who could would have fetched too */
	board->end_fetch = true;
	assert_int_equal(end_workers(pids), 0);
	printf("%d misses of one thing over %d workers: %u fetch, %u of them fetched, %u waited, %u hit; "
	       "all had it %d ms after it was fetched\n",
	       WORKERS * CALLS, WORKERS, board->fetches, board->by_source[CACHE_FETCHED],
	       board->by_source[CACHE_COALESCED], board->by_source[CACHE_HIT], (int)(board->last_ms - board->fetched_ms));
	assert_int_equal(board->fetches, 1);
	assert_int_equal(board->right, WORKERS * CALLS);
	assert_int_equal(board->by_source[CACHE_FETCHED], 1);
	assert_int_equal(board->by_source[CACHE_STALE], 0);
}

static void
when_the_fetcher_is_killed_another_takes_over(void **state)
{
	pid_t pids[WORKERS];

	(void)state;
	start_workers(pids, "butare", CALLS / 10, true);
	await(&board->fetches, 2);
	board->end_fetch = true;
	assert_int_equal(end_workers(pids), 1);
	assert_int_equal(board->fetches, 2);
	assert_int_equal(board->right, (WORKERS - 1) * (CALLS / 10));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(misses_of_one_thing_over_4_workers_make_one_fetch),
	    cmocka_unit_test(when_the_fetcher_is_killed_another_takes_over),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests_name("cache_herd", tests, start, end);
}
