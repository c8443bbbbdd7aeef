/* test_limit_table.c - exact windows in shared memory, against a plain model; full tables; death inside */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fork_tied.h"
#include "guard/limit_table.h"
#include "runtime/shm.h"
#include "telemetry/log.h"

#define SECOND ((int64_t)1000000)
#define PATIENCE (120 * SECOND)

static char name[64];
static int64_t now;

static int64_t
fake_clock(void)
{
	return now;
}

static int
start(int64_t keys)
{
	struct err err;
	int rc = shm_start(name, &err);

	limit_table_start(keys);
	return rc;
}

static int
set_up(void **state)
{
	(void)state;
	snprintf(name, sizeof(name), "/bakame-unit-limits-%ld", (long)getpid());
	shm_unlink(name);
	now = 5000 * SECOND;
	limit_table_set_clock(fake_clock);
	return start(LIMIT_TABLE_KEYS_MIN);
}

static int
tear_down(void **state)
{
	(void)state;
	limit_table_set_clock(NULL);
	shm_stop();
	shm_unlink(name);
	return 0;
}

static int
hit(const char *key, int64_t count, int64_t secs)
{
	struct limit_count r;

	return limit_table_hit(key, (struct limit){count, secs}, &r);
}

/* ---- a model: all hits in a list ---- */

#define MODEL_MAX 200000

struct model {
	int64_t *hits;
	size_t from, to;                /* those that may still count */
};

static bool
model_hit(struct model *m, struct limit limit, struct limit_count *r)
{
	bool admitted;

	while (m->from < m->to && now - m->hits[m->from] >= limit.window_secs * SECOND)
		m->from++;
	admitted = (int64_t)(m->to - m->from) < limit.count;
	if (admitted) {
		assert_true(m->to < MODEL_MAX);
		m->hits[m->to++] = now;
	}
	r->hits = (int64_t)(m->to - m->from);
	r->wait_us = limit.window_secs * SECOND -
	             (now - m->hits[r->hits > limit.count ? m->to - (size_t)limit.count : m->from]);
	return admitted;
}

static void
assert_same(struct model *m, const char *key, struct limit limit)
{
	struct limit_count want, got;
	bool admitted = model_hit(m, limit, &want);

	assert_int_equal(limit_table_hit(key, limit, &got), admitted);
	assert_int_equal(got.hits, want.hits);
	assert_int_equal(got.wait_us, want.wait_us);
	assert_int_equal(got.at_us, now);
}

static struct model
new_model(void)
{
	return (struct model){.hits = calloc(MODEL_MAX, sizeof(int64_t))};
}

/* Hits at a pace around the limit, with bursts and pauses. */
static void
follow(struct model *m, const char *key, struct limit limit, int64_t hits)
{
	const int64_t pace = limit.window_secs * SECOND / limit.count;

	for (int64_t i = 0; i < hits; i++) {
		switch (rand() % 16) {
		case 0:
			now += limit.window_secs * SECOND * (rand() % 5) / 4;
			break;
		case 1:
		case 2:
		case 3:
			break;
		default:
			now += rand() % (2 * pace + 1);
		}
		assert_same(m, key, limit);
	}
}

/* ---- exactness ---- */

static void
windows_of_any_limit_are_exact(void **state)
{
	static const int64_t counts[] = {1, 2, 3, 14, 15, 16, 29, 30, 31, 100, 1000, 9999, 10000};
	static const int64_t windows[] = {1, 60, 3600};
	char key[32];

	(void)state;
	srand(1);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		for (size_t w = 0; w < 3; w++) {
			struct model m = new_model();

			snprintf(key, sizeof(key), "u:%zu-%zu", i, w);
			follow(&m, key, (struct limit){counts[i], windows[w]}, 2000 + 2 * counts[i]);
			free(m.hits);
		}
	}
	assert_true(limit_table_is_sound());
}

static void
a_burst_is_exact_at_each_phase_of_the_window(void **state)
{
	const struct limit limit = {30, 60};

	(void)state;
	for (int64_t phase = 0; phase < 60 * SECOND; phase += SECOND * 7 / 3) {
		struct model m = new_model();
		char key[32];

		snprintf(key, sizeof(key), "g:%lld", (long long)phase);
		for (int i = 0; i < 10; i++)
			assert_same(&m, key, limit);
		now += phase;
		for (int i = 0; i < 50; i++)
			assert_same(&m, key, limit);
		for (int64_t left = 60 * SECOND - phase - 2; left <= 60 * SECOND - phase + 2; left++) {
			int64_t before = now;

			now += left;
			assert_same(&m, key, limit);
			now = before + left;
		}
		now += 60 * SECOND;
		for (int i = 0; i < 40; i++)
			assert_same(&m, key, limit);
		free(m.hits);
	}
}

