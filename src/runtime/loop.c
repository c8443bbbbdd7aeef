/* loop.c - see runtime/loop.h */
#include "runtime/loop.h"

#include <assert.h>
#include <stdbool.h>
#include <time.h>

static uv_loop_t loop;
static bool made;

uv_loop_t *
loop_get(void)
{
	if (!made) {
		int rc = uv_loop_init(&loop);

		assert(rc == 0);
		(void)rc;
		made = true;
	}
	return &loop;
}

int64_t
loop_now_ms(void)
{
	return (int64_t)uv_now(loop_get());
}

int64_t
loop_unix_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void
loop_run(void)
{
	uv_run(loop_get(), UV_RUN_DEFAULT);
}

void
loop_stop(void)
{
	uv_stop(loop_get());
}

static void
close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void
loop_close(void)
{
	if (!made)
		return;
	uv_walk(&loop, close_handle, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	made = false;
}
