/*
 * usage.h - what is used, by whom and when; budgets of tokens; what administrators see and change.
 *
 * Usage is summed up in memory that the host's workers share (store/usage_table.h) and written every USAGE_FLUSH_SECS by one
 * of them, so that a request costs no write of its own and a worker that is killed takes nothing along.  Budgets are exact: a call's tokens are reserved before it and
 * settled after; of one whose worker died the reservation is given back when no request can be that old any more.
 */
#ifndef STORE_USAGE_H
#define STORE_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/err.h"
#include "base/ident.h"

#define USAGE_FLUSH_SECS 2

struct usage_sums {
	int64_t requests;
	int64_t prompt_tokens;
	int64_t completion_tokens;
	int64_t tool_calls;
	int64_t errors;
};

/* Count it for the person (a UUID; "" for guests, who are one together).  Does not wait. */
void usage_count(const char *user_id, const struct usage_sums *sums);

/* About once a second, from the loop. */
void usage_tick(void);

/* Write what was summed up by all workers of the host; what cannot be written stays, up to a bound.  Waits. */
void usage_flush(void);

/* The same for the last time: what cannot be written stays for the host's next worker.  Waits. */
void usage_finish(void);

/* Reserve `wanted` of the person's `budget` a day under a new id (which is given whatever comes of it).  1, 0 when the
   budget does not hold it, -1 with *err.  Waits. */
int usage_reserve(struct arena *a, const char *user_id, int64_t wanted, int64_t budget, char id_r[IDENT_BYTES],
                  struct err *err) MUST_USE;

/* The call has ended and used so many: once, however often it is said, and though nothing could be reserved.  With the
   database away the queue does it later.  -1 with *err when neither is there.  Waits. */
int usage_settle(struct arena *a, const char *id, const char *user_id, int64_t used, struct err *err) MUST_USE;

/* A job of that: see store/queue.h. */
struct job;
int usage_run_settle(const struct job *job, struct err *err) MUST_USE;

/* {"bucket","usage":[{"at",...}],"users":[{"user_id","email",...}]}: from `from` up to, not with, `to` (RFC 3339, or "" for the last
   30 days), by "hour" or "day" (UTC); the 50 people who used most.  ERR_INVALID_REQUEST for moments that are none. */
int usage_report(struct arena *a, const char *from, const char *to, const char *bucket, struct buffer *out,
                 struct err *err) MUST_USE;

#endif
