/* test_notify.c - what a supervisor is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/notify.h"

static int supervisor;
static char path[64];

/* Listen at `name`, "@" for an abstract one, as a supervisor would. */
static void
supervise(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(name);

	memcpy(address.sun_path, name, len);
	if (*name == '@')
		address.sun_path[0] = '\0';
	supervisor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(supervisor, (struct sockaddr *)&address,
	                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
	                 0);
	setenv("NOTIFY_SOCKET", name, 1);
}

static int
set_up(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/bakame-notify-%d", (int)getpid());
	unlink(path);           /* of one that was killed and had the same number */
	supervise(path);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	close(supervisor);
	unlink(path);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return 0;
}

static void
assert_told(const char *what)
{
	char text[512];
	ssize_t n = recv(supervisor, text, sizeof(text) - 1, 0);

	if (what == NULL) {
		assert_int_equal(n, -1);
		return;
	}
	assert_true(n > 0);
	text[n] = '\0';
	assert_string_equal(text, what);
}

static void
each_thing_is_one_message(void **state)
{
	(void)state;
	notify_ready();
	notify_status("%d streams", 7);
	notify_stopping(45);
	assert_told("READY=1");
	assert_told("STATUS=7 streams");
	assert_told("STOPPING=1\nEXTEND_TIMEOUT_USEC=45000000");
	assert_told(NULL);
}

static void
without_a_supervisor_nothing_happens(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_false(notify_wanted());
	notify_ready();
	setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	assert_false(notify_wanted());
	notify_ready();
	setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
	notify_ready();
	assert_told(NULL);
}

static void
an_abstract_address_will_do(void **state)
{
	char name[64];

	(void)state;
	close(supervisor);
	snprintf(name, sizeof(name), "@bakame-notify-%d", (int)getpid());
	supervise(name);
	assert_true(notify_wanted());
	notify_ready();
	assert_told("READY=1");
}

static void
an_address_that_is_too_long_is_left_alone(void **state)
{
	char name[300];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	notify_ready();
	assert_told(NULL);
}

static void
a_status_that_is_too_long_is_cut(void **state)
{
	char words[600], text[600];
	ssize_t n;

	(void)state;
	memset(words, 'w', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	notify_status("%s", words);
	n = recv(supervisor, text, sizeof(text), 0);
	assert_true(n > 100 && n < 300);
}

static void
the_watchdog_is_fed_only_by_whom_it_watches(void **state)
{
	char pid[16];

	(void)state;
	notify_alive();
	assert_told(NULL);
	setenv("WATCHDOG_USEC", "30000000", 1);
	notify_alive();
	assert_told("WATCHDOG=1");
	setenv("WATCHDOG_PID", "1", 1);
	notify_alive();
	assert_told(NULL);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	notify_alive();
	assert_told("WATCHDOG=1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(each_thing_is_one_message),
	    TEST(without_a_supervisor_nothing_happens),
	    TEST(an_abstract_address_will_do),
	    TEST(an_address_that_is_too_long_is_left_alone),
	    TEST(a_status_that_is_too_long_is_cut),
	    TEST(the_watchdog_is_fed_only_by_whom_it_watches),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
