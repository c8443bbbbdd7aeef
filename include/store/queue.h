/*
 * queue.h - work that need not hold up a reply: a Redis Stream with a consumer group, and who
 * puts jobs there.  Who does them: store/consumer.h.
 *
 * A job is named by its kind and its key.  Added twice it runs once: its record stays while the job
 * waits, runs or is dead, and QUEUE_DONE_SECS after it was done a mark says so.
 *
 * A job runs at least once; what makes its effect happen once is its key.  A consumer that
 * dies between the effect and telling so leaves the job to another, who runs it again: so an
 * effect in the database carries the key (INSERT ... ON CONFLICT (job_key) DO NOTHING, in the same
 * transaction), and one elsewhere must be harmless when repeated.
 *
 * Jobs of one group run one after the other, in the order in which they were added: only the
 * first of a group is in the stream; when it is done or dead the next goes there, in the same script.
 * One that waits for another try holds back those behind it.
 *
 * A job that failed is tried again after a pause that grows fourfold; after
 * QUEUE_TRIES_MAX tries it is a dead letter (`bakamectl jobs`).  A failure of ERR_UNAVAILABLE says
 * that a service is away, and is no try: the job waits, at most a minute at a time, for up to QUEUE_AWAY_SECS.
 *
 * In Redis, all with the hash tag {bakame:queue}:
 *	:ready          the stream; an entry is the id of a job that may run now
 *	:delayed        sorted set: id by when to try again
 *	:jobs           sorted set: every job that is not dead, by when it was added; its size is bounded
 *	:dead           sorted set: dead letters, by when they died; of more than QUEUE_DEAD_MAX the oldest
 *	                goes, which is logged
 *	:group:<hash>   list: the group's jobs in order
 *	:job:<id>       hash: the job; or the string "done"
 * Scripts form the names of jobs and groups from what they read: they are in the same slot.  Redis must not
 * evict keys (maxmemory-policy noeviction or volatile-*), and keeps over a crash what its appendfsync says.
 *
 * redis.io/docs/data-types/streams.
 */
#ifndef STORE_QUEUE_H
#define STORE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "telemetry/log.h"

#define QUEUE_TRIES_MAX 5
/* A request of the largest size, and what is told of its messages besides. */
#define QUEUE_PAYLOAD_MAX_BYTES ((size_t)1024 * 1024 + 65536)
#define QUEUE_DONE_SECS 604800LL              /* a week */
#define QUEUE_AWAY_SECS 86400LL                /* a day */
#define QUEUE_DEAD_MAX 10000
#define QUEUE_ID_BYTES 33               /* hexadecimal */

/* Add a job of `kind` (a constant: "title", "store_turn" ...) with `payload` (JSON text) under `key`, which names its
   effect.  1, or 0 when a job of that kind and key is there or was done already; -1 with *err: ERR_UNAVAILABLE when
   Redis is away or QUEUE_MAX_JOBS are there, so that the caller can say so or do it another way; ERR_PAYLOAD_TOO_LARGE.
   After ERR_UNAVAILABLE the job may be there all the same, if only Redis' answer was lost: to add it again is harmless.
   Waits. */
int queue_add(const char *kind, const char *key, const char *payload, size_t len, struct err *err) MUST_USE;

/* The same, to run after all jobs of `group` that were added before. */
int queue_add_in_order(const char *group, const char *kind, const char *key, const char *payload, size_t len,
                       struct err *err) MUST_USE;

/* Are jobs of this group still to be done (1) or not (0)?  Whoever has more for it meanwhile has to queue too.  -1
   with *err.  Waits. */
int queue_group_is_busy(const char *group, struct err *err) MUST_USE;

/* A job as its handler sees it. */
struct job {
	const char *id;                 /* of the job, made of kind and key */
	const char *entry;              /* in the stream */
	const char *kind;
	const char *key;
	const char *payload;            /* NUL-terminated */
	size_t payload_len;
	int tries;                      /* this one included */
	int postponed;                  /* how often because a service was away */
	int64_t age_secs;               /* since it was added */
	struct arena *arena;            /* freed after the handler returns */
	struct logger log;              /* says which job it is */
};

/* Does the job.  -1 with *err: tried again later, unless the error is ERR_INVALID_REQUEST or ERR_UNPROCESSABLE, which
   no repetition mends: a dead letter at once.  Waits; when its fiber is cancelled it returns, and the job is given back. */
struct job_handler {
	const char *kind;
	int (*run)(const struct job *job, struct err *err);
};

/* ---- for the operator ---- */

struct queue_stats {
	int64_t waiting;                /* those behind another of their group included */
	int64_t running;
	int64_t delayed;                /* for another try */
	int64_t dead;
	int64_t oldest_secs;            /* age of the oldest that is not dead; 0 without */
};

/* -1 with *err.  Waits, like the rest. */
int queue_stats(struct queue_stats *stats_r, struct err *err) MUST_USE;

/* A job as a list shows it. */
struct queue_item {
	const char *id;
	const char *state;              /* "waiting", "running", "delayed", "dead" */
	const char *kind;
	const char *key;
	const char *error;              /* of the last try; "" without */
	int64_t tries;
	int64_t age_secs;               /* since it was added */
};

/* Up to `count` (at most 1000) dead letters or others, oldest first, from `offset` on, into `items_r` (in the arena).
   The number; 0 past the end; -1 with *err. */
int queue_list(struct arena *a, bool dead, int64_t offset, int64_t count, struct queue_item **items_r,
               struct err *err) MUST_USE;

/* Let a dead letter be tried anew, behind its group.  1, 0 when there is none of that id, -1 with *err. */
int queue_retry(const char *id, struct err *err) MUST_USE;

/* Forget a dead letter, or a job that does not run now.  1, 0 when there is none, -1 with *err: ERR_CONFLICT when it
   runs. */
int queue_drop(const char *id, struct err *err) MUST_USE;

#endif
