/* test_usage_table.c - sums that processes have together, whoever is killed */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork_tied.h"
#include "runtime/shm.h"
#include "store/usage_table.h"

#define ADA "0b1f3c1a-94d5-4c5e-8f0e-6a8a1d3b2c4d"
#define BEA "1b1f3c1a-94d5-4c5e-8f0e-6a8a1d3b2c4d"
#define CHILDREN 3
#define ADDED 20000

static const struct usage_sums one = {.requests = 1, .prompt_tokens = 10, .completion_tokens = 5, .tool_calls = 2, .errors = 1};

static int
set_up(void **state)
{
	char name[64];
	struct err err;

	(void)state;
	snprintf(name, sizeof(name), "/bakame-unit-usage-%d", (int)getpid());
	shm_unlink(name);
	return shm_start(name, &err);
}

static int
tear_down(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "/bakame-unit-usage-%d", (int)getpid());
	shm_stop();
	return shm_unlink(name);
}

static int64_t
number_of(struct json_object *row, const char *name)
{
	return json_object_get_int64(json_object_object_get(row, name));
}

/* The requests in the sealed table; how many rows there are. */
static int64_t
requests_in(uint64_t number, size_t *rows_r)
{
	int64_t requests = 0;

	*rows_r = 0;
	for (size_t part = 0; part < USAGE_PARTS; part++) {
		char id[IDENT_BYTES];
		struct json_object *rows = usage_table_read(number, part, id);

		assert_true(ident_is_valid(id));
		for (size_t i = 0; rows != NULL && i < json_object_array_length(rows); i++, ++*rows_r) {
			struct json_object *row = json_object_array_get_idx(rows, i);

			requests += number_of(row, "requests");
			assert_int_equal(number_of(row, "prompt_tokens"), 10 * number_of(row, "requests"));
		}
		json_object_put(rows);
	}
	return requests;
}

/* Whatever is there, until nothing is. */
static int64_t
drain(void)
{
	int64_t requests = 0;
	uint64_t number;
	size_t rows;

	while (usage_table_seal(&number)) {
		while (usage_table_is_busy(number))
			usleep(100);
		requests += requests_in(number, &rows);
		usage_table_clear(number);
	}
	return requests;
}

static void
what_is_added_is_read_once_it_is_sealed_and_gone_once_it_is_cleared(void **state)
{
	uint64_t first, again, second;
	size_t rows;

	(void)state;
	assert_false(usage_table_is_used());
	assert_false(usage_table_seal(&first));
	usage_table_add(5, ADA, &one);
	usage_table_add(5, ADA, &one);
	usage_table_add(6, ADA, &one);
	usage_table_add(5, "", &one);
	assert_true(usage_table_is_used());
	assert_true(usage_table_seal(&first));
	assert_false(usage_table_is_busy(first));
	/* what comes now is for the next time */
	usage_table_add(5, BEA, &one);
	assert_true(usage_table_seal(&again));
	assert_true(again == first);
	assert_int_equal(requests_in(first, &rows), 4);
	assert_int_equal(rows, 3);
	usage_table_clear(first);
	assert_int_equal(requests_in(first, &rows), 0);
	assert_true(usage_table_seal(&second));
	assert_true(second != first);
	assert_int_equal(requests_in(second, &rows), 1);
	/* too late: another has cleared it */
	usage_table_clear(first);
	assert_int_equal(requests_in(second, &rows), 1);
	usage_table_clear(second);
	assert_false(usage_table_is_used());
}

static void
a_part_has_the_same_id_for_everybody_and_no_two_parts_have_one(void **state)
{
	char id[IDENT_BYTES], again[IDENT_BYTES], other[IDENT_BYTES], later[IDENT_BYTES];
	uint64_t number;

	(void)state;
	usage_table_add(5, ADA, &one);
	assert_true(usage_table_seal(&number));
	json_object_put(usage_table_read(number, 0, id));
	json_object_put(usage_table_read(number, 0, again));
	json_object_put(usage_table_read(number, 1, other));
	assert_string_equal(id, again);
	assert_string_not_equal(id, other);
	usage_table_clear(number);
	usage_table_add(5, ADA, &one);
	assert_true(usage_table_seal(&number));
	json_object_put(usage_table_read(number, 0, later));
	assert_string_not_equal(id, later);
	assert_int_equal(drain(), 1);
}

