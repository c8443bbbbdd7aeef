/* test_arena.c - what base/arena.h promises */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static char order[8];

static void
note(void *ptr)
{
	strncat(order, ptr, sizeof(order) - strlen(order) - 1);
}

static int
forget_notes(void **state)
{
	(void)state;
	order[0] = '\0';
	return 0;
}

static void
memory_is_zeroed_and_aligned(void **state)
{
	struct arena *a = arena_new(10000);

	(void)state;
	for (size_t size = 1; size < 40; size++) {
		unsigned char *p = arena_alloc(a, size);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xAA, size);
	}
	arena_free(&a);
}

static void
pieces_do_not_overlap(void **state)
{
	struct arena *a = arena_new(100000);
	unsigned char *pieces[100];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		pieces[i] = arena_alloc(a, 200);
		assert_non_null(pieces[i]);
		memset(pieces[i], (int)i, 200);
	}
	for (unsigned i = 0; i < 100; i++)
		for (unsigned j = 0; j < 200; j++)
			assert_int_equal(pieces[i][j], i);
	arena_free(&a);
}

static void
the_cap_is_kept_and_smaller_pieces_still_fit(void **state)
{
	struct arena *a = arena_new(1024);

	(void)state;
	assert_null(arena_alloc(a, 1025));
	assert_non_null(arena_alloc(a, 1008));
	assert_null(arena_alloc(a, 17));
	assert_non_null(arena_alloc(a, 16));
	assert_null(arena_alloc(a, 1));
	arena_free(&a);
}

static void
a_size_that_would_overflow_is_refused(void **state)
{
	struct arena *a = arena_new(SIZE_MAX);

	(void)state;
	assert_null(arena_alloc(a, SIZE_MAX));
	assert_null(arena_alloc(a, SIZE_MAX - 3));
	arena_free(&a);
}

static void
a_piece_larger_than_a_block_is_whole(void **state)
{
	struct arena *a = arena_new(1 << 20);
	char *p = arena_alloc(a, 500000);

	(void)state;
	assert_non_null(p);
	memset(p, 'x', 500000);
	arena_free(&a);
}

static void
texts_are_copied(void **state)
{
	struct arena *a = arena_new(4096);
	char text[] = "Kigali";
	char *whole = arena_strdup(a, text);
	char *part = arena_strndup(a, text, 3);
	char *printed = arena_printf(a, "%s-%d", text, 7);

	(void)state;
	text[0] = 'X';
	assert_string_equal(whole, "Kigali");
	assert_string_equal(part, "Kig");
	assert_string_equal(printed, "Kigali-7");
	arena_free(&a);
}

static void
texts_that_do_not_fit_are_null(void **state)
{
	struct arena *a = arena_new(16);

	(void)state;
	assert_null(arena_strdup(a, "more than sixteen bytes"));
	assert_null(arena_printf(a, "%100d", 1));
	assert_non_null(arena_strdup(a, "fifteen bytes.."));
	arena_free(&a);
}

static void
deferred_calls_run_last_first_and_once(void **state)
{
	struct arena *a = arena_new(4096);

	(void)state;
	assert_int_equal(arena_defer(a, note, (void *)"1"), 0);
	assert_int_equal(arena_defer(a, note, (void *)"2"), 0);
	assert_int_equal(arena_defer(a, note, (void *)"3"), 0);
	assert_string_equal(order, "");
	arena_free(&a);
	assert_string_equal(order, "321");
	assert_null(a);
	arena_free(&a);
	assert_string_equal(order, "321");
}

static void
deferred_calls_may_use_the_memory(void **state)
{
	struct arena *a = arena_new(4096);
	char *text = arena_strdup(a, "mine");

	(void)state;
	assert_int_equal(arena_defer(a, note, text), 0);
	arena_free(&a);
	assert_string_equal(order, "mine");
}

static void
what_cannot_be_deferred_runs_at_once(void **state)
{
	struct arena *a = arena_new(8);

	(void)state;
	assert_int_equal(arena_defer(a, note, (void *)"now"), -1);
	assert_string_equal(order, "now");
	arena_free(&a);
	assert_string_equal(order, "now");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_and_aligned),
		cmocka_unit_test(pieces_do_not_overlap),
		cmocka_unit_test(the_cap_is_kept_and_smaller_pieces_still_fit),
		cmocka_unit_test(a_size_that_would_overflow_is_refused),
		cmocka_unit_test(a_piece_larger_than_a_block_is_whole),
		cmocka_unit_test(texts_are_copied),
		cmocka_unit_test(texts_that_do_not_fit_are_null),
		cmocka_unit_test_setup(deferred_calls_run_last_first_and_once, forget_notes),
		cmocka_unit_test_setup(deferred_calls_may_use_the_memory, forget_notes),
		cmocka_unit_test_setup(what_cannot_be_deferred_runs_at_once, forget_notes),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
