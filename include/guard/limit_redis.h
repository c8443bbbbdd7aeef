/*
 * limit_redis.h - the limiter's side in Redis: one script call for one decision.
 *
 * A key of the limiter, "u:42", is the string "bakame:{limit:u:42}": 40 bytes of header, then a ring of 4 bytes
 * a hit.  The script reads and writes parts of it, never all (but when a limit was raised); it expires
 * a window after its last hit.  Times are Redis's own, in microseconds.  Everything that goes there
 * and comes back is text or an integer, so that the REST transport can carry it.
 */
#ifndef GUARD_LIMIT_REDIS_H
#define GUARD_LIMIT_REDIS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "guard/limit_table.h"
#include "guard/limiter.h"

/* Record a hit in Redis if there is room for it.  1 admitted, 0 not, -1 with *err when Redis could not be asked, answered
   too late, or had something else under that key (which is gone then: ERR_INTERNAL).  at_us is Redis's
   time.  Waits. */
int limit_redis_hit(const char *key, struct limit limit, struct limit_count *count_r, struct err *err) MUST_USE;

/* The same with a window in microseconds, for tests. */
int limit_redis_hit_us(const char *key, int64_t count, int64_t window_us, struct limit_count *count_r,
                       struct err *err) MUST_USE;

/* Look without counting.  Waits. */
int limit_redis_look(const char *key, struct limit limit, struct limit_count *count_r, struct err *err) MUST_USE;

/* Forget the key.  Waits. */
int limit_redis_forget(const char *key, struct err *err) MUST_USE;

#endif
