/* session_token.c - see guard/session_token.h */
#include "guard/session_token.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "guard/jwt.h"
#include "http/fcgi.h"
#include "http/request.h"
#include "http/response.h"

#define AUDIENCE "authenticated"
#define ISSUER "bakame"
#define NONCE_BYTES 16

static const char *const kids[] = {[SESSION_TOKEN_ACCESS] = "bakame-access", [SESSION_TOKEN_COOKIE] = "bakame-session"};
static unsigned char keys[2][crypto_auth_hmacsha256_KEYBYTES];

void
session_token_start(const char *secret)
{
	unsigned char master[crypto_kdf_KEYBYTES];

	crypto_generichash(master, sizeof(master), (const unsigned char *)secret, strlen(secret), NULL, 0);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		crypto_kdf_derive_from_key(keys[i], sizeof(keys[i]), i + 1, "bakameJW", master);
	sodium_memzero(master, sizeof(master));
}

void
session_token_stop(void)
{
	sodium_memzero(keys, sizeof(keys));
}

void
session_token_digest(const char *text, unsigned char digest[PERSON_DIGEST_BYTES])
{
	crypto_generichash(digest, PERSON_DIGEST_BYTES, (const unsigned char *)text, strlen(text), NULL, 0);
}

static void
add_text(struct json_object *claims, const char *name, const char *text)
{
	json_object_object_add(claims, name, json_object_new_string(text));
}

int
session_token_make(struct arena *a, enum session_token_kind kind, const char *user_id, const char *session_id,
                   int64_t secs, struct session_token *t, struct err *err)
{
	struct json_object *claims = json_object_new_object();
	unsigned char nonce[NONCE_BYTES];
	char nonce_text[2 * NONCE_BYTES];

	randombytes_buf(nonce, sizeof(nonce));
	sodium_bin2base64(nonce_text, sizeof(nonce_text), nonce, sizeof(nonce), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	*t = (struct session_token){.user_id = user_id, .session_id = session_id, .issued_at = (int64_t)time(NULL)};
	t->expires_at = t->issued_at + secs;
	add_text(claims, "sub", user_id);
	add_text(claims, "sid", session_id);
	add_text(claims, "jti", nonce_text);
	json_object_object_add(claims, "iat", json_object_new_int64(t->issued_at));
	json_object_object_add(claims, "exp", json_object_new_int64(t->expires_at));
	if (kind == SESSION_TOKEN_ACCESS) {
		add_text(claims, "aud", AUDIENCE);
		add_text(claims, "iss", ISSUER);
		add_text(claims, "role", AUDIENCE);
	}
	t->text = jwt_sign(a, kids[kind], claims, keys[kind], sizeof(keys[kind]));
	json_object_put(claims);
	if (t->text == NULL)
		return err_set(err, ERR_INTERNAL, "The request needs too much memory.");
	session_token_digest(t->text, t->digest);
	return 0;
}

int
session_token_read(struct arena *a, enum session_token_kind kind, const char *text, struct session_token *t,
                   struct err *err)
{
	bool access = kind == SESSION_TOKEN_ACCESS;
	struct jwt jwt;

	if (jwt_read(a, text, strlen(text), &jwt, err) == -1)
		return -1;
	if (strcmp(jwt.kid, kids[kind]) != 0 || !jwt_is_signed(&jwt, keys[kind], sizeof(keys[kind]))) {
		err_set(err, ERR_UNAUTHORIZED, "The token is not valid; sign in again.");
		return err_cause(err, "token: it is not signed by us");
	}
	if (jwt_check_claims(&jwt, (int64_t)time(NULL), access ? AUDIENCE : NULL, access ? ISSUER : NULL, err) == -1)
		return -1;
	*t = (struct session_token){.text = text,
	                            .user_id = jwt_text(&jwt, "sub"),
	                            .session_id = jwt_text(&jwt, "sid"),
	                            .expires_at = jwt_expires_at(&jwt),
	                            .issued_at = json_object_get_int64(json_object_object_get(jwt.claims, "iat"))};
	if (!jwt_is_uuid(t->user_id) || !jwt_is_uuid(t->session_id))
		return err_set(err, ERR_UNAUTHORIZED, "The token is not valid; sign in again.");
	session_token_digest(text, t->digest);
	return 0;
}

/* ---- the cookie (RFC 6265) ---- */

const char *
session_cookie_find(const char *header, size_t *len_r)
{
	static const char name[] = SESSION_COOKIE "=";
	const size_t name_len = sizeof(name) - 1;

	for (const char *at = header; *at != '\0';) {
		size_t len;

		at += strspn(at, "; \t");
		len = strcspn(at, ";");
		if (strncmp(at, name, name_len) == 0) {
			*len_r = len - name_len;
			while (*len_r > 0 && strchr(" \t", at[name_len + *len_r - 1]) != NULL)
				--*len_r;
			if (*len_r > 0)
				return at + name_len;
		}
		at += len;
	}
	return NULL;
}

const char *
session_cookie_get(struct request *rq)
{
	const char *header = request_header(rq, "Cookie");
	size_t len;
	const char *value = header != NULL ? session_cookie_find(header, &len) : NULL;

	return value != NULL ? arena_strndup(rq->arena, value, len) : NULL;
}

static bool
is_behind_tls(const struct request *rq)
{
	const char *https = fcgi_param(rq->fcgi, "HTTPS");

	return https != NULL && strcasecmp(https, "on") == 0;
}

void
session_cookie_set(struct request *rq, const struct session_token *token)
{
	int64_t secs = token != NULL ? token->expires_at - (int64_t)time(NULL) : 0;

	response_header(rq, "Set-Cookie", SESSION_COOKIE "=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%" PRId64 "%s",
	                token != NULL ? token->text : "", secs, is_behind_tls(rq) ? "; Secure" : "");
}
