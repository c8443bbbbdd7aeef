/*
 * cache_memory.h - the cache while Redis is away: in memory that the workers of the host
 * share.  For the files of the cache.
 *
 * CACHE_MEMORY_SLOTS records of at most CACHE_MEMORY_DATA_BYTES, in sets of four of which
 * the one used longest ago goes.  A set is locked by the number of the process that uses
 * it, for the time of a copy; nobody waits for a lock: a set in use counts as a miss.  Of a
 * process that died holding one the next takes the lock over and empties the set, which may
 * be half written.  Times are CLOCK_MONOTONIC milliseconds.  Nothing here waits.
 */
#ifndef NET_CACHE_MEMORY_H
#define NET_CACHE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/cache_record.h"

#define CACHE_MEMORY_SLOTS 256
#define CACHE_MEMORY_WAYS 4
#define CACHE_ID_BYTES 80
#define CACHE_MEMORY_DATA_BYTES ((size_t)16 * 1024 - 128)

void cache_memory_start(void);

/* The record of `id`, if it is not older than its ttl and `stale_ms`; *room_r is what it points into, for
   free().  False when there is none. */
bool cache_memory_get(const char *id, int64_t now_ms, int64_t stale_ms, struct cache_record *record_r,
                      char **room_r, int64_t *age_ms_r, bool *fresh_r);

/* Keep it, if it is not too large. */
void cache_memory_put(const char *id, const struct cache_record *record, int64_t ttl_ms, int64_t now_ms);

#endif
