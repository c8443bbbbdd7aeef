/* test_breaker.c - closed, open, half-open, by several processes */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/config.h"
#include "fork_tied.h"
#include "net/breaker.h"
#include "runtime/shm.h"
#include "telemetry/log.h"

#define FAILURES 3
#define RESET_MS 20000
#define NOW_MS ((int64_t)1000000)
#define PROBERS 6
#define ROUNDS 200

static char shm_name[64];
static int64_t ignored_ms;

static int
set_up(void **state)
{
	struct err err;

	snprintf(shm_name, sizeof(shm_name), "/bakame-unit-breaker-%ld", (long)getpid());
	shm_unlink(shm_name);
	if (shm_start(shm_name, &err) == -1)
		return -1;
	*state = breaker_get("service", FAILURES, RESET_MS);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	shm_stop();
	shm_unlink(shm_name);
	return 0;
}

static struct breaker_pass
let_in(struct breaker *b, int64_t now_ms)
{
	struct breaker_pass pass;

	assert_true(breaker_allow(b, now_ms, &ignored_ms, &pass));
	return pass;
}

static bool
refuses(struct breaker *b, int64_t now_ms)
{
	struct breaker_pass pass;

	return !breaker_allow(b, now_ms, &ignored_ms, &pass);
}

static void
attempt(struct breaker *b, int64_t now_ms, enum breaker_outcome outcome)
{
	struct breaker_pass pass = let_in(b, now_ms);

	breaker_report(b, &pass, now_ms, outcome);
}

static void
open_it(struct breaker *b)
{
	for (int i = 0; i < FAILURES; i++)
		attempt(b, NOW_MS, BREAKER_FAILED);
	assert_int_equal(breaker_state(b), BREAKER_OPEN);
}

static void
failures_in_a_row_open_it(void **state)
{
	struct breaker *b = *state;

	attempt(b, NOW_MS, BREAKER_FAILED);
	attempt(b, NOW_MS, BREAKER_FAILED);
	assert_int_equal(breaker_state(b), BREAKER_CLOSED);
	assert_false(breaker_is_open(b, NOW_MS));
	attempt(b, NOW_MS, BREAKER_FAILED);
	assert_int_equal(breaker_state(b), BREAKER_OPEN);
	assert_true(breaker_is_open(b, NOW_MS));
}

static void
a_success_between_begins_the_count_anew(void **state)
{
	struct breaker *b = *state;

	for (int i = 0; i < 10; i++) {
		attempt(b, NOW_MS, BREAKER_FAILED);
		attempt(b, NOW_MS, BREAKER_FAILED);
		attempt(b, NOW_MS, BREAKER_OK);
	}
	assert_int_equal(breaker_state(b), BREAKER_CLOSED);
}

static void
what_could_not_be_told_counts_for_nothing(void **state)
{
	struct breaker *b = *state;

	attempt(b, NOW_MS, BREAKER_FAILED);
	attempt(b, NOW_MS, BREAKER_FAILED);
	for (int i = 0; i < 10; i++)
		attempt(b, NOW_MS, BREAKER_UNKNOWN);
	assert_int_equal(breaker_state(b), BREAKER_CLOSED);
	attempt(b, NOW_MS, BREAKER_FAILED);
	assert_int_equal(breaker_state(b), BREAKER_OPEN);
}

static void
open_refuses_and_says_for_how_long(void **state)
{
	struct breaker *b = *state;
	struct breaker_pass pass;
	int64_t retry_ms;

	open_it(b);
	assert_false(breaker_allow(b, NOW_MS, &retry_ms, &pass));
	assert_int_equal(retry_ms, RESET_MS);
	assert_false(breaker_allow(b, NOW_MS + RESET_MS - 1, &retry_ms, &pass));
	assert_int_equal(retry_ms, 1);
	/* by another worker's clock it may be earlier than when it opened */
	assert_false(breaker_allow(b, NOW_MS - 5, &retry_ms, &pass));
	assert_int_equal(retry_ms, RESET_MS);
}