static void
more_people_than_there_is_room_for_are_not_counted(void **state)
{
	char id[IDENT_BYTES];
	uint64_t number;
	size_t rows;

	(void)state;
	for (unsigned i = 0; i < USAGE_ENTRIES_MAX + 500; i++) {
		snprintf(id, sizeof(id), "%08x-94d5-4c5e-8f0e-6a8a1d3b2c4d", i);
		usage_table_add(5, id, &one);
	}
	snprintf(id, sizeof(id), "%08x-94d5-4c5e-8f0e-6a8a1d3b2c4d", 7);
	usage_table_add(5, id, &one);
	assert_true(usage_table_seal(&number));
	assert_int_equal(requests_in(number, &rows), USAGE_ENTRIES_MAX + 1);
	assert_int_equal(rows, USAGE_ENTRIES_MAX);
	usage_table_clear(number);
	assert_int_equal(drain(), 0);
	assert_false(usage_table_is_used());
}

static pid_t
start_adding(unsigned count)
{
	pid_t pid = fork_tied();

	if (pid == 0) {
		for (unsigned i = 0; i < count; i++)
			usage_table_add(5 + i % 3, i % 2 == 0 ? ADA : BEA, &one);
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void
nothing_is_lost_or_doubled_while_others_add(void **state)
{
	pid_t pids[CHILDREN];
	int64_t sum = 0;

	(void)state;
	for (int i = 0; i < CHILDREN; i++)
		pids[i] = start_adding(ADDED);
	for (int i = 0; i < CHILDREN; i++)
		while (waitpid(pids[i], NULL, WNOHANG) == 0)
			sum += drain();
	sum += drain();
	assert_int_equal(sum, CHILDREN * ADDED);
}

static void
who_is_killed_takes_nothing_along_and_stops_nobody(void **state)
{
	uint64_t number;
	size_t rows;

	(void)state;
	for (int i = 0; i < 20; i++) {
		pid_t pid = start_adding(UINT32_MAX);

		while (!usage_table_is_used())
			usleep(100);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		assert_true(usage_table_seal(&number));
		/* one that was killed in the middle may seem to go on for ever, and its last sums differ */
		for (size_t part = 0; part < USAGE_PARTS; part++) {
			char id[IDENT_BYTES];

			json_object_put(usage_table_read(number, part, id));
		}
		usage_table_clear(number);
		assert_false(usage_table_is_used());
		usage_table_add(5, ADA, &one);
		assert_true(usage_table_seal(&number));
		assert_int_equal(requests_in(number, &rows), 1);
		usage_table_clear(number);
	}
}

static void
one_at_a_time_writes(void **state)
{
	(void)state;
	assert_true(usage_table_lease(60000));
	assert_false(usage_table_lease(60000));
	assert_true(usage_table_lease(-1));
	assert_true(usage_table_lease(60000));
	assert_true(usage_table_lease(-1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_added_is_read_once_it_is_sealed_and_gone_once_it_is_cleared),
	    cmocka_unit_test(a_part_has_the_same_id_for_everybody_and_no_two_parts_have_one),
	    cmocka_unit_test(more_people_than_there_is_room_for_are_not_counted),
	    cmocka_unit_test(nothing_is_lost_or_doubled_while_others_add),
	    cmocka_unit_test(who_is_killed_takes_nothing_along_and_stops_nobody),
	    cmocka_unit_test(one_at_a_time_writes),
	};

	return sodium_init() == -1 ? 1 : cmocka_run_group_tests(tests, set_up, tear_down);
}
