/*
 * cache_redis.h - the cache's side of Redis: scripts, each of which is one round trip.
 * For the files of the cache.
 *
 * `id` is "<kind>:<hash>", `token` whose the lease is.  All return -1 with *err as
 * redis_command() does, and wait as it does.
 */
#ifndef NET_CACHE_REDIS_H
#define NET_CACHE_REDIS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "net/cache_record.h"

/* A record's key is the id between these.  On the channel of that name those who wait are told that a lease ended. */
#define CACHE_KEY_START "bakame:{cache:"
#define CACHE_KEY_END "}"

enum cache_look {
	CACHE_LOOK_FRESH,               /* `record` is the answer */
	CACHE_LOOK_LEASE,               /* to be fetched, by us: we have the lease now */
	CACHE_LOOK_WAIT,                /* another fetches */
	CACHE_LOOK_FAILED,              /* another's fetch failed just now */
};

struct cache_answer {
	enum cache_look look;
	struct cache_record record;     /* in the arena.  Of FAILED: past its time, or without data */
	int64_t age_ms;
	struct err failure;             /* of FAILED */
};

/* What is there?  With `drop`, what stands there is corrupt and is removed first.  Who holds the lease
   of `token` already is given it anew. */
int cache_redis_look(struct arena *a, const char *id, const char *token, int64_t lease_ms, bool drop,
                     struct cache_answer *answer_r, struct err *err) MUST_USE;

/* Keep the record, end the lease, wake who waits.  If the lease is another's by now nothing is done. */
int cache_redis_store(struct arena *a, const char *id, const char *token, const struct cache_record *record,
                      int64_t ttl_ms, int64_t keep_ms, struct err *err) MUST_USE;

/* The fetch failed as `failure` says: for CACHE_FAILED_MS the lease says so to all who ask.
   *stale_r is what is there past its time (in the arena), if its data is not NULL. */
int cache_redis_fail(struct arena *a, const char *id, const char *token, const struct err *failure,
                     struct cache_record *stale_r, int64_t *age_ms_r, struct err *err) MUST_USE;

/* Give the lease back. */
int cache_redis_release(struct arena *a, const char *id, const char *token, struct err *err) MUST_USE;

#endif
