/* test_session_token.c - our own tokens, the cookie, and what is remembered of tokens */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "guard/session_token.h"
#include "guard/token_cache.h"
#include "runtime/shm.h"

#define SECRET "a secret of this test that nobody knows"
#define ADA "11111111-1111-4111-8111-111111111111"
#define SESSION "99999999-9999-4999-8999-999999999999"

static struct arena *arena;

static int
set_up(void **state)
{
	(void)state;
	arena = arena_new((size_t)1 << 20);
	session_token_start(SECRET);
	token_cache_start();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	token_cache_stop();
	shm_stop();
	session_token_stop();
	arena_free(&arena);
	return 0;
}

static struct session_token
make(enum session_token_kind kind, int64_t secs)
{
	struct session_token token;
	struct err err;

	assert_int_equal(session_token_make(arena, kind, ADA, SESSION, secs, &token, &err), 0);
	return token;
}

static int
read_as(enum session_token_kind kind, const char *text, struct session_token *token)
{
	struct err err = {0};
	int rc = session_token_read(arena, kind, text, token, &err);

	if (rc == -1)
		assert_int_equal(err.code, ERR_UNAUTHORIZED);
	return rc;
}

static void
tokens_are_read_as_what_they_were_made_for(void **state)
{
	struct session_token made, got;

	(void)state;
	for (int kind = SESSION_TOKEN_ACCESS; kind <= SESSION_TOKEN_COOKIE; kind++) {
		made = make((enum session_token_kind)kind, 3600);
		assert_int_equal(read_as((enum session_token_kind)kind, made.text, &got), 0);
		assert_string_equal(got.user_id, ADA);
		assert_string_equal(got.session_id, SESSION);
		assert_int_equal(got.expires_at, made.expires_at);
		assert_memory_equal(got.digest, made.digest, sizeof(got.digest));
		assert_int_equal(read_as((enum session_token_kind)!kind, made.text, &got), -1);
	}
}

static void
no_two_are_alike(void **state)
{
	struct session_token one = make(SESSION_TOKEN_COOKIE, 3600), two = make(SESSION_TOKEN_COOKIE, 3600);

	(void)state;
	assert_string_not_equal(one.text, two.text);
	assert_memory_not_equal(one.digest, two.digest, sizeof(one.digest));
	/* with its attributes it fits into a header */
	assert_true(strlen(one.text) < 400);
}

static void
old_ones_and_those_of_another_secret_are_refused(void **state)
{
	struct session_token got, old = make(SESSION_TOKEN_ACCESS, -31), other = make(SESSION_TOKEN_ACCESS, 3600);

	(void)state;
	assert_int_equal(read_as(SESSION_TOKEN_ACCESS, old.text, &got), -1);
	session_token_start("another secret, just as long as the first");
	assert_int_equal(read_as(SESSION_TOKEN_ACCESS, other.text, &got), -1);
}

static void
find(const char *header, const char *value)
{
	size_t len;
	const char *found = session_cookie_find(header, &len);

	if (value == NULL) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_int_equal(len, strlen(value));
	assert_memory_equal(found, value, len);
}

static void
the_cookie_is_found_among_others(void **state)
{
	(void)state;
	find("bakame_session=abc", "abc");
	find("a=b; bakame_session=abc; c=d", "abc");
	find("a=b;bakame_session=abc ;c=d", "abc");
	find("a=\"; bakame_session=abc\"", "abc\"");    /* quotes mean nothing in this header */
	find("bakame_session=; bakame_session=abc", "abc");
	find("bakame_session=a=b=c", "a=b=c");
	find("", NULL);
	find(";;; ;", NULL);
	find("bakame_session", NULL);
	find("bakame_session=", NULL);
	find("bakame_session= \t", NULL);
	find("xbakame_session=abc", NULL);
	find("bakame_sessionx=abc", NULL);
	find("BAKAME_SESSION=abc", NULL);
}

