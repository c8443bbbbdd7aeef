/* tool_calls.c - see chat/tool_calls.h */
#include "chat/tool_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/text.h"

struct tool_calls *
tool_calls_new(void)
{
	return mem_alloc(sizeof(struct tool_calls));
}

void
tool_calls_free(struct tool_calls **calls)
{
	if (*calls == NULL)
		return;
	for (size_t i = 0; i < (*calls)->count; i++)
		buffer_free(&(*calls)->asks[i].arguments);
	free(*calls);
	*calls = NULL;
}

/* The call that a delta goes on with; NULL when it starts a new one. */
static struct tool_ask *
find_call(struct tool_calls *calls, int64_t index, const char *id, const char *name)
{
	bool has_id = id != NULL && id[0] != '\0';

	for (size_t i = 0; has_id && i < calls->count; i++)
		if (strncmp(calls->asks[i].id, id, sizeof(calls->asks[i].id) - 1) == 0)
			return &calls->asks[i];
	for (size_t i = calls->count; index >= 0 && i-- > 0;) {
		struct tool_ask *ask = &calls->asks[i];

		if (ask->index != index)
			continue;
		/* another id and a name at the same index: the server numbers all its calls alike */
		if (has_id && ask->id[0] != '\0' && name != NULL && name[0] != '\0')
			return NULL;
		return ask;
	}
	/* without an index, what has neither id nor name belongs to the last */
	if (index < 0 && calls->count > 0 && !has_id && (name == NULL || name[0] == '\0'))
		return &calls->asks[calls->count - 1];
	return NULL;
}

static struct tool_ask *
add_call(struct tool_calls *calls, int64_t index)
{
	struct tool_ask *ask;

	if (calls->count == TOOL_CALLS_MAX) {
		calls->too_many++;
		return NULL;
	}
	ask = &calls->asks[calls->count++];
	*ask = (struct tool_ask){.index = index, .arguments = BUFFER_INIT(TOOL_CALL_ARGUMENTS_MAX_BYTES)};
	return ask;
}

static void
add_name(struct tool_ask *ask, const char *name)
{
	size_t len = strlen(ask->name);

	if (name == NULL || strcmp(ask->name, name) == 0)
		return;
	text_copy(ask->name + len, sizeof(ask->name) - len, name);
	text_trim_partial_utf8(ask->name);
}

static void
add_arguments(struct tool_ask *ask, struct json_object *arguments)
{
	const char *text;
	size_t len;

	if (json_object_is_type(arguments, json_type_string)) {
		text = json_object_get_string(arguments);
		len = (size_t)json_object_get_string_len(arguments);
	} else if (json_object_is_type(arguments, json_type_object)) {
		text = json_text(arguments, &len);
	} else {
		return;
	}
	if (buffer_append(&ask->arguments, text, len) == -1)
		ask->too_large = true;
}

static void
add_delta(struct tool_calls *calls, struct json_object *delta)
{
	struct json_object *function = json_member(delta, "function", json_type_object);
	struct json_object *index = json_member(delta, "index", json_type_int);
	struct json_object *arguments = NULL;
	const char *id = json_member_text(delta, "id");
	const char *name = json_member_text(function, "name");
	int64_t number = index != NULL && json_object_get_int64(index) >= 0 ? json_object_get_int64(index) : -1;
	struct tool_ask *ask;

	if (!json_object_is_type(delta, json_type_object))
		return;
	ask = find_call(calls, number, id, name);
	if (ask == NULL && (ask = add_call(calls, number)) == NULL)
		return;
	if (id != NULL && ask->id[0] == '\0') {
		text_copy(ask->id, sizeof(ask->id), id);
		text_trim_partial_utf8(ask->id);
	}
	add_name(ask, name);
	if (function != NULL && json_object_object_get_ex(function, "arguments", &arguments))
		add_arguments(ask, arguments);
}

void
tool_calls_add(struct tool_calls *calls, struct json_object *tool_calls)
{
	if (!json_object_is_type(tool_calls, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(tool_calls); i++)
		add_delta(calls, json_object_array_get_idx(tool_calls, i));
}

static bool
is_taken(const struct tool_calls *calls, size_t before, const char *id)
{
	for (size_t i = 0; i < before; i++)
		if (strcmp(calls->asks[i].id, id) == 0)
			return true;
	return false;
}

void
tool_calls_finish(struct tool_calls *calls, unsigned first)
{
	for (size_t i = 0; i < calls->count; i++) {
		struct tool_ask *ask = &calls->asks[i];

		for (unsigned n = first + (unsigned)i + 1; ask->id[0] == '\0' || is_taken(calls, i, ask->id); n++)
			snprintf(ask->id, sizeof(ask->id), "call_%u", n);
	}
}

/* Servers that take the arguments apart again refuse what is no JSON object. */
static struct json_object *
arguments_of(const struct tool_ask *ask)
{
	struct json_slice text = {ask->arguments.data, ask->arguments.len};

	if (ask->too_large || text.len == 0 || json_scan_object(text, NULL, 0) == -1)
		return json_object_new_string("{}");
	return json_object_new_string_len(text.text, (int)text.len);
}

struct json_object *
tool_calls_message(const struct tool_calls *calls, const char *text)
{
	struct json_object *message = json_object_new_object();
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < calls->count; i++) {
		const struct tool_ask *ask = &calls->asks[i];
		struct json_object *call = json_object_new_object();
		struct json_object *function = json_object_new_object();

		json_object_object_add(function, "name", json_object_new_string(ask->name));
		json_object_object_add(function, "arguments", arguments_of(ask));
		json_object_object_add(call, "id", json_object_new_string(ask->id));
		json_object_object_add(call, "type", json_object_new_string("function"));
		json_object_object_add(call, "function", function);
		json_object_array_add(list, call);
	}
	json_object_object_add(message, "role", json_object_new_string("assistant"));
	json_object_object_add(message, "content", text != NULL ? json_object_new_string(text) : NULL);
	json_object_object_add(message, "tool_calls", list);
	return message;
}
