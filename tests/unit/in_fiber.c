/* in_fiber.c - see in_fiber.h */
#include "in_fiber.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/fiber.h"
#include "runtime/loop.h"

#define TOO_LONG_MS 300000
/* A fiber that turns in a circle lets no timer fire: SIGALRM ends it. */
#define FAR_TOO_LONG_SECS (TOO_LONG_MS / 1000 + 30)

struct job {
	void (*fn)(void *arg);
	void *arg;
};

static uv_timer_t watchdog;             /* also keeps a loop alive that has nothing else to do */
static bool watchdog_made;

static void
too_long_cb(uv_timer_t *timer)
{
	(void)timer;
	fprintf(stderr, "a test did not end within %d ms\n", TOO_LONG_MS);
	abort();
}

static void
job_main(void *arg)
{
	const struct job *job = arg;

	job->fn(job->arg);
	loop_stop();
}

/* A failed assertion jumps out of the fiber and leaves everything as it is, so
   that all later tests would fail for no reason of theirs: end there instead
   (cmocka: after the message, if this is set). */
static void
end_on_failure(bool on)
{
	if (on)
		setenv("CMOCKA_TEST_ABORT", "1", 1);
	else
		unsetenv("CMOCKA_TEST_ABORT");
}

void
in_fiber(void (*fn)(void *arg), void *arg)
{
	struct job job = {.fn = fn, .arg = arg};

	if (!watchdog_made) {
		uv_timer_init(loop_get(), &watchdog);
		watchdog_made = true;
	}
	uv_update_time(loop_get());
	uv_timer_start(&watchdog, too_long_cb, TOO_LONG_MS, 0);
	fiber_spawn(job_main, &job);
	end_on_failure(true);
	alarm(FAR_TOO_LONG_SECS);
	loop_run();
	alarm(0);
	end_on_failure(false);
	uv_timer_stop(&watchdog);
}

int
in_fiber_teardown(void **state)
{
	(void)state;
	fiber_pool_free();
	loop_close();
	return 0;
}
