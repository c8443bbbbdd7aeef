/* token_memory.c - see guard/token_memory.h */
#include "guard/token_memory.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/config.h"
#include "net/redis.h"
#include "runtime/loop.h"

#define ARENA_BYTES ((size_t)64 * 1024)
#define KEY_BYTES 96
#define NUMBER_BYTES 24
#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define FORM "BKWHO1"                   /* changes with what is sealed */

/* What is sealed.  Nothing in it is padding: all of it is set, by memset() first. */
struct kept {
	char form[8];
	char mark[TOKEN_MARK_BYTES + 7];
	int64_t at_ms;
	struct token_owner owner;
};

#define SEALED_BYTES (crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + sizeof(struct kept))
#define TEXT_BYTES (sodium_base64_ENCODED_LEN(SEALED_BYTES, VARIANT))

/* KEYS[1] the mark; ARGV: a new one, how long it is kept */
static struct redis_script mark_script = {
    .source = "local mark = redis.call('GET', KEYS[1])\n"
              "if not mark then mark = ARGV[1] end\n"
              "redis.call('SET', KEYS[1], mark, 'EX', ARGV[2])\n"
              "return mark\n"};

/* Of this installation, the same on each of its hosts. */
static unsigned char secret[crypto_generichash_KEYBYTES];

void
token_memory_start(void)
{
	const char *const from[] = {config()->session_secret, config()->supabase_jwt_secret,
	                            config()->supabase_db_pooler_url, config()->database_url};

	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++)
		if (from[i][0] != '\0') {
			crypto_generichash(secret, sizeof(secret), (const unsigned char *)from[i], strlen(from[i]), NULL, 0);
			return;
		}
	randombytes_buf(secret, sizeof(secret));
}

void
token_memory_stop(void)
{
	sodium_memzero(secret, sizeof(secret));
}

static bool
is_used(void)
{
	return config()->auth_stale_secs > 0 && config_has(FEATURE_REDIS);
}

/* 32 bytes of the secret and the token, for one purpose (a letter). */
static void
derive(unsigned char out[32], char purpose, char kind, const char *token)
{
	const unsigned char head[2] = {(unsigned char)purpose, (unsigned char)kind};
	crypto_generichash_state state;

	crypto_generichash_init(&state, secret, sizeof(secret), 32);
	crypto_generichash_update(&state, head, sizeof(head));
	crypto_generichash_update(&state, (const unsigned char *)token, strlen(token));
	crypto_generichash_final(&state, out, 32);
}

static void
write_key(char out[KEY_BYTES], char kind, const char *token)
{
	unsigned char digest[32];
	char hex[2 * sizeof(digest) + 1];

	derive(digest, 'n', kind, token);
	sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
	snprintf(out, KEY_BYTES, "bakame:who:{%s}", hex);
}

static void
write_mark_key(char out[KEY_BYTES], const char *user_id)
{
	snprintf(out, KEY_BYTES, "bakame:mark:{%s}", user_id);
}

/* ---- sealing ---- */

static void
seal(char text[TEXT_BYTES], char kind, const char *token, const struct kept *k)
{
	unsigned char key[crypto_secretbox_KEYBYTES], sealed[SEALED_BYTES];

	_Static_assert(crypto_secretbox_KEYBYTES == 32, "what derive() makes");
	derive(key, 's', kind, token);
	randombytes_buf(sealed, crypto_secretbox_NONCEBYTES);
	crypto_secretbox_easy(sealed + crypto_secretbox_NONCEBYTES, (const unsigned char *)k, sizeof(*k), sealed, key);
	sodium_bin2base64(text, TEXT_BYTES, sealed, sizeof(sealed), VARIANT);
	sodium_memzero(key, sizeof(key));
}

/* False when it was not sealed so, or in another form. */
static bool
unseal(const char *text, size_t text_len, char kind, const char *token, struct kept *k)
{
	unsigned char key[crypto_secretbox_KEYBYTES], sealed[SEALED_BYTES];
	size_t len;
	bool ok;

	if (sodium_base642bin(sealed, sizeof(sealed), text, text_len, NULL, &len, NULL, VARIANT) != 0 || len != sizeof(sealed))
		return false;
	derive(key, 's', kind, token);
	ok = crypto_secretbox_open_easy((unsigned char *)k, sealed + crypto_secretbox_NONCEBYTES,
	                                sizeof(sealed) - crypto_secretbox_NONCEBYTES, sealed, key) == 0;
	sodium_memzero(key, sizeof(key));
	return ok && memcmp(k->form, FORM, sizeof(FORM)) == 0;
}

/* ---- Redis ---- */

