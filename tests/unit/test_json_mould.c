/* test_json_mould.c - what base/json_mould.h promises */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_mould.h"

#define BEFORE "{\"id\":\"c-1\",\"created\":1700000000,\"choices\":[{\"index\":0,\"delta\":{\"content\":"
#define AFTER "},\"finish_reason\":null}],\"usage\":null}"

enum { ID, CHOICES, USAGE, FINISH_REASON, CONTENT, CREATED, ABSENT, COUNT };

#define VARYING (1U << CONTENT | 1U << CREATED | 1U << ABSENT)

static const struct json_want wanted[COUNT] = {
    [ID] = {.name = "id"},
    [CHOICES] = {.name = "choices"},
    [USAGE] = {.name = "usage"},
    [FINISH_REASON] = {.name = "finish_reason", .anywhere = true},
    [CONTENT] = {.name = "content", .anywhere = true},
    [CREATED] = {.name = "created"},
    [ABSENT] = {.name = "error"},
};

/* From bytes of exactly that length, so that sanitizers see a look behind them.  As json_scan_object() finds it? */
static void
assert_as_scanned(struct json_mould **mould, const char *text)
{
	struct json_want cast[COUNT], scanned[COUNT];
	struct json_slice s = {.len = strlen(text)};
	char *copy = malloc(s.len + 1);

	assert_non_null(copy);
	memcpy(copy, text, s.len);
	copy = realloc(copy, s.len > 0 ? s.len : 1);
	s.text = copy;
	memcpy(cast, wanted, sizeof(cast));
	memcpy(scanned, wanted, sizeof(scanned));
	assert_int_equal(json_mould_scan(mould, s, cast, COUNT, VARYING), json_scan_object(s, scanned, COUNT));
	for (int i = 0; i < COUNT; i++) {
		assert_ptr_equal(cast[i].value.text, scanned[i].value.text);
		assert_int_equal(cast[i].value.len, scanned[i].value.len);
	}
	free(copy);
}

static void
members_are_found_as_by_a_look_at_the_whole(void **state)
{
	static const char *const strings[] = {
	    "\"\"", "\"a\"", "\"a longer text, and \\\"quoted\\\"\"", "\"\\u00e9\\n\"", "\"\xC3\xA9\"", "\"a\"", "\"\"",
	};
	struct json_mould *mould = NULL;
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		snprintf(text, sizeof(text), "%s%s%s", BEFORE, strings[i], AFTER);
		assert_as_scanned(&mould, text);
	}
	assert_non_null(mould);
	json_mould_free(&mould);
	assert_null(mould);
}

static void
what_is_no_value_is_no_cast(void **state)
{
	static const char *const values[] = {
	    "\"", "\"a", "a\"", "", "\"\\\"", "\"a\"b\"", "\"a\",\"content\":\"b\"", "\"a\"}", "\"\x01\"", "\"\xC3\"", "\"\\x\"",
	    "null", "1", "{\"content\":\"b\"}", "\"a\" ", "\"a\"\"b\"",
	};
	struct json_mould *mould = NULL;
	char text[256];

	(void)state;
	assert_as_scanned(&mould, BEFORE "\"first\"" AFTER);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(text, sizeof(text), "%s%s%s", BEFORE, values[i], AFTER);
		assert_as_scanned(&mould, text);
	}
	json_mould_free(&mould);
}

static void
several_values_may_differ_in_any_order(void **state)
{
	static const char *const texts[] = {
	    "{\"content\":\"a\",\"created\":1,\"id\":\"x\"}",      "{\"content\":\"longer\",\"created\":1,\"id\":\"x\"}",
	    "{\"content\":\"\",\"created\":-1.5e3,\"id\":\"x\"}",  "{\"content\":\"\",\"created\":\"text\",\"id\":\"x\"}",
	    "{\"content\":7,\"created\":\"t\",\"id\":\"x\"}",      "{\"content\":7,\"created\":01,\"id\":\"x\"}",
	    "{\"content\":7,\"created\":-,\"id\":\"x\"}",          "{\"content\":7,\"created\":8,\"id\":\"y\"}",
	    "{\"content\":7,\"created\":8 ,\"id\":\"y\"}",         "{\"created\":9,\"choices\":[{\"content\":\"b\"}]}",
	    "{\"created\":10,\"choices\":[{\"content\":\"bcd\"}]}", "{\"created\":10,\"choices\":[{\"content\":\"bcd\"}]}x",
	};
	struct json_mould *mould = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_as_scanned(&mould, texts[i]);
	json_mould_free(&mould);
}

static void
an_object_that_differs_elsewhere_is_looked_at_anew(void **state)
{
	char text[] = BEFORE "\"word\"" AFTER;
	size_t len = strlen(text);

	(void)state;
	for (size_t at = 0; at < len; at++) {
		struct json_mould *mould = NULL;
		char kept = text[at];

		assert_as_scanned(&mould, BEFORE "\"word\"" AFTER);
		text[at] ^= 1;
		assert_as_scanned(&mould, text);
		text[at] = '\0';
		assert_as_scanned(&mould, text);
		text[at] = kept;
		assert_as_scanned(&mould, text);
		json_mould_free(&mould);
	}
}

static void
a_stream_of_unlike_objects_is_not_followed_for_ever(void **state)
{
	struct json_mould *mould = NULL;
	char text[256];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "{\"n\":%d,\"content\":\"a\"}", i);
		assert_as_scanned(&mould, text);
	}
	json_mould_free(&mould);
}

static void
a_long_object_is_not_kept(void **state)
{
	struct json_mould *mould = NULL;
	char *text = malloc(5000);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', 5000);
	memcpy(text, "{\"content\":\"a\"", 14);
	memcpy(text + 4990, "}", 2);
	assert_as_scanned(&mould, text);
	assert_null(mould);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(members_are_found_as_by_a_look_at_the_whole),
	    cmocka_unit_test(what_is_no_value_is_no_cast),
	    cmocka_unit_test(several_values_may_differ_in_any_order),
	    cmocka_unit_test(an_object_that_differs_elsewhere_is_looked_at_anew),
	    cmocka_unit_test(a_stream_of_unlike_objects_is_not_followed_for_ever),
	    cmocka_unit_test(a_long_object_is_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
