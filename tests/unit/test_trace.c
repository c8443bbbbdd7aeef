/* test_trace.c - traceparent, spans, OTLP */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/json.h"
#include "telemetry/trace.h"

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void
a_traceparent_is_read_and_written_alike(void **state)
{
	struct trace_context c;
	char out[TRACEPARENT_BYTES];

	(void)state;
	assert_true(trace_read(PARENT, &c));
	assert_true(c.sampled && trace_given(&c));
	trace_write(&c, out);
	assert_string_equal(out, PARENT);
	assert_true(trace_read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", &c));
	assert_false(c.sampled);
	/* a version to come may say more */
	assert_true(trace_read("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", &c));
}

static void
what_is_no_traceparent_is_none(void **state)
{
	static const char *const cases[] = {
	    "",
	    "00",
	    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
	    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
	    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-010",
	    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	    "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
	    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
	    "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
	    "00-0af7651916cd43dd8448eb211c80319x-b7ad6b7169203331-01",
	    "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
	    "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
	};
	struct trace_context c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&c, 1, sizeof(c));
		assert_false(trace_read(cases[i], &c));
		assert_false(trace_given(&c));
	}
}

static void
a_span_stands_below_its_parent(void **state)
{
	struct trace_context parent, none = {0};
	struct trace_span span, own;

	(void)state;
	assert_true(trace_read(PARENT, &parent));
	trace_begin(&span, &parent, true, "GET /x");
	assert_memory_equal(span.context.trace_id, parent.trace_id, 16);
	assert_memory_equal(span.parent_id, parent.span_id, 8);
	assert_memory_not_equal(span.context.span_id, parent.span_id, 8);
	trace_begin(&own, &none, true, "GET /x");
	assert_true(trace_given(&own.context) && own.context.sampled);
	assert_memory_not_equal(own.context.trace_id, parent.trace_id, 16);
}

static struct json_object *
take(unsigned expected)
{
	struct buffer text = BUFFER_INIT((size_t)1 << 20);
	struct json_object *root;

	assert_int_equal(trace_take(&text, "bakame", "1"), expected);
	root = json_parse(text.data, text.len, NULL);
	assert_non_null(root);
	buffer_free(&text);
	return root;
}

static struct json_object *
first(struct json_object *obj, const char *list)
{
	return json_object_array_get_idx(json_member(obj, list, json_type_array), 0);
}

static void
spans_are_written_as_otlp_has_them(void **state)
{
	struct trace_context parent, unsampled;
	struct trace_span span;
	struct json_object *root, *written;

	(void)state;
	assert_true(trace_read(PARENT, &parent));
	trace_begin(&span, &parent, false, "POST model");
	trace_end(&span, 200, false);
	assert_int_equal(trace_waiting(), 0);           /* nobody wants them */
	trace_record(true);
	trace_begin(&span, &parent, false, "POST \"model\"");
	trace_end(&span, 503, true);
	trace_end(&span, 503, true);                    /* ends once */
	unsampled = parent;
	unsampled.sampled = false;
	trace_begin(&span, &unsampled, false, "POST model");
	trace_end(&span, 200, false);
	root = take(1);
	written = first(first(first(root, "resourceSpans"), "scopeSpans"), "spans");
	assert_string_equal(json_member_text(written, "traceId"), "0af7651916cd43dd8448eb211c80319c");
	assert_string_equal(json_member_text(written, "parentSpanId"), "b7ad6b7169203331");
	assert_string_equal(json_member_text(written, "name"), "POST \"model\"");
	assert_int_equal(json_object_get_int(json_member(written, "kind", json_type_int)), 3);
	assert_int_equal(strlen(json_member_text(written, "startTimeUnixNano")), 19);
	assert_true(strcmp(json_member_text(written, "startTimeUnixNano"), json_member_text(written, "endTimeUnixNano")) <= 0);
	assert_int_equal(json_object_get_int(json_member(json_member(written, "status", json_type_object), "code", json_type_int)), 2);
	json_object_put(root);
	trace_forget();
}

/* One that is none would cost the whole batch: JSON is UTF-8, and a path may have any bytes. */
static void
a_name_ends_where_it_is_no_utf8(void **state)
{
	static const char *const names[][2] = {
	    {"GET /\xFF/x", "GET /"}, {"GET /\xC3", "GET /"}, {"GET /\xC3\xA9", "GET /\xC3\xA9"}};
	struct trace_context none = {0};
	struct trace_span span;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct json_object *root;

		trace_record(true);
		trace_begin(&span, &none, true, names[i][0]);
		trace_end(&span, 404, false);
		root = take(1);
		assert_string_equal(
		    json_member_text(first(first(first(root, "resourceSpans"), "scopeSpans"), "spans"), "name"), names[i][1]);
		json_object_put(root);
		trace_forget();
	}
}

static void
past_the_maximum_spans_are_dropped(void **state)
{
	struct trace_context none = {0};
	struct trace_span span;
	unsigned taken = 0;

	(void)state;
	trace_record(true);
	for (int i = 0; i < TRACE_SPANS_MAX + 10; i++) {
		trace_begin(&span, &none, true, "GET /x");
		trace_end(&span, 200, false);
	}
	assert_int_equal(trace_waiting(), TRACE_SPANS_MAX);
	while (trace_waiting() > 0) {
		struct buffer text = BUFFER_INIT((size_t)1 << 20);

		taken += trace_take(&text, "bakame", "1");
		buffer_free(&text);
	}
	assert_int_equal(taken, TRACE_SPANS_MAX);
	trace_forget();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_traceparent_is_read_and_written_alike),
	    cmocka_unit_test(what_is_no_traceparent_is_none),
	    cmocka_unit_test(a_span_stands_below_its_parent),
	    cmocka_unit_test(spans_are_written_as_otlp_has_them),
	    cmocka_unit_test(a_name_ends_where_it_is_no_utf8),
	    cmocka_unit_test(past_the_maximum_spans_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
