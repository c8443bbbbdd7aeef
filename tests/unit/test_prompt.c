/* test_prompt.c - what is taken from a client, what is refused and how that is said */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "chat/prompt.h"
#include "config/config.h"

#define ARENA_BYTES ((size_t)64 * 1024)
#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define WITH_MESSAGE(message) "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}," message "]}"

/* prompt_read() or prompt_read_openai(). */
typedef int (*reader)(struct arena *a, struct json_object *body, struct prompt *prompt, struct err *err);

/* A body that was read, and what came of it. */
struct reading {
	struct arena *arena;
	struct json_object *body;
	struct prompt prompt;
	struct err err;
	int rc;
};

static void
read_text(struct reading *r, reader read, const char *text)
{
	*r = (struct reading){.arena = arena_new(ARENA_BYTES)};
	r->body = json_parse(text, strlen(text), &r->err);
	if (r->body == NULL)
		fail_msg("%s: %s", text, r->err.message);
	r->rc = read(r->arena, r->body, &r->prompt, &r->err);
}

static void
forget(struct reading *r)
{
	arena_free(&r->arena);
	json_object_put(r->body);
}

/* Read a body that has to be taken; what goes to the model must be `expected`, definitions of our own tools aside. */
static void
expect_body(reader read, const char *text, const char *expected)
{
	struct json_object *wanted = json_parse_trusted(expected, strlen(expected));
	struct reading r;

	assert_non_null(wanted);
	read_text(&r, read, text);
	if (r.rc != 0)
		fail_msg("%s: %s", text, r.err.message);
	if (r.prompt.tools != 0)
		json_object_object_del(r.prompt.body, "tools");
	if (!json_object_equal(r.prompt.body, wanted))
		fail_msg("%s\nbecame %s\nnot    %s", text, json_text(r.prompt.body, NULL), expected);
	json_object_put(wanted);
	forget(&r);
}

struct refusal {
	const char *text;
	enum err_code code;
	const char *says;               /* in the message */
};

static void
expect_refusals(reader read, const struct refusal *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct reading r;

		read_text(&r, read, cases[i].text);
		if (r.rc != -1)
			fail_msg("%s was taken", cases[i].text);
		if (r.err.code != cases[i].code || strstr(r.err.message, cases[i].says) == NULL)
			fail_msg("%s: got %s \"%s\", not %s \"%s\"", cases[i].text, err_type(r.err.code),
			         r.err.message, err_type(cases[i].code), cases[i].says);
		forget(&r);
	}
}

#define EXPECT_REFUSALS(read, cases) expect_refusals((read), (cases), sizeof(cases) / sizeof((cases)[0]))

static const reader both[] = {prompt_read, prompt_read_openai};

/* ---- refused at both addresses ---- */

static void
messages_that_are_none_are_refused_with_their_path(void **state)
{
	static const struct refusal cases[] = {
	    {"{}", ERR_INVALID_REQUEST, "messages must be an array of 1 to 200"},
	    {"{\"messages\":null}", ERR_INVALID_REQUEST, "messages must be an array"},
	    {"{\"messages\":\"hi\"}", ERR_INVALID_REQUEST, "messages must be an array"},
	    {"{\"messages\":{}}", ERR_INVALID_REQUEST, "messages must be an array"},
	    {"{\"messages\":[]}", ERR_INVALID_REQUEST, "messages has 0 messages"},
	    {WITH_MESSAGE("null"), ERR_INVALID_REQUEST, "messages[1] must be an object"},
	    {WITH_MESSAGE("\"hi\""), ERR_INVALID_REQUEST, "messages[1] must be an object"},
	    {WITH_MESSAGE("[]"), ERR_INVALID_REQUEST, "messages[1] must be an object"},
	    {WITH_MESSAGE("{\"content\":\"x\"}"), ERR_INVALID_REQUEST, "messages[1].role is missing"},
	    {WITH_MESSAGE("{\"role\":7,\"content\":\"x\"}"), ERR_INVALID_REQUEST, "messages[1].role"},
	    {WITH_MESSAGE("{\"role\":\"robot\",\"content\":\"x\"}"), ERR_INVALID_REQUEST, "messages[1].role must be"},
	    {WITH_MESSAGE("{\"role\":\"User\",\"content\":\"x\"}"), ERR_INVALID_REQUEST, "messages[1].role must be"},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++)
		EXPECT_REFUSALS(both[i], cases);
}

