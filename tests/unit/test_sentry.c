/* test_sentry.c - DSNs, rate limits, events and their spool, breadcrumbs */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "config/dsn.h"
#include "net/sentry_sender.h"
#include "telemetry/breadcrumbs.h"
#include "telemetry/log.h"
#include "telemetry/sentry.h"

#define KEY "0123456789abcdef0123456789abcdef"

/* ---- the DSN ---- */

static void
a_dsn_is_taken_apart(void **state)
{
	static const struct {
		const char *dsn, *endpoint;
	} cases[] = {
	    {"https://" KEY "@o1.ingest.example.org/42", "https://o1.ingest.example.org/api/42/envelope/"},
	    {"http://" KEY ":secret@127.0.0.1:9000/1", "http://127.0.0.1:9000/api/1/envelope/"},
	    {"https://" KEY "@example.org/errors/here/7", "https://example.org/errors/here/api/7/envelope/"},
	    {"HTTPS://" KEY "@[::1]:8/7", "HTTPS://[::1]:8/api/7/envelope/"},
	};
	struct dsn dsn;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(dsn_read(cases[i].dsn, &dsn, &why), 0);
		assert_string_equal(dsn.endpoint, cases[i].endpoint);
		assert_string_equal(dsn.key, KEY);
	}
}

static void
what_is_no_dsn_is_refused_with_a_reason(void **state)
{
	static const char *const cases[] = {
	    "", "https://", "ftp://" KEY "@h/1", "https://h/1", "https://@h/1", "https://k@h", "https://k@h/",
	    "https://k@h/x", "https://k@/1", "https://k-k@h/1", "https://k@h/1?x", "https://k@h/a b/1", "https://k@h\r\n/1",
	    "https://" KEY KEY KEY KEY KEY "@h/1",
	};
	struct dsn dsn;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		why = NULL;
		assert_int_equal(dsn_read(cases[i], &dsn, &why), -1);
		assert_true(strncmp(why, "must ", 5) == 0);
	}
}

/* ---- rate limits ---- */

