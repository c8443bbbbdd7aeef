/* test_json_scan.c - what base/json_scan.h promises */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"

#define CHUNK                                                                                                \
	"{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":"      \
	"{\"content\":\"a\\n\\ud83d\\ude00}\"},\"finish_reason\":null}],\"usage\":null}"

/* A copy of exactly these bytes, so that sanitizers see a look behind them. */
static struct json_slice
exact(const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	return (struct json_slice){copy, len};
}

static bool
is_json(const char *text)
{
	struct json_slice s = exact(text);
	struct json_facts facts;
	bool ok = json_scan_check(s, &facts);

	free((void *)s.text);
	return ok;
}

static void
assert_slice(struct json_slice value, const char *expected)
{
	assert_int_equal(value.len, strlen(expected));
	assert_memory_equal(value.text, expected, value.len);
}

static void
members_are_found_where_they_stand(void **state)
{
	struct json_want wants[] = {
	    {.name = "id"}, {.name = "choices"}, {.name = "usage"}, {.name = "error"}, {.name = "index"}};
	struct json_slice s = exact(" " CHUNK "\r\n");

	(void)state;
	assert_int_equal(json_scan_object(s, wants, 5), 0);
	assert_slice(wants[0].value, "\"chatcmpl-1\"");
	assert_int_equal(wants[1].value.text[0], '[');
	assert_int_equal(wants[1].value.text[wants[1].value.len - 1], ']');
	assert_slice(wants[2].value, "null");
	assert_false(json_slice_given(wants[2].value));
	assert_int_equal(wants[3].value.len, 0);
	assert_int_equal(wants[4].value.len, 0);        /* not in the outermost object */
	free((void *)s.text);
}

static void
a_member_wanted_anywhere_is_found_inside_and_null_gives_way(void **state)
{
	struct json_want want = {.name = "finish_reason", .anywhere = true};
	const char *text = "{\"choices\":[{\"finish_reason\":\"stop\"},{\"finish_reason\":null}]}";

	(void)state;
	assert_int_equal(json_scan_object((struct json_slice){text, strlen(text)}, &want, 1), 0);
	assert_slice(want.value, "\"stop\"");
}

static void
names_are_compared_whole(void **state)
{
	struct json_want wants[] = {{.name = "id"}, {.name = "identity"}};
	const char *text = "{\"identit\":1,\"i\":2,\"idx\":3}";

	(void)state;
	assert_int_equal(json_scan_object((struct json_slice){text, strlen(text)}, wants, 2), 0);
	assert_int_equal(wants[0].value.len, 0);
	assert_int_equal(wants[1].value.len, 0);
}

static void
white_space_does_not_belong_to_a_value(void **state)
{
	struct json_want want = {.name = "a"};
	const char *text = "{ \"a\" :\t[1 , 2] \n , \"b\" : { } }";

	(void)state;
	assert_int_equal(json_scan_object((struct json_slice){text, strlen(text)}, &want, 1), 0);
	assert_slice(want.value, "[1 , 2]");
}

static void
elements_come_one_by_one(void **state)
{
	const char *text = "[ {\"a\":[1,2]} , \"x,y\",3 ]";
	struct json_slice rest = {text, strlen(text)}, element;

	(void)state;
	assert_true(json_scan_next(&rest, &element));
	assert_slice(element, "{\"a\":[1,2]}");
	assert_true(json_scan_next(&rest, &element));
	assert_slice(element, "\"x,y\"");
	assert_true(json_scan_next(&rest, &element));
	assert_slice(element, "3");
	assert_false(json_scan_next(&rest, &element));
	rest = (struct json_slice){"[]", 2};
	assert_false(json_scan_next(&rest, &element));
}

static void
the_grammar_is_that_of_the_rfc(void **state)
{
	static const char *const good[] = {
	    "{}", "[]", "0", "-0", "1.5e+10", "\"\\u00e9\\\\\"", "[[],{}]", " null ", "{\"\":[true,false]}", "1E5",
	};
	static const char *const bad[] = {
	    "", " ", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "[1,]", "[1 2]", "01", "1.", ".5", "+1", "--1",
	    "1e", "NaN", "Infinity", "tru", "nulL", "'a'", "\"\t\"", "\"\\x\"", "\"\\u12g4\"", "\"", "{\"a\":1}}",
	    "{}{}", "{a:1}", "\"\xC0\x80\"", "\"\xED\xA0\x80\"", "\"\\u12", "{\"a\":1 \"b\":2}", "[1}", "/**/1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!is_json(good[i]))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (is_json(bad[i]))
			fail_msg("taken: %s", bad[i]);
}

/* Strings are looked at several bytes at a time. */
static void
a_byte_that_a_string_cannot_hold_is_seen_wherever_it_stands(void **state)
{
	static const char wrong[] = {0x01, 0x1F, '\n', '"', '\\'};
	static const char right[] = {' ', '!', '#', '[', ']', 0x7F};

	(void)state;
	for (size_t len = 1; len < 40; len++) {
		for (size_t at = 0; at < len; at++) {
			char text[64] = "\"";

			memset(text + 1, 'x', len);
			memcpy(text + 1 + len, "\"", 2);
			for (size_t i = 0; i < sizeof(wrong); i++) {
				text[1 + at] = wrong[i];
				/* a backslash before the last quote, or before an x, is as wrong */
				assert_false(is_json(text));
			}
			for (size_t i = 0; i < sizeof(right); i++) {
				text[1 + at] = right[i];
				assert_true(is_json(text));
			}
		}
	}
}

static void
every_beginning_of_a_chunk_is_refused(void **state)
{
	char text[] = CHUNK;

	(void)state;
	for (size_t len = 0; len < strlen(CHUNK); len++) {
		text[len] = '\0';
		assert_false(is_json(text));
		text[len] = CHUNK[len];
	}
	assert_true(is_json(text));
}

static void
nesting_is_bounded(void **state)
{
	char text[2 * (JSON_SCAN_DEPTH_MAX + 1) + 1] = {0};

	(void)state;
	memset(text, '[', JSON_SCAN_DEPTH_MAX);
	memset(text + JSON_SCAN_DEPTH_MAX, ']', JSON_SCAN_DEPTH_MAX);
	assert_true(is_json(text));
	memset(text, '[', JSON_SCAN_DEPTH_MAX + 1);
	memset(text + JSON_SCAN_DEPTH_MAX + 1, ']', JSON_SCAN_DEPTH_MAX + 1);
	assert_false(is_json(text));
}

static void
oddities_are_told_with_their_place(void **state)
{
	struct json_facts facts;
	const char *half = "{\"a\":\"\\ud83d\"}", *nul = "{\"a\\u0000\":1,\"b\":{\"c\":2}}";

	(void)state;
	assert_true(json_scan_check((struct json_slice){half, strlen(half)}, &facts));
	assert_string_equal(facts.oddity, "half a surrogate pair");
	assert_int_equal(facts.oddity_at, 6);
	assert_true(json_scan_check((struct json_slice){nul, strlen(nul)}, &facts));
	assert_string_equal(facts.oddity, "a NUL character");
	assert_int_equal(facts.members, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(members_are_found_where_they_stand),
	    cmocka_unit_test(a_member_wanted_anywhere_is_found_inside_and_null_gives_way),
	    cmocka_unit_test(names_are_compared_whole),
	    cmocka_unit_test(white_space_does_not_belong_to_a_value),
	    cmocka_unit_test(elements_come_one_by_one),
	    cmocka_unit_test(the_grammar_is_that_of_the_rfc),
	    cmocka_unit_test(a_byte_that_a_string_cannot_hold_is_seen_wherever_it_stands),
	    cmocka_unit_test(every_beginning_of_a_chunk_is_refused),
	    cmocka_unit_test(nesting_is_bounded),
	    cmocka_unit_test(oddities_are_told_with_their_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
