/* test_json.c - what base/json.h promises */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/text.h"

/* Parse exactly these bytes, with nothing readable behind them. */
static struct json_object *
parse(const char *text, size_t len, struct err *err)
{
	char *exact = malloc(len > 0 ? len : 1);
	struct json_object *obj;

	assert_non_null(exact);
	memcpy(exact, text, len);
	*err = (struct err){0};
	obj = json_parse(exact, len, err);
	free(exact);
	return obj;
}

static void
assert_refused(const char *text, const char *part_of_message)
{
	struct err err;

	assert_null(parse(text, strlen(text), &err));
	assert_int_equal(err.code, ERR_INVALID_REQUEST);
	if (strstr(err.message, part_of_message) == NULL)
		fail_msg("\"%s\" has no \"%s\" (of %.60s)", err.message, part_of_message, text);
}

static void
assert_accepted(const char *text)
{
	struct err err;
	struct json_object *obj = parse(text, strlen(text), &err);

	if (obj == NULL)
		fail_msg("%s: %s", text, err.message);
	json_object_put(obj);
}

static char *
nested(size_t depth, char open, char close)
{
	char *text = malloc(2 * depth + 1);

	assert_non_null(text);
	memset(text, open, depth);
	memset(text + depth, close, depth);
	text[2 * depth] = '\0';
	return text;
}

static void
objects_and_arrays_are_read(void **state)
{
	(void)state;
	assert_accepted("{}");
	assert_accepted("[]");
	assert_accepted(" \r\n\t{\"a\":[1,-2.5e3,true,false,null,\"x\"]} \n");
	assert_accepted("{\"a\":{\"b\":1},\"c\":{\"b\":2}}");
	assert_accepted("{\"a:b\":\"c:d \\\" :\",\"e\\\\\":1}");
	assert_accepted("{\"t\":\"\\u00e9 \\ud83d\\ude00 caf\xC3\xA9\"}");
}

static void
what_is_no_json_is_refused_with_the_place(void **state)
{
	(void)state;
	assert_refused("{\"a\":1,}", "byte 7");
	assert_refused("{\"a\" 1}", "byte 5");
	assert_refused("{'a':1}", "byte 1");
	assert_refused("{\"a\":tru}", "byte");
	assert_refused("{\"a\":1", "byte 6");
	assert_refused("{\"a\":\"x", "byte 7");
	assert_refused("nonsense", "byte");
	assert_refused("{\"a\":NaN}", "byte");
	assert_refused("{\"a\":-Infinity}", "byte");
	assert_refused("{\"a\":1.}", "byte");
	assert_refused("{\"a\":01}", "byte");
	assert_refused("{\"a\":1}/* no */", "byte 7");
}

static void
an_empty_body_is_said_to_be_empty(void **state)
{
	(void)state;
	assert_refused("", "empty");
	assert_refused(" \n\t ", "empty");
}

static void
nothing_may_follow_the_value(void **state)
{
	(void)state;
	assert_refused("{} {}", "byte 3");
	assert_refused("{}x", "byte 2");
	assert_refused("[]]", "byte 2");
}

static void
the_value_must_be_an_object_or_array(void **state)
{
	(void)state;
	assert_refused("1", "not an object");
	assert_refused("\"text\"", "not an object");
	assert_refused("true", "not an object");
	assert_refused("null", "JSON");
}

static void
invalid_utf8_and_nul_are_refused(void **state)
{
	struct err err;

	(void)state;
	assert_refused("{\"a\":\"caf\xE9\"}", "byte 9");
	assert_refused("{\"a\":\"\xED\xA0\x80\"}", "byte 6");
	assert_refused("{\"a\":\"\xC0\x80\"}", "byte 6");
	assert_refused("{\"a\":\"\xF4\x90\x80\x80\"}", "byte 6");
	assert_refused("{\"a\":\"x\\u0000\"}", "NUL");
	assert_null(parse("{\"a\":\"x\0y\"}", 11, &err));
	assert_null(parse("{\"a\":1}\0", 8, &err));
	assert_null(parse("{\0}", 3, &err));
	assert_null(parse("\0", 1, &err));
}

static void
half_a_surrogate_pair_is_refused(void **state)
{
	(void)state;
	assert_refused("{\"a\":\"\\ud83d\"}", "byte 6");
	assert_refused("{\"a\":\"x\\ude00\"}", "byte 7");
	assert_refused("{\"a\":\"\\ud83d\\u0041\"}", "byte 6");
	assert_accepted("{\"a\":\"\\ud83d\\ude00\\\\ud83d\"}");
}

static void
control_characters_in_strings_are_refused(void **state)
{
	(void)state;
	assert_refused("{\"a\":\"x\ny\"}", "not JSON");
}

static void
nesting_has_a_limit(void **state)
{
	char *deep = nested(1000, '[', ']');
	char *fits = nested(JSON_DEPTH_MAX - 1, '[', ']');
	char *endless = nested(100000, '[', ' ');

	(void)state;
	assert_refused(deep, "byte");
	assert_refused(endless, "byte");
	assert_accepted(fits);
	free(deep);
	free(fits);
	free(endless);
}

