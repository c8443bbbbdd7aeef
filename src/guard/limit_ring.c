/* limit_ring.c - see guard/limit_ring.h */
#include "guard/limit_ring.h"

struct limit_ring
limit_ring_load(const struct limit_entry *e)
{
	uint64_t word = atomic_load_explicit(&e->ring, memory_order_relaxed);

	return (struct limit_ring){
	    .first = (uint32_t)(word >> 32), .offset = (uint32_t)(word >> 16) & 0xFFFF, .count = (uint32_t)word & 0xFFFF};
}

/* The one store that makes a change valid: all that it refers to was stored before. */
static void
commit(struct limit_entry *e, struct limit_ring ring)
{
	uint64_t word = (uint64_t)ring.first << 32 | (uint64_t)ring.offset << 16 | ring.count;

	atomic_store_explicit(&e->ring, ring.count > 0 ? word : 0, memory_order_release);
}

uint32_t
limit_ring_chunks(struct limit_ring ring)
{
	return (ring.offset + ring.count + LIMIT_CHUNK_HITS - 1) / LIMIT_CHUNK_HITS;
}

static void
clear(struct limit_shard *s, struct limit_entry *e)
{
	struct limit_ring ring = limit_ring_load(e);

	commit(e, (struct limit_ring){0});
	limit_shard_free_chunks(s, ring.first, LIMIT_NONE);
}

/* Is a hit that old that it does not count?  `room` is the window less the time since newest_us. */
static bool
is_over(const struct limit_entry *e, uint32_t at, int64_t room)
{
	return (int64_t)((uint32_t)e->newest_us - at) >= room;
}

void
limit_ring_trim(struct limit_shard *s, struct limit_entry *e, int64_t now_us, int64_t window_us)
{
	struct limit_ring ring = limit_ring_load(e);
	const int64_t room = window_us - (now_us - e->newest_us);
	const uint32_t first = ring.first;

	if (ring.count == 0)
		return;
	if (room <= 0) {
		clear(s, e);
		return;
	}
	if (!is_over(e, limit_chunk(s, first)->at[ring.offset], room))
		return;
	while (ring.count > 0) {
		const struct limit_chunk *chunk = limit_chunk(s, ring.first);
		uint32_t here = LIMIT_CHUNK_HITS - ring.offset;

		if (here > ring.count)
			here = ring.count;
		if (is_over(e, chunk->at[ring.offset + here - 1], room)) {      /* with all before it */
			ring.count -= here;
			ring.first = chunk->next;
			ring.offset = 0;
			continue;
		}
		for (; is_over(e, chunk->at[ring.offset], room); ring.offset++)
			ring.count--;
		break;
	}
	if (ring.count == 0) {
		clear(s, e);
		return;
	}
	commit(e, ring);
	limit_shard_free_chunks(s, first, ring.first);
}

int
limit_ring_append(struct limit_shard *s, struct limit_entry *e, int64_t now_us)
{
	struct limit_ring ring = limit_ring_load(e);
	uint32_t at = (ring.offset + ring.count) % LIMIT_CHUNK_HITS;

	if (ring.count == 0 || at == 0) {
		uint32_t chunk = limit_shard_take_chunk(s, e, now_us);

		if (chunk == LIMIT_NONE)
			return -1;
		if (ring.count == 0)
			ring = (struct limit_ring){.first = chunk};
		else
			limit_chunk(s, e->last)->next = chunk;
		e->last = chunk;
		at = 0;
	}
	limit_chunk(s, e->last)->at[at] = (uint32_t)now_us;
	e->newest_us = now_us;
	ring.count++;
	commit(e, ring);
	return 0;
}

void
limit_ring_drop_oldest(struct limit_shard *s, struct limit_entry *e)
{
	struct limit_ring ring = limit_ring_load(e);
	const uint32_t first = ring.first;

	if (ring.count <= 1) {
		clear(s, e);
		return;
	}
	ring.count--;
	if (++ring.offset == LIMIT_CHUNK_HITS) {
		ring.offset = 0;
		ring.first = limit_chunk(s, first)->next;
	}
	commit(e, ring);
	limit_shard_free_chunks(s, first, ring.first);
}

/* ---- single hits ---- */

struct place {
	struct limit_chunk *chunk;
	uint32_t index;                 /* of the chunk */
	uint32_t at;
};

static struct place
place_of(struct limit_shard *s, struct limit_ring ring, uint32_t number)
{
	uint32_t slot = ring.offset + number;
	struct place p = {limit_chunk(s, ring.first), ring.first, slot % LIMIT_CHUNK_HITS};

	for (uint32_t i = slot / LIMIT_CHUNK_HITS; i > 0; i--) {
		p.index = p.chunk->next;
		p.chunk = limit_chunk(s, p.index);
	}
	return p;
}

static struct place
place_after(struct limit_shard *s, struct place p)
{
	if (++p.at == LIMIT_CHUNK_HITS)
		p = (struct place){limit_chunk(s, p.chunk->next), p.chunk->next, 0};
	return p;
}

int64_t
limit_ring_age(struct limit_shard *s, const struct limit_entry *e, uint32_t index, int64_t now_us)
{
	struct place p = place_of(s, limit_ring_load(e), index);

	return now_us - e->newest_us + (int64_t)((uint32_t)e->newest_us - p.chunk->at[p.at]);
}

/* Where the youngest hit of that time is; ring.count if there is none. */
static uint32_t
number_of(struct limit_shard *s, struct limit_ring ring, uint32_t at)
{
	struct place p = place_of(s, ring, 0);
	uint32_t found = ring.count;

	for (uint32_t i = 0; i < ring.count; i++) {
		if (i > 0)
			p = place_after(s, p);
		if (p.chunk->at[p.at] == at)
			found = i;
	}
	return found;
}

bool
limit_ring_remove(struct limit_shard *s, struct limit_entry *e, int64_t at_us)
{
	struct limit_ring ring = limit_ring_load(e);
	uint32_t number = ring.count > 0 ? number_of(s, ring, (uint32_t)at_us) : 0;
	uint32_t last = e->last;
	struct place p;

	if (number == ring.count)
		return false;
	/* Broken off in here, a hit is there twice and the count is what it was: as if nothing had been removed,
	   with some hits a little younger.  Nobody gets more than his due by that. */
	p = place_of(s, ring, number);
	for (uint32_t i = number; i + 1 < ring.count; i++) {
		struct place next = place_after(s, p);

		p.chunk->at[p.at] = next.chunk->at[next.at];
		p = next;
	}
	if (ring.count == 1) {
		clear(s, e);
		return true;
	}
	ring.count--;
	commit(e, ring);
	e->last = place_of(s, ring, ring.count - 1).index;
	if (e->last != last) {
		limit_chunk(s, e->last)->next = LIMIT_NONE;
		limit_shard_free_chunks(s, last, LIMIT_NONE);
	}
	return true;
}
