/* test_loop.c - the loop and its clock */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "runtime/loop.h"
#include "runtime/pace.h"

static void
stop_cb(uv_timer_t *timer)
{
	*(int64_t *)timer->data = loop_now_ms();
	loop_stop();
}

/* Run the loop with a timer that stops it; the clock when it fired. */
static int64_t
run_for(uint64_t ms)
{
	int64_t fired_ms = 0;
	uv_timer_t timer = {.data = &fired_ms};

	uv_timer_init(loop_get(), &timer);
	uv_timer_start(&timer, stop_cb, ms, 0);
	loop_run();
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(loop_get(), UV_RUN_NOWAIT);
	return fired_ms;
}

static void
between_two_looks_there_is_a_pace(void **state)
{
	uint64_t before_ns;

	(void)state;
	/* whatever holds us up can only make it longer: the first of these begins after the clock was read */
	before_ns = uv_hrtime();
	for (int i = 0; i < 6; i++)
		pace_wait();
	assert_true(uv_hrtime() - before_ns >= 5 * (uint64_t)PACE_NS);
}

static void
the_loop_is_always_the_same(void **state)
{
	(void)state;
	assert_non_null(loop_get());
	assert_ptr_equal(loop_get(), loop_get());
}

static void
it_runs_until_stopped_and_can_run_again(void **state)
{
	int64_t first, second;

	(void)state;
	first = run_for(10);
	second = run_for(10);
	assert_true(first > 0);
	assert_true(second >= first + 10);
}

static int64_t
monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
its_clock_is_the_monotonic_one_of_all_processes(void **state)
{
	int64_t before, after;

	(void)state;
	before = monotonic_ms();
	uv_update_time(loop_get());
	after = monotonic_ms();
	/* a millisecond for how each rounds; the kernel may give libuv a clock that is coarser still */
	assert_true(loop_now_ms() >= before - 20 && loop_now_ms() <= after + 1);
}

static void
the_clock_stands_still_within_a_turn(void **state)
{
	const struct timespec pause = {.tv_nsec = 5000000};
	int64_t before = loop_now_ms();

	(void)state;
	nanosleep(&pause, NULL);
	assert_int_equal(loop_now_ms(), before);
}

static void
a_closed_loop_leaves_nothing_and_the_next_is_new(void **state)
{
	int64_t unused;
	uv_timer_t forgotten = {.data = &unused};

	(void)state;
	uv_timer_init(loop_get(), &forgotten);
	uv_timer_start(&forgotten, stop_cb, 100000, 0);
	loop_close();
	assert_true(uv_is_closing((uv_handle_t *)&forgotten));
	loop_close();                           /* of none is nothing */
	assert_int_equal(uv_loop_alive(loop_get()), 0);
	assert_true(run_for(1) > 0);
	loop_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(between_two_looks_there_is_a_pace),
	    cmocka_unit_test(the_loop_is_always_the_same),
	    cmocka_unit_test(it_runs_until_stopped_and_can_run_again),
	    cmocka_unit_test(its_clock_is_the_monotonic_one_of_all_processes),
	    cmocka_unit_test(the_clock_stands_still_within_a_turn),
	    cmocka_unit_test(a_closed_loop_leaves_nothing_and_the_next_is_new),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