static void
half_open_admits_exactly_one_probe(void **state)
{
	struct breaker *b = *state;
	struct breaker_pass pass;

	open_it(b);
	assert_false(breaker_is_open(b, NOW_MS + RESET_MS));
	assert_int_equal(breaker_state(b), BREAKER_OPEN);       /* asking takes no place */
	pass = let_in(b, NOW_MS + RESET_MS);
	assert_true(pass.probe);
	assert_int_equal(breaker_state(b), BREAKER_HALF_OPEN);
	assert_true(refuses(b, NOW_MS + RESET_MS));
	assert_true(ignored_ms >= 1);
	assert_true(breaker_is_open(b, NOW_MS + RESET_MS));
	breaker_report(b, &pass, NOW_MS + RESET_MS, BREAKER_OK);
	assert_int_equal(breaker_state(b), BREAKER_CLOSED);
	/* and counts from nothing */
	attempt(b, NOW_MS + RESET_MS, BREAKER_FAILED);
	attempt(b, NOW_MS + RESET_MS, BREAKER_FAILED);
	assert_int_equal(breaker_state(b), BREAKER_CLOSED);
}

static void
a_probe_that_fails_opens_it_for_the_whole_time_again(void **state)
{
	struct breaker *b = *state;
	int64_t later = NOW_MS + RESET_MS + 700;

	open_it(b);
	attempt(b, later, BREAKER_FAILED);
	assert_int_equal(breaker_state(b), BREAKER_OPEN);
	assert_true(refuses(b, later + RESET_MS - 1));
	assert_int_equal(ignored_ms, 1);
	assert_true(let_in(b, later + RESET_MS).probe);
}

static void
a_probe_that_was_cancelled_makes_room_at_once(void **state)
{
	struct breaker *b = *state;

	open_it(b);
	attempt(b, NOW_MS + RESET_MS, BREAKER_UNKNOWN);
	assert_int_equal(breaker_state(b), BREAKER_HALF_OPEN);
	assert_true(let_in(b, NOW_MS + RESET_MS).probe);
	assert_true(refuses(b, NOW_MS + RESET_MS));
}

static void
a_probe_that_takes_too_long_makes_room_and_its_end_changes_nothing(void **state)
{
	struct breaker *b = *state;
	struct breaker_pass slow, second;

	open_it(b);
	slow = let_in(b, NOW_MS + RESET_MS);
	assert_true(refuses(b, NOW_MS + RESET_MS + BREAKER_PROBE_MAX_MS));
	second = let_in(b, NOW_MS + RESET_MS + BREAKER_PROBE_MAX_MS + 1);
	assert_true(second.probe);
	breaker_report(b, &slow, NOW_MS + RESET_MS + BREAKER_PROBE_MAX_MS + 2, BREAKER_OK);
	assert_int_equal(breaker_state(b), BREAKER_HALF_OPEN);
	breaker_report(b, &second, NOW_MS + RESET_MS + BREAKER_PROBE_MAX_MS + 3, BREAKER_FAILED);
	assert_int_equal(breaker_state(b), BREAKER_OPEN);
	breaker_report(b, &slow, NOW_MS + RESET_MS + BREAKER_PROBE_MAX_MS + 4, BREAKER_OK);
	assert_int_equal(breaker_state(b), BREAKER_OPEN);
}

static void
stragglers_change_nothing(void **state)
{
	struct breaker *b = *state;
	struct breaker_pass stragglers[6], probe;
	enum breaker_outcome outcomes[] = {BREAKER_OK, BREAKER_FAILED, BREAKER_UNKNOWN};

	for (int i = 0; i < 6; i++)
		stragglers[i] = let_in(b, NOW_MS);
	open_it(b);
	for (int i = 0; i < 3; i++)
		breaker_report(b, &stragglers[i], NOW_MS + 10, outcomes[i]);
	assert_int_equal(breaker_state(b), BREAKER_OPEN);
	assert_true(refuses(b, NOW_MS + 10));
	assert_int_equal(ignored_ms, RESET_MS - 10);
	probe = let_in(b, NOW_MS + RESET_MS);
	for (int i = 0; i < 3; i++)
		breaker_report(b, &stragglers[i], NOW_MS + RESET_MS, outcomes[i]);
	assert_int_equal(breaker_state(b), BREAKER_HALF_OPEN);
	breaker_report(b, &probe, NOW_MS + RESET_MS, BREAKER_OK);
	/* closed again, but this is another time of being closed */
	for (int i = 0; i < 6; i++)
		breaker_report(b, &stragglers[i], NOW_MS + RESET_MS + 1, BREAKER_FAILED);
	assert_int_equal(breaker_state(b), BREAKER_CLOSED);
}

