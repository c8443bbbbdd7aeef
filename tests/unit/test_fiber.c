/* test_fiber.c - waiting, waking, cancelling; many stacks */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork_tied.h"
#include "in_fiber.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"

/* How late a machine that does other things may be. */
#define LATE_MS 120000

/* ---- a second fiber whose waits a test looks at ---- */

struct waiter {
	struct fiber *fiber;
	int64_t for_ms;                 /* of its wait; 0: no deadline */
	enum fiber_event event;
	int begun, ended;
};

static void
waiter_main(void *arg)
{
	struct waiter *w = arg;

	w->begun = 1;
	w->event = fiber_wait(w->for_ms > 0 ? loop_now_ms() + w->for_ms : FIBER_NO_DEADLINE);
	w->ended = 1;
}

static void
spawn_waiter(struct waiter *w)
{
	w->fiber = fiber_spawn(waiter_main, w);
}

static void
sleep_ms(int64_t ms)
{
	struct err err;

	assert_int_equal(fiber_sleep(ms, &err), 0);
}

/* Until none lives but the one that runs.  Nothing is said of when: a round may come late, and find several timers
   due at once. */
static void
await_others(void)
{
	while (fiber_count() > 1)
		sleep_ms(1);
}

/* ---- starting ---- */

static void
set_flag(void *arg)
{
	*(int *)arg = 1;
}

static void
check_spawn(void *arg)
{
	int ran = 0;

	(void)arg;
	fiber_spawn(set_flag, &ran);
	assert_int_equal(ran, 0);
	sleep_ms(1);
	assert_int_equal(ran, 1);
}

static void
a_fiber_runs_in_a_later_round(void **state)
{
	(void)state;
	in_fiber(check_spawn, NULL);
}

static void
check_self(void *arg)
{
	(void)arg;
	assert_non_null(fiber_self());
}

static void
self_is_null_outside_of_fibers(void **state)
{
	(void)state;
	assert_null(fiber_self());
	in_fiber(check_self, NULL);
	assert_null(fiber_self());
}

static void
check_count(void *arg)
{
	struct waiter w = {0};

	(void)arg;
	assert_int_equal(fiber_count(), 1);
	spawn_waiter(&w);
	assert_int_equal(fiber_count(), 2);
	sleep_ms(1);
	fiber_wake(w.fiber);
	sleep_ms(1);
	assert_int_equal(fiber_count(), 1);
}

static void
count_tells_how_many_live(void **state)
{
	(void)state;
	in_fiber(check_count, NULL);
	assert_int_equal(fiber_count(), 0);
}

/* ---- waiting and waking ---- */

static void
check_wake(void *arg)
{
	struct waiter w = {0};

	(void)arg;
	spawn_waiter(&w);
	sleep_ms(5);
	assert_int_equal(w.ended, 0);
	fiber_wake(w.fiber);
	assert_int_equal(w.ended, 0);           /* not from inside this one */
	sleep_ms(1);
	assert_int_equal(w.ended, 1);
	assert_int_equal(w.event, FIBER_WOKEN);
}

static void
a_wake_ends_a_wait_in_a_later_round(void **state)
{
	(void)state;
	in_fiber(check_wake, NULL);
}

static void
check_timeout(void *arg)
{
	int64_t start = loop_now_ms();

	(void)arg;
	assert_int_equal(fiber_wait(start + 30), FIBER_TIMEOUT);
	assert_in_range(loop_now_ms() - start, 30, 30 + LATE_MS);
}

static void
a_wait_ends_at_its_deadline(void **state)
{
	(void)state;
	in_fiber(check_timeout, NULL);
}

static void
check_past(void *arg)
{
	int ran = 0;

	(void)arg;
	fiber_spawn(set_flag, &ran);
	assert_int_equal(fiber_wait(loop_now_ms()), FIBER_TIMEOUT);
	assert_int_equal(fiber_wait(INT64_MIN), FIBER_TIMEOUT);
	assert_int_equal(ran, 0);
	sleep_ms(1);
}

