/* test_shm.c - sections are the same in every process, and sound whatever dies */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fork_tied.h"
#include "runtime/shm.h"

/* An unprivileged user, as nobody is everywhere. */
#define NOBODY 65534

static char name[64];

static int
pick_name(void **state)
{
	(void)state;
	snprintf(name, sizeof(name), "/bakame-unit-shm-%ld", (long)getpid());
	shm_unlink(name);       /* of one that was killed and had the same number */
	return 0;
}

static int
remove_object(void **state)
{
	(void)state;
	shm_stop();
	shm_unlink(name);
	return 0;
}

static void
start(void)
{
	struct err err;

	assert_int_equal(shm_start(name, &err), 0);
	assert_true(shm_is_shared());
}

/* Run fn in a process of its own, which maps the object anew; its exit status. */
static int
in_child(int (*fn)(void))
{
	pid_t child = fork_tied();
	int status;

	if (child == 0) {
		struct err err;

		shm_stop();
		_exit(shm_start(name, &err) == 0 ? fn() : 100);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

/* ---- one object, many processes ---- */

static void
a_section_starts_as_zeros_and_stays_where_it_is(void **state)
{
	static const char zeros[4096];
	char *section;

	(void)state;
	start();
	section = shm_section("test.1", sizeof(zeros));
	assert_memory_equal(section, zeros, sizeof(zeros));
	section[0] = 'x';
	assert_ptr_equal(shm_section("test.1", sizeof(zeros)), section);
}

static int
read_and_answer(void)
{
	char *section = shm_section("talk.1", 100);

	if (strcmp(section, "hello") != 0)
		return 1;
	memcpy(section + 5, " world", 7);
	return 0;
}

static void
two_processes_see_the_same_section(void **state)
{
	char *section;

	(void)state;
	start();
	section = shm_section("talk.1", 100);
	memcpy(section, "hello", 6);
	assert_int_equal(in_child(read_and_answer), 0);
	assert_string_equal(section, "hello world");
}

static int
leave_a_mark(void)
{
	shm_section("first.1", 10000);
	memcpy(shm_section("mark.1", 16), "was here", 9);
	return 0;
}

static void
a_section_survives_all_its_processes(void **state)
{
	(void)state;
	assert_int_equal(in_child(leave_a_mark), 0);
	start();
	assert_string_equal(shm_section("mark.1", 16), "was here");
	shm_stop();
	assert_false(shm_is_shared());
	start();
	assert_string_equal(shm_section("mark.1", 16), "was here");
}

static void
other_name_or_other_size_is_another_section(void **state)
{
	char *a, *b, *c;

	(void)state;
	start();
	a = shm_section("a.1", 5000);
	b = shm_section("a.2", 5000);
	c = shm_section("a.1", 5001);
	memset(a, 'a', 5000);
	memset(b, 'b', 5000);
	memset(c, 'c', 5001);
	for (size_t i = 0; i < 5000; i++)
		assert_true(a[i] == 'a' && b[i] == 'b' && c[i] == 'c');
}

#define RACERS 8
#define LAPS 2000

static int
race(void)
{
	for (int i = 0; i < LAPS; i++)
		atomic_fetch_add((_Atomic int *)shm_section("race.1", sizeof(int)), 1);
	return 0;
}

static void
first_comers_at_the_same_time_share_one_section(void **state)
{
	pid_t racers[RACERS];
	struct err err;

	(void)state;
	for (size_t i = 0; i < RACERS; i++) {
		racers[i] = fork_tied();
		if (racers[i] == 0)
			_exit(shm_start(name, &err) == 0 ? race() : 1);
	}
	for (size_t i = 0; i < RACERS; i++) {
		int status;

		assert_int_equal(waitpid(racers[i], &status, 0), racers[i]);
		assert_int_equal(status, 0);
	}
	start();
	assert_int_equal(*(int *)shm_section("race.1", sizeof(int)), RACERS * LAPS);
}

/* ---- no room, no object ---- */

static int
write_and_fail(void *memory, void *arg)
{
	(void)arg;
	if (shm_is_shared())
		memset(memory, 0xA5, 3 * 4096);
	return -1;
}

static int
write_and_die(void *memory, void *arg)
{
	(void)write_and_fail(memory, arg);
	_exit(0);
}

static int
die_while_making(void)
{
	(void)shm_section_made("died.1", 3 * 4096, write_and_die, NULL);
	return 1;
}

static void
what_was_never_finished_leaves_nothing_to_the_next(void **state)
{
	static const char zeros[4096];

	(void)state;
	start();
	(void)shm_section_made("failed.1", 3 * 4096, write_and_fail, NULL);
	assert_memory_equal(shm_section("next.1", sizeof(zeros)), zeros, sizeof(zeros));
	assert_int_equal(in_child(die_while_making), 0);
	for (int i = 0; i < 3; i++) {
		char section_name[32];

		snprintf(section_name, sizeof(section_name), "after.%d", i);
		assert_memory_equal(shm_section(section_name, sizeof(zeros)), zeros, sizeof(zeros));
	}
}

/* Workers that do not see each other any more, limits that count for each alone: somebody has to know. */
static void
a_section_without_room_is_told_once(void **state)
{
	FILE *file = tmpfile();
	int stderr_fd = dup(STDERR_FILENO);
	char text[2000], *told;

	(void)state;
	start();
	assert_non_null(file);
	assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
	for (int i = 0; i < 3; i++)
		(void)shm_section("vast.1", (size_t)256 * 1024 * 1024);
	(void)shm_section("small.1", 10);
	assert_int_equal(dup2(stderr_fd, STDERR_FILENO), STDERR_FILENO);
	close(stderr_fd);
	rewind(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	told = strstr(text, "section=vast.1");
	assert_non_null(told);
	assert_null(strstr(told + 1, "section="));
}

static void
without_room_a_section_is_private(void **state)
{
	char *shared, *huge, section_name[32];

	(void)state;
	start();
	shared = shm_section("small.1", 10);
	huge = shm_section("huge.1", (size_t)256 * 1024 * 1024);
	assert_non_null(huge);
	huge[0] = 'x';
	assert_ptr_equal(shm_section("huge.1", (size_t)256 * 1024 * 1024), huge);
	for (int i = 0; i < 100; i++) {
		char *section;

		snprintf(section_name, sizeof(section_name), "many.%d", i);
		section = shm_section(section_name, 10);
		assert_non_null(section);
		assert_int_equal(section[0], 0);
		section[0] = 'x';
		assert_ptr_equal(shm_section(section_name, 10), section);
	}
	assert_int_equal(shared[0], 0);
	assert_ptr_equal(shm_section("small.1", 10), shared);
}

static void
without_an_object_sections_are_private(void **state)
{
	static const char zeros[100];
	struct err err = {0};
	char *a;

	(void)state;
	assert_int_equal(shm_start("/no/such/name", &err), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
	assert_non_null(strstr(err.message, "/no/such/name"));
	assert_false(shm_is_shared());
	a = shm_section("a.1", sizeof(zeros));
	assert_memory_equal(a, zeros, sizeof(zeros));
	a[0] = 'x';
	assert_ptr_equal(shm_section("a.1", sizeof(zeros)), a);
	assert_ptr_not_equal(shm_section("b.1", sizeof(zeros)), a);
	assert_ptr_not_equal(shm_section("a.1", sizeof(zeros) + 1), a);
}

static int
start_as_nobody(void)
{
	struct err err = {0};

	if (geteuid() == 0 && setuid(NOBODY) != 0)
		return 10;
	if (shm_start(name, &err) != -1)
		return 1;
	if (strstr(err.message, "ermission") == NULL || shm_is_shared())
		return 2;
	return shm_section("a.1", 10) != NULL ? 0 : 3;
}

static void
an_object_of_somebody_else_is_an_error_and_left_alone(void **state)
{
	int fd = shm_open(name, O_RDWR | O_CREAT, 0600);
	struct stat st;
	pid_t child;
	int status;

	(void)state;
	assert_int_not_equal(fd, -1);
	assert_int_equal(fchmod(fd, 0), 0);
	child = fork_tied();
	if (child == 0)
		_exit(start_as_nobody());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 0);
	close(fd);
}

static void
the_object_is_for_its_owner_only(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	start();
	fd = shm_open(name, O_RDONLY, 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	close(fd);
}

/* ---- death at any instant ---- */

#define SECTIONS 24
#define SECTION_BYTES 8192
#define KILLS 60

static void
section_name(char out[16], unsigned i)
{
	snprintf(out, 16, "kill.%u", i);
}

/* Make sections, each marked with its number, until killed. */
static void
create_until_killed(void)
{
	char text[16];
	struct err err;

	if (shm_start(name, &err) == -1)
		_exit(1);
	for (unsigned i = 0; i < SECTIONS; i++) {
		unsigned char *section;

		section_name(text, i);
		section = shm_section(text, SECTION_BYTES);
		memset(section, (int)i + 1, SECTION_BYTES);
	}
	for (;;)
		(void)shm_section("kill.0", SECTION_BYTES);
}

/* Whatever the dead one had finished is there; each section is apart from the others. */
static void
check_sections(void)
{
	unsigned char *sections[SECTIONS];
	char text[16];

	start();
	for (unsigned i = 0; i < SECTIONS; i++) {
		section_name(text, i);
		sections[i] = shm_section(text, SECTION_BYTES);
		for (size_t at = 0; at < SECTION_BYTES; at++)
			assert_true(sections[i][at] == 0 || sections[i][at] == i + 1);
	}
	for (unsigned i = 0; i < SECTIONS; i++)
		memset(sections[i], (int)i + 101, SECTION_BYTES);
	for (unsigned i = 0; i < SECTIONS; i++)
		assert_true(sections[i][0] == i + 101 && sections[i][SECTION_BYTES - 1] == i + 101);
}

static void
a_process_killed_while_making_sections_leaves_them_sound(void **state)
{
	(void)state;
	for (long i = 0; i < KILLS; i++) {
		const struct timespec pause = {.tv_nsec = i * 20000};
		pid_t child = fork_tied();

		if (child == 0)
			create_until_killed();
		nanosleep(&pause, NULL);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, NULL, 0), child);
		alarm(120);                     /* should its lock still be held */
		check_sections();
		alarm(0);
		remove_object(NULL);
	}
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, pick_name, remove_object)
	const struct CMUnitTest tests[] = {
	    TEST(a_section_starts_as_zeros_and_stays_where_it_is),
	    TEST(two_processes_see_the_same_section),
	    TEST(a_section_survives_all_its_processes),
	    TEST(other_name_or_other_size_is_another_section),
	    TEST(first_comers_at_the_same_time_share_one_section),
	    TEST(what_was_never_finished_leaves_nothing_to_the_next),
	    TEST(a_section_without_room_is_told_once),
	    TEST(without_room_a_section_is_private),
	    TEST(without_an_object_sections_are_private),
	    TEST(an_object_of_somebody_else_is_an_error_and_left_alone),
	    TEST(the_object_is_for_its_owner_only),
	    TEST(a_process_killed_while_making_sections_leaves_them_sound),
	};

	return cmocka_run_group_tests_name("shm", tests, NULL, NULL);
}
