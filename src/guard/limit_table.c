/* limit_table.c - see guard/limit_table.h */
#include "guard/limit_table.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guard/limit_ring.h"
#include "guard/limit_shard.h"
#include "runtime/shm.h"
#include "telemetry/log.h"

/* Room for hits: a key has 8 chunks, 120 hits, on average; and one of the largest limit always fits. */
#define CHUNKS_PER_KEY 8
#define CHUNKS_MIN 2048
#define SECTION "limits.1"
#define HEAD_BYTES ((size_t)4096)
#define SECOND_US 1000000
#define NEWS_US ((int64_t)600 * SECOND_US)

struct table {
	unsigned char secret[crypto_shorthash_KEYBYTES];
	_Atomic int64_t redis_failed_us;
	_Atomic int64_t news_us[LIMIT_NEWS_COUNT];
};

/* How the section is divided: the table, the shards, then the chunks of all shards. */
struct layout {
	uint32_t entries, chunks;       /* of a shard */
	size_t shard_bytes, chunk_bytes;
	size_t fixed_bytes, bytes;
};

static struct layout layout;
static struct table *table;
static int64_t stuck_until_us[LIMIT_TABLE_SHARDS];
static int64_t (*clock_us)(void) = limit_table_now_us;

int64_t
limit_table_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

void
limit_table_set_clock(int64_t (*now_us)(void))
{
	clock_us = now_us != NULL ? now_us : limit_table_now_us;
}

/* ---- making it ---- */

static void
plan(int64_t keys)
{
	layout.entries = (uint32_t)((keys + LIMIT_TABLE_SHARDS - 1) / LIMIT_TABLE_SHARDS);
	layout.chunks = layout.entries * CHUNKS_PER_KEY;
	if (layout.chunks < CHUNKS_MIN)
		layout.chunks = CHUNKS_MIN;
	layout.shard_bytes = limit_shard_bytes(layout.entries);
	layout.chunk_bytes = layout.chunks * sizeof(struct limit_chunk);
	layout.fixed_bytes = HEAD_BYTES + LIMIT_TABLE_SHARDS * layout.shard_bytes;
	layout.bytes = layout.fixed_bytes + LIMIT_TABLE_SHARDS * layout.chunk_bytes;
}

static struct limit_shard *
shard_at(void *memory, size_t index)
{
	return (struct limit_shard *)((char *)memory + HEAD_BYTES + index * layout.shard_bytes);
}

static int
make_table(void *memory, void *arg)
{
	struct table *t = memory;

	(void)arg;
	if (shm_reserve(memory, layout.fixed_bytes) == -1)
		return -1;
	randombytes_buf(t->secret, sizeof(t->secret));
	for (size_t i = 0; i < LIMIT_TABLE_SHARDS; i++) {
		size_t chunks_at = layout.fixed_bytes + i * layout.chunk_bytes;
		size_t shard_at_bytes = HEAD_BYTES + i * layout.shard_bytes;

		if (limit_shard_init(shard_at(memory, i), layout.entries, layout.chunks, chunks_at - shard_at_bytes) == -1)
			return -1;
	}
	return 0;
}

void
limit_table_start(int64_t keys)
{
	plan(keys);
	table = shm_section_made(SECTION, layout.bytes, make_table, NULL);
	memset(stuck_until_us, 0, sizeof(stuck_until_us));
}

/* ---- into a shard and out of it ---- */

static struct limit_shard *
find_shard(const char *key, unsigned char *id, size_t *index_r)
{
	crypto_shorthash_siphashx24(id, (const unsigned char *)key, strlen(key), table->secret);
	*index_r = id[0] % LIMIT_TABLE_SHARDS;
	return shard_at(table, *index_r);
}

static void
repair(struct limit_shard *s)
{
	limit_shard_repair(s);
	pthread_mutex_consistent(&s->lock);
	LOG_WARN(&log_root, "a worker died while it counted a hit: that part of the limits was repaired",
	         LOG_INT("keys", s->keys));
}