static void
a_deadline_in_the_past_does_not_wait(void **state)
{
	(void)state;
	in_fiber(check_past, NULL);
}

static void
check_wake_is_not_kept(void *arg)
{
	(void)arg;
	fiber_wake(fiber_self());
	assert_int_equal(fiber_wait(loop_now_ms() + 10), FIBER_TIMEOUT);
}

static void
a_wake_of_itself_is_nothing(void **state)
{
	(void)state;
	in_fiber(check_wake_is_not_kept, NULL);
}

static void
wait_twice(void *arg)
{
	enum fiber_event *events = arg;

	events[0] = fiber_wait(FIBER_NO_DEADLINE);
	events[1] = fiber_wait(loop_now_ms() + 10);
}

static void
check_double_wake(void *arg)
{
	enum fiber_event events[2];
	struct fiber *f = fiber_spawn(wait_twice, events);

	(void)arg;
	fiber_wake(f);          /* ready already: it has not run yet */
	sleep_ms(1);
	fiber_wake(f);
	fiber_wake(f);
	await_others();
	assert_int_equal(events[0], FIBER_WOKEN);
	assert_int_equal(events[1], FIBER_TIMEOUT);
}

static void
wakes_of_a_ready_fiber_are_nothing(void **state)
{
	(void)state;
	in_fiber(check_double_wake, NULL);
}

/* ---- the timer, which may be armed for an outdated time ---- */

/* Until a timer fires that an earlier wait has armed: long, for what is slow under valgrind. */
#define OUTDATED_MS 250

static void
wake_arg(void *arg)
{
	fiber_wake(arg);
}

/* Wait for so long and be woken before: the timer stays armed.  On a machine that stood still meanwhile the wait times
   out, and another is tried. */
static void
leave_timer_armed(int64_t ms)
{
	do
		fiber_spawn(wake_arg, fiber_self());
	while (fiber_wait(loop_now_ms() + ms) != FIBER_WOKEN);
}

static void
check_rearm(void *arg)
{
	int64_t start;

	(void)arg;
	/* armed for later than what comes next */
	leave_timer_armed(2 * LATE_MS);
	start = loop_now_ms();
	assert_int_equal(fiber_wait(start + 20), FIBER_TIMEOUT);
	assert_in_range(loop_now_ms() - start, 20, 20 + LATE_MS);

	/* armed for earlier than what comes next */
	leave_timer_armed(OUTDATED_MS);
	start = loop_now_ms();
	assert_int_equal(fiber_wait(start + 2 * OUTDATED_MS), FIBER_TIMEOUT);
	assert_in_range(loop_now_ms() - start, 2 * OUTDATED_MS, 2 * OUTDATED_MS + LATE_MS);
}

static void
an_earlier_waits_timer_neither_ends_nor_delays_a_later_one(void **state)
{
	(void)state;
	in_fiber(check_rearm, NULL);
}

static void
wait_after_a_short_wait(void *arg)
{
	leave_timer_armed(OUTDATED_MS);
	waiter_main(arg);
}

static void
check_outdated(void *arg)
{
	struct waiter w = {0};

	(void)arg;
	w.fiber = fiber_spawn(wait_after_a_short_wait, &w);
	while (!w.begun)
		sleep_ms(1);
	sleep_ms(2 * OUTDATED_MS);
	assert_int_equal(w.ended, 0);
	fiber_wake(w.fiber);
	sleep_ms(1);
	assert_int_equal(w.event, FIBER_WOKEN);
}

static void
end_with_an_armed_timer(void *arg)
{
	(void)arg;
	leave_timer_armed(OUTDATED_MS);
}

static void
check_reused_timer(void *arg)
{
	struct waiter w[3] = {{0}};

	(void)arg;
	fiber_spawn(end_with_an_armed_timer, NULL);
	await_others();
	for (size_t i = 0; i < 3; i++)
		spawn_waiter(&w[i]);    /* one of them on its stack */
	sleep_ms(2 * OUTDATED_MS);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(w[i].ended, 0);
		fiber_wake(w[i].fiber);
	}
	sleep_ms(1);
}

