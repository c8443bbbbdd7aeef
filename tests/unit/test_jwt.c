/* test_jwt.c - tokens: those of the standards' appendices, and all that is none */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "guard/jwt.h"

#define NOW 1700000000
#define KEY "a key of this test, which is long enough"

/* RFC 7515, A.1: HS256 */
#define RFC_TOKEN                                                                                                      \
	"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."                                                                    \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."             \
	"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define RFC_KEY "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
#define RFC_EXP 1300819380

static struct arena *arena;

static int
make_arena(void **state)
{
	(void)state;
	arena = arena_new((size_t)8 << 20);
	return 0;
}

static int
free_arena(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static int
read_token(const char *token, struct jwt *jwt)
{
	struct err err = {0};
	int rc = jwt_read(arena, token, strlen(token), jwt, &err);

	if (rc == -1)
		assert_int_equal(err.code, ERR_UNAUTHORIZED);
	return rc;
}

static char *
encode(const char *text)
{
	size_t room = sodium_base64_encoded_len(strlen(text), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	char *out = arena_alloc(arena, room);

	sodium_bin2base64(out, room, (const unsigned char *)text, strlen(text), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return out;
}

/* A token of this header and these claims, signed by KEY. */
static char *
forge(const char *header, const char *claims)
{
	unsigned char mac[crypto_auth_hmacsha256_BYTES];
	char text[64];
	char *start = arena_printf(arena, "%s.%s", encode(header), encode(claims));
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, (const unsigned char *)KEY, strlen(KEY));
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)start, strlen(start));
	crypto_auth_hmacsha256_final(&state, mac);
	sodium_bin2base64(text, sizeof(text), mac, sizeof(mac), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return arena_printf(arena, "%s.%s", start, text);
}

static void
the_standards_token_is_read_and_proven(void **state)
{
	unsigned char key[128];
	size_t key_len;
	struct jwt jwt;

	(void)state;
	assert_int_equal(sodium_base642bin(key, sizeof(key), RFC_KEY, strlen(RFC_KEY), NULL, &key_len, NULL,
	                                   sodium_base64_VARIANT_URLSAFE_NO_PADDING),
	                 0);
	assert_int_equal(read_token(RFC_TOKEN, &jwt), 0);
	assert_int_equal(jwt.alg, JWT_HS256);
	assert_string_equal(jwt.kid, "");
	assert_string_equal(jwt_text(&jwt, "iss"), "joe");
	assert_int_equal(jwt_expires_at(&jwt), RFC_EXP);
	assert_true(jwt_is_signed(&jwt, key, key_len));
	assert_false(jwt_is_signed(&jwt, key, key_len - 1));
	assert_false(jwt_is_signed(&jwt, "", 0));
}

static void
every_other_character_of_the_signature_is_refused(void **state)
{
	char *good = forge("{\"alg\":\"HS256\"}", "{\"exp\":1}");
	struct jwt jwt;

	(void)state;
	assert_int_equal(read_token(good, &jwt), 0);
	assert_true(jwt_is_signed(&jwt, KEY, strlen(KEY)));
	for (size_t i = 0; good[i] != '\0'; i++) {
		char was = good[i];

		if (was == '.')
			continue;
		good[i] = was == 'A' ? 'B' : 'A';
		if (read_token(good, &jwt) == 0)
			assert_false(jwt_is_signed(&jwt, KEY, strlen(KEY)));
		good[i] = was;
	}
}

static void
a_token_cut_anywhere_is_refused(void **state)
{
	char *good = forge("{\"alg\":\"HS256\"}", "{\"exp\":1}");
	struct jwt jwt;

	(void)state;
	for (size_t len = strlen(good) - 1; len < strlen(good); len--) {
		struct err err;

		if (jwt_read(arena, good, len, &jwt, &err) == 0)
			assert_false(jwt_is_signed(&jwt, KEY, strlen(KEY)));
	}
}

static void
what_is_no_token_is_refused(void **state)
{
	static const char *const headers[] = {
	    "{}", "[]", "\"HS256\"", "null", "{\"alg\":\"none\"}", "{\"alg\":\"None\"}", "{\"alg\":\"NONE\"}", "{\"alg\":\"\"}",
	    "{\"alg\":null}", "{\"alg\":[\"HS256\"]}", "{\"alg\":\"HS384\"}", "{\"alg\":\"HS512\"}", "{\"alg\":\"hs256\"}",
	    "{\"alg\":\"PS256\"}", "{\"alg\":\"ES512\"}", "{\"alg\":\"HS256\",\"alg\":\"none\"}",
	    "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "{\"alg\":\"HS256\",\"kid\":7}", "{\"alg\":\"HS256\",\"kid\":{}}",
	    "{\"alg\":\"HS256\"", "{\"alg\":\"HS256\"}x", "{'alg':'HS256'}",
	};
	static const char *const texts[] = {
	    "", ".", "..", "...", "a.b.c", "e30.e30.e30", "eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9.e30",
	    "eyJhbGciOiJIUzI1NiJ9.e30.", "eyJhbGciOiJIUzI1NiJ9..AAAA", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA.AAAA",
	    "eyJhbGciOiJIUzI1NiJ9.e30.AAA=", "eyJhbGciOiJIUzI1NiJ9.e30.A+/A", "eyJhbGciOiJIUzI1NiJ9.W10.AAAA",
	    "eyJhbGciOiJIUzI1NiJ9 .e30.AAAA", "eyJhbGciOiJub25lIn0.e30.",
	};
	struct jwt jwt;

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		assert_int_equal(read_token(forge(headers[i], "{\"exp\":9999999999}"), &jwt), -1);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(read_token(texts[i], &jwt), -1);
	assert_int_equal(read_token(forge("{\"alg\":\"HS256\"}", "[1]"), &jwt), -1);
	assert_int_equal(read_token(forge("{\"alg\":\"HS256\"}", "{\"exp\":1,\"exp\":2}"), &jwt), -1);
}

static void
long_tokens_are_refused_without_a_look(void **state)
{
	char *claims = malloc(1 << 20);
	struct err err;
	struct jwt jwt;

	(void)state;
	assert_non_null(claims);
	memset(claims, 'A', (1 << 20) - 1);
	claims[(1 << 20) - 1] = '\0';
	assert_int_equal(jwt_read(arena, claims, (1 << 20) - 1, &jwt, &err), -1);
	assert_int_equal(err.code, ERR_UNAUTHORIZED);
	assert_int_equal(jwt_read(arena, claims, JWT_MAX_BYTES + 1, &jwt, &err), -1);
	memset(claims, '.', (1 << 20) - 1);
	assert_int_equal(jwt_read(arena, claims, JWT_MAX_BYTES, &jwt, &err), -1);
	free(claims);
	claims = arena_alloc(arena, JWT_KID_BYTES + 64);
	memset(claims, 'k', JWT_KID_BYTES);
	assert_int_equal(read_token(forge(arena_printf(arena, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", claims), "{}"), &jwt), -1);
}

static int
check(const char *claims, const char *audience, const char *issuer)
{
	struct err err = {0};
	struct jwt jwt;

	assert_int_equal(read_token(forge("{\"alg\":\"HS256\"}", claims), &jwt), 0);
	if (jwt_check_claims(&jwt, NOW, audience, issuer, &err) == 0)
		return 0;
	assert_int_equal(err.code, ERR_UNAUTHORIZED);
	return -1;
}

static void
times_count_with_thirty_seconds_leeway(void **state)
{
	(void)state;
	assert_int_equal(check("{\"exp\":1700000001}", NULL, NULL), 0);
	assert_int_equal(check("{\"exp\":1699999971}", NULL, NULL), 0);
	assert_int_equal(check("{\"exp\":1699999970}", NULL, NULL), -1);
	assert_int_equal(check("{\"exp\":1700000001.5}", NULL, NULL), 0);
	assert_int_equal(check("{\"exp\":1700000999,\"nbf\":1700000030}", NULL, NULL), 0);
	assert_int_equal(check("{\"exp\":1700000999,\"nbf\":1700000031}", NULL, NULL), -1);
}

static void
a_token_without_a_sound_end_is_refused(void **state)
{
	static const char *const claims[] = {
	    "{}", "{\"exp\":null}", "{\"exp\":\"1800000000\"}", "{\"exp\":true}", "{\"exp\":-1}", "{\"exp\":1e300}",
	    "{\"exp\":[1800000000]}", "{\"exp\":1800000000,\"nbf\":\"0\"}", "{\"exp\":1800000000,\"nbf\":-5}",
	    "{\"exp\":9223372036854775807}", "{\"exp\":99999999999999999999}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		assert_int_equal(check(claims[i], NULL, NULL), -1);
}

static void
audience_and_issuer_have_to_be_ours(void **state)
{
	(void)state;
	assert_int_equal(check("{\"exp\":1800000000,\"aud\":\"authenticated\"}", "authenticated", NULL), 0);
	assert_int_equal(check("{\"exp\":1800000000,\"aud\":[\"x\",\"authenticated\"]}", "authenticated", NULL), 0);
	assert_int_equal(check("{\"exp\":1800000000,\"aud\":[\"x\"]}", "authenticated", NULL), -1);
	assert_int_equal(check("{\"exp\":1800000000,\"aud\":\"anon\"}", "authenticated", NULL), -1);
	assert_int_equal(check("{\"exp\":1800000000,\"aud\":\"authenticated2\"}", "authenticated", NULL), -1);
	assert_int_equal(check("{\"exp\":1800000000,\"aud\":{\"authenticated\":1}}", "authenticated", NULL), -1);
	assert_int_equal(check("{\"exp\":1800000000}", "authenticated", NULL), -1);
	assert_int_equal(check("{\"exp\":1800000000,\"iss\":\"us\"}", NULL, "us"), 0);
	assert_int_equal(check("{\"exp\":1800000000,\"iss\":\"them\"}", NULL, "us"), -1);
	assert_int_equal(check("{\"exp\":1800000000,\"iss\":[\"us\"]}", NULL, "us"), -1);
	assert_int_equal(check("{\"exp\":1800000000}", NULL, "us"), -1);
}

static void
our_own_tokens_are_read_again(void **state)
{
	struct json_object *claims = json_object_new_object();
	struct jwt jwt;
	char *token;

	(void)state;
	json_object_object_add(claims, "sub", json_object_new_string("\xC3\x87\"\\ somebody"));
	json_object_object_add(claims, "exp", json_object_new_int64(NOW + 60));
	token = jwt_sign(arena, "one", claims, KEY, strlen(KEY));
	json_object_put(claims);
	assert_int_equal(read_token(token, &jwt), 0);
	assert_string_equal(jwt.kid, "one");
	assert_string_equal(jwt_text(&jwt, "sub"), "\xC3\x87\"\\ somebody");
	assert_true(jwt_is_signed(&jwt, KEY, strlen(KEY)));
	assert_false(jwt_is_signed(&jwt, KEY, strlen(KEY) - 1));
}

static void
uuids_are_told_from_other_texts(void **state)
{
	(void)state;
	assert_true(jwt_is_uuid("01234567-89ab-4cde-8f01-23456789abcd"));
	assert_false(jwt_is_uuid(NULL));
	assert_false(jwt_is_uuid(""));
	assert_false(jwt_is_uuid("01234567-89AB-4cde-8f01-23456789abcd"));
	assert_false(jwt_is_uuid("0123456789ab-4cde-8f01-23456789abcd-"));
	assert_false(jwt_is_uuid("01234567-89ab-4cde-8f01-23456789abcd "));
	assert_false(jwt_is_uuid("01234567-89ab-4cde-8f01-23456789abc\""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_standards_token_is_read_and_proven, make_arena, free_arena),
	    cmocka_unit_test_setup_teardown(every_other_character_of_the_signature_is_refused, make_arena, free_arena),
	    cmocka_unit_test_setup_teardown(a_token_cut_anywhere_is_refused, make_arena, free_arena),
	    cmocka_unit_test_setup_teardown(what_is_no_token_is_refused, make_arena, free_arena),
	    cmocka_unit_test_setup_teardown(long_tokens_are_refused_without_a_look, make_arena, free_arena),
	    cmocka_unit_test_setup_teardown(times_count_with_thirty_seconds_leeway, make_arena, free_arena),
	    cmocka_unit_test_setup_teardown(a_token_without_a_sound_end_is_refused, make_arena, free_arena),
	    cmocka_unit_test_setup_teardown(audience_and_issuer_have_to_be_ours, make_arena, free_arena),
	    cmocka_unit_test_setup_teardown(our_own_tokens_are_read_again, make_arena, free_arena),
	    cmocka_unit_test(uuids_are_told_from_other_texts),
	};

	return sodium_init() == -1 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
