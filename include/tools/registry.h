/*
 * registry.h - which tools there are, and how one is called.
 *
 * Calls are checked, looked up in the cache, made behind the tool's breaker, counted and logged here; the tools
 * themselves only know their providers.
 */
#ifndef TOOLS_REGISTRY_H
#define TOOLS_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

struct logger;
struct tool;
struct tool_provider;

#define TOOLS_MAX 32

/* A set of tools: a bit for each, by its place in the registry. */
typedef uint32_t tool_set;

/* Complain in the log about names in TOOLS_ENABLED that are none. */
void tools_start(void);
/* Free what was made of the table. */
void tools_stop(void);

unsigned tools_count(void);
const struct tool *tools_at(unsigned index);
const struct tool *tools_find(const char *name);

/* Those that are enabled and have a provider. */
tool_set tools_offered(void);
/* The set of that tool alone; 0 for a name that is none. */
tool_set tools_named(const char *name);

/* The set as a model wants it: an array of {"type":"function","function":{...}}.  json_object_put() it. */
struct json_object *tools_definitions(tool_set set);

/* Who would answer, and his name; NULL when none is configured. */
const struct tool_provider *tool_provider(const struct tool *tool);
const char *tool_provider_name(const struct tool *tool);

/* The schema of the arguments, borrowed; the time that a call may take. */
struct json_object *tool_schema(const struct tool *tool);
int64_t tool_time_ms(const struct tool *tool);

/* Give the running fiber the time that a call may take, and a moment more, so that what came of it can be kept: a provider
   that is too slow is a failure of the provider, not a fiber cancelled. */
void tool_set_deadline(const struct tool *tool);

/* Read a model's arguments.  NULL with *err (ERR_UNPROCESSABLE, in words that the model can mend its
   call by); else json_object_put() them. */
struct json_object *tool_read_arguments(const struct tool *tool, const char *text, size_t len, struct err *err) MUST_USE;

struct tool_answer {
	struct json_object *result;     /* json_object_put() it */
	bool cached;                    /* not fetched by this call */
	bool stale;
};

/* Call the tool.  `args` come from tool_read_arguments().  -1 with *err: a short reason that may be
   shown.  Waits, as long as its fiber may live (see tool_set_deadline()). */
int tool_call(const struct tool *tool, struct json_object *args, const struct logger *log,
              struct tool_answer *answer_r, struct err *err) MUST_USE;

/* The same straight from the provider: no cache, no breaker.  For an operator's look. */
int tool_call_directly(const struct tool *tool, struct json_object *args, const struct logger *log,
                       struct tool_answer *answer_r, struct err *err) MUST_USE;

/* The result without what is only for people to see.  json_object_put() it. */
struct json_object *tool_result_for_model(const struct tool *tool, struct json_object *result) MUST_USE;

/* Count a call that was not made: the model's arguments were bad, or the tool is none. */
void tool_count_invalid(const struct tool *tool);

/* What GET /api/tools says of a tool; json_object_put() it. */
struct json_object *tool_describe(const struct tool *tool);

#endif
