/*
 * jwt.h - signed tokens: taking them apart, checking them, making our own.
 *
 * RFC 7519 and RFC 7515 (compact serialization), of the algorithms of RFC 7518 HS256, RS256 and ES256.  What a
 * token says of its algorithm is never believed: the key has one, and the token has to name that.
 * Nothing here waits.
 */
#ifndef GUARD_JWT_H
#define GUARD_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

#define JWT_MAX_BYTES ((size_t)16 * 1024)
#define JWT_LEEWAY_SECS 30
#define JWT_KID_BYTES 128

enum jwt_alg { JWT_HS256, JWT_RS256, JWT_ES256 };

/* A token taken apart; nothing of it is proven. */
struct jwt {
	enum jwt_alg alg;
	char kid[JWT_KID_BYTES];        /* "" if it names no key */
	const char *token;              /* as it came */
	size_t token_len;
	size_t signed_len;              /* of its beginning: what the signature is of */
	const unsigned char *signature;
	size_t signature_len;
	struct json_object *claims;     /* lives in the arena */
};

/* Take `token` apart.  -1 with *err: ERR_UNAUTHORIZED when it is too long, no such token, of another algorithm
   (`none` among them) or demands what we do not know (`crit`). */
int jwt_read(struct arena *a, const char *token, size_t len, struct jwt *jwt, struct err *err) MUST_USE;

/* Is it HS256, by this key? */
bool jwt_is_signed(const struct jwt *jwt, const void *key, size_t key_len);

/* exp (which must be there) and nbf against now (Unix seconds), with JWT_LEEWAY_SECS; aud and iss where not NULL.
   -1 with *err: ERR_UNAUTHORIZED, saying which. */
int jwt_check_claims(const struct jwt *jwt, int64_t now, const char *audience, const char *issuer, struct err *err) MUST_USE;

/* A claim that is a text, or NULL. */
const char *jwt_text(const struct jwt *jwt, const char *name);

/* Its exp; 0 if it has none. */
int64_t jwt_expires_at(const struct jwt *jwt);

/* Is it a UUID as PostgreSQL writes them: lower case, with hyphens? */
bool jwt_is_uuid(const char *text);

/* A token of these claims, HS256 by the key, which is named `kid`.  NULL when the arena is full. */
char *jwt_sign(struct arena *a, const char *kid, struct json_object *claims, const void *key, size_t key_len) MUST_USE;

#endif
