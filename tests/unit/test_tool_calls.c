/* test_tool_calls.c - calls put together from deltas, wherever they are split */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "chat/tool_calls.h"

/* Take in one delta's `tool_calls`, as JSON text. */
static void
add(struct tool_calls *calls, const char *text)
{
	struct json_object *list = json_parse_trusted(text, strlen(text));

	if (list == NULL)
		fail_msg("no JSON: %s", text);
	tool_calls_add(calls, list);
	json_object_put(list);
}

/* What came of all: "id name arguments;" for each call. */
static void
expect(struct tool_calls **calls, const char *expected)
{
	char told[512] = "";

	tool_calls_finish(*calls, 0);
	for (size_t i = 0; i < (*calls)->count; i++) {
		const struct tool_ask *ask = &(*calls)->asks[i];

		snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s %s %s;", ask->id, ask->name,
		         ask->arguments.len > 0 ? ask->arguments.data : "");
	}
	assert_string_equal(told, expected);
	tool_calls_free(calls);
	assert_null(*calls);
}

/* The arguments' text cut into two at `at`, as the pieces of two deltas. */
static void
add_in_two(struct tool_calls *calls, const char *arguments, size_t at)
{
	for (int half = 0; half < 2; half++) {
		struct json_object *list = json_object_new_array(), *delta = json_object_new_object();
		struct json_object *function = json_object_new_object();
		size_t len = half == 0 ? at : strlen(arguments) - at;

		json_object_object_add(function, "arguments", json_object_new_string_len(arguments + (half == 0 ? 0 : at), (int)len));
		json_object_object_add(delta, "index", json_object_new_int(0));
		json_object_object_add(delta, "function", function);
		json_object_array_add(list, delta);
		tool_calls_add(calls, list);
		json_object_put(list);
	}
}

static void
arguments_may_be_split_at_any_byte(void **state)
{
	static const char arguments[] = "{\"location\":\"Huye \\\"\\u00e9\\\\ – 日本\",\"days\":3}";

	(void)state;
	for (size_t at = 0; at <= strlen(arguments); at++) {
		struct tool_calls *calls = tool_calls_new();
		char expected[128];

		add(calls, "[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"weather\",\"arguments\":\"\"}}]");
		add_in_two(calls, arguments, at);
		snprintf(expected, sizeof(expected), "a weather %s;", arguments);
		expect(&calls, expected);
	}
}

static void
several_calls_may_grow_in_turns(void **state)
{
	struct tool_calls *calls = tool_calls_new();

	(void)state;
	add(calls, "[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"x\"}},{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"y\"}}]");
	add(calls, "[{\"index\":1,\"function\":{\"arguments\":\"{\\\"q\\\"\"}}]");
	add(calls, "[{\"index\":0,\"function\":{\"arguments\":\"{\"}},{\"index\":1,\"function\":{\"arguments\":\":1}\"}}]");
	add(calls, "[{\"index\":0,\"function\":{\"arguments\":\"}\"}}]");
	expect(&calls, "a x {};b y {\"q\":1};");
}

static void
calls_without_ids_and_doubled_ones_get_ids_of_their_own(void **state)
{
	struct tool_calls *calls = tool_calls_new();

	(void)state;
	add(calls, "[{\"function\":{\"name\":\"x\",\"arguments\":\"1\"}},{\"function\":{\"name\":\"y\",\"arguments\":\"2\"}}]");
	add(calls, "[{\"id\":\"call_2\",\"function\":{\"name\":\"z\"}}]");
	expect(&calls, "call_1 x 1;call_2 y 2;call_3 z ;");
}

static void
what_makes_no_sense_is_left_aside(void **state)
{
	struct tool_calls *calls = tool_calls_new();

	(void)state;
	add(calls, "[null,7,\"x\",[],{\"index\":-1,\"function\":7,\"id\":{}},{\"index\":\"0\"}]");
	add(calls, "{\"index\":0}");
	tool_calls_add(calls, NULL);
	/* what came as an object without a name is a call of nothing */
	assert_true(calls->count <= 1);
	tool_calls_free(&calls);
}

