/*
 * fuzz_prompt.c - the bodies of POST /api/chat and POST /v1/chat/completions.
 *
 * What is taken has 1 to 200 messages and an offered model, and goes to the model
 * as JSON.  What is refused is refused by a 4xx whose message can be sent.
 */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "chat/prompt.h"
#include "config/config.h"
#include "fuzz.h"

#define ARENA_BYTES ((size_t)4 * 1024 * 1024)

static void
start(void)
{
	static bool started;

	if (started)
		return;
	unsetenv("BAKAME_ENV_FILE");
	setenv("BAKAME_ENV", "development", 1);
	setenv("OPENAI_MODEL", "main", 1);
	setenv("OPENAI_MODELS", "second", 1);
	REQUIRE(config_load(stderr) == 0);
	started = true;
}

static void
check_taken(const struct prompt *p)
{
	struct json_object *messages = json_member(p->body, "messages", json_type_array);
	struct json_object *again;
	struct err err;
	const char *text, *text_again;
	size_t len, len_again;

	REQUIRE(messages != NULL);
	REQUIRE(json_object_array_length(messages) >= 1 && json_object_array_length(messages) <= PROMPT_MESSAGES_MAX);
	REQUIRE(prompt_model_offered(p->model));
	REQUIRE(strcmp(json_member_text(p->body, "model"), p->model) == 0);
	REQUIRE(json_object_get_boolean(json_object_object_get(p->body, "stream")) == p->stream);
	text = json_text(p->body, &len);
	again = json_parse(text, len, &err);
	REQUIRE(again != NULL);
	/* as text: definitions of tools are objects that only print themselves */
	text_again = json_text(again, &len_again);
	REQUIRE(len_again == len && memcmp(text_again, text, len) == 0);
	json_object_put(again);
}

static void
check_refused(const struct err *err)
{
	REQUIRE(err->code == ERR_INVALID_REQUEST || err->code == ERR_UNPROCESSABLE || err->code == ERR_UNAUTHORIZED);
	REQUIRE(err->message[0] != '\0');
	REQUIRE(text_is_utf8(err->message, strlen(err->message)));
}

static void
read_one(int (*read)(struct arena *, struct json_object *, struct prompt *, struct err *), const char *text, size_t len)
{
	struct arena *arena = arena_new(ARENA_BYTES);
	struct err err = {0};
	struct json_object *body = json_parse(text, len, &err);
	struct prompt prompt = {0};

	/* the handlers' request_read_json() takes nothing but objects */
	if (json_object_is_type(body, json_type_object)) {
		if (read(arena, body, &prompt, &err) == 0)
			check_taken(&prompt);
		else
			check_refused(&err);
	}
	arena_free(&arena);
	json_object_put(body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	start();
	read_one(prompt_read, (const char *)data, size);
	read_one(prompt_read_openai, (const char *)data, size);
	return 0;
}