static void
contents_that_are_none_are_refused_with_their_path(void **state)
{
	static const struct refusal cases[] = {
	    {WITH_MESSAGE("{\"role\":\"user\"}"), ERR_INVALID_REQUEST, "messages[1].content must be a string or"},
	    {WITH_MESSAGE("{\"role\":\"user\",\"content\":null}"), ERR_INVALID_REQUEST, "messages[1].content must"},
	    {WITH_MESSAGE("{\"role\":\"user\",\"content\":7}"), ERR_INVALID_REQUEST, "messages[1].content must"},
	    {WITH_MESSAGE("{\"role\":\"user\",\"content\":{}}"), ERR_INVALID_REQUEST, "messages[1].content must"},
	    {WITH_MESSAGE("{\"role\":\"user\",\"content\":[]}"), ERR_INVALID_REQUEST, "messages[1].content has no parts"},
	    {WITH_MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},7]}"), ERR_INVALID_REQUEST,
	     "messages[1].content[1] must be an object"},
	    {WITH_MESSAGE("{\"role\":\"user\",\"content\":[{\"text\":\"a\"}]}"), ERR_INVALID_REQUEST,
	     "messages[1].content[0].type is missing"},
	    {WITH_MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":7}]}"), ERR_INVALID_REQUEST,
	     "messages[1].content[0].type"},
	    {WITH_MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}"), ERR_INVALID_REQUEST,
	     "messages[1].content[0].text must be a string"},
	    {WITH_MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":[]}]}"), ERR_INVALID_REQUEST,
	     "messages[1].content[0].text must be a string"},
	    /* only an assistant that called tools may say nothing */
	    {WITH_MESSAGE("{\"role\":\"assistant\",\"content\":null}"), ERR_INVALID_REQUEST, "messages[1].content"},
	    {WITH_MESSAGE("{\"role\":\"user\",\"tool_calls\":[{}]}"), ERR_INVALID_REQUEST, "messages[1].content"},
	    {WITH_MESSAGE("{\"role\":\"assistant\",\"tool_calls\":{}}"), ERR_INVALID_REQUEST, "messages[1].content"},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++)
		EXPECT_REFUSALS(both[i], cases);
}

static void
other_members_of_wrong_types_are_refused_by_name(void **state)
{
	static const struct refusal cases[] = {
	    {"{" HI ",\"stream\":\"yes\"}", ERR_INVALID_REQUEST, "stream must be true or false"},
	    {"{" HI ",\"stream\":1}", ERR_INVALID_REQUEST, "stream must be true or false"},
	    {"{" HI ",\"model\":7}", ERR_INVALID_REQUEST, "model must be a string"},
	    {"{" HI ",\"model\":[\"main\"]}", ERR_INVALID_REQUEST, "model must be a string"},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++)
		EXPECT_REFUSALS(both[i], cases);
}

/* A body with `count` messages; free() it. */
static char *
many_messages(unsigned count)
{
	struct buffer b = BUFFER_INIT((size_t)64 * 1024);

	assert_int_equal(buffer_append_text(&b, "{\"messages\":["), 0);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(buffer_printf(&b, "%s{\"role\":\"user\",\"content\":\"%u\"}", i > 0 ? "," : "", i), 0);
	assert_int_equal(buffer_append_text(&b, "]}"), 0);
	return b.data;
}

static void
up_to_200_messages_are_taken(void **state)
{
	char *most = many_messages(PROMPT_MESSAGES_MAX);
	char *too_many = many_messages(PROMPT_MESSAGES_MAX + 1);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct reading r;

		read_text(&r, both[i], most);
		assert_int_equal(r.rc, 0);
		forget(&r);
		read_text(&r, both[i], too_many);
		assert_int_equal(r.rc, -1);
		assert_int_equal(r.err.code, ERR_INVALID_REQUEST);
		assert_non_null(strstr(r.err.message, "messages has 201 messages"));
		forget(&r);
	}
	free(most);
	free(too_many);
}