static void
a_member_named_twice_is_refused(void **state)
{
	(void)state;
	assert_refused("{\"a\":1,\"a\":2}", "twice");
	assert_refused("{\"m\":[{\"role\":\"user\",\"role\":\"system\"}]}", "twice");
	assert_refused("{\"a\":1,\"\\u0061\":2}", "twice");
	assert_accepted("{\"a\":1,\"A\":2}");
}

static void
numbers_beyond_a_double_are_refused(void **state)
{
	(void)state;
	assert_refused("{\"n\":1e999}", "too large");
	assert_refused("{\"n\":[0,{\"x\":-1e999}]}", "too large");
	assert_accepted("{\"n\":1e308}");
	assert_accepted("{\"n\":123456789012345678901234567890}");
}

/* The message goes into the answer, which is JSON too. */
static void
a_long_name_is_cut_at_a_character_in_the_path(void **state)
{
	static const char eur[] = "\xE2\x82\xAC";
	char text[200], name[100] = "";
	struct err err;

	(void)state;
	for (int skip = 0; skip < 3; skip++) {
		memset(name, 'x', (size_t)skip);
		name[skip] = '\0';
		for (int i = 0; i < 20; i++)
			strcat(name, eur);
		snprintf(text, sizeof(text), "{\"%s\":{\"n\":1e999}}", name);
		assert_null(parse(text, strlen(text), &err));
		assert_non_null(strstr(err.message, ".n is a number"));
		assert_true(text_is_utf8(err.message, strlen(err.message)));
	}
}

static void
trusted_text_is_read_without_the_costly_checks(void **state)
{
	const char *good = "{\"a\":1,\"a\":2} ";
	struct json_object *obj = json_parse_trusted(good, strlen(good));

	(void)state;
	assert_non_null(obj);
	assert_int_equal(json_object_get_int(json_member(obj, "a", json_type_int)), 2);
	json_object_put(obj);
	assert_null(json_parse_trusted("{\"a\":", 5));
	assert_null(json_parse_trusted("{} x", 4));
	assert_null(json_parse_trusted("", 0));
	/* one that failed leaves nothing behind for the next */
	obj = json_parse_trusted("{\"b\":3}", 7);
	assert_non_null(obj);
	json_object_put(obj);
}

static void
members_are_found_by_name_and_type(void **state)
{
	struct err err;
	const char *text = "{\"s\":\"x\",\"n\":1,\"z\":null}";
	struct json_object *obj = parse(text, strlen(text), &err);

	(void)state;
	assert_string_equal(json_member_text(obj, "s"), "x");
	assert_null(json_member_text(obj, "n"));
	assert_null(json_member_text(obj, "none"));
	assert_null(json_member_text(obj, "z"));
	assert_non_null(json_member(obj, "n", json_type_int));
	assert_null(json_member(obj, "n", json_type_string));
	assert_null(json_member(NULL, "n", json_type_int));
	assert_null(json_member(json_member(obj, "n", json_type_int), "n", json_type_int));
	json_object_put(obj);
}

static void
text_is_plain_and_on_one_line(void **state)
{
	struct err err;
	const char *text = "{ \"url\" : \"http://x/y\",\n \"list\": [1, 2] }";
	struct json_object *obj = parse(text, strlen(text), &err);
	size_t len = 0;

	(void)state;
	assert_string_equal(json_text(obj, &len), "{\"url\":\"http://x/y\",\"list\":[1,2]}");
	assert_int_equal(len, 33);
	json_object_put(obj);
}

static void
kept_objects_live_as_long_as_the_arena(void **state)
{
	struct arena *a = arena_new(1000);
	struct arena *full = arena_new(4);
	struct json_object *obj = json_object_new_string("x");

	(void)state;
	assert_ptr_equal(json_keep(a, obj), obj);
	json_object_get(obj);
	arena_free(&a);
	/* the arena gave its reference back, so ours is the last */
	assert_int_equal(json_object_put(obj), 1);
	assert_null(json_keep(full, json_object_new_string("y")));
	assert_null(json_keep(full, NULL));
	arena_free(&full);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_and_arrays_are_read),
		cmocka_unit_test(what_is_no_json_is_refused_with_the_place),
		cmocka_unit_test(an_empty_body_is_said_to_be_empty),
		cmocka_unit_test(nothing_may_follow_the_value),
		cmocka_unit_test(the_value_must_be_an_object_or_array),
		cmocka_unit_test(invalid_utf8_and_nul_are_refused),
		cmocka_unit_test(half_a_surrogate_pair_is_refused),
		cmocka_unit_test(control_characters_in_strings_are_refused),
		cmocka_unit_test(nesting_has_a_limit),
		cmocka_unit_test(a_member_named_twice_is_refused),
		cmocka_unit_test(numbers_beyond_a_double_are_refused),
		cmocka_unit_test(a_long_name_is_cut_at_a_character_in_the_path),
		cmocka_unit_test(trusted_text_is_read_without_the_costly_checks),
		cmocka_unit_test(members_are_found_by_name_and_type),
		cmocka_unit_test(text_is_plain_and_on_one_line),
		cmocka_unit_test(kept_objects_live_as_long_as_the_arena),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