static void
a_hit_counts_until_the_window_is_over_to_the_microsecond(void **state)
{
	(void)state;
	assert_int_equal(hit("k", 1, 60), 1);
	now += 60 * SECOND - 1;
	assert_int_equal(hit("k", 1, 60), 0);
	now += 1;
	assert_int_equal(hit("k", 1, 60), 1);
}

static void
the_wrap_of_the_four_bytes_is_not_seen(void **state)
{
	const struct limit limit = {50, 3600};
	struct model m = new_model();

	(void)state;
	srand(2);
	follow(&m, "k", limit, 3000);
	assert_true(now >> 32 > 40);
	free(m.hits);
	/* an old hit whose four bytes look young */
	assert_int_equal(hit("old", 1, 3600), 1);
	now += (int64_t)1 << 32;
	assert_int_equal(hit("old", 1, 3600), 1);
	assert_int_equal(hit("old", 2, 3600), 1);
	now += 3600 * SECOND - 1;
	assert_int_equal(hit("old", 2, 3600), 0);
}

static void
a_clock_that_goes_back_admits_nobody_more(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(hit("k", 5, 10), 1);
		now -= 3 * SECOND;
	}
	assert_int_equal(hit("k", 5, 10), 0);
}

static void
a_limit_may_change_with_each_hit(void **state)
{
	struct model m = new_model();

	(void)state;
	srand(3);
	for (int i = 0; i < 20000; i++) {
		now += rand() % (2 * SECOND);
		assert_same(&m, "k", (struct limit){1 + rand() % 60, 60});
	}
	free(m.hits);
	assert_true(limit_table_is_sound());
}

static void
lowering_and_raising_a_limit_forgets_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 80; i++)
		assert_int_equal(hit("k", 100, 60), 1);
	assert_int_equal(hit("k", 10, 60), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(hit("k", 100, 60), 1);
	assert_int_equal(hit("k", 100, 60), 0);
}

/* ---- hits of the other side ---- */

static void
recorded_hits_count_and_are_never_refused(void **state)
{
	struct limit_count r;

	(void)state;
	for (int i = 0; i < 40; i++)
		limit_table_record("k", (struct limit){30, 60});
	assert_true(limit_table_look("k", (struct limit){30, 60}, &r));
	assert_int_equal(r.hits, 40);
	assert_int_equal(hit("k", 30, 60), 0);
	now += 60 * SECOND;
	assert_int_equal(hit("k", 30, 60), 1);
}

static void
recorded_hits_have_a_maximum(void **state)
{
	struct limit_count r;

	(void)state;
	for (int i = 0; i < LIMIT_COUNT_MAX + 100; i++) {
		now++;
		limit_table_record("k", (struct limit){30, 60});
	}
	assert_true(limit_table_look("k", (struct limit){30, 60}, &r));
	assert_int_equal(r.hits, LIMIT_COUNT_MAX);
	assert_true(limit_table_is_sound());
}

static void
a_hit_can_be_taken_back(void **state)
{
	const struct limit limit = {100, 60};
	struct limit_count r;
	int64_t at[100];

	(void)state;
	srand(4);
	for (int i = 0; i < 100; i++) {
		now += SECOND / 2;
		assert_int_equal(limit_table_hit("k", limit, &r), 1);
		at[i] = r.at_us;
	}
	assert_int_equal(limit_table_hit("k", limit, &r), 0);
	for (int i = 0; i < 1000; i++) {        /* any of them, for a new one each */
		int which = rand() % 100;

		limit_table_take_back("k", at[which]);
		assert_true(limit_table_is_sound());
		assert_true(limit_table_look("k", limit, &r));
		assert_int_equal(r.hits, 99);
		memmove(&at[which], &at[which + 1], (size_t)(99 - which) * sizeof(at[0]));
		now++;
		assert_int_equal(limit_table_hit("k", limit, &r), 1);
		at[99] = r.at_us;
		assert_int_equal(r.wait_us, 60 * SECOND - (now - at[0]));
		assert_int_equal(limit_table_hit("k", limit, &r), 0);
	}
	for (int i = 0; i < 100; i++)
		limit_table_take_back("k", at[i]);
	limit_table_take_back("k", at[0]);
	limit_table_take_back("nobody", at[0]);
	assert_true(limit_table_look("k", limit, &r));
	assert_int_equal(r.hits, 0);
	assert_int_equal(r.wait_us, 0);
}

