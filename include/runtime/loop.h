/*
 * loop.h - the worker's one event loop (libuv) and its clock.
 */
#ifndef RUNTIME_LOOP_H
#define RUNTIME_LOOP_H

#include <stdint.h>
#include <uv.h>

/* The loop; made at the first call.  One thread, one loop. */
uv_loop_t *loop_get(void);

/* Milliseconds of the monotonic clock as of this turn of the loop: what all
   deadlines are compared with.  Costs nothing. */
int64_t loop_now_ms(void);

/* Microseconds since 1970 by the system's clock, which may jump. */
int64_t loop_unix_us(void);

/* Run until loop_stop(). */
void loop_run(void);
void loop_stop(void);

/* Close what is left and free the loop, so that leak checkers see a clean end. */
void loop_close(void);

#endif
