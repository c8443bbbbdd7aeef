/*
 * fuzz_schema.c - a schema and a value, on two lines; and the value as arguments of each tool.
 *
 * Any schema and any value are looked at safely; what is refused is refused in words that can be sent.  What a tool
 * takes makes a key, or is refused.
 */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "config/config.h"
#include "fuzz.h"
#include "telemetry/log.h"
#include "tools/registry.h"
#include "tools/schema.h"
#include "tools/tool.h"

static void
start(void)
{
	static bool started;

	if (started)
		return;
	unsetenv("BAKAME_ENV_FILE");
	setenv("BAKAME_ENV", "development", 1);
	REQUIRE(config_load(stderr) == 0);
	started = true;
}

static void
check_refusal(const struct err *err)
{
	REQUIRE(err->code == ERR_UNPROCESSABLE && err->message[0] != '\0');
	REQUIRE(text_is_utf8(err->message, strlen(err->message)));
}

static void
check_pair(const char *schema_text, size_t schema_len, const char *text, size_t len)
{
	struct json_object *schema = json_parse(schema_text, schema_len, NULL);
	struct json_object *value = json_parse(text, len, NULL);
	struct err err = {0};

	if (schema != NULL && value != NULL) {
		schema_drop_nulls(schema, value);
		if (schema_check(schema, value, &err) == -1)
			check_refusal(&err);
	}
	json_object_put(value);
	json_object_put(schema);
}

static void
check_tools(const char *text, size_t len)
{
	for (unsigned i = 0; i < tools_count(); i++) {
		struct err err = {0};
		struct json_object *args = tool_read_arguments(tools_at(i), text, len, &err);
		struct buffer key = BUFFER_INIT(2048);
		struct tool_run run = {args, &log_root};

		if (args == NULL)
			check_refusal(&err);
		else if (tools_at(i)->key(&run, &key, &err) == -1)
			check_refusal(&err);
		buffer_free(&key);
		json_object_put(args);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *line_end = memchr(text, '\n', size);
	size_t first = line_end != NULL ? (size_t)(line_end - text) : size;

	start();
	if (line_end != NULL)
		check_pair(text, first, line_end + 1, size - first - 1);
	check_tools(text, first);
	return 0;
}