void
token_memory_mark(const char *user_id, struct token_mark *mark)
{
	char key[KEY_BYTES], fresh[TOKEN_MARK_BYTES], secs[NUMBER_BYTES];
	unsigned char random[TOKEN_MARK_BYTES / 2];
	struct redis_value reply;
	struct arena *a;
	struct err err;

	*mark = (struct token_mark){.at_ms = loop_unix_us() / 1000};
	if (!is_used() || !redis_usable())
		return;
	randombytes_buf(random, sizeof(random));
	sodium_bin2hex(fresh, sizeof(fresh), random, sizeof(random));
	/* longer than anything that is kept with it */
	snprintf(secs, sizeof(secs), "%" PRId64, 2 * config()->auth_stale_secs);
	write_mark_key(key, user_id);
	a = arena_new(ARENA_BYTES);
	if (redis_eval(redis_shared(), a, &mark_script, &reply, &err, REDIS_WORDS(REDIS_TEXT(key)),
	               REDIS_WORDS(REDIS_TEXT(fresh), REDIS_TEXT(secs))) == 0 &&
	    reply.type == REDIS_STRING && reply.len == TOKEN_MARK_BYTES - 1)
		text_copy(mark->text, sizeof(mark->text), reply.text);
	arena_free(&a);
}

void
token_memory_keep(char kind, const char *token, const struct token_owner *owner, const struct token_mark *mark)
{
	char key[KEY_BYTES], text[TEXT_BYTES], secs[NUMBER_BYTES];
	struct redis_value reply;
	struct kept k;
	struct arena *a;
	struct err err;

	if (mark->text[0] == '\0' || !redis_usable())
		return;
	memset(&k, 0, sizeof(k));
	memcpy(k.form, FORM, sizeof(FORM));
	text_copy(k.mark, sizeof(k.mark), mark->text);
	k.at_ms = mark->at_ms;
	k.owner = *owner;
	seal(text, kind, token, &k);
	write_key(key, kind, token);
	snprintf(secs, sizeof(secs), "%" PRId64, config()->auth_stale_secs);
	a = arena_new(ARENA_BYTES);
	/* without it the next look in the database does it */
	(void)!redis_command(redis_shared(), a, &reply, &err,
	                     REDIS_WORDS(REDIS_TEXT("SET"), REDIS_TEXT(key), REDIS_TEXT(text), REDIS_TEXT("EX"), REDIS_TEXT(secs)));
	arena_free(&a);
}

static int
get(struct arena *a, const char *key, struct redis_value *reply)
{
	struct err err;

	return redis_command(redis_shared(), a, reply, &err, REDIS_WORDS(REDIS_TEXT("GET"), REDIS_TEXT(key)));
}

/* 1 when the person's mark is still that which it was kept with. */
static int
has_mark(struct arena *a, const struct kept *k)
{
	char key[KEY_BYTES];
	struct redis_value reply;

	write_mark_key(key, k->owner.user_id);
	if (get(a, key, &reply) == -1)
		return -1;
	/* a change of which Redis did not hear, for it was away */
	if (k->at_ms <= token_cache_changed_at(k->owner.user_id))
		return 0;
	return reply.type == REDIS_STRING && strcmp(reply.text, k->mark) == 0;
}

int
token_memory_recall(char kind, const char *token, struct token_owner *owner_r)
{
	char key[KEY_BYTES];
	struct redis_value reply;
	struct kept k = {0};
	struct arena *a;
	int rc = -1;

	if (!is_used() || !redis_usable())
		return -1;
	write_key(key, kind, token);
	a = arena_new(ARENA_BYTES);
	if (get(a, key, &reply) == 0)
		rc = reply.type == REDIS_STRING && unseal(reply.text, reply.len, kind, token, &k) ? has_mark(a, &k) : 0;
	if (rc == 1)
		*owner_r = k.owner;
	arena_free(&a);
	return rc;
}

/* DEL of one key; -1 with *err. */
static int
drop(const char *key, struct err *err)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct redis_value reply;
	int rc = redis_command(redis_shared(), a, &reply, err, REDIS_WORDS(REDIS_TEXT("DEL"), REDIS_TEXT(key)));

	arena_free(&a);
	return rc;
}

void
token_memory_forget(char kind, const char *token)
{
	char key[KEY_BYTES];
	struct err err;

	if (!is_used() || !redis_usable())
		return;
	write_key(key, kind, token);
	(void)!drop(key, &err);         /* with the database there it does not count anyhow */
}

int
token_memory_changed(const char *user_id, struct err *err)
{
	char key[KEY_BYTES];

	if (!is_used())
		return 0;
	write_mark_key(key, user_id);
	return drop(key, err);
}