static int
wait_for_lock(struct limit_shard *s, size_t index)
{
	struct timespec until;
	int rc;

	if (limit_table_now_us() < stuck_until_us[index])
		return EBUSY;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LIMIT_TABLE_LOCK_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	rc = pthread_mutex_clocklock(&s->lock, CLOCK_MONOTONIC, &until);
	if (rc == ETIMEDOUT) {
		stuck_until_us[index] = limit_table_now_us() + (int64_t)LIMIT_TABLE_STUCK_MS * 1000;
		LOG_WARN(&log_root, "a worker is stopped while it counts a hit: that part of the limits cannot be used");
	}
	return rc;
}

/* The shard of the key, locked; NULL when that could not be had in time. */
static struct limit_shard *
enter(const char *key, unsigned char *id)
{
	size_t index;
	struct limit_shard *s = find_shard(key, id, &index);
	int rc = pthread_mutex_trylock(&s->lock);

	if (rc == EBUSY)
		rc = wait_for_lock(s, index);
	if (rc == EOWNERDEAD)
		repair(s);
	else if (rc != 0)
		return NULL;
	return s;
}

static void
leave(struct limit_shard *s, uint64_t evicted_before)
{
	bool full = s->evicted != evicted_before, no_memory = s->no_memory;

	pthread_mutex_unlock(&s->lock);
	if (no_memory && limit_table_is_news(LIMIT_NEWS_NO_MEMORY))
		LOG_WARN(&log_root, "/dev/shm is full: the limits of this host have less room than they should");
	if (full && limit_table_is_news(LIMIT_NEWS_FULL))
		LOG_WARN(&log_root, "the limits of this host are full: keys used least recently are forgotten; "
		                    "LIMITER_KEYS sets how many there may be");
}

/* Times of a key only grow. */
static int64_t
now_for(const struct limit_entry *e)
{
	int64_t now_us = clock_us();

	return now_us > e->newest_us ? now_us : e->newest_us;
}

/* ---- what one can do ---- */

static void
count_hits(struct limit_shard *s, struct limit_entry *e, struct limit limit, int64_t now_us,
           struct limit_count *count_r)
{
	uint32_t hits = limit_ring_load(e).count;
	uint32_t next = (int64_t)hits > limit.count ? hits - (uint32_t)limit.count : 0;

	count_r->hits = hits;
	count_r->at_us = now_us;
	count_r->wait_us = hits > 0 ? limit.window_secs * SECOND_US - limit_ring_age(s, e, next, now_us) : 0;
}

static void
say_unknown(struct limit limit, struct limit_count *count_r)
{
	*count_r = (struct limit_count){.hits = limit.count, .wait_us = SECOND_US, .at_us = clock_us()};
}

int
limit_table_hit(const char *key, struct limit limit, struct limit_count *count_r)
{
	unsigned char id[LIMIT_ID_BYTES];
	struct limit_shard *s = enter(key, id);
	struct limit_entry *e;
	uint64_t evicted;
	int64_t now_us;
	int admitted = 0;

	if (s == NULL) {
		say_unknown(limit, count_r);
		return -1;
	}
	evicted = s->evicted;
	e = limit_shard_obtain(s, id, clock_us());
	now_us = now_for(e);
	e->window_secs = (uint32_t)limit.window_secs;
	limit_ring_trim(s, e, now_us, limit.window_secs * SECOND_US);
	if ((int64_t)limit_ring_load(e).count < limit.count)
		admitted = limit_ring_append(s, e, now_us) == 0 ? 1 : -1;
	count_hits(s, e, limit, now_us, count_r);
	leave(s, evicted);
	if (admitted == -1)
		say_unknown(limit, count_r);
	return admitted;
}

