/* extra.c - see tools/extra.h */
#include "tools/extra.h"

#include "base/buffer.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"
#include "tools/fetch.h"
#include "tools/guarded.h"
#include "tools/registry.h"
#include "tools/tool.h"

#define KEY_MAX_BYTES ((size_t)1024)

/* Never so long that the result would be late. */
static int64_t
time_of(const struct extra_call *call)
{
	int64_t half = tool_time_ms(call->tool) / 2;

	return call->tool->extra->time_ms < half ? call->tool->extra->time_ms : half;
}

static int
look_up(struct extra_call *call, struct err *err)
{
	const struct tool_extra *extra = call->tool->extra;
	struct guarded g = {.name = extra->name,
	                    .provider = extra->provider,
	                    .ttl_secs = extra->ttl_secs,
	                    .time_ms = time_of(call),
	                    .fetch = extra->fetch,
	                    .run = call->run};
	struct buffer key = BUFFER_INIT(KEY_MAX_BYTES);
	struct guarded_answer found = {0};
	int rc = extra->key(call->run, &key, err);

	if (rc == 0)
		rc = guarded_fetch(&g, key.data, &found, err);
	call->answer = found.answer;
	buffer_free(&key);
	return rc;
}

static void
run_call(void *arg)
{
	struct extra_call *call = arg;
	struct err err = {0};
	int rc;

	fiber_set_deadline(loop_now_ms() + time_of(call) + FETCH_GRACE_MS);
	rc = call->directly ? call->tool->extra->fetch(call->run, &call->answer, &err) : look_up(call, &err);
	if (rc == -1) {
		LOG_INFO(call->run->log, "tool without extra", LOG_STR("tool", call->tool->name),
		         LOG_STR("extra", call->tool->extra->name), LOG_STR("reason", err.message));
		json_object_put(call->answer);
		call->answer = NULL;
	}
	call->fiber = NULL;
	fiber_wake(call->owner);
}

void
extra_begin(struct extra_call *call, const struct tool *tool, const struct tool_run *run, bool directly)
{
	*call = (struct extra_call){.tool = tool, .run = run, .directly = directly, .owner = fiber_self()};
	if (tool->extra != NULL && tool->extra->is_wanted(run))
		call->fiber = fiber_spawn(run_call, call);
}

/* It holds what is ours: go on only when it has ended. */
static void
give_up(struct extra_call *call)
{
	enum fiber_cancel why = fiber_cancelled(fiber_self());

	if (call->fiber == NULL)
		return;
	fiber_cancel(call->fiber, why != FIBER_GO_ON ? why : FIBER_CLIENT_GONE);
	fiber_mask_begin();
	while (call->fiber != NULL)
		(void)!fiber_wait(FIBER_NO_DEADLINE);
	fiber_mask_end();
}

void
extra_end(struct extra_call *call, struct json_object *result)
{
	while (result != NULL && call->fiber != NULL && fiber_wait(FIBER_NO_DEADLINE) != FIBER_CANCELLED)
		continue;
	give_up(call);
	if (result != NULL && call->answer != NULL)
		call->tool->extra->add(call->run, result, call->answer);
	json_object_put(call->answer);
	call->answer = NULL;
}
