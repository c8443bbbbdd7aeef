/* prompt.c - see chat/prompt.h */
#include "chat/prompt.h"

#include <string.h>
#include <time.h>

#include "base/text.h"
#include "config/config.h"

/* Of OpenAI's parameters, those that /api/chat passes on as they come. */
static const char *const passed_on[] = {
    "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed",
    "presence_penalty", "frequency_penalty", "reasoning_effort", "response_format", NULL,
};

/* Roles of the contract, then those that only OpenAI's API has. */
static const char *const chat_roles[] = {"system", "user", "assistant", "tool", NULL};
static const char *const openai_roles[] = {"system", "user", "assistant", "tool", "developer", "function", NULL};

static bool
is_one_of(const char *name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

bool
prompt_model_offered(const char *name)
{
	const char *more = config()->openai_models;

	return strcmp(name, config()->openai_model) == 0 || strcmp(more, "*") == 0 || text_list_has(more, name);
}

static int
check_part(struct json_object *part, size_t message, size_t index, struct err *err)
{
	const char *type;

	if (!json_object_is_type(part, json_type_object))
		return err_set(err, ERR_INVALID_REQUEST, "messages[%zu].content[%zu] must be an object.", message,
		               index);
	type = json_member_text(part, "type");
	if (type == NULL)
		return err_set(err, ERR_INVALID_REQUEST,
		               "messages[%zu].content[%zu].type is missing; for example \"text\".", message, index);
	if (strcmp(type, "text") == 0 && json_member_text(part, "text") == NULL)
		return err_set(err, ERR_INVALID_REQUEST, "messages[%zu].content[%zu].text must be a string.",
		               message, index);
	return 0;
}

static int
check_content(struct json_object *message, const char *role, size_t index, struct err *err)
{
	struct json_object *content = NULL;
	bool given = json_object_object_get_ex(message, "content", &content) && content != NULL;

	if (json_object_is_type(content, json_type_string))
		return 0;
	/* an assistant that only called tools said nothing */
	if (!given && strcmp(role, "assistant") == 0 &&
	    (json_member(message, "tool_calls", json_type_array) != NULL ||
	     json_member(message, "function_call", json_type_object) != NULL))
		return 0;
	if (!json_object_is_type(content, json_type_array))
		return err_set(err, ERR_INVALID_REQUEST,
		               "messages[%zu].content must be a string or an array of content parts.", index);
	if (json_object_array_length(content) == 0)
		return err_set(err, ERR_INVALID_REQUEST, "messages[%zu].content has no parts.", index);
	for (size_t i = 0; i < json_object_array_length(content); i++)
		if (check_part(json_object_array_get_idx(content, i), index, i, err) == -1)
			return -1;
	return 0;
}

static int
check_message(struct json_object *message, const char *const *roles, size_t index, struct err *err)
{
	const char *role;

	if (!json_object_is_type(message, json_type_object))
		return err_set(err, ERR_INVALID_REQUEST, "messages[%zu] must be an object.", index);
	role = json_member_text(message, "role");
	if (role == NULL)
		return err_set(err, ERR_INVALID_REQUEST, "messages[%zu].role is missing or not a string.", index);
	if (!is_one_of(role, roles))
		return err_set(err, ERR_INVALID_REQUEST,
		               "messages[%zu].role must be system, user, assistant or tool.", index);
	return check_content(message, role, index, err);
}

static int
check_messages(struct json_object *body, const char *const *roles, struct err *err)
{
	struct json_object *messages = json_member(body, "messages", json_type_array);
	size_t count;

	if (messages == NULL)
		return err_set(err, ERR_INVALID_REQUEST, "messages must be an array of 1 to %d messages.",
		               PROMPT_MESSAGES_MAX);
	count = json_object_array_length(messages);
	if (count == 0 || count > PROMPT_MESSAGES_MAX)
		return err_set(err, ERR_INVALID_REQUEST, "messages has %zu messages; 1 to %d are allowed.", count,
		               PROMPT_MESSAGES_MAX);
	for (size_t i = 0; i < count; i++)
		if (check_message(json_object_array_get_idx(messages, i), roles, i, err) == -1)
			return -1;
	return 0;
}

/* An optional boolean member. */
static int
read_bool(struct json_object *body, const char *name, bool fallback, bool *value_r, struct err *err)
{
	struct json_object *value;

	*value_r = fallback;
	if (!json_object_object_get_ex(body, name, &value) || value == NULL)
		return 0;
	if (!json_object_is_type(value, json_type_boolean))
		return err_set(err, ERR_INVALID_REQUEST, "%s must be true or false.", name);
	*value_r = json_object_get_boolean(value);
	return 0;
}

static int
read_model(struct json_object *body, const char **model_r, struct err *err)
{
	struct json_object *value;
	char shown[80];

	*model_r = config()->openai_model;
	if (!json_object_object_get_ex(body, "model", &value) || value == NULL)
		return 0;
	if (!json_object_is_type(value, json_type_string))
		return err_set(err, ERR_INVALID_REQUEST, "model must be a string.");
	text_copy(shown, sizeof(shown), json_object_get_string(value));
	if (!prompt_model_offered(json_object_get_string(value)))
		return err_set(err, ERR_UNPROCESSABLE,
		               "The model \"%s\" is not offered here; GET /v1/models lists those that are.", shown);
	*model_r = json_object_get_string(value);
	return 0;
}

/* One of the names in `tools`. */
static int
read_tool_name(struct json_object *name, size_t index, tool_set *tools, struct err *err)
{
	char shown[80];
	tool_set named;

	if (!json_object_is_type(name, json_type_string))
		return err_set(err, ERR_INVALID_REQUEST, "tools[%zu] must be a string.", index);
	named = tools_named(json_object_get_string(name)) & tools_offered();
	text_copy(shown, sizeof(shown), json_object_get_string(name));
	if (named == 0)
		return err_set(err, ERR_UNPROCESSABLE,
		               "tools[%zu]: there is no tool \"%s\" here; GET /api/tools lists those that are.", index,
		               shown);
	*tools |= named;
	return 0;
}

/* `tools` of /api/chat: true, false, or names of ours. */
static int
read_tools(struct json_object *body, tool_set *tools_r, struct err *err)
{
	struct json_object *tools;

	*tools_r = tools_offered();
	if (!json_object_object_get_ex(body, "tools", &tools) || tools == NULL)
		return 0;
	if (json_object_is_type(tools, json_type_boolean)) {
		if (!json_object_get_boolean(tools))
			*tools_r = 0;
		return 0;
	}
	if (!json_object_is_type(tools, json_type_array))
		return err_set(err, ERR_INVALID_REQUEST, "tools must be true, false or an array of names.");
	*tools_r = 0;
	for (size_t i = 0; i < json_object_array_length(tools); i++)
		if (read_tool_name(json_object_array_get_idx(tools, i), i, tools_r, err) == -1)
			return -1;
	return 0;
}

static bool
is_given(struct json_object *body, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(body, name, &value) && value != NULL;
}

/* Requests are no deeper than JSON_DEPTH_MAX. */
size_t
prompt_weight(struct json_object *o)
{
	size_t bytes = 4;

	if (json_object_is_type(o, json_type_string))
		return bytes + (size_t)json_object_get_string_len(o);
	for (size_t i = 0; json_object_is_type(o, json_type_array) && i < json_object_array_length(o); i++)
		bytes += prompt_weight(json_object_array_get_idx(o, i));
	if (json_object_is_type(o, json_type_object)) {
		json_object_object_foreach(o, name, value) {
			bytes += strlen(name) + prompt_weight(value);
		}
	}
	return bytes;
}

void
prompt_offer_tools(struct prompt *p, tool_set tools)
{
	struct json_object *choice = json_object_object_get(p->body, "tool_choice");
	struct json_object *n = json_object_object_get(p->body, "n");

	p->tools = 0;
	if (tools == 0 || is_given(p->body, "tools") || is_given(p->body, "functions") ||
	    (json_object_is_type(choice, json_type_string) && strcmp(json_object_get_string(choice), "none") == 0) ||
	    (n != NULL && json_object_get_int64(n) != 1))
		return;
	p->tools = tools;
	json_object_object_add(p->body, "tools", tools_definitions(tools));
}

/* SYSTEM_PROMPT with the day in it; NULL when the arena is full. */
static const char *
system_text(struct arena *a)
{
	const char *text = config()->system_prompt;
	const char *date = strstr(text, "{date}");
	time_t now = time(NULL);
	char day[40] = "";
	struct tm tm;

	if (date == NULL)
		return text;
	if (gmtime_r(&now, &tm) != NULL)
		strftime(day, sizeof(day), "%A %-d %B %Y", &tm);
	return arena_printf(a, "%.*s%s%s", (int)(date - text), text, day, date + strlen("{date}"));
}

/* The operator's words come first. */
static struct json_object *
with_system_prompt(struct arena *a, struct json_object *messages)
{
	const char *text = config()->system_prompt[0] != '\0' ? system_text(a) : NULL;
	struct json_object *all, *first;

	if (text == NULL)
		return json_object_get(messages);
	first = json_object_new_object();
	json_object_object_add(first, "role", json_object_new_string("system"));
	json_object_object_add(first, "content", json_object_new_string(text));
	all = json_object_new_array();
	json_object_array_add(all, first);
	for (size_t i = 0; i < json_object_array_length(messages); i++)
		json_object_array_add(all, json_object_get(json_object_array_get_idx(messages, i)));
	return all;
}

void
prompt_use_messages(struct prompt *p, struct arena *a, struct json_object *messages)
{
	json_object_object_add(p->body, "messages", with_system_prompt(a, messages));
}

int
prompt_check_guest(struct json_object *body, struct err *err)
{
	struct json_object *value;

	if (json_object_object_get_ex(body, "conversation_id", &value) && value != NULL)
		return err_set(err, ERR_UNAUTHORIZED, "conversation_id is for signed-in people; sign in first.");
	if (!json_object_object_get_ex(body, "attachments", &value) || value == NULL)
		return 0;
	if (!json_object_is_type(value, json_type_array))
		return err_set(err, ERR_INVALID_REQUEST, "attachments must be an array of upload ids.");
	if (json_object_array_length(value) > 0)
		return err_set(err, ERR_UNAUTHORIZED, "attachments are for signed-in people; sign in first.");
	return 0;
}

/* Ask for usage at the end of a stream, whatever the client wants: it is counted. */
static void
ask_for_usage(struct json_object *body)
{
	struct json_object *options = json_member(body, "stream_options", json_type_object);

	if (options == NULL) {
		options = json_object_new_object();
		json_object_object_add(body, "stream_options", options);
	}
	json_object_object_add(options, "include_usage", json_object_new_boolean(1));
}

static void
finish_body(struct prompt *p)
{
	json_object_object_add(p->body, "model", json_object_new_string(p->model));
	json_object_object_add(p->body, "stream", json_object_new_boolean(p->stream));
	if (p->stream)
		ask_for_usage(p->body);
}

static int
read_common(struct json_object *body, const char *const *roles, bool stream_by_default, struct prompt *p,
            struct err *err)
{
	if (check_messages(body, roles, err) == -1 ||
	    read_bool(body, "stream", stream_by_default, &p->stream, err) == -1)
		return -1;
	return read_model(body, &p->model, err);
}

int
prompt_read(struct arena *a, struct json_object *body, struct prompt *p, struct err *err)
{
	struct json_object *value;
	tool_set tools;

	if (read_common(body, chat_roles, true, p, err) == -1 || read_tools(body, &tools, err) == -1)
		return -1;
	p->usage = true;
	p->body = json_keep(a, json_object_new_object());
	if (p->body == NULL)
		return err_set(err, ERR_INTERNAL, "The request needs too much memory.");
	json_object_object_add(p->body, "messages",
	                       with_system_prompt(a, json_member(body, "messages", json_type_array)));
	for (const char *const *name = passed_on; *name != NULL; name++)
		if (json_object_object_get_ex(body, *name, &value))
			json_object_object_add(p->body, *name, json_object_get(value));
	prompt_offer_tools(p, tools);
	finish_body(p);
	return 0;
}

int
prompt_read_openai(struct arena *a, struct json_object *body, struct prompt *p, struct err *err)
{
	struct json_object *options;

	if (read_common(body, openai_roles, false, p, err) == -1)
		return -1;
	p->model = arena_strdup(a, p->model);   /* its place in `body` is written anew */
	if (p->model == NULL)
		return err_set(err, ERR_INTERNAL, "The request needs too much memory.");
	options = json_member(body, "stream_options", json_type_object);
	if (read_bool(options, "include_usage", false, &p->usage, err) == -1)
		return -1;
	p->body = body;
	p->tools = 0;
	finish_body(p);
	return 0;
}
