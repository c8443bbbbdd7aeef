/*
 * password.h - passwords: argon2id by libsodium, off the loop.
 *
 * Each takes PASSWORD_MEMORY_BYTES while it is computed, so at most PASSWORDS_AT_ONCE a worker are; others wait.
 */
#ifndef GUARD_PASSWORD_H
#define GUARD_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define PASSWORD_MEMORY_BYTES ((size_t)32 * 1024 * 1024)
#define PASSWORD_ROUNDS 3
#define PASSWORDS_AT_ONCE 2
#define PASSWORDS_WAITING_MAX 200
#define PASSWORD_HASH_BYTES 128         /* crypto_pwhash_STRBYTES */

#define PASSWORD_MIN_CHARS 8
#define PASSWORD_MAX_BYTES 1024

/* Is it long enough, and not too long?  -1 with *err (ERR_INVALID_REQUEST), which calls it `field`. */
int password_check(const char *password, const char *field, struct err *err) MUST_USE;

/* Write the hash to keep into `hash` (PASSWORD_HASH_BYTES).  -1 with *err: ERR_UNAVAILABLE when too many wait, or
   cancelled.  Waits. */
int password_hash(const char *password, char *hash, struct err *err) MUST_USE;

/* Is it the password of this hash?  With NULL for one that is not there the same is computed for nothing.  1, 0, or
   -1 with *err as above.  Waits. */
int password_verify(const char *password, const char *hash, struct err *err) MUST_USE;

/* Was the hash made by other parameters than today's? */
bool password_is_outdated(const char *hash);

#endif
