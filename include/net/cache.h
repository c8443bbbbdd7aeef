/*
 * cache.h - what was fetched lately, for all workers, in Redis; one fetch however many ask.
 *
 * A miss takes a lease in Redis and fetches; who finds the lease taken waits to be woken.  A
 * lease ends by itself, so a fetcher that died holds nobody up, and one that outlives its
 * lease overwrites nothing.  Calls for the same thing in one worker join one look-up.  A hit
 * costs one round trip, a miss two.
 *
 * A fetch that fails gives a value past its time, which is kept for CACHE_STALE_SECS more.
 * That it failed is remembered for CACHE_FAILED_MS, so that those who waited do not try one
 * after the other what has just failed; that there is no such thing (ERR_NOT_FOUND), for
 * `negative_ttl_secs`.  Whoever fetches does it in his own fiber: cancelled, he hands over
 * to the next who waits, in this worker or another.
 *
 * Values over CACHE_COMPRESS_BYTES are compressed; values over CACHE_VALUE_MAX_BYTES are handed
 * out but not kept.  Redis away: a small bounded cache in the host's shared memory
 * (net/cache_memory.h), and one fetch a worker.
 *
 * In Redis: "bakame:{cache:<kind>:<hash>}", see net/cache_record.h, and the same with ":lease"
 * after it: who fetches, or how the last fetch failed.
 */
#ifndef NET_CACHE_H
#define NET_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/err.h"

#define CACHE_VALUE_MAX_BYTES ((size_t)1024 * 1024)
#define CACHE_FETCH_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define CACHE_STALE_SECS 86400LL
#define CACHE_FAILED_MS 1000
#define CACHE_KIND_BYTES 32

/* A kind of thing that is fetched. */
struct cache_kind {
	const char *name;               /* "weather", less than CACHE_KIND_BYTES: part of the key, a label of the metrics */
	int64_t ttl_secs;
	int64_t negative_ttl_secs;      /* of "there is no such thing" (ERR_NOT_FOUND); 0: as long as any failure */
	int64_t lease_ms;               /* longer than a fetch may take */
};

enum cache_source {
	CACHE_FETCHED,                  /* by this call */
	CACHE_HIT,
	CACHE_COALESCED,                /* another's fetch was waited for */
	CACHE_STALE,                    /* past its time: the fetch failed */
};

struct cache_value {
	const char *text;               /* in the arena; NUL-terminated */
	size_t len;
	enum cache_source source;
	int64_t age_secs;               /* since it was fetched */
};

/* Fetch the thing into `out` (max CACHE_FETCH_MAX_BYTES).  -1 with *err; ERR_NOT_FOUND means that there is no
   such thing, which is remembered too.  May wait; must return when its fiber is cancelled. */
typedef int (*cache_fetch_cb)(void *arg, struct buffer *out, struct err *err);

/* After redis_start() and shm_start(). */
void cache_start(void);

/* The value for `key` (any text; normalized by the caller so that like questions have like keys).  -1
   with *err: what the fetch said, or cancelled.  Waits. */
int cache_get(const struct cache_kind *kind, const char *key, cache_fetch_cb fetch, void *arg, struct arena *a,
              struct cache_value *value_r, struct err *err) MUST_USE;

#endif
