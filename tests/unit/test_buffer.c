/* test_buffer.c - what base/buffer.h promises */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"

static void
holds_what_was_added_and_a_nul_behind_it(void **state)
{
	struct buffer b = BUFFER_INIT(100);

	(void)state;
	assert_int_equal(buffer_append(&b, "ab\0c", 4), 0);
	assert_int_equal(buffer_append_text(&b, "de"), 0);
	assert_int_equal(buffer_printf(&b, "%d!", 42), 0);
	assert_int_equal(b.len, 9);
	assert_memory_equal(b.data, "ab\0cde42!", 10);
	buffer_free(&b);
}

static void
takes_exactly_its_maximum(void **state)
{
	struct buffer b = BUFFER_INIT(5);

	(void)state;
	assert_int_equal(buffer_append_text(&b, "12345"), 0);
	assert_int_equal(buffer_append(&b, "", 0), 0);
	assert_int_equal(buffer_append_text(&b, "6"), -1);
	assert_string_equal(b.data, "12345");
	buffer_free(&b);
}

static void
adds_nothing_of_what_is_too_much(void **state)
{
	struct buffer b = BUFFER_INIT(8);

	(void)state;
	assert_int_equal(buffer_append_text(&b, "abcd"), 0);
	assert_int_equal(buffer_append_text(&b, "efghi"), -1);
	assert_int_equal(buffer_printf(&b, "%s", "efghi"), -1);
	assert_string_equal(b.data, "abcd");
	assert_int_equal(buffer_append_text(&b, "efgh"), 0);
	assert_string_equal(b.data, "abcdefgh");
	buffer_free(&b);
}

static void
a_length_that_would_overflow_is_refused(void **state)
{
	struct buffer b = BUFFER_INIT(SIZE_MAX / 2);

	(void)state;
	assert_int_equal(buffer_append_text(&b, "x"), 0);
	assert_int_equal(buffer_reserve(&b, SIZE_MAX), -1);
	assert_int_equal(buffer_reserve(&b, SIZE_MAX / 2), -1);
	assert_int_equal(b.len, 1);
	buffer_free(&b);
}

static void
grows_over_many_additions(void **state)
{
	struct buffer b = BUFFER_INIT(70000);

	(void)state;
	for (int i = 0; i < 7000; i++)
		assert_int_equal(buffer_append(&b, "0123456789", 10), 0);
	assert_int_equal(b.len, 70000);
	assert_memory_equal(b.data + 69990, "0123456789", 11);
	assert_int_equal(buffer_append(&b, "x", 1), -1);
	buffer_free(&b);
}

static void
reserved_room_can_be_written_directly(void **state)
{
	struct buffer b = BUFFER_INIT(1000);

	(void)state;
	assert_int_equal(buffer_reserve(&b, 1000), 0);
	assert_true(b.cap > 1000);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	memset(b.data, 'x', 1000);
	buffer_free(&b);
}

static void
consuming_drops_from_the_front(void **state)
{
	struct buffer b = BUFFER_INIT(100);

	(void)state;
	buffer_consume(&b, 0);
	assert_null(b.data);
	assert_int_equal(buffer_append_text(&b, "hello world"), 0);
	buffer_consume(&b, 6);
	assert_string_equal(b.data, "world");
	assert_int_equal(b.len, 5);
	buffer_consume(&b, 5);
	assert_string_equal(b.data, "");
	assert_int_equal(buffer_append_text(&b, "again"), 0);
	assert_string_equal(b.data, "again");
	buffer_free(&b);
}

static void
freed_it_is_empty_with_the_same_maximum(void **state)
{
	struct buffer b = BUFFER_INIT(3);

	(void)state;
	assert_int_equal(buffer_append_text(&b, "abc"), 0);
	buffer_free(&b);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	assert_int_equal(b.max, 3);
	assert_int_equal(buffer_append_text(&b, "xyz"), 0);
	assert_string_equal(b.data, "xyz");
	buffer_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_what_was_added_and_a_nul_behind_it),
		cmocka_unit_test(takes_exactly_its_maximum),
		cmocka_unit_test(adds_nothing_of_what_is_too_much),
		cmocka_unit_test(a_length_that_would_overflow_is_refused),
		cmocka_unit_test(grows_over_many_additions),
		cmocka_unit_test(reserved_room_can_be_written_directly),
		cmocka_unit_test(consuming_drops_from_the_front),
		cmocka_unit_test(freed_it_is_empty_with_the_same_maximum),
	};

	return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