static void
by_hand_it_closes_from_anywhere(void **state)
{
	struct breaker *b = *state;
	struct breaker_pass probe;

	open_it(b);
	breaker_reset(b, NOW_MS + 1);
	assert_int_equal(breaker_state(b), BREAKER_CLOSED);
	open_it(b);
	probe = let_in(b, NOW_MS + RESET_MS);
	breaker_reset(b, NOW_MS + RESET_MS + 1);
	breaker_report(b, &probe, NOW_MS + RESET_MS + 2, BREAKER_FAILED);
	assert_int_equal(breaker_state(b), BREAKER_CLOSED);
}

static void
none_admits_everything(void **state)
{
	struct breaker_pass pass;

	(void)state;
	for (int i = 0; i < 100; i++) {
		pass = let_in(NULL, NOW_MS);
		breaker_report(NULL, &pass, NOW_MS, BREAKER_FAILED);
	}
	assert_false(breaker_is_open(NULL, NOW_MS));
}

static void
the_operator_sees_them(void **state)
{
	struct breaker *b = *state;
	struct breaker_view view;

	open_it(b);
	b = breaker_get("other", 5, 1000);
	assert_non_null(b);
	assert_ptr_equal(breaker_find("other"), b);
	assert_null(breaker_find("nobody"));
	assert_true(breaker_view(0, &view));
	assert_string_equal(view.name, "service");
	assert_int_equal(view.state, BREAKER_OPEN);
	assert_string_equal(breaker_state_name(view.state), "open");
	assert_int_equal(view.failures, FAILURES);
	assert_int_equal(view.failures_max, FAILURES);
	assert_int_equal(view.reset_ms, RESET_MS);
	assert_int_equal(view.since_ms, NOW_MS);
	assert_int_equal(view.opened, 1);
	assert_true(breaker_view(1, &view));
	assert_string_equal(view.name, "other");
	assert_int_equal(view.since_ms, 0);
	assert_false(breaker_view(2, &view));
}

static void
a_full_table_gives_none(void **state)
{
	char name[16];

	(void)state;
	for (int i = 1; i < BREAKERS_MAX; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		assert_non_null(breaker_get(name, 3, 1000));
	}
	assert_null(breaker_get("one too many", 3, 1000));
	assert_non_null(breaker_get("s7", 3, 1000));
	assert_null(breaker_find("one too many"));
}

static void
thresholds_are_settings(void **state)
{
	(void)state;
	setenv("BAKAME_ENV", "development", 1);
	setenv("BREAKER_WEATHER", "7/33", 1);
	setenv("BREAKER_NEWS", "off", 1);
	assert_int_equal(config_load(stderr), 0);
	static const struct {
		const char *name;
		int failures;
		int64_t reset_ms;
	} wanted[] = {{"openai", 3, 20000}, {"redis", 10, 5000}, {"weather", 7, 33000}, {"a new tool", 3, 60000}};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		struct breaker_view view;

		assert_non_null(breaker_of(wanted[i].name));
		assert_true(breaker_view((unsigned)i + 1, &view));      /* the first is set_up()'s */
		assert_string_equal(view.name, wanted[i].name);
		assert_int_equal(view.failures_max, wanted[i].failures);
		assert_int_equal(view.reset_ms, wanted[i].reset_ms);
	}
	assert_null(breaker_of("news"));
	unsetenv("BREAKER_WEATHER");
	unsetenv("BREAKER_NEWS");
	config_unload();
}

static void
one_that_is_off_does_not_stay_open(void **state)
{
	struct breaker *b;

	(void)state;
	setenv("BAKAME_ENV", "development", 1);
	assert_int_equal(config_load(stderr), 0);
	breakers_start();
	b = breaker_find("news");
	for (int i = 0; i < FAILURES; i++)
		attempt(b, NOW_MS, BREAKER_FAILED);
	breakers_start();
	assert_int_equal(breaker_state(b), BREAKER_OPEN);
	config_unload();
	setenv("BREAKER_NEWS", "off", 1);
	assert_int_equal(config_load(stderr), 0);
	breakers_start();
	assert_int_equal(breaker_state(b), BREAKER_CLOSED);
	unsetenv("BREAKER_NEWS");
	config_unload();
}

/* ---- several processes ---- */

/* What the probers share; all wait at the gate for a round to begin. */
struct arena_of_probers {
	_Atomic int round;
	_Atomic int done;
	_Atomic int probes;
	_Atomic int admitted;
};