static void
a_key_can_be_forgotten(void **state)
{
	(void)state;
	assert_int_equal(hit("k", 1, 60), 1);
	assert_int_equal(hit("k", 1, 60), 0);
	assert_true(limit_table_forget("k"));
	assert_false(limit_table_forget("k"));
	assert_int_equal(hit("k", 1, 60), 1);
}

/* ---- a full table ---- */

static void
the_least_recently_used_keys_make_room(void **state)
{
	struct limit_table_facts facts;
	char key[32];

	(void)state;
	assert_int_equal(hit("precious", 1, 60), 1);
	for (int i = 0; i < 20000; i++) {
		snprintf(key, sizeof(key), "g:%d", i);
		now++;
		assert_int_equal(hit(key, 1, 60), 1);
		assert_int_equal(hit("precious", 1, 60), 0);
	}
	limit_table_read_facts(&facts);
	assert_int_equal(facts.keys, LIMIT_TABLE_KEYS_MIN);
	assert_int_equal(facts.evicted, 20001 - LIMIT_TABLE_KEYS_MIN);
	assert_true(limit_table_is_sound());
}

static void
each_key_of_a_full_table_keeps_a_whole_ring(void **state)
{
	struct limit_table_facts facts;
	char key[32];

	(void)state;
	for (int round = 0; round < 100; round++)
		for (int i = 0; i < 400; i++) {
			snprintf(key, sizeof(key), "u:%d", i);
			assert_int_equal(hit(key, 100, 3600), 1);
		}
	for (int i = 0; i < 400; i++) {
		snprintf(key, sizeof(key), "u:%d", i);
		assert_int_equal(hit(key, 100, 3600), 0);
	}
	limit_table_read_facts(&facts);
	assert_int_equal(facts.evicted, 0);
}

static void
many_large_rings_share_what_there_is(void **state)
{
	char key[32];

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(key, sizeof(key), "u:%d", i);
		for (int n = 0; n < LIMIT_COUNT_MAX; n++)
			assert_int_equal(hit(key, LIMIT_COUNT_MAX, 3600), 1);
		assert_int_equal(hit(key, LIMIT_COUNT_MAX, 3600), 0);
	}
	assert_true(limit_table_is_sound());
}

static void
the_memory_is_what_the_header_says(void **state)
{
	struct limit_table_facts facts;

	(void)state;
	shm_stop();
	shm_unlink(name);
	assert_int_equal(start(65536), 0);
	limit_table_read_facts(&facts);
	assert_true(facts.bytes < 37 * 1024 * 1024);
}

static void
it_works_without_shared_memory(void **state)
{
	(void)state;
	shm_stop();
	limit_table_start(LIMIT_TABLE_KEYS_MIN);
	assert_int_equal(hit("k", 1, 60), 1);
	assert_int_equal(hit("k", 1, 60), 0);
	assert_true(limit_table_is_sound());
}

/* In front of libc's: /dev/shm has no room. */
static bool no_room;

int
fallocate(int fd, int mode, off_t offset, off_t len)
{
	if (no_room) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

static void
a_full_dev_shm_is_a_smaller_table_and_no_signal(void **state)
{
	struct limit_table_facts facts;
	char key[32];

	(void)state;
	no_room = true;
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "u:%d", i);
		for (int n = 0; n < 1000; n++)
			assert_int_equal(hit(key, 1000, 3600), 1);
		assert_int_equal(hit(key, 1000, 3600), 0);
	}
	for (int n = 0; n < LIMIT_COUNT_MAX; n++)
		assert_int_equal(hit("largest", LIMIT_COUNT_MAX, 3600), 1);
	assert_int_equal(hit("largest", LIMIT_COUNT_MAX, 3600), 0);
	no_room = false;
	limit_table_read_facts(&facts);
	assert_true(facts.evicted > 0);
	assert_true(facts.chunks <= 64 * 768);
	assert_true(limit_table_is_sound());
}

static void
a_dev_shm_full_from_the_start_is_private_memory(void **state)
{
	(void)state;
	no_room = true;
	limit_table_start(4096);
	no_room = false;
	assert_int_equal(hit("k", 1, 60), 1);
	assert_int_equal(hit("k", 1, 60), 0);
	shm_stop();
	assert_int_equal(start(4096), 0);       /* there is room now, and nothing half made in it */
	assert_true(limit_table_is_sound());
	assert_int_equal(hit("k", 1, 60), 1);
	assert_int_equal(hit("k", 1, 60), 0);
}

