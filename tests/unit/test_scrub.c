/* test_scrub.c - what telemetry/scrub.h promises */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "telemetry/scrub.h"

#define ELLIPSIS "\xE2\x80\xA6"
#define ATTEMPTS 5

static bool
is_secret(const char *name)
{
	return scrub_name_is_secret(name, strlen(name));
}

static void
assert_scrubbed(const char *text, const char *expected)
{
	char out[1024];
	size_t len = scrub_text(out, sizeof(out), text, strlen(text));

	assert_string_equal(out, expected);
	assert_int_equal(len, strlen(expected));
}

static void
assert_untouched(const char *text)
{
	assert_scrubbed(text, text);
}

static void
names_of_secrets_are_known_in_every_spelling(void **state)
{
	static const char *const secret[] = {
		"key", "api_key", "apiKey", "APIKey", "apikey", "OPENAI_API_KEY", "x-api-key", "X-Api-Key",
		"private_key_pem", "keys", "token", "access_token", "accessToken", "csrf-token", "id_tokens",
		"accesstoken", "access_tokens", "secret", "client_secret", "SUPABASE_JWT_SECRET", "password",
		"Password", "db_passwd", "passphrase", "pass", "pwd", "authorization", "Proxy-Authorization",
		"auth", "cookie", "Set-Cookie", "cookies", "SENTRY_DSN", "dsn", "credential", "credentials",
		"jwt", "session", "bakame_session", "session_id", "signature", "sig", "my_password_",
		"userPass", "dbPwd", "USERPwd", "APIKeyId",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
		if (!is_secret(secret[i]))
			fail_msg("%s passed", secret[i]);
}

static void
other_names_are_left(void **state)
{
	static const char *const plain[] = {
		"", "_", "model", "status", "prompt_tokens", "completion_tokens", "total_tokens",
		"max_tokens",
		"tokens", "tokens_per_second", "promptTokens", "token_count", "key_count", "tokenizer",
		"keyboard",
		"user_id", "path", "author", "passenger", "sessions", "signal", "session_secs", "AUTH_MODE",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (is_secret(plain[i]))
			fail_msg("%s was masked", plain[i]);
}

static void
long_names_are_judged_by_their_end(void **state)
{
	char name[500];

	(void)state;
	memset(name, 'a', sizeof(name));
	memcpy(name + sizeof(name) - 9, "_api_key", 9);
	assert_true(is_secret(name));
	memset(name, 'A', sizeof(name));
	assert_false(scrub_name_is_secret(name, sizeof(name)));
}

static void
bearer_and_basic_credentials_are_masked(void **state)
{
	(void)state;
	assert_scrubbed("sent Bearer abc.def-1 to x", "sent Bearer *** to x");
	assert_scrubbed("bearer\tabc", "bearer\t***");
	assert_scrubbed("(Bearer   abc, x)", "(Bearer   ***, x)");
	assert_scrubbed("Basic dXNlcjpwYXNz sent", "Basic *** sent");
	assert_scrubbed("Basic dXNlcjpwYQ==", "Basic ***");
	assert_untouched("basic understanding");
	assert_untouched("a Bearer");
	assert_untouched("a forbearer came");
}

static void
keys_are_known_by_their_beginning(void **state)
{
	(void)state;
	assert_scrubbed("Incorrect API key provided: sk-abc123.", "Incorrect API key provided: sk-***");
	assert_scrubbed("sk-proj-A_b-1", "sk-***");
	assert_scrubbed("'bk_0123456789abcdef'", "'bk_***'");
	assert_scrubbed("ghp_0123456789abcdef0123", "ghp_***");
	assert_scrubbed("tvly-0123456789", "tvly-***");
	assert_scrubbed("AKIAIOSFODNN7EXAMPLE", "AKIA***");
	assert_scrubbed("x=sk-abcdef&y=sk-ghijkl", "x=sk-***&y=sk-***");
	assert_untouched("for example sk-...");
	assert_untouched("desk-abcdef, task-force, sk_buff");
	assert_untouched("bk_");
}

static void
web_tokens_are_masked(void **state)
{
	(void)state;
	assert_scrubbed("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln, expired", "got eyJ***, expired");
	assert_scrubbed("\"eyJhbGciOiJIUzI1NiJ9.e30.\"", "\"eyJ***\"");
	assert_untouched("eyJust");
}

static void
user_information_of_urls_is_masked(void **state)
{
	(void)state;
	assert_scrubbed("postgres://bob:hunter2@db:5432/x", "postgres://***@db:5432/x");
	assert_scrubbed("redis://:hunter2@cache", "redis://***@cache");
	assert_scrubbed("https://0a1b2c@o1.ingest.sentry.io/7", "https://***@o1.ingest.sentry.io/7");
	assert_scrubbed("a http://u:p@h/ and https://v:q@i/", "a http://***@h/ and https://***@i/");
	assert_scrubbed("http://u:p@w@h/x@y", "http://***@h/x@y");
	assert_untouched("https://example.org/@user/a:b@c");
	assert_untouched("http://h:8080/p@q");
	assert_untouched("http://[::1]:80/p@q");
	assert_untouched("a://b");
	assert_untouched("://");
}

static void
passwords_that_nobody_escaped_are_masked_too(void **state)
{
	(void)state;
	assert_scrubbed("postgres://bob:hun/ter2@db/x", "postgres://***@db/x");
	assert_scrubbed("postgres://bob:/hunter2@db/x", "postgres://***@db/x");
	assert_scrubbed("postgres://bob:h#n?er@2@db/x y@z", "postgres://***@db/x y@z");
}

static void
values_named_as_secrets_are_masked(void **state)
{
	(void)state;
	assert_scrubbed("GET /x?a=1&api_key=hunter2&b=2", "GET /x?a=1&api_key=***&b=2");
	assert_scrubbed("password=hunter2", "password=***");
	assert_scrubbed("password = hunter2 more", "password = *** more");
	assert_scrubbed("password: hunter2\nuser: bob", "password: ***\nuser: bob");
	assert_scrubbed("{\"password\":\"hun\\\"ter2\",\"user\":\"bob\"}",
	                "{\"password\":\"***\",\"user\":\"bob\"}");
	assert_scrubbed("{'secret': 'hunter2', 'x': 1}", "{'secret': '***', 'x': 1}");
	assert_scrubbed("{\\\"token\\\":\\\"hunter2\\\",\\\"a\\\":1}",
	                "{\\\"token\\\":\\\"***\\\",\\\"a\\\":1}");
	assert_scrubbed("secret => hunter2", "secret => ***");
	assert_scrubbed("password == hunter2", "password == ***");
	assert_scrubbed("\"password\":\"never closed", "\"password\":\"***");
	assert_scrubbed("token: Bearer hunter2 x", "token: ***");
	assert_scrubbed("key=", "key=");
	assert_untouched("prompt_tokens=12 model=gpt user: bob");
	assert_untouched("=: ::= ==");
}

static void
headers_with_secrets_are_masked_to_the_lines_end(void **state)
{
	(void)state;
	assert_scrubbed("Authorization: Digest a=\"b\", c=d\r\nHost: x", "Authorization: ***\r\nHost: x");
	assert_scrubbed("Cookie: a=b; c=\"d\"; e\nX: y", "Cookie: ***\nX: y");
	assert_scrubbed("set-cookie: bakame_session=abc; HttpOnly", "set-cookie: ***");
	assert_scrubbed("{\"authorization\":\"Bearer x y\",\"a\":1}", "{\"authorization\":\"***\",\"a\":1}");
}

static void
other_text_is_copied_as_it_is(void **state)
{
	(void)state;
	assert_untouched("");
	assert_untouched("The model answered in 1.5 s; caf\xC3\xA9 \xFF \x01.");
}

static void
what_is_too_long_is_cut_at_a_character(void **state)
{
	char out[12];

	(void)state;
	assert_int_equal(scrub_text(out, sizeof(out), "12345678901", 11), 11);
	assert_string_equal(out, "12345678901");
	assert_int_equal(scrub_text(out, sizeof(out), "123456789012", 12), 11);
	assert_string_equal(out, "12345678" ELLIPSIS);
	scrub_text(out, sizeof(out), "1234567\xC3\xA9zzzzzz", 15);
	assert_string_equal(out, "1234567" ELLIPSIS);
}

static void
a_secret_across_the_cut_does_not_show(void **state)
{
	/* the end of our view falls into each secret in turn */
	static const char *const secrets[] = {
		"https://bob:hunter2hunter2hunter2@host/", "Bearer hunter2hunter2hunter2",
		"password=hunter2hunter2hunter2", "sk-hunter2hunter2hunter2",
		"\"token\":\"hunter2hunter2hunter2\"",
		"postgres://bob:/hunter2hunter2hunter2@host/", "https://hunter2hunter2hunter2@host/",
		"ghp_hunter2hunter2hunter2",
	};
	static char text[6000], out[100];

	(void)state;
	for (size_t s = 0; s < sizeof(secrets) / sizeof(secrets[0]); s++) {
		for (size_t at = 3900; at < 4300; at++) {
			/* a first secret, long and masked, makes room for what is far behind */
			memset(text, 'x', sizeof(text));
			memcpy(text, "key=", 4);
			text[at] = ' ';
			memcpy(text + at + 1, secrets[s], strlen(secrets[s]));
			scrub_text(out, sizeof(out), text, at + 1 + strlen(secrets[s]));
			assert_null(strstr(out, "hu"));
			scrub_text(out, sizeof(out), text, sizeof(text));
			assert_null(strstr(out, "hu"));
		}
	}
}

/* CPU time to scrub `size` bytes that repeat each of the parts. */
static double
seconds_for(const char *const *parts, size_t size)
{
	char *text = malloc(size), *out = malloc(size);
	struct timespec begin, end;

	assert_non_null(text);
	assert_non_null(out);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	for (; *parts != NULL; parts++) {
		size_t n = strlen(*parts);

		for (size_t i = 0; i < size; i++)
			text[i] = (*parts)[i % n];
		assert_true(scrub_text(out, size, text, size) < size);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	free(text);
	free(out);
	return (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
}

static void
hostile_text_costs_no_more_than_its_length(void **state)
{
	static const char *const parts[] = {
		"://", "://a:x/", "://a:x", "a://", "=", ":", "key=", "key:", "a=", "bearer ", "basic ",
		"sk-",
		"eyJ", "eyJ-", "\\", "\"", "\\\"", "'", "@", "token\\\":\\\"", "a:b@", "http://u:/", " ",
		"ghp_-",
		"password", "authorization", "\\=", " =", NULL,
	};
	bool linear = false;

	(void)state;
	/* Eight times the length: eight times the time, where sixty-four would be quadratic.  A virtual machine that is
	   put aside counts that as time of ours; but not each time. */
	for (int i = 0; i < ATTEMPTS && !linear; i++) {
		double little = seconds_for(parts, 1 << 15);

		linear = seconds_for(parts, 1 << 18) < 24 * little + 0.1;
	}
	assert_true(linear);
}

static void
the_result_is_within_bounds_for_any_bytes(void **state)
{
	static const char alphabet[] = "aA1 =:/@\"'\\&.-_\xC3\xA9\xFF\n,sk-eyJBearer";
	unsigned seed = 20240607;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char text[80];
		size_t len = (size_t)(rand_r(&seed) % (int)sizeof(text));
		size_t size = 8 + (size_t)(rand_r(&seed) % 60);
		char *out = malloc(size);

		assert_non_null(out);
		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[rand_r(&seed) % (int)(sizeof(alphabet) - 1)];
		assert_true(scrub_text(out, size, text, len) < size);
		assert_true(strlen(out) < size);
		free(out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_secrets_are_known_in_every_spelling),
		cmocka_unit_test(other_names_are_left),
		cmocka_unit_test(long_names_are_judged_by_their_end),
		cmocka_unit_test(bearer_and_basic_credentials_are_masked),
		cmocka_unit_test(keys_are_known_by_their_beginning),
		cmocka_unit_test(web_tokens_are_masked),
		cmocka_unit_test(user_information_of_urls_is_masked),
		cmocka_unit_test(passwords_that_nobody_escaped_are_masked_too),
		cmocka_unit_test(values_named_as_secrets_are_masked),
		cmocka_unit_test(headers_with_secrets_are_masked_to_the_lines_end),
		cmocka_unit_test(other_text_is_copied_as_it_is),
		cmocka_unit_test(what_is_too_long_is_cut_at_a_character),
		cmocka_unit_test(a_secret_across_the_cut_does_not_show),
		cmocka_unit_test(hostile_text_costs_no_more_than_its_length),
		cmocka_unit_test(the_result_is_within_bounds_for_any_bytes),
	};

	return cmocka_run_group_tests_name("scrub", tests, NULL, NULL);
}
