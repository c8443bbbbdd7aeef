/* test_sse.c - events come out the same however the bytes are cut */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/sse.h"

#define EVENTS_MAX 8
#define STREAM(text) (text), sizeof(text) - 1
#define BOM "\xEF\xBB\xBF"

struct stream {
	const char *what;
	const char *bytes;
	size_t len;
	const char *events[EVENTS_MAX];         /* ended by NULL */
};

/* From the HTML standard, its web platform tests, and what models send. */
static const struct stream streams[] = {
    {"one event", STREAM("data: {\"a\":1}\n\n"), {"{\"a\":1}"}},
    {"two events", STREAM("data: a\n\ndata: b\n\n"), {"a", "b"}},
    {"CR", STREAM("data: a\r\rdata: b\r\r"), {"a", "b"}},
    {"CR LF", STREAM("data: a\r\n\r\ndata: b\r\n\r\n"), {"a", "b"}},
    {"CR LF within an event", STREAM("data: a\r\ndata: b\r\n\r\n"), {"a\nb"}},
    {"line ends mixed", STREAM("data: a\r\n\rdata: b\n\r\ndata: c\r\n\n"), {"a", "b", "c"}},
    {"line ends within an event", STREAM("data: a\rdata: b\ndata: c\r\n\r\n"), {"a\nb\nc"}},
    {"no blank after the colon", STREAM("data:a\n\n"), {"a"}},
    {"only one blank is taken off", STREAM("data:  a \n\n"), {" a "}},
    {"a tab stays", STREAM("data:\ta\n\n"), {"\ta"}},
    {"a colon in the data", STREAM("data: a: b\n\n"), {"a: b"}},
    {"lines joined", STREAM("data: a\ndata: b\n\n"), {"a\nb"}},
    {"empty lines of data joined", STREAM("data\ndata:\ndata: \n\n"), {"\n\n"}},
    {"empty data is an event", STREAM("data:\n\n"), {""}},
    {"a field without a colon", STREAM("data\n\ndata\ndata\n\ndata:test\n\n"), {"", "\n", "test"}},
    {"no data is no event", STREAM("event: x\n\nid: 1\n\n\n\n\ndata: a\n\n"), {"a"}},
    {"comments", STREAM(": ping\n\n:\ndata: a\n:x\ndata: b\n\n: end\n\n"), {"a\nb"}},
    {"other fields", STREAM("event: add\nid: 7\nretry: 10\ndata: a\nfoo: bar\n\n"), {"a"}},
    {"names alike are others", STREAM("datas: x\ndat: y\nData: z\n data: v\ndata : w\ndata: a\n\n"), {"a"}},
    {"byte order mark", STREAM(BOM "data: a\n\n"), {"a"}},
    {"byte order mark before a comment", STREAM(BOM ": x\ndata: a\n\n"), {"a"}},
    {"byte order mark only at the start", STREAM(BOM BOM "data: a\n\n" BOM "data: b\n\ndata: c\n\n"), {"c"}},
    {"blank lines first", STREAM("\n\r\n\rdata: a\n\n"), {"a"}},
    {"an event without its end", STREAM("data: a\n\ndata: b\n"), {"a"}},
    {"a line without its end", STREAM("data: a\n\ndata: b"), {"a"}},
    {"NUL in the data is kept", STREAM("data: a\0b\n\n"), {"a"}},
    {"UTF-8", STREAM("data: \xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\n\n"), {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"}},
    {"as OpenAI ends", STREAM("data: {\"choices\":[]}\n\ndata: [DONE]\n\n"), {"{\"choices\":[]}", "[DONE]"}},
    {"nothing", STREAM(""), {NULL}},
};

struct events {
	size_t count;
	char *data[EVENTS_MAX];
	size_t len[EVENTS_MAX];
};

static void
take(struct sse *s, struct events *ev, const char *bytes, size_t len)
{
	while (len > 0) {
		const char *data;
		size_t used, data_len;
		/* in memory of its own, so that a sanitizer sees reads past its end */
		char *piece = mem_alloc(len);
		enum sse_result result;

		memcpy(piece, bytes, len);
		result = sse_feed(s, piece, len, &used, &data, &data_len);
		assert_int_not_equal(result, SSE_TOO_LARGE);
		assert_true(used <= len);
		if (result == SSE_EVENT) {
			assert_true(ev->count < EVENTS_MAX);
			ev->data[ev->count] = mem_alloc(data_len + 1);
			memcpy(ev->data[ev->count], data, data_len);
			ev->len[ev->count++] = data_len;
		} else {
			assert_int_equal(used, len);
		}
		free(piece);
		bytes += used;
		len -= used;
	}
}

static void
expect(const struct stream *st, const struct events *ev)
{
	size_t count = 0;

	while (st->events[count] != NULL) {
		if (count >= ev->count || strcmp(st->events[count], ev->data[count]) != 0)
			fail_msg("%s: event %zu is not \"%s\"", st->what, count, st->events[count]);
		count++;
	}
	if (ev->count != count)
		fail_msg("%s: %zu events, not %zu", st->what, ev->count, count);
}

static void
forget(struct sse *s, struct events *ev)
{
	for (size_t i = 0; i < ev->count; i++)
		free(ev->data[i]);
	sse_free(s);
}

/* Feed the stream cut at `a` and `b`. */
static void
try_cuts(const struct stream *st, size_t a, size_t b)
{
	struct events ev = {0};
	struct sse s;

	sse_init(&s);
	take(&s, &ev, st->bytes, a);
	take(&s, &ev, st->bytes + a, b - a);
	take(&s, &ev, st->bytes + b, st->len - b);
	expect(st, &ev);
	forget(&s, &ev);
}

#define FOR_EACH_STREAM(st) for (const struct stream *st = streams; st < streams + sizeof(streams) / sizeof(*st); st++)

static void
streams_in_one_piece(void **state)
{
	(void)state;
	FOR_EACH_STREAM(st)
		try_cuts(st, 0, st->len);
}

static void
streams_cut_at_every_one_and_two_places(void **state)
{
	(void)state;
	FOR_EACH_STREAM(st)
		for (size_t a = 0; a <= st->len; a++)
			for (size_t b = a; b <= st->len; b++)
				try_cuts(st, a, b);
}

static void
streams_byte_by_byte(void **state)
{
	(void)state;
	FOR_EACH_STREAM(st) {
		struct events ev = {0};
		struct sse s;

		sse_init(&s);
		for (size_t i = 0; i < st->len; i++)
			take(&s, &ev, st->bytes + i, 1);
		expect(st, &ev);
		forget(&s, &ev);
	}
}

static void
nul_bytes_do_not_end_the_data(void **state)
{
	struct events ev = {0};
	struct sse s;

	(void)state;
	sse_init(&s);
	take(&s, &ev, STREAM("data: a\0b\n\n"));
	assert_int_equal(ev.count, 1);
	assert_int_equal(ev.len[0], 3);
	assert_memory_equal(ev.data[0], "a\0b", 3);
	forget(&s, &ev);
}

static void
an_event_is_told_as_soon_as_its_empty_line_ends(void **state)
{
	struct events ev = {0};
	struct sse s;

	(void)state;
	sse_init(&s);
	take(&s, &ev, STREAM("data: a\r\n\r"));         /* the LF that may follow is not waited for */
	assert_int_equal(ev.count, 1);
	take(&s, &ev, STREAM("\ndata: b\r\n\r\n"));
	assert_int_equal(ev.count, 2);
	assert_string_equal(ev.data[1], "b");
	forget(&s, &ev);
}

/* ---- size ---- */

/* Feed `prefix`, then `count` bytes in pieces, then `suffix`. */
static enum sse_result
feed_long(const char *prefix, size_t count, const char *suffix, size_t *data_len_r)
{
	static char filler[10000];
	enum sse_result result = SSE_MORE;
	const char *data;
	struct sse s;
	size_t used;

	memset(filler, 'x', sizeof(filler));
	sse_init(&s);
	result = sse_feed(&s, prefix, strlen(prefix), &used, &data, data_len_r);
	while (result == SSE_MORE && count > 0) {
		size_t n = count < sizeof(filler) ? count : sizeof(filler);

		result = sse_feed(&s, filler, n, &used, &data, data_len_r);
		count -= n;
	}
	if (result == SSE_MORE)
		result = sse_feed(&s, suffix, strlen(suffix), &used, &data, data_len_r);
	sse_free(&s);
	return result;
}

static void
the_largest_event_passes(void **state)
{
	size_t len;

	(void)state;
	assert_int_equal(feed_long("data: ", SSE_EVENT_MAX_BYTES, "\r\n\r\n", &len), SSE_EVENT);
	assert_int_equal(len, SSE_EVENT_MAX_BYTES);
	assert_int_equal(feed_long(BOM "data: ", SSE_EVENT_MAX_BYTES, "\n\n", &len), SSE_EVENT);
	assert_int_equal(feed_long("data: 1\ndata: ", SSE_EVENT_MAX_BYTES - 2, "\n\n", &len), SSE_EVENT);
	assert_int_equal(len, SSE_EVENT_MAX_BYTES);
}

static void
a_larger_event_is_refused(void **state)
{
	size_t len;

	(void)state;
	assert_int_equal(feed_long("data: ", SSE_EVENT_MAX_BYTES + 1, "\n\n", &len), SSE_TOO_LARGE);
	assert_int_equal(feed_long("data: 1\ndata: ", SSE_EVENT_MAX_BYTES - 1, "\n\n", &len), SSE_TOO_LARGE);
}

static void
a_line_that_never_ends_is_refused(void **state)
{
	size_t len;

	(void)state;
	assert_int_equal(feed_long("data: ", 10 * SSE_EVENT_MAX_BYTES, "", &len), SSE_TOO_LARGE);
	assert_int_equal(feed_long(": ", 10 * SSE_EVENT_MAX_BYTES, "", &len), SSE_TOO_LARGE);
}

static void
endless_lines_of_one_event_are_refused(void **state)
{
	enum sse_result result = SSE_MORE;
	size_t used, len, lines = 0;
	const char *data;
	struct sse s;

	(void)state;
	sse_init(&s);
	while (result == SSE_MORE && lines < 2 * SSE_EVENT_MAX_BYTES) {
		result = sse_feed(&s, STREAM("data:\n"), &used, &data, &len);
		lines++;
	}
	assert_int_equal(result, SSE_TOO_LARGE);
	assert_int_equal(lines, SSE_EVENT_MAX_BYTES + 2);
	sse_free(&s);
}

static void
endless_small_events_take_no_memory(void **state)
{
	const char *data;
	size_t used, len;
	struct sse s;

	(void)state;
	sse_init(&s);
	for (int i = 0; i < 100000; i++) {
		assert_int_equal(sse_feed(&s, STREAM("data: abc\n\n"), &used, &data, &len), SSE_EVENT);
		assert_true(s.data.cap < 4096 && s.line.cap < 4096);
	}
	sse_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(streams_in_one_piece),
	    cmocka_unit_test(streams_cut_at_every_one_and_two_places),
	    cmocka_unit_test(streams_byte_by_byte),
	    cmocka_unit_test(nul_bytes_do_not_end_the_data),
	    cmocka_unit_test(an_event_is_told_as_soon_as_its_empty_line_ends),
	    cmocka_unit_test(the_largest_event_passes),
	    cmocka_unit_test(a_larger_event_is_refused),
	    cmocka_unit_test(a_line_that_never_ends_is_refused),
	    cmocka_unit_test(endless_lines_of_one_event_are_refused),
	    cmocka_unit_test(endless_small_events_take_no_memory),
	};

	return cmocka_run_group_tests_name("sse", tests, NULL, NULL);
}
