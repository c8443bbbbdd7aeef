/*
 * limit_shard.h - a part of the limiter's table: keys, chunks of hits, and what finds them.
 *
 * For limit_table.c and limit_ring.c.  Everything here is called with the shard's lock held, and
 * may be broken off by SIGKILL anywhere.  What counts then: `used` and `ring` of an entry, each changed
 * by one store after all that it refers to is in place, and the hits that they refer to.  The rest (buckets,
 * order of use, free lists, `last`) limit_shard_repair() makes anew.
 */
#ifndef GUARD_LIMIT_SHARD_H
#define GUARD_LIMIT_SHARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define LIMIT_ID_BYTES 16
#define LIMIT_CHUNK_HITS 15
#define LIMIT_NONE 0                    /* indices count from 1 */

struct limit_chunk {
	uint32_t next;
	uint32_t at[LIMIT_CHUNK_HITS];  /* microseconds, modulo 2^32 */
};

struct limit_entry {
	unsigned char id[LIMIT_ID_BYTES];       /* of the key */
	_Atomic uint64_t ring;          /* see limit_ring.h */
	int64_t newest_us;              /* no hit is younger; none is older than an hour before it */
	uint32_t last;                  /* the chunk with the youngest hit */
	uint32_t chain;                 /* the next of the bucket */
	uint32_t older, newer;          /* by use */
	_Atomic uint32_t used;
	uint32_t window_secs;           /* when it was used last */
	uint64_t unused;                /* makes it 64 bytes: a cache line */
};

struct limit_shard {
	pthread_mutex_t lock;           /* robust, between processes */
	/* set once */
	uint32_t entries_max, chunks_max;
	uint32_t buckets;               /* a power of two */
	uint64_t chunks_offset;         /* from the shard's start */
	/* high-water marks: above them nothing was ever used */
	uint32_t entries_made, chunks_made, chunks_reserved;
	uint32_t free_entry, free_chunk;        /* by `chain` and `next` */
	uint32_t oldest, newest;        /* by use */
	uint32_t keys, chunks;          /* in use */
	uint64_t evicted, repaired;
	bool no_memory;                 /* a chunk could not be had because /dev/shm is full */
};

/* Bytes of a shard without its chunks, a multiple of a page. */
size_t limit_shard_bytes(uint32_t entries_max);

static inline struct limit_entry *
limit_entry(struct limit_shard *s, uint32_t index)
{
	return (struct limit_entry *)(s + 1) + (index - 1);
}

static inline uint32_t
limit_entry_index(struct limit_shard *s, const struct limit_entry *e)
{
	return (uint32_t)(e - (struct limit_entry *)(s + 1)) + 1;
}

static inline struct limit_chunk *
limit_chunk(struct limit_shard *s, uint32_t index)
{
	return (struct limit_chunk *)((char *)s + s->chunks_offset) + (index - 1);
}

/* Zeroed memory becomes a shard.  -1 if a robust lock, or memory for the first chunks, cannot be had. */
int limit_shard_init(struct limit_shard *s, uint32_t entries_max, uint32_t chunks_max, uint64_t chunks_offset) MUST_USE;

/* The entry, as the most recently used; NULL if there is none. */
struct limit_entry *limit_shard_find(struct limit_shard *s, const unsigned char *id);

/* The same, made if need be: then the least recently used makes room. */
struct limit_entry *limit_shard_obtain(struct limit_shard *s, const unsigned char *id, int64_t now_us);
void limit_shard_drop(struct limit_shard *s, struct limit_entry *e);

/* A chunk, for which the least recently used key other than `keep` makes room.  LIMIT_NONE when there is no other. */
uint32_t limit_shard_take_chunk(struct limit_shard *s, const struct limit_entry *keep, int64_t now_us);

/* Give back the chunks from `first` to before `end` (LIMIT_NONE: to the last). */
void limit_shard_free_chunks(struct limit_shard *s, uint32_t first, uint32_t end);

/* Whoever held the lock died: make everything sound. */
void limit_shard_repair(struct limit_shard *s);

/* For tests: does all that can be checked hold? */
bool limit_shard_is_sound(struct limit_shard *s);

#endif
