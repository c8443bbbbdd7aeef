/* test_limit_shard.c - a worker dies between any two instructions inside a shard
 *
 * A child changes a shard, one instruction at a time (ptrace).  After each that changed a byte, a copy of
 * the shard is what a death at this point would leave: it is repaired and looked at. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#include "fork_tied.h"
#include "guard/limit_ring.h"
#include "guard/limit_shard.h"

#define SECOND ((int64_t)1000000)
#define NOW (5000 * SECOND)
#define WINDOW (60 * SECOND)
#define KEYS 16
#define CHUNKS 1024
#define HITS_MAX 200

static size_t bytes;
static struct limit_shard *shard;       /* shared with the child */
static struct limit_shard *copy;
static void *last;

static const unsigned char *
id_of(unsigned key)
{
	static unsigned char id[LIMIT_ID_BYTES];

	memset(id, 0, sizeof(id));
	id[8] = (unsigned char)key;
	id[9] = 'k';
	return id;
}

static int
set_up(void **state)
{
	size_t fixed = limit_shard_bytes(KEYS);

	(void)state;
	bytes = fixed + CHUNKS * sizeof(struct limit_chunk);
	shard = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	copy = calloc(1, bytes);
	last = calloc(1, bytes);
	return limit_shard_init(shard, KEYS, CHUNKS, fixed);
}

static int
tear_down(void **state)
{
	(void)state;
	munmap(shard, bytes);
	free(copy);
	free(last);
	return 0;
}

static void
add_hits(unsigned key, unsigned count, int64_t first_us, int64_t step_us)
{
	struct limit_entry *e = limit_shard_obtain(shard, id_of(key), first_us);

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(limit_ring_append(shard, e, first_us + i * step_us), 0);
}

/* ---- what a key has ---- */

struct hits {
	bool known;
	unsigned count;
	int64_t at_us[HITS_MAX];        /* those within the window at NOW */
};

static struct hits
hits_of(struct limit_shard *s, unsigned key)
{
	struct hits hits = {0};
	struct limit_entry *e = limit_shard_find(s, id_of(key));
	uint32_t all = e != NULL ? limit_ring_load(e).count : 0;

	hits.known = e != NULL;
	for (uint32_t i = 0; i < all; i++) {
		int64_t age = limit_ring_age(s, e, i, NOW);

		if (age < WINDOW && hits.count < HITS_MAX)
			hits.at_us[hits.count++] = NOW - age;
	}
	return hits;
}

static bool
same(const struct hits *a, const struct hits *b)
{
	return a->count == b->count && memcmp(a->at_us, b->at_us, a->count * sizeof(a->at_us[0])) == 0;
}

/* ---- step by step ---- */

/* Is what death left there as it was before, or as it is to be? */
typedef bool fits_fn(unsigned key, const struct hits *before, const struct hits *after, const struct hits *left);

static bool
one_or_the_other(unsigned key, const struct hits *before, const struct hits *after, const struct hits *left)
{
	(void)key;
	return same(left, before) || same(left, after);
}

/* A hit that is being removed may be there still, with others in its place that are younger: never fewer. */
static bool
none_is_lost(unsigned key, const struct hits *before, const struct hits *after, const struct hits *left)
{
	(void)key;
	if (same(left, after))
		return true;
	if (left->count != before->count)
		return false;
	for (unsigned i = 0; i < left->count; i++)
		if (left->at_us[i] < before->at_us[i])
			return false;
	return true;
}

static void
check_copy(const struct hits *before, const struct hits *after, fits_fn *fits)
{
	limit_shard_repair(copy);
	assert_true(limit_shard_is_sound(copy));
	for (unsigned key = 0; key < KEYS + 2; key++) {
		struct hits left = hits_of(copy, key);

		assert_true(fits(key, &before[key], &after[key], &left));
		assert_true(left.known || !before[key].known || !after[key].known);
	}
	/* and it goes on */
	assert_non_null(limit_shard_obtain(copy, id_of(100), NOW));
	assert_true(limit_shard_is_sound(copy));
}

static pid_t
start_stopped(void (*change)(void))
{
	pid_t pid = fork_tied();

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1)
			_exit(77);
		raise(SIGSTOP);
		change();
		_exit(0);
	}
	return pid;
}

static void
note_hits(struct hits *hits)
{
	for (unsigned key = 0; key < KEYS + 2; key++)
		hits[key] = hits_of(shard, key);
}

/* Let a child change() the shard and die at each point of it. */
static void
die_everywhere(void (*change)(void), fits_fn *fits)
{
	struct hits *before = calloc(KEYS + 2, sizeof(*before)), *after = calloc(KEYS + 2, sizeof(*after));
	void *start = malloc(bytes);
	unsigned points = 0;
	int status;
	pid_t pid;

	note_hits(before);
	memcpy(start, shard, bytes);
	change();
	note_hits(after);
	memcpy(shard, start, bytes);
	memcpy(last, start, bytes);
	pid = start_stopped(change);
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		if (memcmp(last, shard, bytes) != 0) {
			memcpy(last, shard, bytes);
			memcpy(copy, shard, bytes);
			check_copy(before, after, fits);
			points++;
		}
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
	}
	if (WEXITSTATUS(status) == 77)
		print_message("no ptrace here: not tested\n");
	else
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0 && points >= 3);
	assert_true(limit_shard_is_sound(shard));
	free(start);
	free(before);
	free(after);
}