static struct token_key
put(const char *token, const char *user_id)
{
	struct token_key key = token_cache_key('a', token);
	struct token_owner owner = {.rate_limit = 7};

	snprintf(owner.user_id, sizeof(owner.user_id), "%s", user_id);
	token_cache_put(&key, &owner, token_cache_version(user_id));
	return key;
}

static void
what_is_known_of_a_token_counts_until_its_person_changes(void **state)
{
	struct token_key key = put("token", ADA), other = put("other", SESSION), stranger = token_cache_key('a', "stranger");
	struct token_key as_cookie = token_cache_key('c', "token");
	struct token_owner owner;

	(void)state;
	assert_int_equal(token_cache_find(&key, &owner), TOKEN_FRESH);
	assert_string_equal(owner.user_id, ADA);
	assert_int_equal(owner.rate_limit, 7);
	assert_int_equal(token_cache_find(&stranger, &owner), TOKEN_UNKNOWN);
	assert_int_equal(token_cache_find(&as_cookie, &owner), TOKEN_UNKNOWN);
	token_cache_changed(ADA);
	assert_int_equal(token_cache_find(&key, &owner), TOKEN_UNKNOWN);
	assert_int_equal(token_cache_find(&other, &owner), TOKEN_FRESH);
	token_cache_forget(&key);
	assert_int_equal(token_cache_find(&key, &owner), TOKEN_UNKNOWN);
}

/* Somebody changed while the database was asked: what it said may be from before. */
static void
an_answer_from_before_the_change_does_not_count(void **state)
{
	struct token_key key = token_cache_key('a', "token");
	struct token_owner owner = {.user_id = ADA};
	uint32_t version = token_cache_version(ADA);

	(void)state;
	token_cache_changed(ADA);
	token_cache_put(&key, &owner, version);
	assert_int_equal(token_cache_find(&key, &owner), TOKEN_UNKNOWN);
}

static void
a_host_tells_since_when_it_knows_of_no_change(void **state)
{
	int64_t now = (int64_t)time(NULL);

	(void)state;
	assert_false(token_cache_is_unchanged_since(ADA, now - 3600));  /* its memory is younger */
	assert_int_equal(token_cache_changed_at(ADA), 0);
	assert_true(token_cache_is_unchanged_since(ADA, now + 1));
	token_cache_changed(ADA);
	assert_in_range(token_cache_changed_at(ADA), now * 1000, (now + 60) * 1000);
	assert_false(token_cache_is_unchanged_since(ADA, now));
	assert_true(token_cache_is_unchanged_since(ADA, now + 3600));
	assert_true(token_cache_is_unchanged_since(SESSION, now + 1));
}

static void
more_tokens_than_there_is_room_for_push_the_oldest_out(void **state)
{
	struct token_owner owner;
	unsigned known = 0;
	char token[32];

	(void)state;
	for (unsigned i = 0; i < 3 * TOKEN_CACHE_ENTRIES; i++) {
		snprintf(token, sizeof(token), "token %u", i);
		put(token, ADA);
	}
	for (unsigned i = 0; i < 3 * TOKEN_CACHE_ENTRIES; i++) {
		struct token_key key;

		snprintf(token, sizeof(token), "token %u", i);
		key = token_cache_key('a', token);
		known += token_cache_find(&key, &owner) == TOKEN_FRESH;
	}
	assert_in_range(known, TOKEN_CACHE_ENTRIES / 2, TOKEN_CACHE_ENTRIES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(tokens_are_read_as_what_they_were_made_for, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(no_two_are_alike, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(old_ones_and_those_of_another_secret_are_refused, set_up, tear_down),
	    cmocka_unit_test(the_cookie_is_found_among_others),
	    cmocka_unit_test_setup_teardown(what_is_known_of_a_token_counts_until_its_person_changes, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(an_answer_from_before_the_change_does_not_count, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_host_tells_since_when_it_knows_of_no_change, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(more_tokens_than_there_is_room_for_push_the_oldest_out, set_up, tear_down),
	};

	return sodium_init() == -1 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