static void
an_outdated_timer_wakes_nobody(void **state)
{
	(void)state;
	in_fiber(check_outdated, NULL);
	in_fiber(check_reused_timer, NULL);
}

static void
wake_cb(uv_timer_t *timer)
{
	fiber_wake(timer->data);
}

static void
check_woken_and_timed_out(void *arg)
{
	int64_t until = loop_now_ms() + 20;
	uv_timer_t waker = {.data = fiber_self()};

	(void)arg;
	uv_timer_init(loop_get(), &waker);
	uv_timer_start(&waker, wake_cb, 20, 0);         /* before the wait's own: it fires first */
	assert_int_equal(fiber_wait(until), FIBER_TIMEOUT);
	assert_int_equal(fiber_wait(loop_now_ms() + 5), FIBER_TIMEOUT);
	uv_close((uv_handle_t *)&waker, NULL);
	sleep_ms(1);
}

static void
a_wake_and_a_timeout_in_the_same_turn_end_one_wait(void **state)
{
	(void)state;
	in_fiber(check_woken_and_timed_out, NULL);
}

/* ---- cancelling ---- */

static void
wait_until_cancelled(void *arg)
{
	enum fiber_event *events = arg;

	events[0] = fiber_wait(FIBER_NO_DEADLINE);
	events[1] = fiber_wait(FIBER_NO_DEADLINE);
	events[2] = fiber_wait(loop_now_ms() - 1);
}

static void
check_cancel(void *arg)
{
	enum fiber_event events[3] = {FIBER_WOKEN, FIBER_WOKEN, FIBER_WOKEN};
	struct fiber *f = fiber_spawn(wait_until_cancelled, events);

	(void)arg;
	sleep_ms(1);
	assert_int_equal(fiber_cancelled(f), FIBER_GO_ON);
	fiber_cancel(f, FIBER_DRAINING);
	fiber_cancel(f, FIBER_CLIENT_GONE);
	assert_int_equal(fiber_cancelled(f), FIBER_DRAINING);
	sleep_ms(1);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(events[i], FIBER_CANCELLED);
	assert_int_equal(fiber_count(), 1);
}

static void
a_cancelled_fiber_waits_no_more_and_the_first_reason_stays(void **state)
{
	(void)state;
	in_fiber(check_cancel, NULL);
}

static void
check_cancel_early(void *arg)
{
	struct waiter w = {0};

	(void)arg;
	spawn_waiter(&w);
	fiber_cancel(w.fiber, FIBER_CLIENT_GONE);
	sleep_ms(1);
	assert_int_equal(w.ended, 1);
	assert_int_equal(w.event, FIBER_CANCELLED);
}

static void
a_fiber_cancelled_before_it_ran_runs_and_sees_it(void **state)
{
	(void)state;
	in_fiber(check_cancel_early, NULL);
}

static void
check_pooled_cancel(void *arg)
{
	struct waiter w = {0};

	(void)arg;
	spawn_waiter(&w);
	fiber_cancel(w.fiber, FIBER_CLIENT_GONE);
	sleep_ms(1);
	w = (struct waiter){.for_ms = 5};
	spawn_waiter(&w);
	assert_int_equal(fiber_cancelled(w.fiber), FIBER_GO_ON);
	await_others();
	assert_int_equal(w.event, FIBER_TIMEOUT);
}

static void
a_stack_used_again_is_not_cancelled(void **state)
{
	(void)state;
	in_fiber(check_pooled_cancel, NULL);
}

struct masked {
	enum fiber_event inner, outer, after;
	int64_t inner_ms;
};

static void
masked_main(void *arg)
{
	struct masked *m = arg;
	int64_t start = loop_now_ms();

	fiber_mask_begin();
	fiber_mask_begin();
	m->inner = fiber_wait(start + 30);
	m->inner_ms = loop_now_ms() - start;
	fiber_mask_end();
	m->outer = fiber_wait(loop_now_ms() + 5);
	fiber_mask_end();
	m->after = fiber_wait(FIBER_NO_DEADLINE);
}

