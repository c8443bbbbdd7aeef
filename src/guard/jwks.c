/* jwks.c - see guard/jwks.h */
#include "guard/jwks.h"

#include <cjose/jwk.h>
#include <cjose/jws.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/http_client.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"

#define KEYS_MAX 16
#define RSA_BITS_MIN 2048

struct key {
	enum jwt_alg alg;
	char kid[JWT_KID_BYTES];
	cjose_jwk_t *jwk;
};

/* A fiber that waits for the end of a fetch; on its stack. */
struct waiter {
	struct waiter *next;
	struct fiber *fiber;
	bool done;
};

static struct {
	char *url;
	struct key keys[KEYS_MAX];
	size_t count;
	int64_t fetched_at_ms;          /* the last success */
	int64_t retry_at_ms;
	bool fetching;
	struct waiter *waiting;
} set;

/* ---- the keys ---- */

static void
free_keys(struct key *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		cjose_jwk_release(keys[i].jwk);
}

/* Which algorithm this key is for.  False if it is none of ours. */
static bool
key_algorithm(struct json_object *json, const cjose_jwk_t *jwk, enum jwt_alg *alg_r)
{
	const char *alg = json_member_text(json, "alg");
	const char *use = json_member_text(json, "use");
	const char *curve = json_member_text(json, "crv");
	const char *name;
	cjose_err error;

	if (use != NULL && strcmp(use, "sig") != 0)
		return false;
	switch (cjose_jwk_get_kty(jwk, &error)) {
	case CJOSE_JWK_KTY_RSA:
		*alg_r = JWT_RS256;
		name = "RS256";
		if (cjose_jwk_get_keysize(jwk, &error) < RSA_BITS_MIN)
			return false;
		break;
	case CJOSE_JWK_KTY_EC:
		*alg_r = JWT_ES256;
		name = "ES256";
		if (curve == NULL || strcmp(curve, "P-256") != 0)
			return false;
		break;
	default:        /* a shared secret in public is none */
		return false;
	}
	return alg == NULL || strcmp(alg, name) == 0;
}

/* libcjose 0.6 aborts the program on numbers that are no base64url (RFC 4648, 5; without padding), so none of
   those reaches it. */
static bool
has_sound_numbers(struct json_object *json)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	static const char *const names[] = {"n", "e", "x", "y", "d", "k", "p", "q", "dp", "dq", "qi"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *text = json_member_text(json, names[i]);
		size_t len = text != NULL ? strlen(text) : 0;

		if (text != NULL && (len == 0 || len % 4 == 1 || strspn(text, alphabet) != len))
			return false;
	}
	return true;
}

static bool
read_key(struct json_object *json, struct key *key)
{
	const char *kid = json_member_text(json, "kid");
	cjose_err error;
	size_t len;
	const char *text;

	*key = (struct key){0};
	if (!json_object_is_type(json, json_type_object) ||
	    (kid != NULL && !text_copy(key->kid, sizeof(key->kid), kid)))
		return false;
	if (!has_sound_numbers(json))
		return false;
	text = json_text(json, &len);
	key->jwk = cjose_jwk_import(text, len, &error);
	if (key->jwk == NULL)
		return false;
	if (key_algorithm(json, key->jwk, &key->alg))
		return true;
	cjose_jwk_release(key->jwk);
	return false;
}

int
jwks_take(const char *text, size_t len)
{
	struct json_object *json = json_parse(text, len, NULL);
	struct json_object *list = json_object_is_type(json, json_type_object)
	                               ? json_member(json, "keys", json_type_array)
	                               : NULL;
	struct key keys[KEYS_MAX] = {0};
	size_t count = 0;
	int rc = -1;

	if (list != NULL) {
		for (size_t i = 0; i < json_object_array_length(list) && count < KEYS_MAX; i++)
			if (read_key(json_object_array_get_idx(list, i), &keys[count]))
				count++;
		free_keys(set.keys, set.count);
		memcpy(set.keys, keys, count * sizeof(keys[0]));
		set.count = count;
		set.fetched_at_ms = loop_now_ms();
		rc = (int)count;
	}
	json_object_put(json);
	return rc;
}

/* ---- fetching ---- */

static int
fetch_text(char **text_r, size_t *len_r, struct err *err)
{
	const int64_t deadline_ms = loop_now_ms() + JWKS_TIMEOUT_MS;
	const struct http_options options = {.method = "GET", .url = set.url, .connect_timeout_ms = JWKS_TIMEOUT_MS};
	struct http_call *call = http_open(&options, err);
	long status;
	int rc = -1;

	if (call == NULL)
		return -1;
	status = http_wait_answer(call, deadline_ms, "The keys' server", err);
	if (status == 200)
		rc = http_read_all(call, JWKS_MAX_BYTES, deadline_ms, text_r, len_r, err);
	else if (status != -1)
		err_set(err, ERR_UPSTREAM, "The keys' server answered %ld.", status);
	http_close(&call);
	return rc;
}

