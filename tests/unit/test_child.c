/* test_child.c - programs that end, fail, hang, talk for ever */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "in_fiber.h"
#include "runtime/child.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"

#define PLENTY_MS 120000
#define MAX_BYTES ((size_t)100000)

struct trial {
	const char *command;            /* of the shell */
	int64_t ms;
	enum child_end end;
	int status, signal;
	const char *output;             /* NULL: any */
};

static int
run(const char *command, int64_t ms, struct child_result *result, struct err *err)
{
	const char *const argv[] = {"/bin/sh", "-c", command, NULL};
	int input = open("/dev/null", O_RDONLY);
	int rc = child_run(argv, input, MAX_BYTES, loop_now_ms() + ms, result, err);

	close(input);
	return rc;
}

static void
check(void *arg)
{
	const struct trial *t = arg;
	struct child_result result;
	struct err err;

	for (int64_t ms = t->ms;; ms *= 4) {
		assert_int_equal(run(t->command, ms, &result, &err), 0);
		/* on a slow machine its time may be over before it has said what it has to say */
		if (t->end != CHILD_TOOK_TOO_LONG || result.output.len > 0 || ms > PLENTY_MS)
			break;
		buffer_free(&result.output);
	}
	assert_int_equal(result.end, t->end);
	if (t->end == CHILD_ENDED) {
		assert_int_equal(result.status, t->status);
		assert_int_equal(result.signal, t->signal);
	}
	if (t->output != NULL)
		assert_string_equal(result.output.data != NULL ? result.output.data : "", t->output);
	buffer_free(&result.output);
}

static void
ends_are_told(void **state)
{
	static struct trial trials[] = {
	    {"echo Hello", PLENTY_MS, CHILD_ENDED, 0, 0, "Hello\n"},
	    {"exit 3", PLENTY_MS, CHILD_ENDED, 3, 0, ""},
	    {"kill -SEGV $$", PLENTY_MS, CHILD_ENDED, 0, SIGSEGV, ""},
	    {"echo before; sleep 600", 300, CHILD_TOOK_TOO_LONG, 0, 0, "before\n"},
	    {"while :; do echo talk; done", PLENTY_MS, CHILD_SAID_TOO_MUCH, 0, 0, NULL},
	    /* a grandchild that holds on to the output */
	    {"sleep 600 & echo started", 300, CHILD_TOOK_TOO_LONG, 0, 0, "started\n"},
	    {"echo $HOME$USER-$LANG; echo error >&2", PLENTY_MS, CHILD_ENDED, 0, 0, "-C.UTF-8\n"},
	};

	(void)state;
	setenv("USER", "somebody", 1);
	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++)
		in_fiber(check, &trials[i]);
}

static void
read_input(void *arg)
{
	const char *const argv[] = {"/bin/cat", NULL};
	int input = open("/proc/version", O_RDONLY);
	struct child_result result;
	struct err err;

	(void)arg;
	assert_int_equal(child_run(argv, input, 10, loop_now_ms() + PLENTY_MS, &result, &err), 0);
	assert_int_equal(result.end, CHILD_SAID_TOO_MUCH);
	assert_int_equal(result.output.len, 10);        /* as much as may be kept is */
	assert_memory_equal(result.output.data, "Linux vers", 10);
	buffer_free(&result.output);
	close(input);
}

static void
the_file_given_is_its_input(void **state)
{
	(void)state;
	in_fiber(read_input, NULL);
}

static void
start_nothing(void *arg)
{
	const char *const argv[] = {"/nonexistent/program", NULL};
	struct child_result result;
	struct err err;

	(void)arg;
	assert_int_equal(child_run(argv, 0, 10, loop_now_ms() + PLENTY_MS, &result, &err), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
	assert_non_null(strstr(err.cause, "/nonexistent/program"));
}

static void
a_program_that_is_not_there_is_an_error(void **state)
{
	(void)state;
	in_fiber(start_nothing, NULL);
}

static void
cancel(void *arg)
{
	struct child_result result;
	struct err err;

	(void)arg;
	fiber_cancel(fiber_self(), FIBER_DRAINING);
	assert_int_equal(run("sleep 600", PLENTY_MS, &result, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
}

static void
a_cancelled_fiber_ends_its_child(void **state)
{
	(void)state;
	in_fiber(cancel, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ends_are_told),
	    cmocka_unit_test(the_file_given_is_its_input),
	    cmocka_unit_test(a_program_that_is_not_there_is_an_error),
	    cmocka_unit_test(a_cancelled_fiber_ends_its_child),
	};

	return cmocka_run_group_tests(tests, NULL, in_fiber_teardown);
}