static void
pauses_are_as_long_as_the_server_asks(void **state)
{
	static const struct {
		long status;
		const char *limits;
		int64_t retry_after, pause;
	} cases[] = {
	    {200, NULL, -1, 0},
	    {429, NULL, -1, 60},
	    {429, NULL, 7, 7},
	    {503, NULL, 7, 0},
	    {429, "60:error:key", 7, 60},
	    {200, "60:error;transaction:organization:quota", -1, 60},
	    {200, "60::organization", -1, 60},
	    {200, "60:transaction:organization", -1, 0},
	    {429, "60:transaction:organization", -1, 0},
	    {200, "10:default:key, 2700:error:organization,5::key", -1, 2700},
	    {200, "60.5:error:key", -1, 60},
	    {200, ":error:key", -1, 0},
	    {200, "x:error:key", -1, 0},
	    {200, "2592000:error:organization:quota", -1, 86400},      /* a month: asked again after a day */
	    {200, "99999999999:error:key", -1, 86400},
	    {200, "60", -1, 0},
	    {200, ",,, ,", -1, 0},
	    {200, "60:errors;err:key", -1, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(sentry_pause_secs(cases[i].status, cases[i].limits, cases[i].retry_after),
		                 cases[i].pause);
}

/* ---- events ---- */

static int
start(void **state)
{
	(void)state;
	sentry_start(&(struct sentry_options){.program = "tester", .release = "bakame@1", .environment = "test"});
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	sentry_stop();
	return 0;
}

/* The event of the oldest envelope; json_object_put() it. */
static struct json_object *
take_event(void)
{
	struct json_object *header, *item, *event;
	char *text, *second, *third;
	size_t len;

	assert_true(sentry_take(&text, &len));
	assert_int_equal(strlen(text), len);
	second = strchr(text, '\n') + 1;
	third = strchr(second, '\n') + 1;
	header = json_parse(text, (size_t)(second - text) - 1, NULL);
	item = json_parse(second, (size_t)(third - second) - 1, NULL);
	event = json_parse(third, len - (size_t)(third - text), NULL);
	assert_non_null(event);
	assert_string_equal(json_member_text(item, "type"), "event");
	assert_int_equal(json_object_get_int(json_member(item, "length", json_type_int)),
	                 len - (size_t)(third - text) - 1);
	assert_string_equal(json_member_text(header, "event_id"), json_member_text(event, "event_id"));
	assert_int_equal(strlen(json_member_text(event, "event_id")), 32);
	json_object_put(header);
	json_object_put(item);
	free(text);
	return event;
}

static const char *
in(struct json_object *event, const char *group, const char *name)
{
	return json_member_text(json_member(event, group, json_type_object), name);
}

static void
an_error_line_is_an_event_with_its_context(void **state)
{
	struct logger request = {.parent = &log_root, .fields = {LOG_STR("request_id", "r-1"), LOG_STR("remote_addr", "192.0.2.1")}};
	struct logger person = {.parent = &request, .fields = {LOG_STR("user_id", "u-1")}};
	struct json_object *event;

	(void)state;
	LOG_ERROR(&person, "it broke", LOG_STR("path", "/api/chat"), LOG_INT("status", 502), LOG_STR("cause", "no route"));
	event = take_event();
	assert_string_equal(in(event, "logentry", "formatted"), "it broke");
	assert_string_equal(json_member_text(event, "level"), "error");
	assert_string_equal(json_member_text(event, "platform"), "c");
	assert_string_equal(json_member_text(event, "logger"), "tester");
	assert_string_equal(json_member_text(event, "release"), "bakame@1");
	assert_string_equal(json_member_text(event, "environment"), "test");
	assert_true(json_member_text(event, "server_name")[0] != '\0');
	assert_string_equal(in(event, "user", "id"), "u-1");
	assert_string_equal(in(event, "user", "ip_address"), "192.0.2.1");
	assert_string_equal(in(event, "tags", "request_id"), "r-1");
	assert_string_equal(in(event, "request", "url"), "/api/chat");
	assert_string_equal(in(event, "extra", "cause"), "no route");
	assert_null(json_member(event, "breadcrumbs", json_type_object));
	json_object_put(event);
	assert_int_equal(sentry_waiting(), 0);
}

static void
lines_below_error_are_none(void **state)
{
	(void)state;
	LOG_WARN(&log_root, "it creaks");
	LOG_INFO(&log_root, "it works");
	assert_int_equal(sentry_waiting(), 0);
}

static void
secrets_are_masked_in_events(void **state)
{
	struct json_object *event;
	const char *text;

	(void)state;
	LOG_ERROR(&log_root, "with secrets", LOG_STR("password", "hunter2"), LOG_STR("cause", "Bearer abcdefghijklmnop"),
	          LOG_STR("url", "https://me:hunter2@example.org/?token=hunter2"));
	event = take_event();
	text = json_text(event, NULL);
	assert_null(strstr(text, "hunter2"));
	assert_null(strstr(text, "abcdefghijklmnop"));
	assert_string_equal(in(event, "extra", "password"), "***");
	json_object_put(event);
}

static void
breadcrumbs_are_the_requests_last_lines(void **state)
{
	struct breadcrumbs crumbs = {0};
	struct logger request = {.parent = &log_root, .crumbs = &crumbs};
	struct logger inner = {.parent = &request, .fields = {LOG_STR("tool", "weather")}};
	struct json_object *event, *values, *first;

	(void)state;
	for (int i = 0; i < BREADCRUMBS_MAX + 10; i++)
		LOG_INFO(&inner, "step", LOG_INT("number", i));
	LOG_ERROR(&request, "after steps");
	event = take_event();
	values = json_member(json_member(event, "breadcrumbs", json_type_object), "values", json_type_array);
	assert_int_equal(json_object_array_length(values), BREADCRUMBS_MAX);
	first = json_object_array_get_idx(values, 0);
	assert_string_equal(json_member_text(first, "message"), "step number=10 tool=weather");
	assert_string_equal(json_member_text(first, "level"), "info");
	json_object_put(event);
	assert_int_equal(crumbs.count, BREADCRUMBS_MAX);        /* the error itself is one, for the next */
	assert_non_null(strstr(crumbs.newest->text, "after steps"));
	breadcrumbs_free(&crumbs);
	assert_null(crumbs.oldest);
}

static void
a_long_breadcrumb_is_cut(void **state)
{
	struct breadcrumbs crumbs = {0};
	char text[2 * BREADCRUMB_BYTES];
	struct timespec now = {0};

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	breadcrumbs_add(&crumbs, &now, LOG_LEVEL_INFO, text);
	assert_int_equal(strlen(crumbs.newest->text), BREADCRUMB_BYTES - 1);
	breadcrumbs_free(&crumbs);
}

static void
like_errors_have_like_fingerprints(void **state)
{
	struct json_object *a, *b, *c;

	(void)state;
	LOG_ERROR(&log_root, "fails here", LOG_STR("path", "/a"), LOG_STR("request_id", "1"));
	LOG_ERROR(&log_root, "fails here", LOG_STR("path", "/a"), LOG_STR("request_id", "2"));
	LOG_ERROR(&log_root, "fails here", LOG_STR("path", "/b"), LOG_STR("request_id", "3"));
	a = take_event();
	b = take_event();
	c = take_event();
	assert_true(json_object_equal(json_member(a, "fingerprint", json_type_array), json_member(b, "fingerprint", json_type_array)));
	assert_false(json_object_equal(json_member(a, "fingerprint", json_type_array), json_member(c, "fingerprint", json_type_array)));
	json_object_put(a);
	json_object_put(b);
	json_object_put(c);
}

static unsigned notified;

static void
count_notice(void)
{
	notified++;
}

static void
a_full_spool_drops_the_newest(void **state)
{
	char *text;
	size_t len;
	char names[SENTRY_SPOOL_MAX + 5][24];   /* each line its own, so that the log's brake does not count */

	(void)state;
	notified = 0;
	sentry_notify(count_notice);
	for (int i = 0; i < SENTRY_SPOOL_MAX + 5; i++) {
		snprintf(names[i], sizeof(names[i]), "failure %d", i);
		LOG_ERROR(&log_root, names[i]);
	}
	assert_int_equal(sentry_waiting(), SENTRY_SPOOL_MAX);
	assert_int_equal(notified, SENTRY_SPOOL_MAX);
	assert_true(sentry_take(&text, &len));
	assert_non_null(strstr(text, "\"failure 0\""));
	free(text);
	sentry_stop();
	assert_false(sentry_take(&text, &len));
}

static void
without_a_start_nothing_is_kept(void **state)
{
	(void)state;
	assert_false(sentry_enabled());
	LOG_ERROR(&log_root, "nobody listens");
	assert_int_equal(sentry_waiting(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_dsn_is_taken_apart),
	    cmocka_unit_test(what_is_no_dsn_is_refused_with_a_reason),
	    cmocka_unit_test(pauses_are_as_long_as_the_server_asks),
	    cmocka_unit_test_setup_teardown(an_error_line_is_an_event_with_its_context, start, stop),
	    cmocka_unit_test_setup_teardown(lines_below_error_are_none, start, stop),
	    cmocka_unit_test_setup_teardown(secrets_are_masked_in_events, start, stop),
	    cmocka_unit_test_setup_teardown(breadcrumbs_are_the_requests_last_lines, start, stop),
	    cmocka_unit_test(a_long_breadcrumb_is_cut),
	    cmocka_unit_test_setup_teardown(like_errors_have_like_fingerprints, start, stop),
	    cmocka_unit_test_setup_teardown(a_full_spool_drops_the_newest, start, stop),
	    cmocka_unit_test(without_a_start_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
