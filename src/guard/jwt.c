/* jwt.c - see guard/jwt.h */
#include "guard/jwt.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"

#define BASE64 sodium_base64_VARIANT_URLSAFE_NO_PADDING

static int
malformed(struct err *err, const char *why)
{
	err_set(err, ERR_UNAUTHORIZED, "The token is not valid; sign in again.");
	return err_cause(err, "token: %s", why);
}

/* One part, decoded into the arena; NULL if it is no base64url. */
static unsigned char *
decode(struct arena *a, const char *text, size_t len, size_t *len_r)
{
	unsigned char *bytes = arena_alloc(a, len + 1);
	const char *end;

	if (bytes == NULL || sodium_base642bin(bytes, len, text, len, NULL, len_r, &end, BASE64) != 0 || end != text + len)
		return NULL;
	return bytes;
}

static struct json_object *
decode_json(struct arena *a, const char *text, size_t len)
{
	size_t bytes_len;
	unsigned char *bytes = decode(a, text, len, &bytes_len);
	struct json_object *json = bytes != NULL ? json_parse((const char *)bytes, bytes_len, NULL) : NULL;

	if (json != NULL && !json_object_is_type(json, json_type_object)) {
		json_object_put(json);
		json = NULL;
	}
	return json != NULL ? json_keep(a, json) : NULL;
}

static int
read_header(struct json_object *header, struct jwt *jwt, struct err *err)
{
	static const char *const names[] = {[JWT_HS256] = "HS256", [JWT_RS256] = "RS256", [JWT_ES256] = "ES256"};
	const char *alg = json_member_text(header, "alg");
	struct json_object *kid = NULL;
	size_t i = 0;

	while (i < sizeof(names) / sizeof(names[0]) && (alg == NULL || strcmp(alg, names[i]) != 0))
		i++;
	if (i == sizeof(names) / sizeof(names[0]))
		return malformed(err, "its algorithm is none of HS256, RS256, ES256");
	jwt->alg = (enum jwt_alg)i;
	if (json_object_object_get_ex(header, "crit", NULL))
		return malformed(err, "it has critical header parameters");
	if (json_object_object_get_ex(header, "kid", &kid) &&
	    (!json_object_is_type(kid, json_type_string) ||
	     !text_copy(jwt->kid, sizeof(jwt->kid), json_object_get_string(kid))))
		return malformed(err, "its key id is none or too long");
	return 0;
}

int
jwt_read(struct arena *a, const char *token, size_t len, struct jwt *jwt, struct err *err)
{
	const char *claims, *signature;
	struct json_object *header;

	*jwt = (struct jwt){.token = token, .token_len = len};
	if (len > JWT_MAX_BYTES)
		return malformed(err, "it is too long");
	claims = memchr(token, '.', len);
	signature = claims != NULL ? memchr(claims + 1, '.', len - (size_t)(claims + 1 - token)) : NULL;
	if (signature == NULL || memchr(signature + 1, '.', len - (size_t)(signature + 1 - token)) != NULL)
		return malformed(err, "it has not three parts");
	header = decode_json(a, token, (size_t)(claims - token));
	if (header == NULL)
		return malformed(err, "its header is no JSON object");
	if (read_header(header, jwt, err) == -1)
		return -1;
	jwt->signed_len = (size_t)(signature - token);
	jwt->claims = decode_json(a, claims + 1, (size_t)(signature - claims - 1));
	if (jwt->claims == NULL)
		return malformed(err, "its claims are no JSON object");
	jwt->signature = decode(a, signature + 1, len - jwt->signed_len - 1, &jwt->signature_len);
	if (jwt->signature == NULL || jwt->signature_len == 0)
		return malformed(err, "it has no signature");
	return 0;
}

static void
mac(unsigned char *out, const char *text, size_t len, const void *key, size_t key_len)
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, key_len);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, len);
	crypto_auth_hmacsha256_final(&state, out);
	sodium_memzero(&state, sizeof(state));
}

bool
jwt_is_signed(const struct jwt *jwt, const void *key, size_t key_len)
{
	unsigned char expected[crypto_auth_hmacsha256_BYTES];

	if (jwt->alg != JWT_HS256 || jwt->signature_len != sizeof(expected) || key_len == 0)
		return false;
	mac(expected, jwt->token, jwt->signed_len, key, key_len);
	return sodium_memcmp(expected, jwt->signature, sizeof(expected)) == 0;
}

