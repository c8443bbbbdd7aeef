/*
 * clock.h - milliseconds of a clock of the system's, for what has no event loop (in a worker: runtime/loop.h).
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* `clock` as for clock_gettime(2). */
static inline int64_t
clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
