/* work.c - see runtime/work.h */
#include "runtime/work.h"

#include <stdbool.h>

#include "runtime/fiber.h"
#include "runtime/loop.h"

struct work {
	uv_work_t handle;
	void (*fn)(void *arg);
	void *arg;
	struct fiber *fiber;
	bool done;
};

static void
work_cb(uv_work_t *handle)
{
	struct work *w = handle->data;

	w->fn(w->arg);
}

static void
done_cb(uv_work_t *handle, int status)
{
	struct work *w = handle->data;

	(void)status;
	w->done = true;
	fiber_wake(w->fiber);
}

void
work_run(void (*fn)(void *arg), void *arg)
{
	struct work w = {.fn = fn, .arg = arg, .fiber = fiber_self()};

	w.handle.data = &w;
	if (uv_queue_work(loop_get(), &w.handle, work_cb, done_cb) != 0) {
		fn(arg);
		return;
	}
	/* `w` lives on this stack: stay until the pool has let go of it */
	fiber_mask_begin();
	while (!w.done)
		(void)!fiber_wait(FIBER_NO_DEADLINE);
	fiber_mask_end();
}