/* ---- the model ---- */

static void
a_model_that_is_not_offered_is_refused_by_name(void **state)
{
	static const struct refusal cases[] = {
	    {"{" HI ",\"model\":\"gpt-9\"}", ERR_UNPROCESSABLE, "The model \"gpt-9\" is not offered here"},
	    {"{" HI ",\"model\":\"MAIN\"}", ERR_UNPROCESSABLE, "\"MAIN\""},
	    {"{" HI ",\"model\":\"main,second\"}", ERR_UNPROCESSABLE, "not offered"},
	    {"{" HI ",\"model\":\"*\"}", ERR_UNPROCESSABLE, "not offered"},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++)
		EXPECT_REFUSALS(both[i], cases);
}

static void
a_very_long_model_name_is_shown_cut(void **state)
{
	char text[4096] = "{" HI ",\"model\":\"";
	struct reading r;

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		memcpy(text + strlen(text), "\xC3\xA9", 3);     /* so that a cut could fall within one */
	memcpy(text + strlen(text), "\"}", 3);
	read_text(&r, prompt_read, text);
	assert_int_equal(r.rc, -1);
	assert_int_equal(r.err.code, ERR_UNPROCESSABLE);
	assert_true(strlen(r.err.message) < 200);
	assert_non_null(strstr(r.err.message, "\xC3\xA9\" is not offered"));
	forget(&r);
}

static void
the_model_that_answers_is_the_one_named_or_the_default(void **state)
{
	static const struct {
		const char *text, *model;
	} cases[] = {
	    {"{" HI "}", "main"},
	    {"{" HI ",\"model\":null}", "main"},
	    {"{" HI ",\"model\":\"main\"}", "main"},
	    {"{" HI ",\"model\":\"second\"}", "second"},
	    {"{" HI ",\"model\":\"vendor/third:8b\"}", "vendor/third:8b"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t k = 0; k < 2; k++) {
			struct reading r;

			read_text(&r, both[k], cases[i].text);
			assert_int_equal(r.rc, 0);
			assert_string_equal(r.prompt.model, cases[i].model);
			assert_string_equal(json_member_text(r.prompt.body, "model"), cases[i].model);
			forget(&r);
		}
}

static void
a_star_offers_every_model(void **state)
{
	struct reading r;

	(void)state;
	config_unload();
	setenv("OPENAI_MODELS", "*", 1);
	assert_int_equal(config_load(stderr), 0);
	assert_true(prompt_model_offered("anything"));
	read_text(&r, prompt_read_openai, "{" HI ",\"model\":\"anything\"}");
	assert_int_equal(r.rc, 0);
	assert_string_equal(r.prompt.model, "anything");
	forget(&r);
	setenv("OPENAI_MODELS", "second, vendor/third:8b", 1);
	assert_int_equal(config_load(stderr), 0);
	assert_false(prompt_model_offered("anything"));
}

/* ---- /api/chat ---- */

static int
read_as_guest(struct arena *a, struct json_object *body, struct prompt *prompt, struct err *err)
{
	return prompt_read(a, body, prompt, err) == -1 ? -1 : prompt_check_guest(body, err);
}

static void
what_only_signed_in_people_may_is_unauthorized(void **state)
{
	static const struct refusal cases[] = {
	    {"{" HI ",\"conversation_id\":\"6f0e\"}", ERR_UNAUTHORIZED, "conversation_id"},
	    {"{" HI ",\"attachments\":[\"x\"]}", ERR_UNAUTHORIZED, "attachments"},
	    {"{" HI ",\"attachments\":\"x\"}", ERR_INVALID_REQUEST, "attachments must be an array"},
	};

	(void)state;
	EXPECT_REFUSALS(read_as_guest, cases);
}

static void
tools_of_a_chat_are_a_switch_or_names(void **state)
{
	static const struct refusal cases[] = {
	    {"{" HI ",\"tools\":\"all\"}", ERR_INVALID_REQUEST, "tools must be true, false or an array"},
	    {"{" HI ",\"tools\":{}}", ERR_INVALID_REQUEST, "tools must be"},
	    {"{" HI ",\"tools\":[\"weather\",7]}", ERR_INVALID_REQUEST, "tools[1] must be a string"},
	    {"{" HI ",\"tools\":[null]}", ERR_INVALID_REQUEST, "tools[0] must be a string"},
	};
	static const char *const taken[] = {"true", "false", "[]", "[\"weather\"]"};

	(void)state;
	EXPECT_REFUSALS(prompt_read, cases);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		char text[256];

		snprintf(text, sizeof(text), "{" HI ",\"tools\":%s,\"stream\":false}", taken[i]);
		expect_body(prompt_read, text, "{" HI ",\"model\":\"main\",\"stream\":false}");
	}
}

