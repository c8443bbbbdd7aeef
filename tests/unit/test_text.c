/* test_text.c - what base/text.h promises */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define E_ACUTE "\xC3\xA9"
#define EURO "\xE2\x82\xAC"
#define SMILE "\xF0\x9F\x98\x80"

static void
copying_says_whether_all_fitted(void **state)
{
	char out[6];

	(void)state;
	assert_true(text_copy(out, sizeof(out), "12345"));
	assert_string_equal(out, "12345");
	assert_false(text_copy(out, sizeof(out), "123456"));
	assert_string_equal(out, "12345");
	assert_true(text_copy(out, sizeof(out), ""));
	assert_string_equal(out, "");
}

static void
copying_cuts_at_a_character(void **state)
{
	char out[6];

	(void)state;
	assert_false(text_copy(out, sizeof(out), "123" EURO));
	assert_string_equal(out, "123");
	assert_false(text_copy(out, sizeof(out), "1" E_ACUTE E_ACUTE E_ACUTE));
	assert_string_equal(out, "1" E_ACUTE E_ACUTE);
	assert_false(text_copy(out, sizeof(out), "12" SMILE));
	assert_string_equal(out, "12");
	assert_false(text_copy(out, 1, "x"));
	assert_string_equal(out, "");
}

static void
trimming_removes_only_incomplete_ends(void **state)
{
	static const struct {
		const char *before, *after;
	} cases[] = {
		{"", ""}, {"a", "a"}, {"a" E_ACUTE, "a" E_ACUTE}, {"a\xC3", "a"},
		{"a\xE2\x82", "a"}, {"a\xE2", "a"}, {"a" EURO, "a" EURO},
		{"\xF0\x9F\x98", ""}, {SMILE, SMILE}, {E_ACUTE "\xF0", E_ACUTE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[16];

		memcpy(text, cases[i].before, strlen(cases[i].before) + 1);
		text_trim_partial_utf8(text);
		assert_string_equal(text, cases[i].after);
	}
}

static void
utf8_is_what_rfc_3629_allows(void **state)
{
	static const char *const good[] = {
		"", "plain", E_ACUTE EURO SMILE, "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80",
		"\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF",
	};
	static const char *const bad[] = {
		"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xC2\xC2",
		"\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xE2\x82", "\xE2\x28\xA1",
		"\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF0\x9F\x98", "\xFE", "\xFF",
		"a\xC3", "caf\xE9 au lait",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(text_is_utf8(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(text_is_utf8(bad[i], strlen(bad[i])));
	assert_true(text_is_utf8("a\0b", 3));
	assert_false(text_is_utf8(EURO, 2));
}

static void
the_end_of_valid_utf8_is_found(void **state)
{
	(void)state;
	assert_int_equal(text_valid_utf8("", 0), 0);
	assert_int_equal(text_valid_utf8("a" EURO, 4), 4);
	assert_int_equal(text_valid_utf8("a" EURO, 3), 1);
	assert_int_equal(text_valid_utf8(E_ACUTE "\xFFz", 4), 2);
	assert_int_equal(text_valid_utf8(SMILE "\xED\xA0\x80", 7), 4);
}

static void
numbers_are_whole_and_within_bounds(void **state)
{
	static const char *const bad[] = {
		"", " 1", "1 ", "+1", "1.0", "1e3", "0x10", "-", "--1", "one", "1\n",
		"9223372036854775808", "-9223372036854775809",
	};
	int64_t value = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(text_to_int64(bad[i], INT64_MIN, INT64_MAX, &value), -1);
	assert_int_equal(text_to_int64("11", 1, 10, &value), -1);
	assert_int_equal(text_to_int64("0", 1, 10, &value), -1);
	assert_int_equal(value, 77);
	assert_int_equal(text_to_int64("10", 1, 10, &value), 0);
	assert_int_equal(value, 10);
	assert_int_equal(text_to_int64("-5", -5, 10, &value), 0);
	assert_int_equal(value, -5);
	assert_int_equal(text_to_int64("9223372036854775807", INT64_MIN, INT64_MAX, &value), 0);
	assert_true(value == INT64_MAX);
	assert_int_equal(text_to_int64("007", 0, 10, &value), 0);
	assert_int_equal(value, 7);
}

static void
percent_escapes_are_decoded(void **state)
{
	char text[] = "a%20b%2Fc%c3%A9%25+";

	(void)state;
	assert_int_equal(text_percent_decode(text), 0);
	assert_string_equal(text, "a b/c" E_ACUTE "%+");
}

static void
broken_escapes_and_nul_are_refused(void **state)
{
	static const char *const bad[] = {"%", "a%2", "%2", "%zz", "%2g", "%g2", "%%20", "%00", "a%00b"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[16];

		assert_true(text_copy(text, sizeof(text), bad[i]));
		assert_int_equal(text_percent_decode(text), -1);
	}
}

static void
lists_are_searched_by_whole_entry(void **state)
{
	(void)state;
	assert_true(text_list_has("gpt-4o", "gpt-4o"));
	assert_true(text_list_has("a, gpt-4o ,b", "gpt-4o"));
	assert_true(text_list_has("a,\tb", "b"));
	assert_true(text_list_has(",,a", "a"));
	assert_false(text_list_has("gpt-4o-mini", "gpt-4o"));
	assert_false(text_list_has("x-gpt-4o", "gpt-4o"));
	assert_false(text_list_has("a,b", "a,b"));
	assert_false(text_list_has("a,,b", ""));
	assert_false(text_list_has("", "a"));
	assert_false(text_list_has(" , ", "a"));
	assert_true(text_list_has("two words, x", "two words"));
}

static void
prefixes_are_compared_without_case(void **state)
{
	(void)state;
	assert_true(text_has_prefix_nocase("Bearer abc", "bearer "));
	assert_true(text_has_prefix_nocase("x", ""));
	assert_false(text_has_prefix_nocase("Bear", "bearer"));
	assert_false(text_has_prefix_nocase("a bearer", "bearer"));
}

/* The vectors of draft-eastlake-fnv. */
static void
texts_have_the_numbers_of_fnv_1a(void **state)
{
	(void)state;
	assert_int_equal(text_hash("", 0), 0x811c9dc5);
	assert_int_equal(text_hash("a", 0), 0xe40c292c);
	assert_int_equal(text_hash("foobar", 0), 0xbf9cf968);
	assert_int_not_equal(text_hash("a", 1), text_hash("a", 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copying_says_whether_all_fitted),
		cmocka_unit_test(copying_cuts_at_a_character),
		cmocka_unit_test(trimming_removes_only_incomplete_ends),
		cmocka_unit_test(utf8_is_what_rfc_3629_allows),
		cmocka_unit_test(the_end_of_valid_utf8_is_found),
		cmocka_unit_test(numbers_are_whole_and_within_bounds),
		cmocka_unit_test(percent_escapes_are_decoded),
		cmocka_unit_test(broken_escapes_and_nul_are_refused),
		cmocka_unit_test(lists_are_searched_by_whole_entry),
		cmocka_unit_test(prefixes_are_compared_without_case),
		cmocka_unit_test(texts_have_the_numbers_of_fnv_1a),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
