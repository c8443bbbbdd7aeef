/* test_jwks.c - public keys: which are taken, whose tokens they prove, when they are fetched */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <cjose/jwk.h>
#include <cjose/jws.h>
#include <cjose/util.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "guard/jwks.h"
#include "in_fiber.h"
#include "net/http_client.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "tiny_server.h"

/* RFC 7515, A.3: ES256 */
#define RFC_TOKEN                                                                                                      \
	"eyJhbGciOiJFUzI1NiJ9."                                                                                        \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."             \
	"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define RFC_KEY                                                                                                        \
	"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                     \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define SET(keys) "{\"keys\":[" keys "]}"
#define SECRET_KEY "{\"kty\":\"oct\",\"kid\":\"one\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}"
#define ANSWER(body) "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" body

static struct arena *arena;
static char exponent[] = "\x01\x00\x01";

static int
set_up(void **state)
{
	(void)state;
	arena = arena_new((size_t)8 << 20);
	jwks_start(NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	jwks_stop();
	arena_free(&arena);
	return 0;
}

static int
take(const char *text)
{
	return jwks_take(text, strlen(text));
}

/* The error's code, or ERR_NONE where the token is proven. */
static enum err_code
verify(const char *token)
{
	struct err err = {0};
	struct jwt jwt;

	if (jwt_read(arena, token, strlen(token), &jwt, &err) == -1 || jwks_verify(&jwt, &err) == -1)
		return err.code;
	return ERR_NONE;
}

static cjose_jwk_t *
make_rsa(size_t bits)
{
	cjose_err error;
	cjose_jwk_t *key = cjose_jwk_create_RSA_random(bits, (const uint8_t *)exponent, 3, &error);

	assert_non_null(key);
	return key;
}

/* Its public half as a JWK with these further members. */
static char *
public_jwk(const cjose_jwk_t *key, const char *members)
{
	cjose_err error;
	char *json = cjose_jwk_to_json(key, false, &error);
	char *out;

	assert_non_null(json);
	out = arena_printf(arena, "{%s,%s", members, json + 1);
	cjose_get_dealloc()(json);
	return out;
}

static char *
sign(cjose_jwk_t *key, const char *alg, const char *kid, const char *claims)
{
	cjose_err error;
	cjose_header_t *header = cjose_header_new(&error);
	const char *token;
	cjose_jws_t *jws;
	char *copy;

	assert_true(cjose_header_set(header, CJOSE_HDR_ALG, alg, &error));
	if (kid != NULL)
		assert_true(cjose_header_set(header, CJOSE_HDR_KID, kid, &error));
	jws = cjose_jws_sign(key, header, (const uint8_t *)claims, strlen(claims), &error);
	assert_non_null(jws);
	assert_true(cjose_jws_export(jws, &token, &error));
	copy = arena_strdup(arena, token);
	cjose_jws_release(jws);
	cjose_header_release(header);
	return copy;
}

static void
the_standards_token_is_proven(void **state)
{
	(void)state;
	assert_int_equal(take(SET("{" RFC_KEY "}")), 1);
	assert_int_equal(verify(RFC_TOKEN), ERR_NONE);
}

static void
keys_that_are_of_no_use_are_left_out(void **state)
{
	static const char *const sets[] = {
	    SET(""), SET(SECRET_KEY), SET("{}"), SET("1"), SET("null"), SET("{\"kty\":\"RSA\"}"),
	    SET("{" RFC_KEY ",\"use\":\"enc\"}"), SET("{" RFC_KEY ",\"alg\":\"RS256\"}"), SET("{" RFC_KEY ",\"alg\":\"HS256\"}"),
	    SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"AAAA\"}"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		assert_int_equal(take(sets[i]), 0);
	assert_int_equal(take(SET(SECRET_KEY ",{" RFC_KEY "}")), 1);
}

static void
what_is_no_set_changes_nothing(void **state)
{
	static const char *const texts[] = {"", "x", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[}", "null"};

	(void)state;
	assert_int_equal(take(SET("{" RFC_KEY "}")), 1);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(take(texts[i]), -1);
	assert_int_equal(verify(RFC_TOKEN), ERR_NONE);
}

static void
rsa_keys_prove_tokens_too_but_not_short_ones(void **state)
{
	cjose_jwk_t *key = make_rsa(2048), *weak = make_rsa(1024);
	char *set = arena_printf(arena, SET("%s,%s"), public_jwk(key, "\"kid\":\"strong\""), public_jwk(weak, "\"kid\":\"weak\""));

	(void)state;
	assert_int_equal(take(set), 1);
	assert_int_equal(verify(sign(key, "RS256", "strong", "{\"sub\":\"x\"}")), ERR_NONE);
	assert_int_equal(verify(sign(key, "RS256", NULL, "{\"sub\":\"x\"}")), ERR_NONE);
	assert_int_equal(verify(sign(weak, "RS256", "weak", "{\"sub\":\"x\"}")), ERR_UNAUTHORIZED);
	assert_int_equal(verify(sign(weak, "RS256", "strong", "{\"sub\":\"x\"}")), ERR_UNAUTHORIZED);
	cjose_jwk_release(key);
	cjose_jwk_release(weak);
}

/* The public key is no secret: whoever takes it for the key of an HS256 must not get in. */
static void
a_public_key_is_not_taken_for_a_secret(void **state)
{
	cjose_jwk_t *key = make_rsa(2048);
	char *jwk = public_jwk(key, "\"kid\":\"one\"");
	struct json_object *claims = json_object_new_object();

	(void)state;
	assert_int_equal(take(arena_printf(arena, SET("%s"), jwk)), 1);
	assert_int_equal(verify(jwt_sign(arena, "one", claims, jwk, strlen(jwk))), ERR_UNAUTHORIZED);
	json_object_put(claims);
	cjose_jwk_release(key);
}

/* RFC_TOKEN with another header. */
static char *
with_header(const char *header)
{
	char text[200];

	sodium_bin2base64(text, sizeof(text), (const unsigned char *)header, strlen(header),
	                  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return arena_printf(arena, "%s%s", text, strchr(RFC_TOKEN, '.'));
}

static void
a_token_must_name_the_algorithm_of_the_key(void **state)
{
	(void)state;
	assert_int_equal(take(SET("{" RFC_KEY ",\"kid\":\"one\"}")), 1);
	assert_int_equal(verify(with_header("{\"alg\":\"RS256\",\"kid\":\"one\"}")), ERR_UNAUTHORIZED);
	assert_int_equal(verify(with_header("{\"alg\":\"HS256\",\"kid\":\"one\"}")), ERR_UNAUTHORIZED);
	assert_int_equal(verify(with_header("{\"alg\":\"none\",\"kid\":\"one\"}")), ERR_UNAUTHORIZED);
	assert_int_equal(verify(with_header("{\"alg\":\"ES256\",\"kid\":\"two\"}")), ERR_UNAUTHORIZED);
	assert_int_equal(verify(with_header("{\"alg\":\"ES256\",\"kid\":\"one\"}")), ERR_UNAUTHORIZED);   /* not what was signed */
}

static void
of_two_keys_a_token_has_to_name_one(void **state)
{
	(void)state;
	assert_int_equal(take(SET("{" RFC_KEY ",\"kid\":\"one\"},{" RFC_KEY ",\"kid\":\"two\"}")), 2);
	assert_int_equal(verify(RFC_TOKEN), ERR_UNAUTHORIZED);
}

/* ---- fetching ---- */

/* A fetch is given up after JWKS_TIMEOUT_MS, and where no key is known tried again after JWKS_PAUSE_EMPTY_MS: on a machine
   that stood still for as long a trial shows nothing, and is made again. */
#define SHOWS_NOTHING_MS (JWKS_TIMEOUT_MS < JWKS_PAUSE_EMPTY_MS ? JWKS_TIMEOUT_MS : JWKS_PAUSE_EMPTY_MS)

struct keys_server {
	const char *answer;             /* NULL: hang until the client goes */
	_Atomic unsigned asked;
	int64_t began_ms;
	bool again;
};

static bool
shows_nothing(struct keys_server *s)
{
	s->again = tiny_now_ms() - s->began_ms >= SHOWS_NOTHING_MS;
	return s->again;
}

static void
serve(int fd, void *arg)
{
	struct keys_server *s = arg;
	char request[4096];

	if (!tiny_read_request(fd, request, sizeof(request)))
		return;
	s->asked++;
	if (s->answer != NULL)
		tiny_send(fd, s->answer);
	else
		tiny_await_close(fd);
}

static void
with_server(const char *answer, void (*run)(void *arg))
{
	struct keys_server s;

	do {
		struct tiny_server *server;

		s = (struct keys_server){.answer = answer, .began_ms = tiny_now_ms()};
		server = tiny_server_start(serve, &s);
		jwks_stop();
		jwks_start(tiny_server_url(server));
		in_fiber(run, &s);
		tiny_server_stop(&server);
	} while (s.again);
}

static void
fetch_run(void *arg)
{
	struct keys_server *s = arg;

	enum err_code first = verify(RFC_TOKEN);

	if (first != ERR_NONE && shows_nothing(s))
		return;
	assert_int_equal(first, ERR_NONE);
	assert_int_equal(verify(RFC_TOKEN), ERR_NONE);
	assert_int_equal(s->asked, 1);
	/* unknown, and the minute has not passed */
	for (int i = 0; i < 20; i++)
		assert_int_equal(verify(with_header("{\"alg\":\"ES256\",\"kid\":\"new\"}")), ERR_UNAUTHORIZED);
	assert_int_equal(s->asked, 1);
}

static void
keys_are_fetched_once_however_many_tokens_name_others(void **state)
{
	(void)state;
	with_server(ANSWER(SET("{" RFC_KEY "}")), fetch_run);
}

static unsigned strangers_left;

static void
stranger_main(void *arg)
{
	(void)arg;
	assert_int_equal(verify(with_header("{\"alg\":\"ES256\",\"kid\":\"new\"}")), ERR_UNAUTHORIZED);
	strangers_left--;
}

static void
hang_run(void *arg)
{
	struct keys_server *s = arg;
	struct err err;

	assert_int_equal(take(SET("{" RFC_KEY "}")), 1);
	strangers_left = 5;
	for (unsigned i = 0; i < 5; i++)
		fiber_spawn(stranger_main, NULL);
	while (s->asked == 0 && strangers_left > 0)
		assert_int_equal(fiber_sleep(5, &err), 0);
	if (strangers_left < 5 && shows_nothing(s)) {
		while (strangers_left > 0)
			assert_int_equal(fiber_sleep(20, &err), 0);
		return;
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(verify(RFC_TOKEN), ERR_NONE);
	assert_int_equal(strangers_left, 5);
	while (strangers_left > 0)
		assert_int_equal(fiber_sleep(20, &err), 0);
	assert_int_equal(s->asked, 1);
}

static void
a_server_that_hangs_holds_up_only_those_with_unknown_keys(void **state)
{
	(void)state;
	with_server(NULL, hang_run);
}

static void
none_run(void *arg)
{
	struct keys_server *s = arg;

	assert_int_equal(verify(RFC_TOKEN), ERR_UNAVAILABLE);
	assert_int_equal(verify(RFC_TOKEN), ERR_UNAVAILABLE);
	if (!shows_nothing(s))
		assert_int_equal(s->asked, 1);
}

static void
without_any_keys_it_cannot_be_told(void **state)
{
	(void)state;
	with_server("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", none_run);
	with_server(ANSWER("<html>"), none_run);
}

static int
start_all(void **state)
{
	(void)state;
	setenv("OPENAI_BASE_URL", "http://127.0.0.1:1", 1);
	if (sodium_init() == -1 || config_load(stderr) == -1)
		return -1;
	http_client_start(4);
	return 0;
}

static int
stop_all(void **state)
{
	http_client_stop();
	config_unload();
	return in_fiber_teardown(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_standards_token_is_proven, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(keys_that_are_of_no_use_are_left_out, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_is_no_set_changes_nothing, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(rsa_keys_prove_tokens_too_but_not_short_ones, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_public_key_is_not_taken_for_a_secret, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_token_must_name_the_algorithm_of_the_key, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(of_two_keys_a_token_has_to_name_one, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(keys_are_fetched_once_however_many_tokens_name_others, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_server_that_hangs_holds_up_only_those_with_unknown_keys, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(without_any_keys_it_cannot_be_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, start_all, stop_all);
}
