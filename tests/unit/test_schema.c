/* test_schema.c - values that fit a schema, and those that do not */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tools/schema.h"

#define OBJECT(properties) "{\"type\":\"object\",\"properties\":{" properties "},\"required\":[\"a\"],\"additionalProperties\":false}"

struct fit {
	const char *schema;
	const char *value;
	const char *says;               /* NULL: it fits */
};

/* Any value: the parser alone takes no bare number. */
static struct json_object *
parse(const char *text)
{
	struct json_object *list, *value;
	char wrapped[512];

	snprintf(wrapped, sizeof(wrapped), "[%s]", text);
	list = json_parse_trusted(wrapped, strlen(wrapped));
	if (list == NULL)
		fail_msg("no JSON: %s", text);
	value = json_object_get(json_object_array_get_idx(list, 0));
	json_object_put(list);
	return value;
}

static void
check(const struct fit *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct json_object *schema = parse(cases[i].schema);
		struct json_object *value = parse(cases[i].value);
		struct err err = {0};
		int rc = schema_check(schema, value, &err);

		if (rc != (cases[i].says != NULL ? -1 : 0))
			fail_msg("%s: %s", cases[i].value, rc == 0 ? "was taken" : err.message);
		if (rc == -1 && (err.code != ERR_UNPROCESSABLE || strstr(err.message, cases[i].says) == NULL))
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].value, err.message, cases[i].says);
		json_object_put(value);
		json_object_put(schema);
	}
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof((cases)[0]))

static void
types_are_told_apart(void **state)
{
	static const struct fit cases[] = {
	    {"{\"type\":\"string\"}", "\"x\"", NULL},
	    {"{\"type\":\"string\"}", "1", "must be of type string"},
	    {"{\"type\":\"integer\"}", "3", NULL},
	    {"{\"type\":\"integer\"}", "3.0", NULL},
	    {"{\"type\":\"integer\"}", "3.5", "must be of type integer"},
	    {"{\"type\":\"integer\"}", "1e300", "must be of type integer"},
	    {"{\"type\":\"integer\"}", "\"3\"", "must be of type integer"},
	    {"{\"type\":\"number\"}", "3.5", NULL},
	    {"{\"type\":\"number\"}", "true", "must be of type number"},
	    {"{\"type\":\"boolean\"}", "true", NULL},
	    {"{\"type\":\"boolean\"}", "0", "must be of type boolean"},
	    {"{\"type\":\"array\"}", "[]", NULL},
	    {"{\"type\":\"array\"}", "{}", "must be of type array"},
	    {"{\"type\":\"object\"}", "{}", NULL},
	    {"{\"type\":\"object\"}", "[]", "must be of type object"},
	    {"{}", "[1]", NULL},
	};

	(void)state;
	CHECK(cases);
}

static void
bounds_are_kept(void **state)
{
	static const struct fit cases[] = {
	    {"{\"minimum\":1,\"maximum\":7}", "1", NULL},
	    {"{\"minimum\":1,\"maximum\":7}", "7", NULL},
	    {"{\"minimum\":1,\"maximum\":7}", "0.99", "must be at least 1"},
	    {"{\"minimum\":1,\"maximum\":7}", "7.01", "must be at most 7"},
	    {"{\"minLength\":1,\"maxLength\":3}", "\"日本語\"", NULL},
	    {"{\"minLength\":1,\"maxLength\":3}", "\"日本語.\"", "must have at most 3 characters"},
	    {"{\"minLength\":1,\"maxLength\":3}", "\"\"", "must have at least 1 characters"},
	    {"{\"minItems\":1,\"maxItems\":2}", "[]", "must have at least 1 items"},
	    {"{\"minItems\":1,\"maxItems\":2}", "[1,2,3]", "must have at most 2 items"},
	    {"{\"enum\":[\"a\",\"b\"]}", "\"a\"", NULL},
	    {"{\"enum\":[\"a\",\"b\"]}", "\"c\"", "must be one of [\"a\",\"b\"]"},
	    {"{\"enum\":[1]}", "\"1\"", "must be one of [1]"},
	};

	(void)state;
	CHECK(cases);
}

static void
members_are_named_by_their_path(void **state)
{
	static const struct fit cases[] = {
	    {OBJECT("\"a\":{\"type\":\"string\"}"), "{\"a\":\"x\"}", NULL},
	    {OBJECT("\"a\":{\"type\":\"string\"}"), "{}", "a is missing."},
	    {OBJECT("\"a\":{\"type\":\"string\"}"), "{\"a\":\"x\",\"b\":1}", "b is not known."},
	    {OBJECT("\"a\":{\"type\":\"string\"}"), "{\"a\":null}", "a must be of type string."},
	    {OBJECT("\"a\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}"), "{\"a\":[1,2,\"x\"]}", "a[2] must be of type integer."},
	    {OBJECT("\"a\":{\"type\":\"object\",\"properties\":{\"b\":{\"maximum\":1}}}"), "{\"a\":{\"b\":2,\"c\":3}}", "a.b must be at most 1."},
	};

	(void)state;
	CHECK(cases);
}

static void
what_is_said_can_be_sent_whatever_the_names(void **state)
{
#define LONG "日本語日本語日本語日本語日本語日本語日本語"
#define NESTED(name) "{\"properties\":{\"" name "\":{\"properties\":{\"b\":{\"maximum\":1}},\"items\":{\"maximum\":1}}}}"
	static const struct fit cases[] = {
	    {OBJECT("\"a\":{}"),
	     "{\"a\":1,\"日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語\":1}", ""},
	    {NESTED(LONG), "{\"" LONG "\":{\"b\":2}}", ""},
	    {NESTED("x" LONG), "{\"x" LONG "\":{\"b\":2}}", ""},
	    {NESTED("xx" LONG), "{\"xx" LONG "\":[2]}", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_object *schema = parse(cases[i].schema), *obj = parse(cases[i].value);
		struct err err;

		assert_int_equal(schema_check(schema, obj, &err), -1);
		assert_true(text_is_utf8(err.message, strlen(err.message)));
		json_object_put(obj);
		json_object_put(schema);
	}
}

static void
members_that_are_null_are_taken_out_unless_required(void **state)
{
	struct json_object *schema = parse(OBJECT("\"a\":{},\"b\":{},\"c\":{}"));
	struct json_object *value = parse("{\"a\":null,\"b\":null,\"c\":1,\"d\":null}");

	(void)state;
	schema_drop_nulls(schema, value);
	assert_string_equal(json_text(value, NULL), "{\"a\":null,\"c\":1,\"d\":null}");
	json_object_put(value);
	json_object_put(schema);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(types_are_told_apart),
	    cmocka_unit_test(bounds_are_kept),
	    cmocka_unit_test(members_are_named_by_their_path),
	    cmocka_unit_test(what_is_said_can_be_sent_whatever_the_names),
	    cmocka_unit_test(members_that_are_null_are_taken_out_unless_required),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