/* ---- several processes, and death at any instant ---- */

#define KEYS 8
#define LOG_MAX 4000000

struct line {
	_Atomic uint32_t state;         /* 0: never finished; 1 refused; 2 admitted */
	uint32_t key;
	int64_t at_us;
};

struct record {
	_Atomic uint32_t used;
	_Atomic uint32_t refused;
	struct line lines[LOG_MAX];
};

static struct record *record;

static void
note(uint32_t key, int admitted, int64_t at_us)
{
	uint32_t i = record->used++;

	if (i >= LOG_MAX)
		return;
	record->lines[i].key = key;
	record->lines[i].at_us = at_us;
	record->lines[i].state = admitted == 1 ? 2 : 1;
	if (admitted != 1)
		record->refused++;
}

static const struct limit busy = {200, 1};

static void
worker(unsigned seed, uint32_t rounds)
{
	struct err err;

	shm_stop();
	if (shm_start(name, &err) == -1)
		_exit(1);
	limit_table_set_clock(NULL);
	limit_table_start(LIMIT_TABLE_KEYS_MIN);
	log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	srand(seed);
	for (uint32_t i = 0; i < rounds; i++) {
		/* every other hit on one key, so that a slow machine reaches its limit too */
		uint32_t key = rand() % 2 == 0 ? 0 : (uint32_t)rand() % KEYS;
		struct limit_count r;
		char text[16];

		snprintf(text, sizeof(text), "k%u", key);
		if (rand() % 8 == 0) {                  /* what redis' answers make happen */
			snprintf(text, sizeof(text), "o%u", key);
			limit_table_record(text, busy);
			if (limit_table_hit(text, busy, &r) == 1)
				limit_table_take_back(text, r.at_us);
			continue;
		}
		int admitted = limit_table_hit(text, busy, &r);

		if (admitted != -1)
			note(key, admitted, r.at_us);
	}
	_exit(0);
}

static pid_t
start_worker(unsigned seed, uint32_t rounds)
{
	pid_t pid = fork_tied();

	if (pid == 0)
		worker(seed, rounds);
	return pid;
}

static int
by_time(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->at_us != y->at_us)
		return x->at_us < y->at_us ? -1 : 1;
	return (int)y->state - (int)x->state;           /* of one microsecond: the admitted first */
}

/* In no window are more than the limit admitted; whoever was refused had the limit before them,
   but for hits of the dead that were never told (`untold` at most). */
static void
check_record(uint32_t untold)
{
	uint32_t count = record->used < LOG_MAX ? record->used : LOG_MAX;
	struct line *lines = calloc(count + 1, sizeof(*lines));
	int64_t *admitted = calloc(count + 1, sizeof(*admitted));
	int64_t refused = 0;

	for (uint32_t key = 0; key < KEYS; key++) {
		size_t n = 0, from = 0, to = 0;

		for (uint32_t i = 0; i < count; i++)
			if (record->lines[i].state != 0 && record->lines[i].key == key)
				memcpy(&lines[n++], &record->lines[i], sizeof(lines[0]));
		qsort(lines, n, sizeof(lines[0]), by_time);
		for (size_t i = 0; i < n; i++) {
			if (lines[i].state == 2)
				admitted[to++] = lines[i].at_us;
			while (from < to && lines[i].at_us - admitted[from] >= busy.window_secs * SECOND)
				from++;
			assert_true((int64_t)(to - from) <= busy.count);
			if (lines[i].state == 1) {
				assert_true((int64_t)(to - from) >= busy.count - untold);
				refused++;
			}
		}
	}
	assert_true(refused > 0);
	free(admitted);
	free(lines);
}

