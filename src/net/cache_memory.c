/* cache_memory.c - see net/cache_memory.h */
#include "net/cache_memory.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/text.h"
#include "runtime/shm.h"

#define SETS (CACHE_MEMORY_SLOTS / CACHE_MEMORY_WAYS)
/* Whoever holds a lock copies a slot: a few microseconds, if he is not put aside meanwhile. */
#define TRIES 200

struct slot {
	char id[CACHE_ID_BYTES];        /* "" where free */
	int64_t fetched_ms;
	int64_t ttl_ms;
	int64_t used_ms;
	uint32_t raw_len;
	uint32_t len;
	uint32_t form;
	char data[CACHE_MEMORY_DATA_BYTES];
};

struct set {
	_Atomic int32_t owner;          /* the process that uses it; 0: nobody */
	struct slot slots[CACHE_MEMORY_WAYS];
};

struct table {
	struct set sets[SETS];
};

static struct table *table;

void
cache_memory_start(void)
{
	table = shm_section("cache.1", sizeof(*table));
}

/* Lock the set of `id`; NULL when it is in use. */
static struct set *
lock_set(const char *id)
{
	struct set *set = &table->sets[text_hash(id, 0) % SETS];
	int32_t own = (int32_t)getpid(), owner = 0;

	for (int i = 0; i < TRIES; i++) {
		owner = 0;
		if (atomic_compare_exchange_weak_explicit(&set->owner, &owner, own, memory_order_acquire,
		                                          memory_order_relaxed))
			return set;
	}
	if (owner == 0 || (owner != own && (kill(owner, 0) == 0 || errno != ESRCH)))
		return NULL;
	if (!atomic_compare_exchange_strong_explicit(&set->owner, &owner, own, memory_order_acquire,
	                                             memory_order_relaxed))
		return NULL;
	for (size_t i = 0; i < CACHE_MEMORY_WAYS; i++)
		set->slots[i].id[0] = '\0';
	return set;
}

static void
unlock_set(struct set *set)
{
	atomic_store_explicit(&set->owner, 0, memory_order_release);
}

static struct slot *
find(struct set *set, const char *id)
{
	for (size_t i = 0; i < CACHE_MEMORY_WAYS; i++)
		if (strcmp(set->slots[i].id, id) == 0)
			return &set->slots[i];
	return NULL;
}

bool
cache_memory_get(const char *id, int64_t now_ms, int64_t stale_ms, struct cache_record *record_r,
                 char **room_r, int64_t *age_ms_r, bool *fresh_r)
{
	struct set *set = lock_set(id);
	struct slot *slot = set != NULL ? find(set, id) : NULL;
	bool found = slot != NULL && now_ms - slot->fetched_ms < slot->ttl_ms + stale_ms;

	*room_r = NULL;
	if (found) {
		*room_r = mem_alloc(slot->len + 1);
		memcpy(*room_r, slot->data, slot->len);
		*record_r = (struct cache_record){.form = (enum cache_form)slot->form,
		                                  .raw_len = slot->raw_len,
		                                  .data = *room_r,
		                                  .len = slot->len};
		*age_ms_r = now_ms - slot->fetched_ms;
		*fresh_r = *age_ms_r < slot->ttl_ms;
		slot->used_ms = now_ms;
	}
	if (set != NULL)
		unlock_set(set);
	return found;
}

/* The place for `id`: its own, a free one, or that used longest ago. */
static struct slot *
make_room(struct set *set, const char *id)
{
	struct slot *oldest = find(set, id);

	for (size_t i = 0; i < CACHE_MEMORY_WAYS && oldest == NULL; i++)
		if (set->slots[i].id[0] == '\0')
			oldest = &set->slots[i];
	if (oldest != NULL)
		return oldest;
	oldest = &set->slots[0];
	for (size_t i = 1; i < CACHE_MEMORY_WAYS; i++)
		if (set->slots[i].used_ms < oldest->used_ms)
			oldest = &set->slots[i];
	return oldest;
}

void
cache_memory_put(const char *id, const struct cache_record *record, int64_t ttl_ms, int64_t now_ms)
{
	struct set *set = record->len <= CACHE_MEMORY_DATA_BYTES ? lock_set(id) : NULL;
	struct slot *slot;

	if (set == NULL)
		return;
	slot = make_room(set, id);
	text_copy(slot->id, sizeof(slot->id), id);
	slot->fetched_ms = slot->used_ms = now_ms;
	slot->ttl_ms = ttl_ms;
	slot->raw_len = (uint32_t)record->raw_len;
	slot->len = (uint32_t)record->len;
	slot->form = (uint32_t)record->form;
	memcpy(slot->data, record->data, record->len);
	unlock_set(set);
}
