/*
 * tool.h - what a tool is: a row of the registry, made of constants and three functions.
 *
 * A tool has one provider or several; the first that is configured answers.  What a provider
 * fetched is kept by net/cache.h under a key made of the arguments, behind the breaker that bears the
 * tool's name.  A sixth tool is one file with a `const struct tool` and one line of registry.c;
 * HACKING shows how.
 */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/json.h"
#include "config/config.h"

struct logger;

/* What a call has: checked arguments. */
struct tool_run {
	struct json_object *args;       /* fits the tool's schema; members that are null were taken out */
	const struct logger *log;
};

struct tool_provider {
	const char *name;               /* as people know it: "Open-Meteo" */
	enum feature needs;             /* FEATURE_NONE: works without being configured */
	/* Ask the provider.  *answer_r is what the cache keeps: json_object_put() it.  -1 with *err, whose
	   code also tells the breaker: ERR_UPSTREAM, ERR_UPSTREAM_TIMEOUT and ERR_UNAVAILABLE are failures
	   of the provider; ERR_NOT_FOUND (there is no such thing), ERR_UNPROCESSABLE (not with these
	   arguments) and ERR_FORBIDDEN (the operator has to look) are not.  Waits. */
	int (*fetch)(const struct tool_run *run, struct json_object **answer_r, struct err *err);
	/* In place of the tool's own, where this provider differs; NULL: it does not. */
	int (*key)(const struct tool_run *run, struct buffer *key, struct err *err);
	struct json_object *(*finish)(const struct tool_run *run, struct json_object *answer, struct err *err);
};

/* More than the provider says, asked side by side with it (tools/extra.h), kept in its own time, and left out
   where it fails. */
struct tool_extra {
	const char *name;               /* of its kind in the cache, and of its breaker */
	const char *provider;
	int64_t ttl_secs;
	int64_t time_ms;                /* that it may take; at most half of the tool's */
	bool (*is_wanted)(const struct tool_run *run);
	/* As those of a provider. */
	int (*key)(const struct tool_run *run, struct buffer *key, struct err *err);
	int (*fetch)(const struct tool_run *run, struct json_object **answer_r, struct err *err);
	/* Add to the result what was fetched or kept; `answer` stays the caller's.  Does not wait. */
	void (*add)(const struct tool_run *run, struct json_object *result, struct json_object *answer);
	const char *drawn;              /* the member of the result that people see drawn, and the model does not get: it is long */
};

struct tool {
	const char *name;
	const char *description;        /* for the model */
	const char *schema;             /* JSON Schema of the arguments, within what schema.h knows */
	int64_t ttl_secs;
	int64_t deadline_ms;            /* 0: TOOL_TIMEOUT_MS */
	const struct tool_provider *const *providers;   /* ended by NULL; the first that is configured */
	/* What the answer depends on, as text: like questions give like keys.  May refuse what a schema cannot
	   tell (ERR_UNPROCESSABLE).  Does not wait. */
	int (*key)(const struct tool_run *run, struct buffer *key, struct err *err);
	/* The answer, fetched or kept, becomes the result; NULL: it is the result.  Takes over `answer`.  NULL with
	   *err on failure.  Does not wait. */
	struct json_object *(*finish)(const struct tool_run *run, struct json_object *answer, struct err *err);
	const struct tool_extra *extra; /* or NULL */
};

/* ---- what tools share ---- */

/* The text of an argument, or `fallback`. */
const char *tool_arg_text(const struct tool_run *run, const char *name, const char *fallback);
int64_t tool_arg_int(const struct tool_run *run, const char *name, int64_t fallback);

/* Add `name`=`text`, blanks trimmed and run together, ASCII letters small, to a key. */
int tool_key_add(struct buffer *key, const char *name, const char *text) MUST_USE;

/* Add text to a result, cut to `max` bytes at a character; nothing for NULL or "". */
void tool_add_text(struct json_object *obj, const char *name, const char *text, size_t max);

/* The same for a copy of a number of `from`, if it is one. */
void tool_add_number(struct json_object *obj, const char *name, struct json_object *from, const char *member);

/* Is it an address of the web (http: or https:) that can be shown whole?  One that is cut leads nowhere.  False for NULL. */
#define TOOL_URL_MAX_BYTES ((size_t)1000)
bool tool_is_url(const char *text);

/* A number written with `places` digits after the point. */
struct json_object *tool_decimal(double value, int places);

/* A time, seconds since 1970, as "2026-01-31T08:00:00Z"; with an offset as "2026-01-31T10:00:00+02:00". */
#define TOOL_TIME_BYTES 32
void tool_format_time(char out[TOOL_TIME_BYTES], int64_t secs, int64_t offset_secs);

/* `source` and `retrieved_at`: what each result ends with. */
void tool_add_source(struct json_object *obj, const char *source);

/* HTML taken out of a text from outside: tags dropped, the usual entities decoded, blanks run together.
   In place; NULL is allowed.  Returns it. */
char *tool_strip_html(char *text);

#endif