static void
map_record(void)
{
	record = mmap(NULL, sizeof(*record), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(record, MAP_FAILED);
}

static void
four_processes_are_exact_together(void **state)
{
	pid_t pids[4];
	int status;

	(void)state;
	map_record();
	for (unsigned i = 0; i < 4; i++)
		pids[i] = start_worker(i, 200000);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	check_record(0);
	assert_true(limit_table_is_sound());
	munmap(record, sizeof(*record));
}

static void
workers_killed_at_any_instant_leave_it_sound_and_exact(void **state)
{
	const char *seconds = getenv("LIMITS_KILL_SECONDS");
	const int64_t began = limit_table_now_us(), until = began + (seconds != NULL ? atoi(seconds) : 3) * SECOND;
	struct limit_table_facts facts;
	struct limit_count r;
	pid_t pids[3];
	uint32_t kills = 0;
	int status;

	(void)state;
	map_record();
	for (unsigned i = 0; i < 3; i++)
		pids[i] = start_worker(i, UINT32_MAX);
	/* longer where workers are slow to start: some must have been refused */
	while (limit_table_now_us() < until || (record->refused == 0 && limit_table_now_us() < began + PATIENCE)) {
		struct timespec pause = {.tv_nsec = rand() % 700000};
		pid_t *victim = &pids[kills % 3];

		nanosleep(&pause, NULL);
		kill(*victim, SIGKILL);
		assert_int_equal(waitpid(*victim, NULL, 0), *victim);
		kills++;
		*victim = start_worker(kills, UINT32_MAX);
	}
	for (unsigned i = 0; i < 3; i++) {
		kill(pids[i], SIGKILL);
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
	}
	assert_true(limit_table_is_sound());
	limit_table_read_facts(&facts);
	check_record(kills + 3);
	/* and it goes on, exactly */
	now = limit_table_now_us();
	for (int i = 0; i < 500; i++)
		assert_int_equal(limit_table_hit("after", busy, &r), i < busy.count);
	pids[0] = start_worker(1, 100000);
	assert_int_equal(waitpid(pids[0], &status, 0), pids[0]);
	assert_int_equal(status, 0);
	print_message("%u workers killed, %llu of them while they changed the table\n", kills + 3,
	              (unsigned long long)facts.repaired);
	munmap(record, sizeof(*record));
}

static void
a_worker_stopped_inside_does_not_stop_the_others(void **state)
{
	struct limit_count r;
	pid_t pid;
	int stuck = 0;

	(void)state;
	limit_table_set_clock(NULL);
	map_record();
	for (int i = 0; i < 400 && stuck == 0; i++) {
		struct timespec pause = {.tv_nsec = rand() % 500000};
		uint32_t before = record->used;

		pid = start_worker((unsigned)i, UINT32_MAX);
		while (record->used == before) {
			assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
			sched_yield();
		}
		nanosleep(&pause, NULL);
		kill(pid, SIGSTOP);
		assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
		for (uint32_t key = 0; key < KEYS; key++) {
			char text[16];
			int64_t began = limit_table_now_us();

			snprintf(text, sizeof(text), "k%u", key);
			if (limit_table_hit(text, busy, &r) == -1) {    /* refused, not let through */
				stuck++;
				assert_int_equal(r.wait_us, SECOND);
				assert_true(limit_table_now_us() - began < PATIENCE);
				assert_int_equal(limit_table_hit(text, busy, &r), -1);
			}
		}
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	assert_true(stuck > 0);
	assert_true(limit_table_is_sound());
	munmap(record, sizeof(*record));
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(windows_of_any_limit_are_exact),
	    TEST(a_burst_is_exact_at_each_phase_of_the_window),
	    TEST(a_hit_counts_until_the_window_is_over_to_the_microsecond),
	    TEST(the_wrap_of_the_four_bytes_is_not_seen),
	    TEST(a_clock_that_goes_back_admits_nobody_more),
	    TEST(a_limit_may_change_with_each_hit),
	    TEST(lowering_and_raising_a_limit_forgets_nothing),
	    TEST(recorded_hits_count_and_are_never_refused),
	    TEST(recorded_hits_have_a_maximum),
	    TEST(a_hit_can_be_taken_back),
	    TEST(a_key_can_be_forgotten),
	    TEST(the_least_recently_used_keys_make_room),
	    TEST(each_key_of_a_full_table_keeps_a_whole_ring),
	    TEST(many_large_rings_share_what_there_is),
	    TEST(the_memory_is_what_the_header_says),
	    TEST(it_works_without_shared_memory),
	    TEST(a_full_dev_shm_is_a_smaller_table_and_no_signal),
	    TEST(a_dev_shm_full_from_the_start_is_private_memory),
	    TEST(four_processes_are_exact_together),
	    TEST(workers_killed_at_any_instant_leave_it_sound_and_exact),
	    TEST(a_worker_stopped_inside_does_not_stop_the_others),
	};

	log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	return cmocka_run_group_tests_name("limit_table", tests, NULL, NULL);
}
