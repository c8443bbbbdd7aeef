/*
 * fuzz_jwt.c - tokens, sets of keys and cookies, as anybody may send them.
 *
 * No input is signed by a key that it does not have; what is read again is what was written; a cookie found is a part
 * of the header.  Claims of any kind, rightly signed, are read as they were written, and those that pass do not
 * pass after they have expired.  The first byte chooses what the rest is.
 */
#include <sodium.h>
#include <string.h>

#include "base/json.h"
#include "fuzz.h"
#include "guard/jwks.h"
#include "guard/jwt.h"
#include "guard/session_token.h"

#define KEY "a key that no input has, for it is of 48 letters"
#define ARENA_BYTES ((size_t)1 << 20)
#define NOW 1700000000

static void
check_token(const char *text, size_t len)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct err err = {0};
	struct jwt jwt;

	if (jwt_read(a, text, len, &jwt, &err) == 0) {
		REQUIRE(len <= JWT_MAX_BYTES && jwt.signed_len < len && jwt.signature_len > 0);
		REQUIRE(!jwt_is_signed(&jwt, KEY, strlen(KEY)));
		(void)!jwt_check_claims(&jwt, NOW, "authenticated", "x", &err);
		(void)jwt_is_uuid(jwt_text(&jwt, "sub"));
		if (jwt.alg != JWT_HS256)
			REQUIRE(jwks_verify(&jwt, &err) == -1 && err.code != ERR_NONE);
	} else {
		REQUIRE(err.code == ERR_UNAUTHORIZED);
	}
	arena_free(&a);
}

/* Whoever has the key says what he likes. */
static void
check_claims(const char *text, size_t len)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct json_object *claims = json_parse_trusted(text, len);
	struct err err = {0};
	struct jwt jwt;
	char *token = claims != NULL ? jwt_sign(a, "here", claims, KEY, strlen(KEY)) : NULL;

	if (token != NULL && jwt_read(a, token, strlen(token), &jwt, &err) == 0) {
		REQUIRE(jwt_is_signed(&jwt, KEY, strlen(KEY)) && !jwt_is_signed(&jwt, KEY, strlen(KEY) - 1));
		REQUIRE(strcmp(jwt.kid, "here") == 0);
		(void)jwt_is_uuid(jwt_text(&jwt, "sub"));
		if (jwt_check_claims(&jwt, NOW, "authenticated", NULL, &err) == 0) {
			int64_t end = jwt_expires_at(&jwt);

			REQUIRE(end > NOW - JWT_LEEWAY_SECS - 1);
			if (end < INT64_MAX - JWT_LEEWAY_SECS)
				REQUIRE(jwt_check_claims(&jwt, end + JWT_LEEWAY_SECS, "authenticated", NULL, &err) == -1);
		}
	}
	json_object_put(claims);
	arena_free(&a);
}

static void
check_cookie(const char *header)
{
	size_t len;
	const char *found = session_cookie_find(header, &len);

	if (found == NULL)
		return;
	REQUIRE(found > header && len > 0 && found + len <= header + strlen(header));
	REQUIRE(memchr(found, ';', len) == NULL);
	REQUIRE(strncmp(found - strlen(SESSION_COOKIE) - 1, SESSION_COOKIE "=", strlen(SESSION_COOKIE) + 1) == 0);
}

static void
check_keys(const char *text, size_t len)
{
	int count = jwks_take(text, len);

	REQUIRE(count >= -1 && count <= 16);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0 || sodium_init() == -1)
		return 0;
	text = malloc(size);
	REQUIRE(text != NULL);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0]) {
	case 'c':
		check_cookie(text);
		break;
	case 'j':
		check_claims(text, size - 1);
		break;
	case 'k':
		jwks_start(NULL);
		check_keys(text, size - 1);
		jwks_stop();
		break;
	default:
		check_token(text, size - 1);
		break;
	}
	free(text);
	return 0;
}
