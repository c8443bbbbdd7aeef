/*
 * token_cache.h - who the tokens seen lately belong to, so that not each request asks the database.
 *
 * A table of fixed size per worker, by a digest of the token.  What is known of a person counts for TOKEN_FRESH_MS; when
 * somebody is changed (token_cache_changed()), it counts no longer on any worker of this host.  Older knowledge stays
 * for when the database is away, AUTH_STALE_SECS long.  Nothing here waits.
 */
#ifndef GUARD_TOKEN_CACHE_H
#define GUARD_TOKEN_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/people.h"

#define TOKEN_FRESH_MS 30000
#define TOKEN_CACHE_ENTRIES 2048

/* What a token stands for. */
struct token_owner {
	char user_id[PERSON_ID_BYTES];
	char session_id[PERSON_ID_BYTES];       /* "" if it is of none */
	bool admin;
	bool disabled;
	int64_t rate_limit;
	int64_t tokens_per_day;
	int64_t expires_at;             /* Unix seconds; of the token */
	int64_t issued_at;              /* the same; 0 if it does not say */
};

struct token_key {
	unsigned char bytes[16];
};

void token_cache_start(void);
void token_cache_stop(void);

/* The key of a token of a kind (a letter): a session's is not an access token though it be the same text. */
struct token_key token_cache_key(char kind, const char *token);

enum token_cache_found { TOKEN_UNKNOWN, TOKEN_FRESH, TOKEN_STALE };
enum token_cache_found token_cache_find(const struct token_key *key, struct token_owner *owner_r);

/* How often this person was changed so far: take it before asking the database... */
uint32_t token_cache_version(const char *user_id);
/* ... and give it with what the database said. */
void token_cache_put(const struct token_key *key, const struct token_owner *owner, uint32_t version);
void token_cache_forget(const struct token_key *key);

/* Somebody's role, state or sessions changed: ask again. */
void token_cache_changed(const char *user_id);

/* When that was last done on this host, in Unix milliseconds; 0: never, since the host's memory was made. */
int64_t token_cache_changed_at(const char *user_id);

/* Was it not done on this host since then (Unix seconds)?  False where the host's memory is younger. */
bool token_cache_is_unchanged_since(const char *user_id, int64_t unix_secs);

#endif