static void
check_mask(void *arg)
{
	struct masked m;
	struct fiber *f = fiber_spawn(masked_main, &m);

	(void)arg;
	sleep_ms(5);
	fiber_cancel(f, FIBER_CLIENT_GONE);
	await_others();
	assert_int_equal(m.inner, FIBER_TIMEOUT);
	assert_true(m.inner_ms >= 30);
	assert_int_equal(m.outer, FIBER_TIMEOUT);
	assert_int_equal(m.after, FIBER_CANCELLED);
}

static void
masked_waits_heed_only_their_own_deadline(void **state)
{
	(void)state;
	in_fiber(check_mask, NULL);
}

static void
check_mask_past_deadline(void *arg)
{
	int64_t start = loop_now_ms();

	(void)arg;
	fiber_set_deadline(start + 5);
	fiber_mask_begin();
	assert_int_equal(fiber_wait(start + 30), FIBER_TIMEOUT);
	assert_true(loop_now_ms() - start >= 30);
	fiber_mask_end();
	assert_int_equal(fiber_wait(FIBER_NO_DEADLINE), FIBER_CANCELLED);
	assert_int_equal(fiber_cancelled(fiber_self()), FIBER_PAST_DEADLINE);
}

static void
a_mask_holds_against_the_requests_deadline_too(void **state)
{
	(void)state;
	in_fiber(check_mask_past_deadline, NULL);
}

static void
check_deadline(void *arg)
{
	int64_t start = loop_now_ms();

	(void)arg;
	fiber_set_deadline(start + 2 * LATE_MS);
	assert_int_equal(fiber_wait(start + 10), FIBER_TIMEOUT);        /* its own comes first */
	fiber_set_deadline(start + 30);
	assert_int_equal(fiber_wait(FIBER_NO_DEADLINE), FIBER_CANCELLED);
	assert_in_range(loop_now_ms() - start, 30, 30 + LATE_MS);
	assert_int_equal(fiber_cancelled(fiber_self()), FIBER_PAST_DEADLINE);
	assert_int_equal(fiber_wait(start + 10000), FIBER_CANCELLED);
}

static void
check_no_deadline(void *arg)
{
	(void)arg;
	fiber_set_deadline(loop_now_ms() + 10);
	fiber_set_deadline(FIBER_NO_DEADLINE);
	assert_int_equal(fiber_wait(loop_now_ms() + 30), FIBER_TIMEOUT);
}

static void
waits_end_at_the_deadline_of_the_whole_request(void **state)
{
	(void)state;
	in_fiber(check_deadline, NULL);
	in_fiber(check_no_deadline, NULL);
}

/* ---- sleeping ---- */

static void
disturb(void *arg)
{
	for (int i = 0; i < 5; i++) {
		sleep_ms(4);
		fiber_wake(arg);
	}
}

static void
check_sleep(void *arg)
{
	int64_t start = loop_now_ms();

	(void)arg;
	fiber_spawn(disturb, fiber_self());
	sleep_ms(50);
	assert_in_range(loop_now_ms() - start, 50, 50 + LATE_MS);
	await_others();         /* or what is left wakes fibers of later tests */
}

static void
a_sleep_is_not_cut_short_by_wakes(void **state)
{
	(void)state;
	in_fiber(check_sleep, NULL);
}

struct sleeper {
	int rc;
	struct err err;
};

static void
sleeper_main(void *arg)
{
	struct sleeper *s = arg;

	s->rc = fiber_sleep(LATE_MS, &s->err);
}

static void
check_cancelled_sleep(void *arg)
{
	static const struct {
		enum fiber_cancel why;
		enum err_code code;
		int retry_after_secs;
	} cases[] = {
	    {FIBER_CLIENT_GONE, ERR_CANCELLED, 0},
	    {FIBER_DRAINING, ERR_UNAVAILABLE, 1},
	    {FIBER_PAST_DEADLINE, ERR_UPSTREAM_TIMEOUT, 0},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sleeper s = {0};
		struct fiber *f = fiber_spawn(sleeper_main, &s);

		sleep_ms(1);
		fiber_cancel(f, cases[i].why);
		sleep_ms(1);
		assert_int_equal(s.rc, -1);
		assert_int_equal(s.err.code, cases[i].code);
		assert_int_equal(s.err.retry_after_secs, cases[i].retry_after_secs);
		assert_true(s.err.message[0] != '\0');
	}
}

