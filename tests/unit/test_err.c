/* test_err.c - what base/err.h promises */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"

static void
each_code_has_the_status_and_type_of_the_contract(void **state)
{
	static const struct {
		enum err_code code;
		int status;
		const char *type;
	} contract[] = {
		{ERR_INVALID_REQUEST, 400, "invalid_request"},
		{ERR_UNAUTHORIZED, 401, "unauthorized"},
		{ERR_FORBIDDEN, 403, "forbidden"},
		{ERR_NOT_FOUND, 404, "not_found"},
		{ERR_METHOD_NOT_ALLOWED, 405, "method_not_allowed"},
		{ERR_CONFLICT, 409, "conflict"},
		{ERR_PAYLOAD_TOO_LARGE, 413, "payload_too_large"},
		{ERR_UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type"},
		{ERR_UNPROCESSABLE, 422, "unprocessable"},
		{ERR_RATE_LIMIT_EXCEEDED, 429, "rate_limit_exceeded"},
		{ERR_INTERNAL, 500, "internal_error"},
		{ERR_UPSTREAM, 502, "upstream_error"},
		{ERR_UNAVAILABLE, 503, "service_unavailable"},
		{ERR_UPSTREAM_TIMEOUT, 504, "upstream_timeout"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(contract) / sizeof(contract[0]); i++) {
		assert_int_equal(err_status(contract[i].code), contract[i].status);
		assert_string_equal(err_type(contract[i].code), contract[i].type);
	}
}

static void
setting_fills_in_everything_and_answers_minus_one(void **state)
{
	struct err err = {.retry_after_secs = 9, .cause = "old"};

	(void)state;
	assert_int_equal(err_set(&err, ERR_NOT_FOUND, "no %s here", "page"), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.message, "no page here");
	assert_string_equal(err.cause, "");
	assert_int_equal(err.retry_after_secs, 0);
}

static void
a_cause_leaves_the_message_alone(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_UPSTREAM, "The model failed.");
	assert_int_equal(err_cause(&err, "status %d", 500), -1);
	assert_string_equal(err.message, "The model failed.");
	assert_string_equal(err.cause, "status 500");
	assert_int_equal(err.code, ERR_UPSTREAM);
}

static void
nobody_need_listen(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_INTERNAL, "x"), -1);
	assert_int_equal(err_cause(NULL, "x"), -1);
}

static void
long_messages_are_cut_at_a_character(void **state)
{
	struct err err;
	char text[600] = "";

	(void)state;
	/* 400 bytes take 199 whole characters of two bytes */
	for (int i = 0; i < 299; i++)
		strncat(text, "\xC3\xA9", sizeof(text) - strlen(text) - 1);
	err_set(&err, ERR_INTERNAL, "%s", text);
	assert_int_equal(strlen(err.message), 398);
	assert_true(text_is_utf8(err.message, strlen(err.message)));
	err_cause(&err, "x%s", text);
	assert_int_equal(strlen(err.cause), 239);
	assert_true(text_is_utf8(err.cause, strlen(err.cause)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_code_has_the_status_and_type_of_the_contract),
		cmocka_unit_test(setting_fills_in_everything_and_answers_minus_one),
		cmocka_unit_test(a_cause_leaves_the_message_alone),
		cmocka_unit_test(nobody_need_listen),
		cmocka_unit_test(long_messages_are_cut_at_a_character),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
