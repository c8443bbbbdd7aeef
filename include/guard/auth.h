/*
 * auth.h - who is asking, from what the request brings: a bearer token, an API key, our cookie, or nothing.
 *
 * AUTH_MODE says which of them count.  A token that is there and no good is refused, never taken for none.
 *
 * With the database away counts what it last said, at most AUTH_STALE_SECS ago, and not what was taken back since: as Redis
 * keeps it for all workers (guard/token_memory.h).  Without Redis too counts what the worker remembers, and else the
 * signature of a token of ours, of whose person no worker of this host has heard a change since it was made.  A token of
 * Supabase stands for its person by its signature.
 */
#ifndef GUARD_AUTH_H
#define GUARD_AUTH_H

#include "base/err.h"
#include "guard/identity.h"

struct request;

/* After config, sodium_init(), http_client_start() and pg_start(). */
void auth_start(void);
void auth_stop(void);

/* Fill in *who: a user, or the guest at the address.  -1 with *err: ERR_UNAUTHORIZED, ERR_FORBIDDEN (disabled, or another
   site's page), ERR_UNAVAILABLE when it cannot be told, or cancelled.  May wait. */
int auth_identify(struct request *rq, struct identity *who, struct err *err) MUST_USE;

/* Tokens that were just given out are known from now on, should the database go away.  Waits. */
void auth_learn(struct request *rq, const char *access, const char *cookie);

/* This cookie counts no longer.  Waits. */
void auth_forget_cookie(const char *cookie);

/* After a change of somebody's role, state, sessions or keys: what was known of them counts no longer, on any worker, nor
   while the database is away.  Waits, and is not cancelled. */
void auth_person_changed(const char *user_id);

/* A request that changes something and is sent with our cookie must not come from another site's page (those of
   CORS_ORIGINS aside): by Sec-Fetch-Site and Origin, which browsers send and pages cannot change.  -1 with
   ERR_FORBIDDEN.  (OWASP, Cross-Site Request Forgery Prevention.) */
int auth_check_origin(const struct request *rq, struct err *err) MUST_USE;

#endif