/* A claim that is a NumericDate: -1 if it is something else, 0 if it is not there. */
static int
read_time(const struct jwt *jwt, const char *name, int64_t *secs_r)
{
	struct json_object *value = NULL;
	double secs;

	if (!json_object_object_get_ex(jwt->claims, name, &value))
		return 0;
	if (!json_object_is_type(value, json_type_int) && !json_object_is_type(value, json_type_double))
		return -1;
	secs = json_object_get_double(value);
	if (!(secs >= 0 && secs < 1e15))        /* NaN is neither */
		return -1;
	*secs_r = (int64_t)secs;
	return 1;
}

static bool
names_audience(const struct jwt *jwt, const char *audience)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(jwt->claims, "aud", &value))
		return false;
	if (json_object_is_type(value, json_type_string))
		return strcmp(json_object_get_string(value), audience) == 0;
	if (!json_object_is_type(value, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		struct json_object *one = json_object_array_get_idx(value, i);

		if (json_object_is_type(one, json_type_string) && strcmp(json_object_get_string(one), audience) == 0)
			return true;
	}
	return false;
}

int
jwt_check_claims(const struct jwt *jwt, int64_t now, const char *audience, const char *issuer, struct err *err)
{
	int64_t expires, not_before;
	int has_nbf = read_time(jwt, "nbf", &not_before);
	const char *named = jwt_text(jwt, "iss");

	if (read_time(jwt, "exp", &expires) != 1 || has_nbf == -1)
		return malformed(err, "exp or nbf is no time");
	if (expires + JWT_LEEWAY_SECS <= now)
		return err_set(err, ERR_UNAUTHORIZED, "The token has expired; sign in again.");
	if (has_nbf == 1 && not_before - JWT_LEEWAY_SECS > now)
		return err_set(err, ERR_UNAUTHORIZED, "The token is not valid yet; is a clock wrong?");
	if (audience != NULL && !names_audience(jwt, audience))
		return err_set(err, ERR_UNAUTHORIZED, "The token is not meant for this (aud must be %s).", audience);
	if (issuer != NULL && (named == NULL || strcmp(named, issuer) != 0))
		return err_set(err, ERR_UNAUTHORIZED, "The token is of another issuer.");
	return 0;
}

const char *
jwt_text(const struct jwt *jwt, const char *name)
{
	return json_member_text(jwt->claims, name);
}

int64_t
jwt_expires_at(const struct jwt *jwt)
{
	int64_t expires;

	return read_time(jwt, "exp", &expires) == 1 ? expires : 0;
}

bool
jwt_is_uuid(const char *text)
{
	if (text == NULL || strlen(text) != 36)
		return false;
	for (size_t i = 0; i < 36; i++) {
		bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;

		if (hyphen ? text[i] != '-' : strchr("0123456789abcdef", text[i]) == NULL)
			return false;
	}
	return true;
}

static bool
append_base64(struct buffer *out, const void *data, size_t len)
{
	size_t room = sodium_base64_encoded_len(len, BASE64);

	if (buffer_reserve(out, room) == -1)
		return false;
	sodium_bin2base64(out->data + out->len, room, data, len, BASE64);
	out->len += strlen(out->data + out->len);
	return true;
}

char *
jwt_sign(struct arena *a, const char *kid, struct json_object *claims, const void *key, size_t key_len)
{
	struct buffer out = BUFFER_INIT(JWT_MAX_BYTES);
	unsigned char signature[crypto_auth_hmacsha256_BYTES];
	char header[JWT_KID_BYTES + 64];
	size_t claims_len;
	const char *claims_text = json_text(claims, &claims_len);
	int header_len = snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", kid);
	char *token = NULL;

	if (append_base64(&out, header, (size_t)header_len) && buffer_append(&out, ".", 1) == 0 &&
	    append_base64(&out, claims_text, claims_len)) {
		mac(signature, out.data, out.len, key, key_len);
		if (buffer_append(&out, ".", 1) == 0 && append_base64(&out, signature, sizeof(signature)))
			token = arena_strndup(a, out.data, out.len);
	}
	buffer_free(&out);
	return token;
}
