/* errand.c - see runtime/errand.h */
#include "runtime/errand.h"

#include "runtime/fiber.h"
#include "runtime/loop.h"

/* Any time that is long. */
#define KEEP_ALIVE_MS 3600000

struct errand {
	int (*fn)(void *arg);
	void *arg;
	int result;
};

static void
errand_main(void *arg)
{
	struct errand *e = arg;

	e->result = e->fn(e->arg);
	loop_stop();
}

static void
keep_alive_cb(uv_timer_t *timer)
{
	(void)timer;
}

int
errand_run(int (*fn)(void *arg), void *arg)
{
	struct errand e = {.fn = fn, .arg = arg};

	uv_timer_t keep_alive;

	/* a fiber that is ready is nothing that libuv would run for */
	uv_timer_init(loop_get(), &keep_alive);
	uv_timer_start(&keep_alive, keep_alive_cb, KEEP_ALIVE_MS, KEEP_ALIVE_MS);
	fiber_spawn(errand_main, &e);
	loop_run();
	uv_close((uv_handle_t *)&keep_alive, NULL);
	uv_run(loop_get(), UV_RUN_NOWAIT);      /* until it is closed: it lives on this stack */
	return e.result;
}

void
errand_end(void)
{
	fiber_pool_free();
	loop_close();
}
