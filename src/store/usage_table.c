/* usage_table.c - see store/usage_table.h */
#include "store/usage_table.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "base/text.h"
#include "runtime/loop.h"
#include "runtime/shm.h"

#define SLOTS 16384                     /* a power of two, with room for those that meet */
#define PART_ENTRIES (USAGE_ENTRIES_MAX / USAGE_PARTS)
#define SUMS 5
#define ID_ROOM 40

enum slot_state { SLOT_FREE, SLOT_TAKEN, SLOT_USED };

struct slot {
	_Atomic uint32_t state;         /* one that was killed while he took it leaves it TAKEN: it is nobody's then */
	int64_t hour;
	char user_id[ID_ROOM];
	_Atomic int64_t sums[SUMS];
};

/* `number` is even while the table may be added to and odd while it is sealed. */
struct table {
	_Atomic uint64_t number;
	_Atomic int32_t adders;
	_Atomic int32_t clearer;        /* the process that makes it empty */
	_Atomic uint32_t used;
	/* which slots, from 1, in the order of being taken: so that no others are touched; 0 where one was killed before */
	_Atomic uint32_t list[USAGE_ENTRIES_MAX];
	struct slot slots[SLOTS];
};

struct shared {
	unsigned char salt[32];         /* of the ids of parts */
	_Atomic uint32_t active;
	_Atomic int64_t lease_ms;
	struct table tables[2];
};

static struct shared *shared_memory;

static int
make(void *memory, void *arg)
{
	struct shared *s = memory;

	(void)arg;
	/* all at once: without room there now, there is none later */
	if (shm_reserve(s, sizeof(*s)) == -1)
		return -1;
	memset(s, 0, sizeof(*s));
	randombytes_buf(s->salt, sizeof(s->salt));
	s->tables[1].number = 2;        /* no two tables ever have the same */
	return 0;
}

static struct shared *
shared(void)
{
	if (shared_memory == NULL)
		shared_memory = shm_section_made("usage.1", sizeof(*shared_memory), make, NULL);
	return shared_memory;
}

/* ---- adding ---- */

static bool
take_slot(struct table *t, struct slot *s, int64_t hour, const char *user_id)
{
	uint32_t free_slot = SLOT_FREE, entry;

	if (!atomic_compare_exchange_strong(&s->state, &free_slot, SLOT_TAKEN))
		return false;
	entry = atomic_fetch_add(&t->used, 1);
	if (entry >= USAGE_ENTRIES_MAX) {
		atomic_fetch_sub(&t->used, 1);
		atomic_store(&s->state, SLOT_FREE);
		return false;
	}
	s->hour = hour;
	text_copy(s->user_id, sizeof(s->user_id), user_id);
	atomic_store(&t->list[entry], (uint32_t)(s - t->slots) + 1);
	atomic_store(&s->state, SLOT_USED);
	return true;
}

/* Two who come at once may take one slot each for the same key: sums are added up in the database. */
static struct slot *
slot_of(struct table *t, int64_t hour, const char *user_id)
{
	size_t place = text_hash(user_id, (uint32_t)hour) % SLOTS;

	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &t->slots[(place + i) % SLOTS];
		uint32_t state = atomic_load(&s->state);

		if (state == SLOT_USED && s->hour == hour && strcmp(s->user_id, user_id) == 0)
			return s;
		if (state == SLOT_FREE) {
			if (take_slot(t, s, hour, user_id))
				return s;
			if (atomic_load(&t->used) >= USAGE_ENTRIES_MAX)
				return NULL;
		}
	}
	return NULL;
}

static void
add_to(struct table *t, int64_t hour, const char *user_id, const struct usage_sums *sums)
{
	const int64_t values[SUMS] = {sums->requests, sums->prompt_tokens, sums->completion_tokens, sums->tool_calls, sums->errors};
	struct slot *s = slot_of(t, hour, user_id);

	for (size_t i = 0; s != NULL && i < SUMS; i++)
		atomic_fetch_add(&s->sums[i], values[i]);
}

void
usage_table_add(int64_t hour, const char *user_id, const struct usage_sums *sums)
{
	struct shared *s = shared();

	for (;;) {
		uint32_t active = atomic_load(&s->active);
		struct table *t = &s->tables[active % 2];
		bool stays;

		/* whoever seals the table after this sees that it is added to */
		atomic_fetch_add(&t->adders, 1);
		stays = atomic_load(&s->active) == active;
		if (stays)
			add_to(t, hour, user_id, sums);
		atomic_fetch_sub(&t->adders, 1);
		if (stays)
			return;
	}
}

/* ---- sealing ---- */

bool
usage_table_is_used(void)
{
	struct shared *s = shared();

	return atomic_load(&s->tables[0].used) > 0 || atomic_load(&s->tables[1].used) > 0;
}

