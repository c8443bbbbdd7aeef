/* registry.c - see tools/registry.h */
#include "tools/registry.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/config.h"
#include "telemetry/log.h"
#include "tools/tool.h"

/* ---- the registry ---- */

extern const struct tool tool_weather;
extern const struct tool tool_currency;
extern const struct tool tool_news;
extern const struct tool tool_web_search;
extern const struct tool tool_places;

static const struct tool *const tools[] = {
    &tool_weather,
    &tool_currency,
    &tool_news,
    &tool_web_search,
    &tool_places,
};

#define TOOLS_COUNT (sizeof(tools) / sizeof(tools[0]))
_Static_assert(TOOLS_COUNT <= TOOLS_MAX, "a tool_set has no more bits");

/* Stands in TOOLS_ENABLED for no tools. */
#define NONE "none"

/* What is made of a row when it is first asked for. */
static struct {
	struct json_object *schema;
	struct json_object *definition;         /* prints itself as `definition_text` */
	char *definition_text;
} made[TOOLS_COUNT];

static size_t
index_of(const struct tool *tool)
{
	for (size_t i = 0; i < TOOLS_COUNT; i++)
		if (tools[i] == tool)
			return i;
	abort();        /* no row of the table */
}

/* Definitions are the same in each request: they are written once. */
static int
print_definition(struct json_object *obj, struct printbuf *out, int level, int flags)
{
	const char *text = json_object_get_userdata(obj);

	(void)level;
	(void)flags;
	return printbuf_memappend(out, text, (int)strlen(text));
}

static struct json_object *
definition_of(const struct tool *tool, struct json_object *schema)
{
	struct json_object *definition = json_object_new_object();
	struct json_object *function = json_object_new_object();

	json_object_object_add(function, "name", json_object_new_string(tool->name));
	json_object_object_add(function, "description", json_object_new_string(tool->description));
	json_object_object_add(function, "parameters", json_object_get(schema));
	json_object_object_add(definition, "type", json_object_new_string("function"));
	json_object_object_add(definition, "function", function);
	return definition;
}

static void
check_enabled_names(void)
{
	const char *rest = config()->tools_enabled;
	char name[64];

	while (*(rest += strspn(rest, ", ")) != '\0') {
		size_t len = strcspn(rest, ", ");

		snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : sizeof(name) - 1), rest);
		if (tools_find(name) == NULL && strcmp(name, NONE) != 0)
			LOG_WARN(&log_root, "TOOLS_ENABLED names a tool that there is not", LOG_STR("tool", name));
		rest += len;
	}
}

static struct json_object *
schema_at(size_t i)
{
	if (made[i].schema == NULL)
		made[i].schema = json_parse_trusted(tools[i]->schema, strlen(tools[i]->schema));
	assert(made[i].schema != NULL);
	return made[i].schema;
}

struct json_object *
tool_schema(const struct tool *tool)
{
	return schema_at(index_of(tool));
}

static struct json_object *
printed_definition(size_t i)
{
	struct json_object *whole;

	if (made[i].definition != NULL)
		return made[i].definition;
	whole = definition_of(tools[i], schema_at(i));
	made[i].definition_text = mem_strdup(json_text(whole, NULL));
	json_object_put(whole);
	made[i].definition = json_object_new_object();
	json_object_set_serializer(made[i].definition, print_definition, made[i].definition_text, NULL);
	return made[i].definition;
}

void
tools_start(void)
{
	check_enabled_names();
}

void
tools_stop(void)
{
	for (size_t i = 0; i < TOOLS_COUNT; i++) {
		json_object_put(made[i].definition);
		json_object_put(made[i].schema);
		free(made[i].definition_text);
	}
	memset(made, 0, sizeof(made));
}

unsigned
tools_count(void)
{
	return TOOLS_COUNT;
}

const struct tool *
tools_at(unsigned index)
{
	return tools[index];
}

const struct tool *
tools_find(const char *name)
{
	for (size_t i = 0; i < TOOLS_COUNT; i++)
		if (strcmp(tools[i]->name, name) == 0)
			return tools[i];
	return NULL;
}

const struct tool_provider *
tool_provider(const struct tool *tool)
{
	for (const struct tool_provider *const *p = tool->providers; *p != NULL; p++)
		if (config_has((*p)->needs))
			return *p;
	return NULL;
}

const char *
tool_provider_name(const struct tool *tool)
{
	const struct tool_provider *provider = tool_provider(tool);

	return provider != NULL ? provider->name : NULL;
}

static bool
is_enabled(const struct tool *tool)
{
	return text_list_has(config()->tools_enabled, tool->name);
}

tool_set
tools_offered(void)
{
	tool_set set = 0;

	for (size_t i = 0; i < TOOLS_COUNT; i++)
		if (is_enabled(tools[i]) && tool_provider(tools[i]) != NULL)
			set |= (tool_set)1 << i;
	return set;
}

tool_set
tools_named(const char *name)
{
	const struct tool *tool = tools_find(name);

	return tool != NULL ? (tool_set)1 << index_of(tool) : 0;
}

struct json_object *
tools_definitions(tool_set set)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < TOOLS_COUNT; i++)
		if (set & (tool_set)1 << i)
			json_object_array_add(list, json_object_get(printed_definition(i)));
	return list;
}

int64_t
tool_time_ms(const struct tool *tool)
{
	return tool->deadline_ms > 0 ? tool->deadline_ms : config()->tool_timeout_ms;
}

struct json_object *
tool_describe(const struct tool *tool)
{
	const struct tool_provider *provider = tool_provider(tool);
	struct json_object *row = json_object_new_object();

	json_object_object_add(row, "name", json_object_new_string(tool->name));
	json_object_object_add(row, "description", json_object_new_string(tool->description));
	json_object_object_add(row, "parameters", json_object_get(tool_schema(tool)));
	json_object_object_add(row, "configured", json_object_new_boolean(provider != NULL));
	json_object_object_add(row, "enabled", json_object_new_boolean(is_enabled(tool)));
	json_object_object_add(row, "provider", provider != NULL ? json_object_new_string(provider->name) : NULL);
	json_object_object_add(row, "ttl_seconds", json_object_new_int64(tool->ttl_secs));
	return row;
}