static void
prober_main(struct arena_of_probers *shared)
{
	struct breaker *b;
	struct err err;

	shm_stop();
	if (shm_start(shm_name, &err) == -1)
		_exit(1);
	b = breaker_get("service", FAILURES, RESET_MS);
	for (int round = 1; round <= ROUNDS; round++) {
		struct breaker_pass pass;
		int64_t retry_ms;

		while (shared->round < round)
			sched_yield();
		if (breaker_allow(b, NOW_MS + (int64_t)round * 2 * RESET_MS, &retry_ms, &pass)) {
			shared->admitted++;
			if (pass.probe)
				shared->probes++;
		}
		shared->done++;
	}
	_exit(0);
}

static void
of_several_processes_exactly_one_probes(void **state)
{
	struct arena_of_probers *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct breaker *b = *state;
	pid_t pids[PROBERS];

	for (int i = 0; i < PROBERS; i++) {
		pids[i] = fork_tied();
		if (pids[i] == 0)
			prober_main(shared);
	}
	for (int round = 1; round <= ROUNDS; round++) {
		int64_t at = NOW_MS + (int64_t)round * 2 * RESET_MS - RESET_MS;

		breaker_reset(b, at);
		for (int i = 0; i < FAILURES; i++)
			attempt(b, at, BREAKER_FAILED);
		shared->done = 0;
		shared->round = round;
		while (shared->done < PROBERS) {
			/* one that has ended without having done its part */
			assert_false(round < ROUNDS && waitpid(-1, NULL, WNOHANG) > 0);
			usleep(10);
		}
		assert_int_equal(shared->probes, round);
		assert_int_equal(shared->admitted, round);
	}
	for (int i = 0; i < PROBERS; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	munmap(shared, sizeof(*shared));
}

/* Several processes make many breakers of like names at once: each name has one place. */
static void
of_several_processes_each_gets_the_same_one(void **state)
{
	pid_t pids[PROBERS];
	struct breaker_view view;
	unsigned count = 0;

	(void)state;
	for (int i = 0; i < PROBERS; i++) {
		pids[i] = fork_tied();
		if (pids[i] == 0) {
			char name[16];

			for (int n = 0; n < 40; n++) {
				snprintf(name, sizeof(name), "s%d", (n * 7 + i) % 40);
				breaker_get(name, 3, 1000);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < PROBERS; i++)
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
	while (breaker_view(count, &view)) {
		assert_true(view.name[0] == 's');
		count++;
	}
	assert_int_equal(count, 41);
}

static void
a_probe_whose_worker_was_killed_makes_room(void **state)
{
	struct breaker *b = *state;
	int ready[2];
	char byte;
	pid_t pid;

	open_it(b);
	assert_int_equal(pipe(ready), 0);
	pid = fork_tied();
	if (pid == 0) {
		struct breaker_pass pass;

		if (breaker_allow(b, NOW_MS + RESET_MS, &ignored_ms, &pass) && pass.probe && write(ready[1], "p", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);                /* or the end of a child that does not probe would not be seen */
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_true(refuses(b, NOW_MS + RESET_MS + 1));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(let_in(b, NOW_MS + RESET_MS + 2).probe);
	close(ready[0]);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	log_init("test_breaker", LOG_LEVEL_ERROR, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	const struct CMUnitTest tests[] = {
	    T(failures_in_a_row_open_it),
	    T(a_success_between_begins_the_count_anew),
	    T(what_could_not_be_told_counts_for_nothing),
	    T(open_refuses_and_says_for_how_long),
	    T(half_open_admits_exactly_one_probe),
	    T(a_probe_that_fails_opens_it_for_the_whole_time_again),
	    T(a_probe_that_was_cancelled_makes_room_at_once),
	    T(a_probe_that_takes_too_long_makes_room_and_its_end_changes_nothing),
	    T(stragglers_change_nothing),
	    T(by_hand_it_closes_from_anywhere),
	    T(none_admits_everything),
	    T(the_operator_sees_them),
	    T(a_full_table_gives_none),
	    T(thresholds_are_settings),
	    T(one_that_is_off_does_not_stay_open),
	    T(of_several_processes_exactly_one_probes),
	    T(of_several_processes_each_gets_the_same_one),
	    T(a_probe_whose_worker_was_killed_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
