/* test_peers.c - what workers see of each other */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0U
#endif

#include "fork_tied.h"
#include "runtime/peers.h"
#include "runtime/shm.h"

#define NOW_MS 1000000
#define NOBODY UINT32_MAX

static char name[64];

static int
set_up(void **state)
{
	struct err err;

	(void)state;
	snprintf(name, sizeof(name), "/bakame-unit-peers-%ld", (long)getpid());
	shm_unlink(name);
	return shm_start(name, &err);
}

static int
tear_down(void **state)
{
	(void)state;
	peers_leave();
	shm_stop();
	shm_unlink(name);
	return 0;
}

/* ---- another worker: a process ----
 *
 * Started before this process joins: workers do not fork, so a child would take
 * its parent's place in the table for its own. */

struct worker {
	uint32_t capacity;
	uint32_t load;
	bool accepting;
	bool leaves;                    /* takes itself out of the table before it ends */
	pid_t pid;
	int hold;                       /* closing it lets the worker end */
};

static void
worker_main(const struct worker *w, int ready, int hold)
{
	struct err err;
	char byte = 0;

	shm_stop();
	if (shm_start(name, &err) == -1)
		_exit(1);
	peers_join(w->capacity);
	peers_set_load(w->load);
	peers_beat(NOW_MS, w->accepting);
	if (write(ready, &byte, 1) != 1 || read(hold, &byte, 1) != 0)
		_exit(1);
	if (w->leaves)
		peers_leave();
	_exit(0);
}

/* Start it, and wait until it is in the table. */
static void
start_worker(struct worker *w)
{
	int ready[2], hold[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(hold), 0);
	w->pid = fork_tied();
	if (w->pid == 0) {
		close(hold[1]);
		worker_main(w, ready[1], hold[0]);
	}
	close(ready[1]);
	close(hold[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	w->hold = hold[1];
}

/* Let it end; it is dead, and no zombie, afterwards.  The last started goes first:
   later ones have inherited what holds the earlier. */
static void
end_worker(struct worker *w)
{
	int status;

	close(w->hold);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	assert_int_equal(status, 0);
}

/* ---- the tests ---- */

static void
alone_there_is_no_peer(void **state)
{
	(void)state;
	assert_int_equal(peers_lightest(NOW_MS), NOBODY);
	peers_join(100);
	peers_beat(NOW_MS, true);
	assert_int_equal(peers_lightest(NOW_MS), NOBODY);
}

static void
the_lightest_of_the_others_counts(void **state)
{
	struct worker a = {.capacity = 10, .load = 7, .accepting = true};
	struct worker b = {.capacity = 10, .load = 3, .accepting = true};

	(void)state;
	start_worker(&a);
	start_worker(&b);
	peers_join(100);
	peers_set_load(1);
	peers_beat(NOW_MS, true);
	assert_int_equal(peers_lightest(NOW_MS), 3);
	end_worker(&b);
	end_worker(&a);
}

static void
a_full_peer_is_ignored(void **state)
{
	struct worker full = {.capacity = 3, .load = 3, .accepting = true};
	struct worker other = {.capacity = 10, .load = 9, .accepting = true};

	(void)state;
	start_worker(&full);
	start_worker(&other);
	peers_join(100);
	assert_int_equal(peers_lightest(NOW_MS), 9);
	end_worker(&other);
	end_worker(&full);
}

static void
a_peer_that_does_not_accept_is_ignored(void **state)
{
	struct worker draining = {.capacity = 10, .load = 1, .accepting = false};

	(void)state;
	start_worker(&draining);
	peers_join(100);
	assert_int_equal(peers_lightest(NOW_MS), NOBODY);
	end_worker(&draining);
}

static void
a_silent_peer_is_ignored(void **state)
{
	struct worker w = {.capacity = 10, .load = 1, .accepting = true};

	(void)state;
	start_worker(&w);
	peers_join(100);
	assert_int_equal(peers_lightest(NOW_MS + 3000), 1);
	assert_int_equal(peers_lightest(NOW_MS + 3001), NOBODY);
	end_worker(&w);
}

static void
a_peer_that_left_is_not_seen(void **state)
{
	struct worker w = {.capacity = 10, .load = 1, .accepting = true, .leaves = true};

	(void)state;
	start_worker(&w);
	peers_join(100);
	assert_int_equal(peers_lightest(NOW_MS), 1);
	end_worker(&w);
	assert_int_equal(peers_lightest(NOW_MS), NOBODY);
}

static void
who_joins_is_not_seen_before_its_first_beat(void **state)
{
	struct worker dead = {.capacity = 10, .load = 1, .accepting = true};
	int status;
	pid_t child;

	(void)state;
	start_worker(&dead);
	end_worker(&dead);
	child = fork_tied();
	if (child == 0) {
		peers_join(10);         /* takes the place of the dead one */
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	peers_join(100);
	assert_int_equal(peers_lightest(NOW_MS), NOBODY);
}

/* Hundreds of processes take it minutes, and are the same to it as a few. */
static void
not_under_valgrind(void)
{
	if (RUNNING_ON_VALGRIND) {
		print_message("not under valgrind: hundreds of processes\n");
		skip();
	}
}

static void
places_of_the_dead_are_used_again(void **state)
{
	struct worker last = {.capacity = 10, .load = 5, .accepting = true};

	(void)state;
	not_under_valgrind();
	for (int i = 0; i < PEERS_MAX; i++) {
		struct worker w = {.capacity = 10, .load = 1, .accepting = false};

		start_worker(&w);
		end_worker(&w);
	}
	start_worker(&last);
	peers_join(100);
	assert_int_equal(peers_lightest(NOW_MS), 5);
	end_worker(&last);
}

static void
a_full_table_is_no_fault(void **state)
{
	struct worker workers[PEERS_MAX];

	(void)state;
	not_under_valgrind();
	for (uint32_t i = 0; i < PEERS_MAX; i++) {
		workers[i] = (struct worker){.capacity = 1000, .load = 2 * PEERS_MAX - i, .accepting = true};
		start_worker(&workers[i]);
	}
	peers_join(100);
	peers_set_load(1);
	peers_beat(NOW_MS, true);
	assert_int_equal(peers_lightest(NOW_MS), PEERS_MAX + 1);
	peers_leave();
	for (uint32_t i = PEERS_MAX; i > 0; i--)
		end_worker(&workers[i - 1]);
}

static void
without_shared_memory_there_are_no_peers(void **state)
{
	struct worker w = {.capacity = 10, .load = 1, .accepting = true};

	(void)state;
	start_worker(&w);
	shm_stop();
	peers_join(100);
	peers_beat(NOW_MS, true);
	assert_int_equal(peers_lightest(NOW_MS), NOBODY);
	end_worker(&w);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(alone_there_is_no_peer),
	    TEST(the_lightest_of_the_others_counts),
	    TEST(a_full_peer_is_ignored),
	    TEST(a_peer_that_does_not_accept_is_ignored),
	    TEST(a_silent_peer_is_ignored),
	    TEST(a_peer_that_left_is_not_seen),
	    TEST(who_joins_is_not_seen_before_its_first_beat),
	    TEST(places_of_the_dead_are_used_again),
	    TEST(a_full_table_is_no_fault),
	    TEST(without_shared_memory_there_are_no_peers),
	};

	return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