static void
no_call_takes_more_than_its_share(void **state)
{
	struct tool_calls *calls = tool_calls_new();
	struct buffer piece = BUFFER_INIT(100000);

	(void)state;
	assert_int_equal(buffer_printf(&piece, "[{\"index\":0,\"id\":\"a\",\"function\":{\"arguments\":\"%040000d\"}}]", 0), 0);
	add(calls, piece.data);
	assert_false(calls->asks[0].too_large);
	add(calls, piece.data);
	assert_true(calls->asks[0].too_large);
	assert_true(calls->asks[0].arguments.len <= TOOL_CALL_ARGUMENTS_MAX_BYTES);
	buffer_free(&piece);
	for (int i = 1; i < 40; i++) {
		char text[64];

		snprintf(text, sizeof(text), "[{\"index\":%d,\"id\":\"c%d\"}]", i, i);
		add(calls, text);
	}
	assert_int_equal(calls->count, TOOL_CALLS_MAX);
	assert_int_equal(calls->too_many, 40 - TOOL_CALLS_MAX);
	tool_calls_free(&calls);
}

static void
long_names_are_cut_at_a_character(void **state)
{
	struct tool_calls *calls = tool_calls_new();

	(void)state;
	add(calls, "[{\"id\":\"日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語\",\"function\":{\"name\":\"日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語\"}}]");
	assert_true(text_is_utf8(calls->asks[0].id, strlen(calls->asks[0].id)));
	assert_true(text_is_utf8(calls->asks[0].name, strlen(calls->asks[0].name)));
	tool_calls_free(&calls);
}

static void
the_message_carries_only_arguments_that_can_be_taken_apart(void **state)
{
	struct tool_calls *calls = tool_calls_new();
	struct json_object *message;

	(void)state;
	add(calls, "[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"x\",\"arguments\":\"{\\\"q\\\":1}\"}},"
	           "{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"y\",\"arguments\":\"{\\\"q\\\":\"}},"
	           "{\"index\":2,\"id\":\"c\",\"function\":{\"name\":\"z\",\"arguments\":\"[1]\"}},"
	           "{\"index\":3,\"id\":\"d\",\"function\":{\"name\":\"z\"}},"
	           "{\"index\":4,\"id\":\"e\",\"function\":{\"name\":\"z\",\"arguments\":\" \\t[{}]\"}},"
	           "{\"index\":5,\"id\":\"f\",\"function\":{\"name\":\"z\",\"arguments\":\"\\n {} \"}}]");
	tool_calls_finish(calls, 0);
	message = tool_calls_message(calls, "said");
	assert_string_equal(json_text(message, NULL),
	                    "{\"role\":\"assistant\",\"content\":\"said\",\"tool_calls\":["
	                    "{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"x\",\"arguments\":\"{\\\"q\\\":1}\"}},"
	                    "{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"y\",\"arguments\":\"{}\"}},"
	                    "{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"z\",\"arguments\":\"{}\"}},"
	                    "{\"id\":\"d\",\"type\":\"function\",\"function\":{\"name\":\"z\",\"arguments\":\"{}\"}},"
	                    "{\"id\":\"e\",\"type\":\"function\",\"function\":{\"name\":\"z\",\"arguments\":\"{}\"}},"
	                    "{\"id\":\"f\",\"type\":\"function\",\"function\":{\"name\":\"z\",\"arguments\":\"\\n {} \"}}]}");
	json_object_put(message);
	tool_calls_free(&calls);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(arguments_may_be_split_at_any_byte),
	    cmocka_unit_test(several_calls_may_grow_in_turns),
	    cmocka_unit_test(calls_without_ids_and_doubled_ones_get_ids_of_their_own),
	    cmocka_unit_test(what_makes_no_sense_is_left_aside),
	    cmocka_unit_test(no_call_takes_more_than_its_share),
	    cmocka_unit_test(long_names_are_cut_at_a_character),
	    cmocka_unit_test(the_message_carries_only_arguments_that_can_be_taken_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