void
limit_table_record(const char *key, struct limit limit)
{
	unsigned char id[LIMIT_ID_BYTES];
	struct limit_shard *s = enter(key, id);
	struct limit_entry *e;
	uint64_t evicted;
	int64_t now_us;

	if (s == NULL)
		return;
	evicted = s->evicted;
	e = limit_shard_obtain(s, id, clock_us());
	now_us = now_for(e);
	e->window_secs = (uint32_t)limit.window_secs;
	limit_ring_trim(s, e, now_us, limit.window_secs * SECOND_US);
	if (limit_ring_load(e).count >= LIMIT_COUNT_MAX)
		limit_ring_drop_oldest(s, e);
	(void)!limit_ring_append(s, e, now_us);
	leave(s, evicted);
}

void
limit_table_take_back(const char *key, int64_t at_us)
{
	unsigned char id[LIMIT_ID_BYTES];
	struct limit_shard *s = enter(key, id);
	struct limit_entry *e;

	if (s == NULL)
		return;
	e = limit_shard_find(s, id);
	if (e != NULL)
		(void)limit_ring_remove(s, e, at_us);
	leave(s, s->evicted);
}

bool
limit_table_look(const char *key, struct limit limit, struct limit_count *count_r)
{
	unsigned char id[LIMIT_ID_BYTES];
	struct limit_shard *s = enter(key, id);
	struct limit_entry *e;

	*count_r = (struct limit_count){.at_us = clock_us()};
	if (s == NULL)
		return false;
	e = limit_shard_find(s, id);
	if (e != NULL) {
		int64_t now_us = now_for(e);

		limit_ring_trim(s, e, now_us, limit.window_secs * SECOND_US);
		count_hits(s, e, limit, now_us, count_r);
	}
	leave(s, s->evicted);
	return e != NULL;
}

bool
limit_table_forget(const char *key)
{
	unsigned char id[LIMIT_ID_BYTES];
	struct limit_shard *s = enter(key, id);
	struct limit_entry *e;

	if (s == NULL)
		return false;
	e = limit_shard_find(s, id);
	if (e != NULL)
		limit_shard_drop(s, e);
	leave(s, s->evicted);
	return e != NULL;
}

/* ---- what the host knows besides ---- */

int64_t
limit_table_redis_failed_us(void)
{
	return atomic_load_explicit(&table->redis_failed_us, memory_order_relaxed);
}

void
limit_table_set_redis_failed(int64_t now_us)
{
	/* not each of many thousand times a second */
	if (now_us - limit_table_redis_failed_us() > 1000)
		atomic_store_explicit(&table->redis_failed_us, now_us, memory_order_relaxed);
}

bool
limit_table_is_news(enum limit_table_news news)
{
	int64_t now_us = limit_table_now_us();
	int64_t before = atomic_load(&table->news_us[news]);

	if (before != 0 && now_us - before < NEWS_US)
		return false;
	return atomic_compare_exchange_strong(&table->news_us[news], &before, now_us);
}

static void
each_shard(void (*fn)(struct limit_shard *s, void *arg), void *arg)
{
	for (size_t i = 0; i < LIMIT_TABLE_SHARDS; i++) {
		struct limit_shard *s = shard_at(table, i);
		int rc = pthread_mutex_lock(&s->lock);

		if (rc == EOWNERDEAD)
			repair(s);
		if (rc != 0 && rc != EOWNERDEAD)
			continue;
		fn(s, arg);
		pthread_mutex_unlock(&s->lock);
	}
}

static void
add_facts(struct limit_shard *s, void *arg)
{
	struct limit_table_facts *facts = arg;

	facts->keys += s->keys;
	facts->chunks += s->chunks;
	facts->evicted += s->evicted;
	facts->repaired += s->repaired;
}

void
limit_table_read_facts(struct limit_table_facts *facts_r)
{
	*facts_r = (struct limit_table_facts){.bytes = layout.bytes};
	each_shard(add_facts, facts_r);
}

static void
check_shard(struct limit_shard *s, void *arg)
{
	bool *sound = arg;

	*sound = *sound && limit_shard_is_sound(s);
}

bool
limit_table_is_sound(void)
{
	bool sound = true;

	each_shard(check_shard, &sound);
	return sound;
}