static void
a_cancelled_sleep_says_why(void **state)
{
	(void)state;
	in_fiber(check_cancelled_sleep, NULL);
}

/* ---- order ---- */

struct entrant {
	struct fiber *fiber;
	int number;
	int *order;
	int *arrived;
};

static void
entrant_main(void *arg)
{
	struct entrant *e = arg;

	(void)!fiber_wait(FIBER_NO_DEADLINE);
	e->order[(*e->arrived)++] = e->number;
}

static void
check_order(void *arg)
{
	static const int wake_order[] = {3, 0, 4, 1, 2};
	struct entrant e[5];
	int order[5], arrived = 0;

	(void)arg;
	for (int i = 0; i < 5; i++) {
		e[i] = (struct entrant){.number = i, .order = order, .arrived = &arrived};
		e[i].fiber = fiber_spawn(entrant_main, &e[i]);
	}
	sleep_ms(1);
	for (int i = 0; i < 5; i++)
		fiber_wake(e[wake_order[i]].fiber);
	sleep_ms(1);
	assert_int_equal(arrived, 5);
	assert_memory_equal(order, wake_order, sizeof(order));
}

static void
fibers_go_on_in_the_order_they_were_woken(void **state)
{
	(void)state;
	in_fiber(check_order, NULL);
}

struct ping_pong {
	struct fiber *other;
	int *stop;
	unsigned rounds;
};

static void
ping_pong_main(void *arg)
{
	struct ping_pong *p = arg;

	while (!*p->stop) {
		p->rounds++;
		fiber_wake(p->other);
		(void)!fiber_wait(FIBER_NO_DEADLINE);
	}
	fiber_wake(p->other);
}

static void
check_no_starving(void *arg)
{
	int stop = 0;
	struct ping_pong a = {.stop = &stop}, b = {.stop = &stop};

	(void)arg;
	b.other = fiber_spawn(ping_pong_main, &a);
	a.other = fiber_spawn(ping_pong_main, &b);
	/* each of these sleeps ends only if they let timers fire */
	while (a.rounds <= 2 || b.rounds <= 2)
		sleep_ms(1);
	stop = 1;
	await_others();
}

static void
fibers_that_wake_each_other_starve_no_timer(void **state)
{
	(void)state;
	in_fiber(check_no_starving, NULL);
}

/* ---- stacks ---- */

#define MANY 3000

static unsigned finished_rightly;

static void
one_of_many(void *arg)
{
	unsigned number = (unsigned)(uintptr_t)arg;
	unsigned char mine[512];
	struct err err;

	memset(mine, (int)(number & 0xFF), sizeof(mine));
	for (unsigned i = 0; i < 3; i++)
		if (fiber_sleep(1 + (number * 7 + i * 13) % 40, &err) == -1)
			return;
	for (size_t i = 0; i < sizeof(mine); i++)
		if (mine[i] != (number & 0xFF))
			return;
	finished_rightly++;
}

static void
check_many(void *arg)
{
	(void)arg;
	finished_rightly = 0;
	for (uintptr_t i = 0; i < MANY; i++)
		fiber_spawn(one_of_many, (void *)i);
	assert_int_equal(fiber_count(), MANY + 1);
	while (fiber_count() > 1)
		sleep_ms(5);
	assert_int_equal(finished_rightly, MANY);
}

static void
thousands_keep_their_own_stacks(void **state)
{
	(void)state;
	in_fiber(check_many, NULL);
	in_fiber(check_many, NULL);     /* on pooled stacks and new ones */
}

static void
tell_frame(void *arg)
{
	*(uintptr_t *)arg = (uintptr_t)fiber_self();
}

