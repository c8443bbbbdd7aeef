/* test_crash.c - what a process that dies leaves behind for the others to tell */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <execinfo.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "telemetry/crash.h"

/* More than there are places for; all together few enough for the log to hold none back. */
#define CRASHES 9
/* Automake's for a test that was skipped. */
#define SKIP_STATUS 77

static void *memory;
static bool stack_is_broken;
static volatile int *volatile nowhere;  /* NULL, which the compiler is not to know */

/* In the place of the C library's: of a stack that cannot be walked, the walk is a crash itself. */
int
backtrace(void **frames, int max)
{
	(void)frames;
	(void)max;
	if (stack_is_broken)
		*nowhere = 1;
	return 0;
}

static pid_t
crash_in_child(bool broken)
{
	const struct rlimit none = {0, 0};
	pid_t child = fork();
	int status;

	if (child == 0) {
		/* no core: valgrind goes by the first, and by the second the kernel, which may have a program that wants them */
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)prctl(PR_SET_DUMPABLE, 0);
		crash_install(memory, "tester");        /* cmocka has put its own handlers before ours */
		stack_is_broken = broken;
		raise(SIGSEGV);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	return child;
}

/* All that crash_report() has to say. */
static void
report(char *text, size_t size)
{
	FILE *file = tmpfile();
	int stderr_fd = dup(STDERR_FILENO);

	assert_non_null(file);
	assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
	crash_report();
	assert_int_equal(dup2(stderr_fd, STDERR_FILENO), STDERR_FILENO);
	close(stderr_fd);
	rewind(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
}

static void
expect_told(pid_t pid)
{
	char text[4000], words[40];

	report(text, sizeof(text));
	snprintf(words, sizeof(words), " crashed_pid=%ld ", (long)pid);
	if (strstr(text, words) == NULL || strstr(text, "Segmentation fault") == NULL || strstr(text, "program=tester") == NULL)
		fail_msg("no \"%s\" in: %s", words, text);
	report(text, sizeof(text));
	assert_string_equal(text, "");          /* once */
}

static void
each_crash_is_told_once(void **state)
{
	(void)state;
	for (int i = 0; i < CRASHES; i++)
		expect_told(crash_in_child(false));
}

static void
one_that_dies_while_it_writes_is_told_too(void **state)
{
	(void)state;
	for (int i = 0; i < CRASHES; i++)
		expect_told(crash_in_child(true));
}

/* What raise() and abort() send has in its place who sent it. */
static void
an_address_is_one_or_none(void **state)
{
	char text[4000];

	(void)state;
	crash_in_child(false);
	report(text, sizeof(text));
	assert_non_null(strstr(text, " address=0x0 "));
}

static int
start(void **state)
{
	(void)state;
	memory = mmap(NULL, crash_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	crash_install(memory, "tester");
	return memory == MAP_FAILED ? -1 : 0;
}

static int
stop(void **state)
{
	(void)state;
	crash_remove();
	return munmap(memory, crash_size());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(each_crash_is_told_once, start, stop),
	    cmocka_unit_test_setup_teardown(one_that_dies_while_it_writes_is_told_too, start, stop),
	    cmocka_unit_test_setup_teardown(an_address_is_one_or_none, start, stop),
	};

#ifdef __SANITIZE_ADDRESS__
	puts("SKIPPED tests/unit/test_crash.c: in an ASan build ASan tells of crashes");
	return SKIP_STATUS;
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
