/* tool_call.c - a call of a tool: arguments, cache, breaker, provider; see tools/registry.h */
#include <stdio.h>
#include <string.h>

#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "tools/extra.h"
#include "tools/fetch.h"
#include "tools/guarded.h"
#include "tools/registry.h"
#include "tools/schema.h"
#include "tools/tool.h"

#define KEY_MAX_BYTES ((size_t)16384)       /* room for NEWS_FEEDS */

void
tool_set_deadline(const struct tool *tool)
{
	fiber_set_deadline(loop_now_ms() + tool_time_ms(tool) + FETCH_GRACE_MS);
}

struct json_object *
tool_read_arguments(const struct tool *tool, const char *text, size_t len, struct err *err)
{
	struct json_object *schema = tool_schema(tool);
	struct json_object *args;

	if (len == 0) {         /* so models write "none" */
		text = "{}";
		len = 2;
	}
	args = json_parse(text, len, err);
	if (args == NULL) {
		if (err != NULL)
			err->code = ERR_UNPROCESSABLE;
		return NULL;
	}
	schema_drop_nulls(schema, args);
	if (schema_check(schema, args, err) == 0)
		return args;
	json_object_put(args);
	return NULL;
}

static void
count(const struct tool *tool, const char *result)
{
	char labels[96];

	snprintf(labels, sizeof(labels), "tool=\"%s\",result=\"%s\"", tool != NULL ? tool->name : "none", result);
	metric_count(METRIC_TOOL_CALLS, labels);
}

void
tool_count_invalid(const struct tool *tool)
{
	count(tool, "invalid");
}

static int
no_provider(const struct tool *tool, struct err *err)
{
	return err_set(err, ERR_UNAVAILABLE, "The tool %s is not configured on this server.", tool->name);
}

static int
fetch_directly(const struct tool *tool, const struct tool_run *run, struct guarded_answer *f, struct err *err)
{
	const struct tool_provider *provider = tool_provider(tool);

	*f = (struct guarded_answer){0};
	return provider != NULL ? provider->fetch(run, &f->answer, err) : no_provider(tool, err);
}

/* Answers of another provider are another thing. */
static int
fetch_through_cache(const struct tool *tool, const struct tool_run *run, struct guarded_answer *f, bool *refused_r,
                    struct err *err)
{
	const struct tool_provider *provider = tool_provider(tool);
	struct buffer key = BUFFER_INIT(KEY_MAX_BYTES);
	int rc = -1;

	*refused_r = false;
	if (provider == NULL)
		return no_provider(tool, err);
	if (buffer_append_text(&key, provider->name) == -1)
		err_set(err, ERR_INTERNAL, "The question is too long.");
	else if ((provider->key != NULL ? provider->key : tool->key)(run, &key, err) == 0) {
		struct guarded g = {.name = tool->name,
		                    .provider = provider->name,
		                    .ttl_secs = tool->ttl_secs,
		                    .time_ms = tool_time_ms(tool),
		                    .fetch = provider->fetch,
		                    .run = run};

		rc = guarded_fetch(&g, key.data, f, err);
		*refused_r = g.refused;
	}
	buffer_free(&key);
	return rc;
}

/* From the provider's answer to what the model gets. */
static int
finish(const struct tool *tool, const struct tool_run *run, struct guarded_answer *f, struct tool_answer *answer_r,
       struct err *err)
{
	const struct tool_provider *provider = tool_provider(tool);

	if (provider->finish != NULL)
		answer_r->result = provider->finish(run, f->answer, err);
	else
		answer_r->result = tool->finish != NULL ? tool->finish(run, f->answer, err) : f->answer;
	answer_r->cached = f->cached;
	answer_r->stale = f->stale;
	if (answer_r->result == NULL)
		return -1;
	if (f->stale) {
		json_object_object_add(answer_r->result, "stale", json_object_new_boolean(1));
		json_object_object_add(answer_r->result, "age_seconds", json_object_new_int64(f->age_secs));
	}
	return 0;
}

