/*
 * limiter.h - how often: an exact sliding window per key.
 *
 * In no span of `window_secs` are more than `count` admitted, and nobody is refused
 * while under it.  State of a key is a ring of times, 4 bytes a hit: in Redis one string, by Redis's clock;
 * without Redis in the memory that the workers of this host share (guard/limit_table.h), by the host's.
 * What was admitted on one side counts on the other; doc/limits.md says how.
 */
#ifndef GUARD_LIMITER_H
#define GUARD_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_COUNT_MAX 10000
#define LIMIT_WINDOW_SECS_MAX 3600
#define LIMIT_KEY_BYTES 64              /* with its NUL; longer ones are cut */

struct limit {
	int64_t count;                  /* 1 to LIMIT_COUNT_MAX; 0: no limit */
	int64_t window_secs;            /* 1 to LIMIT_WINDOW_SECS_MAX */
};

enum limit_side {
	LIMIT_BY_NOBODY,                /* there is no limit */
	LIMIT_BY_REDIS,
	LIMIT_BY_HOST,
	LIMIT_BY_BOTH,                  /* Redis was away within the window: both had to admit */
};

struct limit_decision {
	bool admitted;
	enum limit_side decided_by;
	int64_t limit;
	int64_t remaining;              /* after this one */
	int64_t reset_at;               /* Unix seconds when one more is admitted, rounded up */
	int64_t reset_secs;             /* the same from now: at least 1 when refused */
	int64_t at_us;                  /* when it was decided, by the clock of who decided: Redis's in Unix time,
	                                   the host's as CLOCK_MONOTONIC */
};

/* After config_load(), shm_start() and redis_start(). */
void limiter_start(void);

/* Count a hit of `key` ("u:<user id>", "g:<address or /64>", ...) if it is admitted.  Never fails: without Redis
   the host's memory decides.  Waits for Redis, at most its command deadline. */
void limiter_hit(const char *key, struct limit limit, struct limit_decision *decision_r);

#endif
