/* tool_round.c - calls of tools, side by side; see chat/turn_parts.h */
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "chat/turn_parts.h"
#include "config/config.h"
#include "http/request.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "tools/registry.h"
#include "tools/tool.h"

/* A call while it runs. */
struct job {
	const struct tool_ask *ask;
	const struct tool *tool;
	struct json_object *args;       /* NULL: they were no good */
	const struct logger *log;
	struct fiber *owner;
	struct fiber *fiber;            /* while it runs */
	bool failed;
	bool told;                      /* the client knows its end */
	int64_t started_ms;
	int64_t ms;
	struct tool_answer answer;
	struct err err;
};

struct round {
	struct job jobs[TOOL_CALLS_MAX];
	size_t count;
	size_t running;
};

/* ---- a call ---- */

static void
run_job(void *arg)
{
	struct job *job = arg;

	tool_set_deadline(job->tool);
	job->failed = tool_call(job->tool, job->args, job->log, &job->answer, &job->err) == -1;
	job->ms = loop_now_ms() - job->started_ms;
	job->fiber = NULL;
	fiber_wake(job->owner);
}

/* In words by which a model can mend its call. */
static int
refuse(struct job *job, const char *why)
{
	job->failed = true;
	err_set(&job->err, ERR_UNPROCESSABLE, "%s", why);
	tool_count_invalid(job->tool);
	return -1;
}

static int
prepare(struct turn *t, struct job *job)
{
	const struct tool_ask *ask = job->ask;

	job->tool = (tools_named(ask->name) & t->prompt->tools) != 0 ? tools_find(ask->name) : NULL;
	if (job->tool == NULL)
		return refuse(job, "There is no tool of that name; use one of those that were offered.");
	if (ask->too_large)
		return refuse(job, "The arguments are too long.");
	if (t->asked >= TURN_CALLS_MAX)
		return refuse(job, "No more tools can be called for this answer; answer with what is there.");
	job->args = tool_read_arguments(job->tool, ask->arguments.data, ask->arguments.len, &job->err);
	if (job->args != NULL)
		return 0;
	job->failed = true;
	tool_count_invalid(job->tool);
	return -1;
}

/* ---- what the client is told ---- */

static struct json_object *
begin_event(const struct job *job, const char *status)
{
	struct json_object *event = json_object_new_object();

	json_object_object_add(event, "id", json_object_new_string(job->ask->id));
	json_object_object_add(event, "name", json_object_new_string(job->ask->name));
	if (status != NULL)
		json_object_object_add(event, "status", json_object_new_string(status));
	return event;
}

/* What the model wrote, if that is JSON, though it be refused. */
static struct json_object *
shown_arguments(const struct job *job)
{
	struct json_object *args;

	if (job->args != NULL)
		return json_object_get(job->args);
	args = job->ask->arguments.len > 0 ? json_parse(job->ask->arguments.data, job->ask->arguments.len, NULL) : NULL;
	if (json_object_is_type(args, json_type_object))
		return args;
	json_object_put(args);
	return json_object_new_object();
}

static struct json_object *
running_event(const struct job *job)
{
	struct json_object *event = begin_event(job, NULL);

	json_object_object_add(event, "arguments", shown_arguments(job));
	json_object_object_add(event, "status", json_object_new_string("running"));
	return event;
}

static void
add_end(struct json_object *event, const struct job *job)
{
	if (job->failed) {
		json_object_object_add(event, "error", json_object_new_string(job->err.message));
		return;
	}
	json_object_object_add(event, "cached", json_object_new_boolean(job->answer.cached));
	json_object_object_add(event, "ms", json_object_new_int64(job->ms));
	json_object_object_add(event, "result", json_object_get(job->answer.result));
}

static struct json_object *
end_event(const struct job *job)
{
	struct json_object *event = begin_event(job, job->failed ? "failed" : "done");

	add_end(event, job);
	return event;
}

/* Only a stream of ours has room for it. */
static int
tell(struct turn *t, struct json_object *event)
{
	int rc = t->prompt->stream && t->extras ? relay_tool(t, event) : 0;

	json_object_put(event);
	return rc;
}

static int
tell_ends(struct turn *t, struct round *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct job *job = &r->jobs[i];

		if (job->fiber != NULL || job->told)
			continue;
		job->told = true;
		if (tell(t, end_event(job)) == -1)
			return -1;
	}
	return 0;
}

/* ---- the round ---- */

static bool
is_running(const struct round *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->jobs[i].fiber != NULL)
			return true;
	return false;
}

/* They hold what is ours: go on only when they have ended. */
static void
cancel_jobs(struct round *r)
{
	enum fiber_cancel why = fiber_cancelled(fiber_self());

	for (size_t i = 0; i < r->count; i++)
		if (r->jobs[i].fiber != NULL)
			fiber_cancel(r->jobs[i].fiber, why != FIBER_GO_ON ? why : FIBER_CLIENT_GONE);
	fiber_mask_begin();
	while (is_running(r))
		(void)!fiber_wait(FIBER_NO_DEADLINE);
	fiber_mask_end();
}

