/* child.c - see runtime/child.h */
#include "runtime/child.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/fiber.h"
#include "runtime/loop.h"

#define PIECE_BYTES 16384

struct child {
	uv_process_t process;
	uv_pipe_t pipe;
	struct fiber *fiber;
	struct child_result *result;
	unsigned open_handles;
	bool exited;
	bool said_all;
	char piece[PIECE_BYTES];
};

static void
exit_cb(uv_process_t *process, int64_t status, int signal)
{
	struct child *c = process->data;

	c->exited = true;
	c->result->status = status;
	c->result->signal = signal;
	fiber_wake(c->fiber);
}

static void
alloc_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct child *c = handle->data;

	(void)suggested;
	*buf = uv_buf_init(c->piece, sizeof(c->piece));
}

static void
read_cb(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	struct child *c = stream->data;
	struct buffer *output = &c->result->output;

	if (len < 0) {
		c->said_all = true;
	} else if (buffer_append(output, buf->base, (size_t)len) == -1) {
		(void)!buffer_append(output, buf->base, output->max - output->len);
		c->result->end = CHILD_SAID_TOO_MUCH;
		uv_read_stop(stream);
	}
	fiber_wake(c->fiber);
}

static void
closed_cb(uv_handle_t *handle)
{
	struct child *c = handle->data;

	c->open_handles--;
	fiber_wake(c->fiber);
}

static int
start(struct child *c, const char *const *argv, int input, struct err *err)
{
	static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", language[] = "LANG=C.UTF-8";
	char *env[] = {path, language, NULL};
	uv_stdio_container_t stdio[3] = {
	    {.flags = UV_INHERIT_FD, .data.fd = input},
	    {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&c->pipe},
	    {.flags = UV_IGNORE},
	};
	uv_process_options_t options = {
	    .exit_cb = exit_cb,
	    .file = argv[0],
	    .args = (char **)(uintptr_t)argv,       /* which libuv does not change */
	    .env = env,
	    .flags = UV_PROCESS_DETACHED,
	    .stdio_count = 3,
	    .stdio = stdio,
	};
	int rc;

	uv_pipe_init(loop_get(), &c->pipe, 0);
	c->pipe.data = c;
	c->process.data = c;
	c->open_handles = 2;
	rc = uv_spawn(loop_get(), &c->process, &options);
	if (rc == 0)
		return uv_read_start((uv_stream_t *)&c->pipe, alloc_cb, read_cb);
	c->exited = true;
	err_set(err, ERR_INTERNAL, "A program that is needed could not be started.");
	return err_cause(err, "%s: %s", argv[0], uv_strerror(rc));
}

/* Wait for the end, by itself or by us. */
static int
await_end(struct child *c, int64_t deadline_ms, struct err *err)
{
	while (!(c->exited && c->said_all) && c->result->end == CHILD_ENDED) {
		switch (fiber_wait(deadline_ms)) {
		case FIBER_TIMEOUT:
			c->result->end = CHILD_TOOK_TOO_LONG;
			break;
		case FIBER_CANCELLED:
			return fiber_cancel_err(err);
		case FIBER_WOKEN:
			break;
		}
	}
	return 0;
}

/* Nothing of it is left after this. */
static void
finish(struct child *c, bool started)
{
	fiber_mask_begin();
	if (started && !(c->exited && c->said_all))
		kill(-c->process.pid, SIGKILL);         /* what it started, too */
	while (!c->exited)
		(void)!fiber_wait(FIBER_NO_DEADLINE);
	uv_close((uv_handle_t *)&c->process, closed_cb);
	uv_close((uv_handle_t *)&c->pipe, closed_cb);
	while (c->open_handles > 0)
		(void)!fiber_wait(FIBER_NO_DEADLINE);
	fiber_mask_end();
}

int
child_run(const char *const *argv, int input, size_t output_max, int64_t deadline_ms, struct child_result *result_r,
          struct err *err)
{
	struct child *c = mem_alloc(sizeof(*c));
	int rc;

	memset(result_r, 0, sizeof(*result_r));
	result_r->output.max = output_max;
	c->fiber = fiber_self();
	c->result = result_r;
	rc = start(c, argv, input, err);
	if (rc == -1) {
		finish(c, false);
	} else {
		rc = await_end(c, deadline_ms, err);
		finish(c, true);
	}
	if (rc == -1)
		buffer_free(&result_r->output);
	free(c);
	return rc;
}
