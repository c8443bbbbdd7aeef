/*
 * fuzz_tool_calls.c - deltas of tool calls, one JSON text a line.
 *
 * Whatever a model sends, there are at most TOOL_CALLS_MAX calls, each with an id of its own, and the message made of
 * them is JSON whose arguments are JSON.
 */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "chat/tool_calls.h"
#include "fuzz.h"

static void
check_message(const struct tool_calls *calls)
{
	struct json_object *message = tool_calls_message(calls, NULL);
	struct json_object *list = json_member(message, "tool_calls", json_type_array), *again;
	struct err err;
	const char *text;
	size_t len;

	REQUIRE(list != NULL && json_object_array_length(list) == calls->count);
	for (size_t i = 0; i < calls->count; i++) {
		struct json_object *function = json_object_object_get(json_object_array_get_idx(list, i), "function");
		const char *arguments = json_member_text(function, "arguments");
		struct json_object *parsed = json_parse_trusted(arguments, strlen(arguments));

		REQUIRE(json_object_is_type(parsed, json_type_object));
		json_object_put(parsed);
	}
	text = json_text(message, &len);
	again = json_parse_trusted(text, len);
	REQUIRE(again != NULL && text_is_utf8(text, len));
	(void)err;
	json_object_put(again);
	json_object_put(message);
}

static void
check(struct tool_calls *calls)
{
	REQUIRE(calls->count <= TOOL_CALLS_MAX);
	tool_calls_finish(calls, 3);
	for (size_t i = 0; i < calls->count; i++) {
		REQUIRE(calls->asks[i].id[0] != '\0');
		REQUIRE(calls->asks[i].arguments.len <= TOOL_CALL_ARGUMENTS_MAX_BYTES);
		for (size_t j = 0; j < i; j++)
			REQUIRE(strcmp(calls->asks[i].id, calls->asks[j].id) != 0);
	}
	check_message(calls);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tool_calls *calls = tool_calls_new();
	const char *at = (const char *)data, *end = at + size;

	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((line_end != NULL ? line_end : end) - at);
		struct json_object *delta = text_is_utf8(at, len) ? json_parse_trusted(at, len) : NULL;

		tool_calls_add(calls, delta);
		json_object_put(delta);
		at += len + 1;
	}
	check(calls);
	tool_calls_free(&calls);
	return 0;
}