/* ---- the changes ---- */

static void
hit_key_1(void)
{
	struct limit_entry *e = limit_shard_obtain(shard, id_of(1), NOW);

	limit_ring_trim(shard, e, NOW, WINDOW);
	if (limit_ring_append(shard, e, NOW) == -1)
		_exit(1);
}

static void
a_first_hit(void **state)
{
	(void)state;
	add_hits(0, 20, NOW - 30 * SECOND, SECOND);
	die_everywhere(hit_key_1, one_or_the_other);
}

static void
a_hit_within_a_chunk(void **state)
{
	(void)state;
	add_hits(1, 20, NOW - 30 * SECOND, SECOND);
	die_everywhere(hit_key_1, one_or_the_other);
}

static void
a_hit_that_needs_a_chunk(void **state)
{
	(void)state;
	add_hits(1, 2 * LIMIT_CHUNK_HITS, NOW - 40 * SECOND, SECOND);
	die_everywhere(hit_key_1, one_or_the_other);
}

static void
a_hit_that_takes_a_chunk_used_before(void **state)
{
	(void)state;
	add_hits(0, 50, NOW - 40 * SECOND, SECOND / 2);
	limit_shard_drop(shard, limit_shard_find(shard, id_of(0)));
	add_hits(1, LIMIT_CHUNK_HITS, NOW - 40 * SECOND, SECOND);
	die_everywhere(hit_key_1, one_or_the_other);
}

static void
a_hit_after_which_many_are_over(void **state)
{
	(void)state;
	add_hits(0, 50, NOW - 40 * SECOND, SECOND / 2);
	limit_shard_drop(shard, limit_shard_find(shard, id_of(0)));
	add_hits(1, 80, NOW - 100 * SECOND, SECOND);
	add_hits(2, 40, NOW - 50 * SECOND, SECOND);
	die_everywhere(hit_key_1, one_or_the_other);
}

static void
a_hit_when_all_before_are_over(void **state)
{
	(void)state;
	add_hits(1, 50, NOW - 200 * SECOND, SECOND);
	add_hits(2, 40, NOW - 50 * SECOND, SECOND);
	die_everywhere(hit_key_1, one_or_the_other);
}

static void
hit_new_key(void)
{
	struct limit_entry *e = limit_shard_obtain(shard, id_of(KEYS + 1), NOW);

	if (limit_ring_append(shard, e, NOW) == -1)
		_exit(1);
}

static void
a_key_that_makes_room_for_another(void **state)
{
	(void)state;
	for (unsigned key = 0; key < KEYS; key++)
		add_hits(key, 20, NOW - 40 * SECOND, SECOND);
	die_everywhere(hit_new_key, one_or_the_other);
}

static void
drop_the_oldest(void)
{
	limit_ring_drop_oldest(shard, limit_shard_find(shard, id_of(1)));
}

static void
the_oldest_hit_dropped_with_its_chunk(void **state)
{
	struct limit_entry *e;

	(void)state;
	add_hits(1, 40, NOW - 50 * SECOND, SECOND);
	e = limit_shard_find(shard, id_of(1));
	for (unsigned i = 1; i < LIMIT_CHUNK_HITS; i++)
		limit_ring_drop_oldest(shard, e);
	die_everywhere(drop_the_oldest, one_or_the_other);
}

static void
take_back_one(void)
{
	if (!limit_ring_remove(shard, limit_shard_find(shard, id_of(1)), NOW - 40 * SECOND))
		_exit(1);
}

static void
a_hit_that_is_taken_back(void **state)
{
	(void)state;
	add_hits(1, 2 * LIMIT_CHUNK_HITS + 1, NOW - 50 * SECOND, SECOND);
	die_everywhere(take_back_one, none_is_lost);
}

static void
repair_all(void)
{
	limit_shard_repair(shard);
}

static void
a_repair(void **state)
{
	(void)state;
	for (unsigned key = 0; key < KEYS; key++)
		add_hits(key, 20, NOW - 40 * SECOND, SECOND);
	die_everywhere(repair_all, one_or_the_other);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(a_first_hit),
	    TEST(a_hit_within_a_chunk),
	    TEST(a_hit_that_needs_a_chunk),
	    TEST(a_hit_that_takes_a_chunk_used_before),
	    TEST(a_hit_after_which_many_are_over),
	    TEST(a_hit_when_all_before_are_over),
	    TEST(a_key_that_makes_room_for_another),
	    TEST(the_oldest_hit_dropped_with_its_chunk),
	    TEST(a_hit_that_is_taken_back),
	    TEST(a_repair),
	};

	if (RUNNING_ON_VALGRIND) {              /* which does not let its instructions be stepped through */
		print_message("not under valgrind\n");
		return 0;
	}
	return cmocka_run_group_tests_name("limit_shard", tests, NULL, NULL);
}