static void
wake_all(void)
{
	for (struct waiter *w = set.waiting; w != NULL; w = w->next) {
		w->done = true;
		fiber_wake(w->fiber);
	}
	set.waiting = NULL;
}

static void
fetch_main(void *arg)
{
	struct err err = {0};
	char *text = NULL;
	size_t len;

	(void)arg;
	if (fetch_text(&text, &len, &err) == 0 && jwks_take(text, len) == -1)
		err_set(&err, ERR_UPSTREAM, "What the keys' server answered is no set of keys.");
	free(text);
	if (err.code != ERR_NONE)
		LOG_WARN(&log_root, "keys of tokens could not be fetched", LOG_STR("reason", err.message),
		         LOG_STR("cause", err.cause));
	set.retry_at_ms = loop_now_ms() + (set.count == 0 ? JWKS_PAUSE_EMPTY_MS : JWKS_PAUSE_MS);
	set.fetching = false;
	wake_all();
}

static void
fetch_begin(void)
{
	if (set.fetching || set.url == NULL || loop_now_ms() < set.retry_at_ms)
		return;
	set.fetching = true;
	fiber_spawn(fetch_main, NULL);
}

static void
waiter_leave(struct waiter *w)
{
	for (struct waiter **at = &set.waiting; *at != NULL; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			return;
		}
}

static int
await_fetch(struct err *err)
{
	struct waiter w = {.next = set.waiting, .fiber = fiber_self()};
	const int64_t deadline_ms = loop_now_ms() + JWKS_TIMEOUT_MS + 1000;
	enum fiber_event event = FIBER_WOKEN;

	set.waiting = &w;
	while (!w.done && event == FIBER_WOKEN)
		event = fiber_wait(deadline_ms);
	if (!w.done)
		waiter_leave(&w);
	return event == FIBER_CANCELLED ? fiber_cancel_err(err) : 0;
}

/* ---- verifying ---- */

/* The key that the token names, or the only one of its algorithm where it names none. */
static const struct key *
find_key(const struct jwt *jwt)
{
	const struct key *found = NULL;

	for (size_t i = 0; i < set.count; i++) {
		const struct key *key = &set.keys[i];

		if (key->alg != jwt->alg || (jwt->kid[0] != '\0' && strcmp(key->kid, jwt->kid) != 0))
			continue;
		if (found != NULL && jwt->kid[0] == '\0')
			return NULL;
		found = key;
	}
	return found;
}

static bool
is_signed_by(const struct jwt *jwt, const struct key *key)
{
	cjose_err error;
	cjose_jws_t *jws = cjose_jws_import(jwt->token, jwt->token_len, &error);
	bool ok = jws != NULL && cjose_jws_verify(jws, key->jwk, &error);

	cjose_jws_release(jws);
	return ok;
}

static int
refuse(struct err *err, const char *why)
{
	err_set(err, ERR_UNAUTHORIZED, "The token is not valid; sign in again.");
	return err_cause(err, "token: %s", why);
}

int
jwks_verify(const struct jwt *jwt, struct err *err)
{
	const struct key *key;

	if (jwt->alg == JWT_HS256)
		return refuse(err, "a public key does not sign by HS256");
	if (set.count > 0 && loop_now_ms() - set.fetched_at_ms > JWKS_FRESH_MS)
		fetch_begin();
	key = find_key(jwt);
	if (key == NULL) {
		fetch_begin();
		if (set.fetching && await_fetch(err) == -1)
			return -1;
		key = find_key(jwt);
	}
	if (key != NULL)
		return is_signed_by(jwt, key) ? 0 : refuse(err, "its signature is not right");
	if (set.count > 0)
		return refuse(err, "there is no such key");
	err_set(err, ERR_UNAVAILABLE, "Tokens cannot be checked at the moment; please try again.");
	err->retry_after_secs = JWKS_PAUSE_EMPTY_MS / 1000;
	return err_cause(err, "the keys of tokens could not be fetched");
}

void
jwks_start(const char *url)
{
	memset(&set, 0, sizeof(set));
	set.url = url != NULL && *url != '\0' ? mem_strdup(url) : NULL;
}

void
jwks_stop(void)
{
	free_keys(set.keys, set.count);
	free(set.url);
	memset(&set, 0, sizeof(set));
}
