/*
 * token_memory.h - what Redis keeps of whose a token is, for all workers, for when the database is away.
 *
 * What the database said of a token is kept for AUTH_STALE_SECS under a digest of the token, sealed by a key made of the
 * token and of a secret of this installation: who reads Redis finds nothing to use, who writes there can make nothing up.
 * It counts only with the mark of its person, which is taken away when something of theirs changes, and with it
 * everything that was kept before.  Each waits for Redis; while that is away nothing is kept.
 */
#ifndef GUARD_TOKEN_MEMORY_H
#define GUARD_TOKEN_MEMORY_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "guard/token_cache.h"

#define TOKEN_MARK_BYTES 33             /* with the NUL */

struct token_mark {
	char text[TOKEN_MARK_BYTES];    /* "" when Redis could not be asked */
	int64_t at_ms;                  /* Unix time */
};

/* After config and sodium_init(). */
void token_memory_start(void);
void token_memory_stop(void);

/* The mark of a person: take it before asking the database... */
void token_memory_mark(const char *user_id, struct token_mark *mark_r);
/* ... and give it with what the database said. */
void token_memory_keep(char kind, const char *token, const struct token_owner *owner, const struct token_mark *mark);

/* What was kept of the token.  1 with *owner_r, 0 when there is nothing that counts, -1 when Redis cannot be asked. */
int token_memory_recall(char kind, const char *token, struct token_owner *owner_r);

void token_memory_forget(char kind, const char *token);

/* Something of the person changed: what was kept counts no longer.  -1 with *err when Redis could not be told. */
int token_memory_changed(const char *user_id, struct err *err) MUST_USE;

#endif