int
tool_call_directly(const struct tool *tool, struct json_object *args, const struct logger *log,
                   struct tool_answer *answer_r, struct err *err)
{
	const struct tool_run run = {args, log};
	struct buffer key = BUFFER_INIT(KEY_MAX_BYTES);
	struct guarded_answer f = {0};
	struct extra_call extra;
	int rc = -1;

	extra_begin(&extra, tool, &run, true);
	/* for what it may refuse */
	if (tool->key(&run, &key, err) == 0 && fetch_directly(tool, &run, &f, err) == 0)
		rc = finish(tool, &run, &f, answer_r, err);
	buffer_free(&key);
	extra_end(&extra, rc == 0 ? answer_r->result : NULL);
	return rc;
}

/* A failure of the provider is the operator's to know; that there is no such place is not. */
static void
log_call(const struct tool *tool, const struct logger *log, int rc, const struct tool_answer *a, int64_t ms,
         const struct err *err)
{
	if (rc == 0)
		LOG_INFO(log, "tool", LOG_STR("tool", tool->name), LOG_INT("ms", ms), LOG_BOOL("cached", a->cached),
		         LOG_BOOL("stale", a->stale));
	else if (err->code == ERR_UPSTREAM || err->code == ERR_UPSTREAM_TIMEOUT || err->code == ERR_UNAVAILABLE ||
	         err->code == ERR_FORBIDDEN || err->code == ERR_INTERNAL)
		LOG_ERROR(log, "tool failed", LOG_STR("tool", tool->name), LOG_INT("ms", ms),
		          LOG_STR("reason", err->message), LOG_STR("cause", err->cause));
	else
		LOG_INFO(log, "tool without result", LOG_STR("tool", tool->name), LOG_INT("ms", ms),
		         LOG_STR("reason", err->message));
}

static void
observe(const struct tool *tool, int64_t ms)
{
	char labels[64];

	snprintf(labels, sizeof(labels), "tool=\"%s\"", tool->name);
	metric_observe(metric_series(METRIC_TOOL_SECONDS, labels), (double)ms / 1000);
}

int
tool_call(const struct tool *tool, struct json_object *args, const struct logger *log, struct tool_answer *answer_r,
          struct err *err)
{
	const struct tool_run run = {args, log};
	int64_t started = loop_now_ms();
	struct guarded_answer f = {0};
	struct extra_call extra;
	bool refused = false;
	int rc = -1;

	*answer_r = (struct tool_answer){0};
	extra_begin(&extra, tool, &run, false);
	if (fetch_through_cache(tool, &run, &f, &refused, err) == 0)
		rc = finish(tool, &run, &f, answer_r, err);
	extra_end(&extra, rc == 0 ? answer_r->result : NULL);
	if (rc == -1 && fiber_cancelled(fiber_self()) == FIBER_PAST_DEADLINE)
		err_set(err, ERR_UPSTREAM_TIMEOUT, "The tool %s took too long.", tool->name);
	if (!refused || rc == 0)
		log_call(tool, log, rc, answer_r, loop_now_ms() - started, err);
	else
		LOG_INFO(log, "tool left alone", LOG_STR("tool", tool->name), LOG_STR("reason", err->message));
	count(tool, rc == 0 ? "ok" : refused ? "refused" : err->code == ERR_UNPROCESSABLE ? "invalid" : "failed");
	observe(tool, loop_now_ms() - started);
	return rc;
}

struct json_object *
tool_result_for_model(const struct tool *tool, struct json_object *result)
{
	struct json_object *kept;

	if (tool->extra == NULL || !json_object_object_get_ex(result, tool->extra->drawn, NULL))
		return json_object_get(result);
	kept = json_object_new_object();
	json_object_object_foreach(result, name, value)
		if (strcmp(name, tool->extra->drawn) != 0)
			json_object_object_add(kept, name, json_object_get(value));
	return kept;
}
