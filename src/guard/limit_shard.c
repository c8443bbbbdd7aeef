/* limit_shard.c - see guard/limit_shard.h */
#include "guard/limit_shard.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "guard/limit_ring.h"
#include "guard/limiter.h"
#include "runtime/shm.h"

#define PAGE_BYTES ((size_t)4096)
/* So many chunks are given real memory at a time; from the start enough for one ring of the largest limit. */
#define RESERVE_CHUNKS 1024
#define RESERVE_FIRST 768

_Static_assert(RESERVE_FIRST * LIMIT_CHUNK_HITS > LIMIT_COUNT_MAX, "a ring of the largest limit fits");
_Static_assert(sizeof(struct limit_entry) == 64, "an entry is a cache line");
_Static_assert(sizeof(struct limit_chunk) == 64, "a chunk is a cache line");
_Static_assert(sizeof(struct limit_shard) % 64 == 0, "entries start at a cache line");

static uint32_t
buckets_for(uint32_t entries)
{
	uint32_t n = 16;

	while (n < entries)
		n *= 2;
	return n;
}

size_t
limit_shard_bytes(uint32_t entries_max)
{
	size_t bytes = sizeof(struct limit_shard) + entries_max * sizeof(struct limit_entry) +
	               buckets_for(entries_max) * sizeof(uint32_t);

	return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

int
limit_shard_init(struct limit_shard *s, uint32_t entries_max, uint32_t chunks_max, uint64_t chunks_offset)
{
	pthread_mutexattr_t attributes;
	int rc;

	s->entries_max = entries_max;
	s->chunks_max = chunks_max;
	s->buckets = buckets_for(entries_max);
	s->chunks_offset = chunks_offset;
	s->chunks_reserved = RESERVE_FIRST;
	if (shm_reserve(limit_chunk(s, 1), RESERVE_FIRST * sizeof(struct limit_chunk)) == -1)
		return -1;
	if (pthread_mutexattr_init(&attributes) != 0)
		return -1;
	rc = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	if (rc == 0)
		rc = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	if (rc == 0)
		rc = pthread_mutex_init(&s->lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return rc == 0 ? 0 : -1;
}

/* ---- finding ---- */

static uint32_t *
bucket_of(struct limit_shard *s, const unsigned char *id)
{
	uint32_t *buckets = (uint32_t *)((struct limit_entry *)(s + 1) + s->entries_max);
	uint32_t hash;

	/* other bytes than those that chose the shard */
	memcpy(&hash, id + 8, sizeof(hash));
	return &buckets[hash & (s->buckets - 1)];
}

static void
into_bucket(struct limit_shard *s, struct limit_entry *e)
{
	uint32_t *bucket = bucket_of(s, e->id);

	e->chain = *bucket;
	*bucket = limit_entry_index(s, e);
}

static void
out_of_bucket(struct limit_shard *s, struct limit_entry *e)
{
	uint32_t *link = bucket_of(s, e->id), index = limit_entry_index(s, e);

	while (*link != index)
		link = &limit_entry(s, *link)->chain;
	*link = e->chain;
}

/* ---- order of use ---- */

static void
into_use(struct limit_shard *s, struct limit_entry *e)
{
	uint32_t index = limit_entry_index(s, e);

	e->older = s->newest;
	e->newer = LIMIT_NONE;
	if (s->newest != LIMIT_NONE)
		limit_entry(s, s->newest)->newer = index;
	else
		s->oldest = index;
	s->newest = index;
}

static void
out_of_use(struct limit_shard *s, struct limit_entry *e)
{
	if (e->newer != LIMIT_NONE)
		limit_entry(s, e->newer)->older = e->older;
	else
		s->newest = e->older;
	if (e->older != LIMIT_NONE)
		limit_entry(s, e->older)->newer = e->newer;
	else
		s->oldest = e->newer;
}

/* ---- entries ---- */

struct limit_entry *
limit_shard_find(struct limit_shard *s, const unsigned char *id)
{
	uint32_t index = *bucket_of(s, id);
	struct limit_entry *e;

	for (; index != LIMIT_NONE; index = e->chain) {
		e = limit_entry(s, index);
		if (memcmp(e->id, id, LIMIT_ID_BYTES) != 0)
			continue;
		if (s->newest != index) {
			out_of_use(s, e);
			into_use(s, e);
		}
		return e;
	}
	return NULL;
}

static bool
has_hits(const struct limit_entry *e, int64_t now_us)
{
	return limit_ring_load(e).count > 0 && now_us - e->newest_us < (int64_t)e->window_secs * 1000000;
}

static void
evict(struct limit_shard *s, struct limit_entry *e, int64_t now_us)
{
	if (has_hits(e, now_us))
		s->evicted++;
	limit_shard_drop(s, e);
}

void
limit_shard_drop(struct limit_shard *s, struct limit_entry *e)
{
	struct limit_ring ring = limit_ring_load(e);

	atomic_store_explicit(&e->used, 0, memory_order_release);
	out_of_bucket(s, e);
	out_of_use(s, e);
	limit_shard_free_chunks(s, ring.first, LIMIT_NONE);
	e->chain = s->free_entry;
	s->free_entry = limit_entry_index(s, e);
	s->keys--;
}

static struct limit_entry *
new_entry(struct limit_shard *s, int64_t now_us)
{
	struct limit_entry *e;

	if (s->free_entry == LIMIT_NONE && s->entries_made < s->entries_max)
		return limit_entry(s, ++s->entries_made);
	if (s->free_entry == LIMIT_NONE)
		evict(s, limit_entry(s, s->oldest), now_us);
	e = limit_entry(s, s->free_entry);
	s->free_entry = e->chain;
	return e;
}

struct limit_entry *
limit_shard_obtain(struct limit_shard *s, const unsigned char *id, int64_t now_us)
{
	struct limit_entry *e = limit_shard_find(s, id);

	if (e != NULL)
		return e;
	e = new_entry(s, now_us);
	memcpy(e->id, id, LIMIT_ID_BYTES);
	atomic_store_explicit(&e->ring, 0, memory_order_relaxed);
	e->newest_us = now_us;
	e->last = LIMIT_NONE;
	atomic_store_explicit(&e->used, 1, memory_order_release);
	into_bucket(s, e);
	into_use(s, e);
	s->keys++;
	return e;
}

/* ---- chunks ---- */

/* One that was never used.  Real memory first: a full /dev/shm is no reason to die. */
static uint32_t
fresh_chunk(struct limit_shard *s)
{
	if (s->chunks_made == s->chunks_max)
		return LIMIT_NONE;
	if (s->chunks_made == s->chunks_reserved) {
		uint32_t more = s->chunks_max - s->chunks_reserved;

		if (more > RESERVE_CHUNKS)
			more = RESERVE_CHUNKS;
		if (shm_reserve(limit_chunk(s, s->chunks_made + 1), more * sizeof(struct limit_chunk)) == -1) {
			s->no_memory = true;
			return LIMIT_NONE;
		}
		s->chunks_reserved += more;
	}
	return ++s->chunks_made;
}

uint32_t
limit_shard_take_chunk(struct limit_shard *s, const struct limit_entry *keep, int64_t now_us)
{
	uint32_t index = s->free_chunk;

	if (index == LIMIT_NONE)
		index = fresh_chunk(s);
	while (index == LIMIT_NONE) {
		struct limit_entry *oldest = limit_entry(s, s->oldest);

		if (oldest == keep)             /* it was just used: there is no other */
			return LIMIT_NONE;
		evict(s, oldest, now_us);
		index = s->free_chunk;
	}
	if (index == s->free_chunk)
		s->free_chunk = limit_chunk(s, index)->next;
	limit_chunk(s, index)->next = LIMIT_NONE;
	s->chunks++;
	return index;
}

void
limit_shard_free_chunks(struct limit_shard *s, uint32_t first, uint32_t end)
{
	while (first != end) {
		struct limit_chunk *chunk = limit_chunk(s, first);
		uint32_t next = chunk->next;

		chunk->next = s->free_chunk;
		s->free_chunk = first;
		s->chunks--;
		first = next;
	}
}

/* ---- after a death ---- */

/* Walk the chunks of an entry and mark them in `taken`.  False when they are none. */
static bool
claim_chunks(struct limit_shard *s, struct limit_entry *e, unsigned char *taken)
{
	struct limit_ring ring = limit_ring_load(e);
	uint32_t index = ring.first;

	e->last = LIMIT_NONE;
	for (uint32_t n = limit_ring_chunks(ring); ring.count > 0 && n > 0; n--) {
		if (index == LIMIT_NONE || index > s->chunks_made || taken[index])
			return false;
		taken[index] = 1;
		s->chunks++;
		e->last = index;
		index = limit_chunk(s, index)->next;
	}
	if (e->last != LIMIT_NONE)
		limit_chunk(s, e->last)->next = LIMIT_NONE;
	return true;
}

static int
by_newest(const void *a, const void *b)
{
	const struct limit_entry *x = *(struct limit_entry *const *)a, *y = *(struct limit_entry *const *)b;

	return (x->newest_us > y->newest_us) - (x->newest_us < y->newest_us);
}

static void
forget_derived(struct limit_shard *s)
{
	memset((struct limit_entry *)(s + 1) + s->entries_max, 0, s->buckets * sizeof(uint32_t));
	s->free_entry = s->free_chunk = LIMIT_NONE;
	s->oldest = s->newest = LIMIT_NONE;
	s->keys = s->chunks = 0;
}

void
limit_shard_repair(struct limit_shard *s)
{
	unsigned char *taken = mem_alloc((size_t)s->chunks_made + 1);
	struct limit_entry **used = mem_alloc(((size_t)s->entries_made + 1) * sizeof(struct limit_entry *));
	uint32_t count = 0;

	forget_derived(s);
	for (uint32_t i = 1; i <= s->entries_made; i++) {
		struct limit_entry *e = limit_entry(s, i);

		if (e->used && claim_chunks(s, e, taken)) {
			used[count++] = e;
			continue;
		}
		e->used = 0;
		e->chain = s->free_entry;
		s->free_entry = i;
	}
	/* the order of use is lost; that of the youngest hits is near it */
	qsort(used, count, sizeof(used[0]), by_newest);
	for (uint32_t i = 0; i < count; i++) {
		into_bucket(s, used[i]);
		into_use(s, used[i]);
	}
	s->keys = count;
	for (uint32_t i = 1; i <= s->chunks_made; i++) {
		if (taken[i])
			continue;
		limit_chunk(s, i)->next = s->free_chunk;
		s->free_chunk = i;
	}
	s->repaired++;
	free((void *)used);
	free(taken);
}

/* ---- for tests ---- */

static bool
entry_is_sound(struct limit_shard *s, struct limit_entry *e, unsigned char *taken)
{
	struct limit_ring ring = limit_ring_load(e);
	uint32_t last = e->last, found = 0;
	int64_t before = INT64_MAX;

	for (uint32_t i = *bucket_of(s, e->id); i != LIMIT_NONE; i = limit_entry(s, i)->chain)
		found += limit_entry(s, i) == e;
	s->chunks -= limit_ring_chunks(ring);           /* claim_chunks() counts them again */
	if (found != 1 || !e->used || !claim_chunks(s, e, taken) || (ring.count > 0 && e->last != last))
		return false;
	for (uint32_t i = 0; i < ring.count; i++) {
		int64_t age = limit_ring_age(s, e, i, e->newest_us);

		if (age > before)
			return false;
		before = age;
	}
	return true;
}

bool
limit_shard_is_sound(struct limit_shard *s)
{
	unsigned char *taken = mem_alloc((size_t)s->chunks_made + 1);
	uint32_t keys = 0, chunks = 0, entries = 0, newer = LIMIT_NONE;
	bool sound = true;

	for (uint32_t i = s->newest; sound && i != LIMIT_NONE; i = limit_entry(s, i)->older) {
		sound = limit_entry(s, i)->newer == newer && entry_is_sound(s, limit_entry(s, i), taken) &&
		        ++keys <= s->entries_made;
		newer = i;
	}
	sound = sound && s->oldest == newer && keys == s->keys;
	for (uint32_t i = s->free_entry; sound && i != LIMIT_NONE; i = limit_entry(s, i)->chain)
		sound = !limit_entry(s, i)->used && ++entries <= s->entries_made;
	for (uint32_t i = s->free_chunk; sound && i != LIMIT_NONE; i = limit_chunk(s, i)->next) {
		sound = !taken[i] && ++chunks <= s->chunks_made;
		taken[i] = 1;
	}
	free(taken);
	return sound && keys + entries == s->entries_made && s->chunks + chunks == s->chunks_made;
}