/* The names of the tools that a chat with this body offers, each followed by a blank. */
static void
expect_offer(const char *members, const char *names)
{
	char text[256], offered[256] = "";
	struct json_object *written, *tools;
	struct reading r;
	const char *body;
	size_t len;

	snprintf(text, sizeof(text), "{" HI "%s}", members);
	read_text(&r, prompt_read, text);
	assert_int_equal(r.rc, 0);
	body = json_text(r.prompt.body, &len);
	written = json_parse_trusted(body, len);
	tools = json_member(written, "tools", json_type_array);
	for (size_t i = 0; tools != NULL && i < json_object_array_length(tools); i++) {
		struct json_object *function = json_object_object_get(json_object_array_get_idx(tools, i), "function");

		assert_non_null(json_member(function, "parameters", json_type_object));
		assert_non_null(json_member_text(function, "description"));
		snprintf(offered + strlen(offered), sizeof(offered) - strlen(offered), "%s ", json_member_text(function, "name"));
	}
	assert_string_equal(offered, names);
	assert_int_equal(r.prompt.tools != 0, names[0] != '\0');
	json_object_put(written);
	forget(&r);
}

static void
the_tools_asked_for_are_offered_to_the_model(void **state)
{
	(void)state;
	expect_offer("", "weather currency news web_search places ");
	expect_offer(",\"tools\":null", "weather currency news web_search places ");
	expect_offer(",\"tools\":true", "weather currency news web_search places ");
	expect_offer(",\"tools\":false", "");
	expect_offer(",\"tools\":[]", "");
	expect_offer(",\"tools\":[\"currency\",\"currency\"]", "currency ");
}

static void
tools_that_are_not_there_are_refused(void **state)
{
	static const struct refusal cases[] = {
	    {"{" HI ",\"tools\":[\"weather\",\"teleport\"]}", ERR_UNPROCESSABLE, "tools[1]: there is no tool \"teleport\""},
	    {"{" HI ",\"tools\":[\"\"]}", ERR_UNPROCESSABLE, "tools[0]"},
	    /* there is, but not enabled */
	    {"{" HI ",\"tools\":[\"weather\"]}", ERR_UNPROCESSABLE, "tools[0]"},
	};

	(void)state;
	expect_refusals(prompt_read, cases, 2);
	setenv("TOOLS_ENABLED", "currency", 1);
	assert_int_equal(config_load(stderr), 0);
	expect_refusals(prompt_read, cases + 2, 1);
	expect_offer("", "currency ");
	unsetenv("TOOLS_ENABLED");
	assert_int_equal(config_load(stderr), 0);
}