static void
check_reuse(void *arg)
{
	uintptr_t first, next;

	(void)arg;
	fiber_spawn(tell_frame, &first);
	sleep_ms(1);
	for (int i = 0; i < 100; i++) {
		fiber_spawn(tell_frame, &next);
		sleep_ms(1);
		assert_int_equal(next, first);
	}
}

static void
a_finished_stack_is_used_again(void **state)
{
	(void)state;
	in_fiber(check_reuse, NULL);
}

/* Each level takes more than half a kilobyte and keeps a mark in it. */
static unsigned
descend(unsigned depth)
{
	volatile unsigned char mark[512];
	unsigned below;

	mark[0] = mark[511] = (unsigned char)depth;
	if (depth == 0) {
		sleep_ms(1);            /* leaves the stack and comes back */
		return 0;
	}
	below = descend(depth - 1);
	return mark[0] == (unsigned char)depth && mark[511] == (unsigned char)depth ? below + 1 : 0;
}

static void
check_deep(void *arg)
{
	*(unsigned *)arg = descend(64);
}

static void
a_fiber_may_use_half_of_its_stack(void **state)
{
	unsigned levels = 0;

	(void)state;
	in_fiber(check_deep, &levels);
	assert_int_equal(levels, 64);
}

static void
overflow(void *arg)
{
	*(unsigned *)arg = descend(1000000);
}

static void
an_overflowing_stack_ends_the_worker(void **state)
{
	pid_t child = fork_tied();
	int status;

	(void)state;
	if (child == 0) {
		const struct rlimit no_core = {0, 0};
		unsigned levels;
		int null = open("/dev/null", O_WRONLY);

		(void)setrlimit(RLIMIT_CORE, &no_core);
		dup2(null, STDERR_FILENO);      /* where sanitizers say at length what happened */
		in_fiber(overflow, &levels);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_fiber_runs_in_a_later_round),
	    cmocka_unit_test(self_is_null_outside_of_fibers),
	    cmocka_unit_test(count_tells_how_many_live),
	    cmocka_unit_test(a_wake_ends_a_wait_in_a_later_round),
	    cmocka_unit_test(a_wait_ends_at_its_deadline),
	    cmocka_unit_test(a_deadline_in_the_past_does_not_wait),
	    cmocka_unit_test(a_wake_of_itself_is_nothing),
	    cmocka_unit_test(wakes_of_a_ready_fiber_are_nothing),
	    cmocka_unit_test(an_earlier_waits_timer_neither_ends_nor_delays_a_later_one),
	    cmocka_unit_test(an_outdated_timer_wakes_nobody),
	    cmocka_unit_test(a_wake_and_a_timeout_in_the_same_turn_end_one_wait),
	    cmocka_unit_test(a_cancelled_fiber_waits_no_more_and_the_first_reason_stays),
	    cmocka_unit_test(a_fiber_cancelled_before_it_ran_runs_and_sees_it),
	    cmocka_unit_test(a_stack_used_again_is_not_cancelled),
	    cmocka_unit_test(masked_waits_heed_only_their_own_deadline),
	    cmocka_unit_test(a_mask_holds_against_the_requests_deadline_too),
	    cmocka_unit_test(waits_end_at_the_deadline_of_the_whole_request),
	    cmocka_unit_test(a_sleep_is_not_cut_short_by_wakes),
	    cmocka_unit_test(a_cancelled_sleep_says_why),
	    cmocka_unit_test(fibers_go_on_in_the_order_they_were_woken),
	    cmocka_unit_test(fibers_that_wake_each_other_starve_no_timer),
	    cmocka_unit_test(thousands_keep_their_own_stacks),
	    cmocka_unit_test(a_finished_stack_is_used_again),
	    cmocka_unit_test(a_fiber_may_use_half_of_its_stack),
	    cmocka_unit_test(an_overflowing_stack_ends_the_worker),
	};

	return cmocka_run_group_tests_name("fiber", tests, NULL, in_fiber_teardown);
}
