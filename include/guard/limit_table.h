/*
 * limit_table.h - the limiter's memory of this host: exact sliding windows in shared memory.
 *
 * A table of keys (LIMITER_KEYS of them; past it the least recently used is forgotten), each with the
 * times of its hits, 4 bytes a hit, in chunks of 15.  Keys are known by a keyed hash of 128 bits.  The table is in 64
 * shards, each behind a robust lock.  A change becomes valid by one store, and all but the hits themselves
 * can be made anew from them, so a worker killed at any instant leaves a shard that the next one repairs.
 *
 * The clock is CLOCK_MONOTONIC, the same for all workers of the host; it is read under
 * the lock, so that times of a key only grow.  Nothing here waits longer than LIMIT_TABLE_LOCK_MS, and so
 * long only while a worker is stopped inside a shard, once in LIMIT_TABLE_STUCK_MS.
 *
 * Memory: 64 bytes for each of the keys, 4 for finding it, and 48 KiB a shard for hits, from the start; for hits up to
 * 512 bytes a key on average, as needed.  With the 65,536 keys of the default 7.5 MiB, growing to 36.5.
 * When /dev/shm has no room to grow, what is there has to do, as if it were full.
 */
#ifndef GUARD_LIMIT_TABLE_H
#define GUARD_LIMIT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "guard/limiter.h"

#define LIMIT_TABLE_KEYS_MIN 1024
#define LIMIT_TABLE_KEYS_MAX 262144
#define LIMIT_TABLE_SHARDS 64
/* A worker that is off the processor while it holds a lock comes back within tens of milliseconds, however busy the
   machine: one that does not is stopped. */
#define LIMIT_TABLE_LOCK_MS 500
#define LIMIT_TABLE_STUCK_MS 10000

/* Find or make the table for that many keys (a multiple of LIMIT_TABLE_SHARDS is made of it).  Once per process, after
   shm_start(); again only in tests. */
void limit_table_start(int64_t keys);

struct limit_count {
	int64_t hits;                   /* within the window, this one included */
	int64_t wait_us;                /* until there is room for one more than now, or for one at all if there is none */
	int64_t at_us;                  /* when this was so */
};

/* Record a hit if there is room for it.  1 admitted, 0 not, -1 when the table could not be asked (see above):
   *count_r then says to come again in a second. */
int limit_table_hit(const char *key, struct limit limit, struct limit_count *count_r) MUST_USE;

/* Record a hit that was admitted elsewhere. */
void limit_table_record(const char *key, struct limit limit);

/* Take back the hit that limit_table_hit() admitted at `at_us`. */
void limit_table_take_back(const char *key, int64_t at_us);

/* Look without counting: false when the key is not known. */
bool limit_table_look(const char *key, struct limit limit, struct limit_count *count_r);

/* Forget the key; false when it was not known. */
bool limit_table_forget(const char *key);

/* When Redis was last found away by a worker of this host: CLOCK_MONOTONIC microseconds, 0 if never. */
int64_t limit_table_redis_failed_us(void);
void limit_table_set_redis_failed(int64_t now_us);

/* Is it the first time in a while that somebody on this host says that?  For what is said once. */
enum limit_table_news { LIMIT_NEWS_FULL, LIMIT_NEWS_NO_MEMORY, LIMIT_NEWS_FOREIGN, LIMIT_NEWS_COUNT };
bool limit_table_is_news(enum limit_table_news news);

/* CLOCK_MONOTONIC in microseconds. */
int64_t limit_table_now_us(void);

/* For tests: another clock (NULL: the real one), and whether all that can be checked holds. */
void limit_table_set_clock(int64_t (*now_us)(void));
bool limit_table_is_sound(void);

/* For tests and the operator. */
struct limit_table_facts {
	uint64_t keys;
	uint64_t chunks;                /* in use */
	uint64_t evicted;               /* keys that were forgotten with hits in their window, ever */
	uint64_t repaired;              /* shards, ever */
	size_t bytes;                   /* at most */
};
void limit_table_read_facts(struct limit_table_facts *facts_r);

#endif
