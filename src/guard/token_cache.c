/* token_cache.c - see guard/token_cache.h */
#include "guard/token_cache.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "config/config.h"
#include "runtime/loop.h"
#include "runtime/shm.h"

#define WAYS 4
#define SETS (TOKEN_CACHE_ENTRIES / WAYS)
#define VERSIONS 65536

struct entry {
	struct token_key key;
	int64_t at_ms;                  /* 0: free */
	uint32_t version;
	struct token_owner owner;
};

/* People share a version when their digests do: then one is looked up once too often. */
struct versions {
	_Atomic int64_t since_ms;       /* Unix time; changes before it are not known */
	_Atomic uint32_t of[VERSIONS];
	_Atomic int64_t at_ms[VERSIONS];
};

static struct entry *entries;
static struct versions *versions;

void
token_cache_start(void)
{
	int64_t none = 0;

	entries = mem_alloc(TOKEN_CACHE_ENTRIES * sizeof(*entries));
	versions = shm_section("people.2", sizeof(*versions));
	atomic_compare_exchange_strong(&versions->since_ms, &none, loop_unix_us() / 1000);
}

void
token_cache_stop(void)
{
	if (entries != NULL)
		sodium_memzero(entries, TOKEN_CACHE_ENTRIES * sizeof(*entries));
	free(entries);
	entries = NULL;
}

struct token_key
token_cache_key(char kind, const char *token)
{
	crypto_generichash_state state;
	struct token_key key;

	crypto_generichash_init(&state, NULL, 0, sizeof(key.bytes));
	crypto_generichash_update(&state, (const unsigned char *)&kind, 1);
	crypto_generichash_update(&state, (const unsigned char *)token, strlen(token));
	crypto_generichash_final(&state, key.bytes, sizeof(key.bytes));
	return key;
}

static struct entry *
set_of(const struct token_key *key)
{
	uint32_t number;

	memcpy(&number, key->bytes, sizeof(number));
	return &entries[(size_t)(number % SETS) * WAYS];
}

static struct entry *
find(const struct token_key *key)
{
	struct entry *set = set_of(key);

	for (size_t i = 0; i < WAYS; i++)
		if (set[i].at_ms != 0 && memcmp(&set[i].key, key, sizeof(*key)) == 0)
			return &set[i];
	return NULL;
}

/* Ids are random already. */
static size_t
slot_of(const char *user_id)
{
	return text_hash(user_id, 0) % VERSIONS;
}

uint32_t
token_cache_version(const char *user_id)
{
	return atomic_load(&versions->of[slot_of(user_id)]);
}

void
token_cache_changed(const char *user_id)
{
	size_t slot = slot_of(user_id);

	atomic_store(&versions->at_ms[slot], loop_unix_us() / 1000);
	atomic_fetch_add(&versions->of[slot], 1);
}

int64_t
token_cache_changed_at(const char *user_id)
{
	return atomic_load(&versions->at_ms[slot_of(user_id)]);
}

bool
token_cache_is_unchanged_since(const char *user_id, int64_t unix_secs)
{
	return atomic_load(&versions->since_ms) / 1000 <= unix_secs && token_cache_changed_at(user_id) / 1000 < unix_secs;
}

enum token_cache_found
token_cache_find(const struct token_key *key, struct token_owner *owner_r)
{
	struct entry *e = find(key);
	int64_t age_ms;

	if (e == NULL || e->version != token_cache_version(e->owner.user_id))
		return TOKEN_UNKNOWN;
	age_ms = loop_now_ms() - e->at_ms;
	*owner_r = e->owner;
	if (age_ms <= TOKEN_FRESH_MS)
		return TOKEN_FRESH;
	return age_ms <= config()->auth_stale_secs * 1000 ? TOKEN_STALE : TOKEN_UNKNOWN;
}

void
token_cache_put(const struct token_key *key, const struct token_owner *owner, uint32_t version)
{
	struct entry *set = set_of(key), *e = find(key);

	if (e == NULL) {
		e = &set[0];
		for (size_t i = 1; i < WAYS; i++)
			if (set[i].at_ms < e->at_ms)
				e = &set[i];
	}
	*e = (struct entry){.key = *key, .at_ms = loop_now_ms(), .version = version, .owner = *owner};
}

void
token_cache_forget(const struct token_key *key)
{
	struct entry *e = find(key);

	if (e != NULL)
		e->at_ms = 0;
}
