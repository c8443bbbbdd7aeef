/*
 * limit_ring.h - the hits of one key of the limiter's table: a queue of times in chunks.
 *
 * The word `ring` of an entry holds the first chunk, where in it the oldest hit is, and how many there
 * are.  Times are 32 bits of microseconds: what they mean follows from `newest_us`, than which no
 * hit is more than LIMIT_WINDOW_SECS_MAX older (2^32 microseconds are 71 minutes).
 * Under the shard's lock; see limit_shard.h for what holds when a process dies.
 */
#ifndef GUARD_LIMIT_RING_H
#define GUARD_LIMIT_RING_H

#include "guard/limit_shard.h"

struct limit_ring {
	uint32_t first;                 /* chunk; LIMIT_NONE when there is no hit */
	uint32_t offset;                /* of the oldest hit in it */
	uint32_t count;
};

struct limit_ring limit_ring_load(const struct limit_entry *e);

/* Drop the hits of age `window_us` and more. */
void limit_ring_trim(struct limit_shard *s, struct limit_entry *e, int64_t now_us, int64_t window_us);

/* Add a hit at `now_us`, which is not before newest_us.  -1 if there is no chunk for it. */
int limit_ring_append(struct limit_shard *s, struct limit_entry *e, int64_t now_us) MUST_USE;

/* Drop the oldest. */
void limit_ring_drop_oldest(struct limit_shard *s, struct limit_entry *e);

/* How old the hit number `index` is, from 0, the oldest. */
int64_t limit_ring_age(struct limit_shard *s, const struct limit_entry *e, uint32_t index, int64_t now_us);

/* Remove the hit that was added at `at_us`.  False if it is not there. */
bool limit_ring_remove(struct limit_shard *s, struct limit_entry *e, int64_t at_us);

/* How many chunks the ring has. */
uint32_t limit_ring_chunks(struct limit_ring ring);

#endif