static void
start_jobs(struct turn *t, struct round *r)
{
	for (size_t i = 0; i < t->calls->count; i++) {
		struct job *job = &r->jobs[r->count++];

		job->ask = &t->calls->asks[i];
		job->log = &t->rq->log;
		job->owner = fiber_self();
		job->started_ms = loop_now_ms();
		if (prepare(t, job) == 0)
			job->fiber = fiber_spawn(run_job, job);
		t->asked++;
	}
}

static int
wait_for_jobs(struct turn *t, struct round *r, struct err *err)
{
	const int64_t ping_ms = config()->ping_secs * 1000;

	for (;;) {
		if (tell_ends(t, r) == -1)
			return err_set(err, ERR_CANCELLED, "The client went away.");
		if (!is_running(r))
			return 0;
		switch (fiber_wait(loop_now_ms() + ping_ms)) {
		case FIBER_CANCELLED:
			return fiber_cancel_err(err);
		case FIBER_TIMEOUT:
			if (t->prompt->stream && relay_ping(t) == -1)
				return err_set(err, ERR_CANCELLED, "The client went away.");
			break;
		case FIBER_WOKEN:
			break;
		}
	}
}

static int
run_jobs(struct turn *t, struct round *r, struct err *err)
{
	start_jobs(t, r);
	for (size_t i = 0; i < r->count; i++)
		if (tell(t, running_event(&r->jobs[i])) == -1)
			return err_set(err, ERR_CANCELLED, "The client went away.");
	return wait_for_jobs(t, r, err);
}

/* ---- what the model is told ---- */

/* The prompt's messages, and from now on more. */
static void
copy_messages(struct turn *t)
{
	struct json_object *messages = json_member(t->prompt->body, "messages", json_type_array);

	t->messages = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(messages); i++)
		json_object_array_add(t->messages, json_object_get(json_object_array_get_idx(messages, i)));
}

/* What was said before the calls; free() it; NULL if nothing was. */
static char *
said_text(const struct turn *t)
{
	struct buffer quoted = BUFFER_INIT(TURN_SAID_MAX_BYTES + 2);
	struct json_object *text = NULL;
	char *said = NULL;

	if (t->said.len > 0 && buffer_append(&quoted, "\"", 1) == 0 &&
	    buffer_append(&quoted, t->said.data, t->said.len) == 0 && buffer_append(&quoted, "\"", 1) == 0)
		text = json_parse_trusted(quoted.data, quoted.len);
	if (json_object_is_type(text, json_type_string))
		said = mem_strdup(json_object_get_string(text));
	json_object_put(text);
	buffer_free(&quoted);
	return said;
}

/* A message of a model that does not stream is kept as it came. */
static struct json_object *
assistant_message(const struct turn *t)
{
	char *said = said_text(t);
	struct json_object *message = tool_calls_message(t->calls, said);
	struct json_object *choices = json_member(t->answer, "choices", json_type_array);
	const char *content = NULL;

	if (choices != NULL)
		content = json_member_text(json_member(json_object_array_get_idx(choices, 0), "message", json_type_object),
		                           "content");
	if (content != NULL)
		json_object_object_add(message, "content", json_object_new_string(content));
	free(said);
	return message;
}

static struct json_object *
tool_message(const struct job *job)
{
	struct json_object *message = json_object_new_object();
	struct json_object *told;
	const char *text;
	size_t len;

	if (job->failed) {
		told = json_object_new_object();
		json_object_object_add(told, "error", json_object_new_string(job->err.message));
	} else {
		told = tool_result_for_model(job->tool, job->answer.result);
	}
	text = json_text(told, &len);
	json_object_object_add(message, "role", json_object_new_string("tool"));
	json_object_object_add(message, "tool_call_id", json_object_new_string(job->ask->id));
	json_object_object_add(message, "content", json_object_new_string_len(text, (int)len));
	json_object_put(told);
	return message;
}

static void
add_messages(struct turn *t, const struct round *r)
{
	if (t->messages == NULL)
		copy_messages(t);
	json_object_array_add(t->messages, assistant_message(t));
	for (size_t i = 0; i < r->count; i++)
		json_object_array_add(t->messages, tool_message(&r->jobs[i]));
}

/* For an answer that is not streamed, or kept: running and end in one. */
static void
add_activity(struct turn *t, const struct round *r)
{
	if (!t->extras || (t->prompt->stream && t->prompt->record == NULL))
		return;
	if (t->activity == NULL)
		t->activity = json_object_new_array();
	for (size_t i = 0; i < r->count; i++) {
		struct json_object *entry = running_event(&r->jobs[i]);

		json_object_object_add(entry, "status", json_object_new_string(r->jobs[i].failed ? "failed" : "done"));
		add_end(entry, &r->jobs[i]);
		json_object_array_add(t->activity, entry);
	}
}

int
tool_round_run(struct turn *t, struct err *err)
{
	struct round *r = mem_alloc(sizeof(*r));        /* some 15 KiB, for as long as the tools run */
	int rc;

	tool_calls_finish(t->calls, t->asked);
	rc = run_jobs(t, r, err);
	if (rc == -1)
		cancel_jobs(r);
	if (rc == 0) {
		add_messages(t, r);
		add_activity(t, r);
	}
	for (size_t i = 0; i < r->count; i++) {
		json_object_put(r->jobs[i].args);
		json_object_put(r->jobs[i].answer.result);
	}
	free(r);
	t->rounds++;
	return rc;
}