static void
the_operators_words_come_first_with_the_day(void **state)
{
	struct reading r;
	struct json_object *messages;
	const char *text;

	(void)state;
	setenv("SYSTEM_PROMPT", "Be brief. Today is {date}.", 1);
	assert_int_equal(config_load(stderr), 0);
	read_text(&r, prompt_read, "{" HI "}");
	assert_int_equal(r.rc, 0);
	messages = json_member(r.prompt.body, "messages", json_type_array);
	assert_int_equal(json_object_array_length(messages), 2);
	assert_string_equal(json_member_text(json_object_array_get_idx(messages, 0), "role"), "system");
	text = json_member_text(json_object_array_get_idx(messages, 0), "content");
	assert_memory_equal(text, "Be brief. Today is ", 19);
	assert_non_null(strstr(text, "day "));
	assert_null(strchr(text, '{'));
	forget(&r);
	/* what a client of /v1 says is all that its model hears */
	read_text(&r, prompt_read_openai, "{" HI "}");
	assert_int_equal(json_object_array_length(json_member(r.prompt.body, "messages", json_type_array)), 1);
	forget(&r);
	unsetenv("SYSTEM_PROMPT");
	assert_int_equal(config_load(stderr), 0);
}

static void
a_chat_streams_unless_told_not_to_and_always_asks_for_usage(void **state)
{
	struct reading r;

	(void)state;
	expect_body(prompt_read, "{" HI "}",
	            "{" HI ",\"model\":\"main\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
	expect_body(prompt_read, "{" HI ",\"stream\":null}",
	            "{" HI ",\"model\":\"main\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
	expect_body(prompt_read, "{" HI ",\"stream\":false}", "{" HI ",\"model\":\"main\",\"stream\":false}");
	read_text(&r, prompt_read, "{" HI "}");
	assert_true(r.prompt.stream && r.prompt.usage);
	forget(&r);
}

static void
a_chat_passes_on_the_models_parameters_and_nothing_else(void **state)
{
	(void)state;
	expect_body(prompt_read,
	            "{" HI ",\"stream\":false,\"temperature\":0.5,\"top_p\":1,\"max_tokens\":10,"
	            "\"max_completion_tokens\":11,\"stop\":[\"x\"],\"seed\":3,\"presence_penalty\":0,"
	            "\"frequency_penalty\":0,\"reasoning_effort\":\"low\",\"response_format\":{\"type\":\"text\"},"
	            "\"n\":5,\"logprobs\":true,\"user\":\"me\",\"store\":true,\"conversation_id\":null,\"attachments\":[]}",
	            "{" HI ",\"model\":\"main\",\"stream\":false,\"temperature\":0.5,\"top_p\":1,\"max_tokens\":10,"
	            "\"max_completion_tokens\":11,\"stop\":[\"x\"],\"seed\":3,\"presence_penalty\":0,"
	            "\"frequency_penalty\":0,\"reasoning_effort\":\"low\",\"response_format\":{\"type\":\"text\"}}");
}

static void
roles_of_the_contract_are_taken(void **state)
{
	static const char text[] =
	    "{\"stream\":false,\"messages\":["
	    "{\"role\":\"system\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"\"},"
	    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\"}]},"
	    "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"b\"},"
	    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"c\"},"
	    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:,\"}}]}],\"model\":\"main\"}";
	static const struct refusal only_openai[] = {
	    {WITH_MESSAGE("{\"role\":\"developer\",\"content\":\"x\"}"), ERR_INVALID_REQUEST, "messages[1].role"},
	    {WITH_MESSAGE("{\"role\":\"function\",\"content\":\"x\"}"), ERR_INVALID_REQUEST, "messages[1].role"},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++)
		expect_body(both[i], text, text);
	EXPECT_REFUSALS(prompt_read, only_openai);
}

/* ---- /v1 ---- */

static void
openai_requests_are_passed_on_whole(void **state)
{
	static const char text[] =
	    "{\"messages\":[{\"role\":\"developer\",\"content\":\"a\"},{\"role\":\"function\",\"name\":\"f\",\"content\":\"b\"}],"
	    "\"model\":\"second\",\"stream\":false,\"n\":2,\"tools\":[{\"type\":\"function\"}],\"tool_choice\":\"auto\","
	    "\"logprobs\":true,\"whatever\":{\"x\":[1,2.5,null]},\"conversation_id\":\"theirs\"}";

	(void)state;
	expect_body(prompt_read_openai, text, text);
}

static void
an_openai_request_streams_only_when_asked(void **state)
{
	struct reading r;

	(void)state;
	expect_body(prompt_read_openai, "{" HI "}", "{" HI ",\"model\":\"main\",\"stream\":false}");
	read_text(&r, prompt_read_openai, "{" HI ",\"stream\":true}");
	assert_true(r.prompt.stream);
	forget(&r);
}

static void
usage_is_always_asked_for_but_told_only_to_who_wants_it(void **state)
{
	static const struct {
		const char *options;
		bool usage;
	} cases[] = {
	    {"", false},
	    {",\"stream_options\":null", false},
	    {",\"stream_options\":{}", false},
	    {",\"stream_options\":{\"include_usage\":null}", false},
	    {",\"stream_options\":{\"include_usage\":false}", false},
	    {",\"stream_options\":{\"include_usage\":true}", true},
	};
	static const struct refusal refused[] = {
	    {"{" HI ",\"stream\":true,\"stream_options\":{\"include_usage\":\"yes\"}}", ERR_INVALID_REQUEST,
	     "include_usage must be true or false"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_object *options;
		struct reading r;
		char text[256];

		snprintf(text, sizeof(text), "{" HI ",\"stream\":true%s}", cases[i].options);
		read_text(&r, prompt_read_openai, text);
		assert_int_equal(r.rc, 0);
		assert_int_equal(r.prompt.usage, cases[i].usage);
		options = json_member(r.prompt.body, "stream_options", json_type_object);
		assert_true(json_object_get_boolean(json_member(options, "include_usage", json_type_boolean)));
		forget(&r);
	}
	EXPECT_REFUSALS(prompt_read_openai, refused);
}

static void
a_full_arena_fails_the_request_only(void **state)
{
	struct err err = {0};
	struct json_object *body = json_parse("{" HI "}", strlen("{" HI "}"), &err);
	struct arena *arena = arena_new(16);
	struct prompt prompt;

	(void)state;
	assert_int_equal(prompt_read(arena, body, &prompt, &err), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
	arena_free(&arena);
	json_object_put(body);
}

static int
set_up(void **state)
{
	(void)state;
	unsetenv("BAKAME_ENV_FILE");
	setenv("BAKAME_ENV", "development", 1);
	setenv("OPENAI_MODEL", "main", 1);
	setenv("OPENAI_MODELS", "second, vendor/third:8b", 1);
	return config_load(stderr);
}

static int
tear_down(void **state)
{
	(void)state;
	config_unload();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(messages_that_are_none_are_refused_with_their_path),
	    cmocka_unit_test(contents_that_are_none_are_refused_with_their_path),
	    cmocka_unit_test(other_members_of_wrong_types_are_refused_by_name),
	    cmocka_unit_test(up_to_200_messages_are_taken),
	    cmocka_unit_test(a_model_that_is_not_offered_is_refused_by_name),
	    cmocka_unit_test(a_very_long_model_name_is_shown_cut),
	    cmocka_unit_test(the_model_that_answers_is_the_one_named_or_the_default),
	    cmocka_unit_test(a_star_offers_every_model),
	    cmocka_unit_test(what_only_signed_in_people_may_is_unauthorized),
	    cmocka_unit_test(tools_of_a_chat_are_a_switch_or_names),
	    cmocka_unit_test(the_tools_asked_for_are_offered_to_the_model),
	    cmocka_unit_test(tools_that_are_not_there_are_refused),
	    cmocka_unit_test(the_operators_words_come_first_with_the_day),
	    cmocka_unit_test(a_chat_streams_unless_told_not_to_and_always_asks_for_usage),
	    cmocka_unit_test(a_chat_passes_on_the_models_parameters_and_nothing_else),
	    cmocka_unit_test(roles_of_the_contract_are_taken),
	    cmocka_unit_test(openai_requests_are_passed_on_whole),
	    cmocka_unit_test(an_openai_request_streams_only_when_asked),
	    cmocka_unit_test(usage_is_always_asked_for_but_told_only_to_who_wants_it),
	    cmocka_unit_test(a_full_arena_fails_the_request_only),
	};

	return cmocka_run_group_tests_name("prompt", tests, set_up, tear_down);
}
