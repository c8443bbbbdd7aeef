/*
 * jwks.h - the public keys of Supabase's tokens: fetched, kept, renewed.
 *
 * RFC 7517.  Of each key its algorithm: RSA (2048 bits or more) is RS256, the curve P-256 is ES256, others are not
 * taken.  Fetched at the first need, again after JWKS_FRESH_MS, and when a token names a key that is not there,
 * but not more often than each JWKS_PAUSE_MS.  Whose key is there never waits for a fetch.
 */
#ifndef GUARD_JWKS_H
#define GUARD_JWKS_H

#include "guard/jwt.h"

#define JWKS_FRESH_MS 600000
#define JWKS_PAUSE_MS 60000
/* while there are none at all */
#define JWKS_PAUSE_EMPTY_MS 5000
#define JWKS_TIMEOUT_MS 5000
#define JWKS_MAX_BYTES ((size_t)256 * 1024)

/* Use the keys at `url`, which is not fetched yet. */
void jwks_start(const char *url);
void jwks_stop(void);

/* Is the token signed by one of the keys?  -1 with *err: ERR_UNAUTHORIZED if not, ERR_UNAVAILABLE when no keys
   could be had, or cancelled.  Waits, if its key is unknown. */
int jwks_verify(const struct jwt *jwt, struct err *err) MUST_USE;

/* ---- for tests ---- */

/* Take these keys, as a fetch would; how many of them are of use.  -1 if `text` is no key set. */
int jwks_take(const char *text, size_t len);

#endif
