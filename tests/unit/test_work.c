/* test_work.c - computing off the loop */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "in_fiber.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/work.h"

/* What holds for ever ends then, and is wrong. */
#define PATIENCE_MS 120000

struct job {
	pthread_t thread;
	int64_t for_ms;
	const _Atomic unsigned *until;  /* it is `reached`, if not NULL */
	unsigned reached;
	int result;
};

static void
pause_ms(int64_t ms)
{
	struct timespec pause = {.tv_nsec = (long)ms * 1000000};

	nanosleep(&pause, NULL);
}

static void
compute(void *arg)
{
	struct job *j = arg;

	j->thread = pthread_self();
	pause_ms(j->for_ms);
	for (int i = 0; j->until != NULL && *j->until < j->reached; i++) {
		if (i == PATIENCE_MS)
			return;
		pause_ms(1);
	}
	j->result = 42;
}

static void
check_result(void *arg)
{
	struct job j = {.for_ms = 20};

	(void)arg;
	work_run(compute, &j);
	assert_int_equal(j.result, 42);
	assert_false(pthread_equal(j.thread, pthread_self()));
}

static void
work_has_ended_when_run_returns_and_ran_on_another_thread(void **state)
{
	(void)state;
	in_fiber(check_result, NULL);
}

struct ticker {
	bool stop;
	_Atomic unsigned ticks;
};

static void
tick(void *arg)
{
	struct ticker *t = arg;
	struct err err;

	while (!t->stop && fiber_sleep(1, &err) == 0)
		t->ticks++;
}

static void
check_others(void *arg)
{
	struct ticker t = {0};
	struct job j = {.until = &t.ticks, .reached = 5};
	struct err err;

	(void)arg;
	fiber_spawn(tick, &t);
	work_run(compute, &j);
	t.stop = true;
	assert_int_equal(j.result, 42);
	while (fiber_count() > 1)
		assert_int_equal(fiber_sleep(1, &err), 0);
}

static void
other_fibers_go_on_meanwhile(void **state)
{
	(void)state;
	in_fiber(check_others, NULL);
}

struct cancelled {
	struct job job;
	enum fiber_event after;
};

static void
work_while_cancelled(void *arg)
{
	struct cancelled *c = arg;

	work_run(compute, &c->job);
	c->after = fiber_wait(FIBER_NO_DEADLINE);
}

static void
check_cancelled(void *arg)
{
	_Atomic unsigned go = 0;
	struct cancelled c = {.job = {.until = &go, .reached = 1}};
	struct fiber *f = fiber_spawn(work_while_cancelled, &c);
	struct err err;

	(void)arg;
	assert_int_equal(fiber_sleep(5, &err), 0);
	fiber_cancel(f, FIBER_CLIENT_GONE);
	fiber_wake(f);                          /* nor may a stray wake end it */
	assert_int_equal(fiber_sleep(5, &err), 0);
	assert_int_equal(fiber_count(), 2);
	go = 1;
	while (fiber_count() > 1)
		assert_int_equal(fiber_sleep(5, &err), 0);
	assert_int_equal(c.job.result, 42);
	assert_int_equal(c.after, FIBER_CANCELLED);
}

static void
a_cancelled_fiber_stays_until_its_work_has_ended(void **state)
{
	(void)state;
	in_fiber(check_cancelled, NULL);
}

static void
run_job(void *arg)
{
	work_run(compute, arg);
}

static void
check_several(void *arg)
{
	struct job jobs[20] = {{0}};
	struct err err;

	(void)arg;
	for (size_t i = 0; i < 20; i++) {
		jobs[i].for_ms = 5;
		fiber_spawn(run_job, &jobs[i]);
	}
	while (fiber_count() > 1)
		assert_int_equal(fiber_sleep(5, &err), 0);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(jobs[i].result, 42);
}

static void
more_jobs_than_threads_all_end(void **state)
{
	(void)state;
	in_fiber(check_several, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(work_has_ended_when_run_returns_and_ran_on_another_thread),
	    cmocka_unit_test(other_fibers_go_on_meanwhile),
	    cmocka_unit_test(a_cancelled_fiber_stays_until_its_work_has_ended),
	    cmocka_unit_test(more_jobs_than_threads_all_end),
	};

	return cmocka_run_group_tests_name("work", tests, NULL, in_fiber_teardown);
}