static bool
is_sealed(uint64_t number)
{
	return number % 2 == 1;
}

bool
usage_table_seal(uint64_t *number_r)
{
	struct shared *s = shared();
	uint32_t active = atomic_load(&s->active);
	struct table *t = &s->tables[(active + 1) % 2];
	uint64_t number = atomic_load(&t->number);

	if (!is_sealed(number) && atomic_load(&t->used) == 0) {
		t = &s->tables[active % 2];
		if (atomic_load(&t->used) == 0)
			return false;
		number = atomic_load(&t->number);
		/* first it is added to no more; killed between this and what follows, the next one goes on there */
		if (!atomic_compare_exchange_strong(&s->active, &active, active + 1))
			return false;
	}
	if (!is_sealed(number) && atomic_compare_exchange_strong(&t->number, &number, number + 1))
		number++;
	*number_r = number;
	return is_sealed(number);
}

/* NULL when it is sealed no more. */
static struct table *
table_of(uint64_t number)
{
	struct shared *s = shared();

	for (size_t i = 0; i < 2; i++)
		if (atomic_load(&s->tables[i].number) == number)
			return &s->tables[i];
	return NULL;
}

bool
usage_table_is_busy(uint64_t number)
{
	struct table *t = table_of(number);

	return t != NULL && atomic_load(&t->adders) > 0;
}

static void
make_id(uint64_t number, size_t part, char id[IDENT_BYTES])
{
	const uint64_t what[2] = {number, part};
	uuid_t uuid;

	crypto_generichash(uuid, sizeof(uuid), (const unsigned char *)what, sizeof(what), shared()->salt, sizeof(shared()->salt));
	uuid_unparse_lower(uuid, id);
}

static struct json_object *
row_of(const struct slot *s)
{
	static const char *const names[SUMS] = {"requests", "prompt_tokens", "completion_tokens", "tool_calls", "errors"};
	struct json_object *row = json_object_new_object();

	json_object_object_add(row, "hour", json_object_new_int64(s->hour));
	json_object_object_add(row, "user_id", s->user_id[0] != '\0' ? json_object_new_string(s->user_id) : NULL);
	for (size_t i = 0; i < SUMS; i++)
		json_object_object_add(row, names[i], json_object_new_int64(atomic_load(&s->sums[i])));
	return row;
}

struct json_object *
usage_table_read(uint64_t number, size_t part, char id[IDENT_BYTES])
{
	struct table *t = table_of(number);
	struct json_object *rows = NULL;

	make_id(number, part, id);
	for (size_t i = part * PART_ENTRIES; t != NULL && i < (part + 1) * PART_ENTRIES && i < atomic_load(&t->used); i++) {
		uint32_t place = atomic_load(&t->list[i]);

		if (place == 0 || atomic_load(&t->slots[place - 1].state) != SLOT_USED)
			continue;
		if (rows == NULL)
			rows = json_object_new_array();
		json_object_array_add(rows, row_of(&t->slots[place - 1]));
	}
	return rows;
}

/* One at a time, and who was killed at it is succeeded. */
static bool
become_clearer(struct table *t)
{
	int32_t holder = 0, own = (int32_t)getpid();

	if (atomic_compare_exchange_strong(&t->clearer, &holder, own))
		return true;
	return kill(holder, 0) != 0 && errno == ESRCH && atomic_compare_exchange_strong(&t->clearer, &holder, own);
}

static void
clear_slots(struct table *t)
{
	for (size_t i = 0; i < USAGE_ENTRIES_MAX && i < atomic_load(&t->used); i++) {
		uint32_t place = atomic_load(&t->list[i]);

		if (place != 0)
			memset(&t->slots[place - 1], 0, sizeof(t->slots[0]));
		atomic_store(&t->list[i], 0);
	}
}

void
usage_table_clear(uint64_t number)
{
	struct table *t = table_of(number);

	if (t == NULL || !become_clearer(t))
		return;
	if (atomic_load(&t->number) == number) {
		clear_slots(t);
		atomic_store(&t->adders, 0);
		atomic_store(&t->used, 0);
		/* by two turns, for the other table has the numbers between */
		atomic_store(&t->number, number + 3);
	}
	atomic_store(&t->clearer, 0);
}

bool
usage_table_lease(int64_t ms)
{
	struct shared *s = shared();
	int64_t now = loop_now_ms(), until = atomic_load(&s->lease_ms);

	if (ms < 0) {
		atomic_store(&s->lease_ms, 0);
		return true;
	}
	/* a clock that began anew is no reason to wait for ever */
	if (until > now && until <= now + ms)
		return false;
	return atomic_compare_exchange_strong(&s->lease_ms, &until, now + ms);
}
