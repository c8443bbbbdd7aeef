/*
 * fuzz_sse.c - a stream of server-sent events.
 *
 * However it is cut, the same events come out, and they are those that the
 * standard's rules give when followed to the letter.  The first two bytes say where
 * to cut.
 */
#include <string.h>

#include "base/buffer.h"
#include "fuzz.h"
#include "net/sse.h"

/* Events one after the other: length, data. */
static void
note_event(struct buffer *events, const char *data, size_t len)
{
	REQUIRE(buffer_append(events, &len, sizeof(len)) == 0);
	REQUIRE(buffer_append(events, data, len) == 0);
}

/* Feed a part, from memory of its own that is gone afterwards. */
static void
feed(struct sse *s, struct buffer *events, const uint8_t *bytes, size_t len)
{
	char *part = malloc(len > 0 ? len : 1);
	size_t done = 0;

	REQUIRE(part != NULL);
	memcpy(part, bytes, len);
	while (done < len) {
		const char *data;
		size_t used, data_len;
		enum sse_result result = sse_feed(s, part + done, len - done, &used, &data, &data_len);

		REQUIRE(used <= len - done);
		done += used;
		REQUIRE(result != SSE_TOO_LARGE);       /* inputs are far smaller */
		if (result == SSE_MORE)
			REQUIRE(done == len);
		else
			note_event(events, data, data_len);
	}
	free(part);
}

static void
read_cut(struct buffer *events, const uint8_t *bytes, size_t len, size_t a, size_t b)
{
	struct sse s;

	sse_init(&s);
	feed(&s, events, bytes, a);
	feed(&s, events, bytes + a, b - a);
	feed(&s, events, bytes + b, len - b);
	sse_free(&s);
}

static void
read_bytewise(struct buffer *events, const uint8_t *bytes, size_t len)
{
	struct sse s;

	sse_init(&s);
	for (size_t i = 0; i < len; i++)
		feed(&s, events, bytes + i, 1);
	sse_free(&s);
}

/* What the standard says of one line. */
static void
follow_rules(struct buffer *events, struct buffer *data, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	size_t name_len = colon != NULL ? (size_t)(colon - line) : len;
	const char *value = line + len;

	if (len == 0) {
		if (data->len > 0)
			note_event(events, data->data, data->len - 1);  /* without the last LF */
		buffer_consume(data, data->len);
		return;
	}
	if (name_len != 4 || memcmp(line, "data", 4) != 0)
		return;
	if (colon != NULL)
		value = colon + 1 + (colon + 1 < line + len && colon[1] == ' ');
	REQUIRE(buffer_append(data, value, (size_t)(line + len - value)) == 0);
	REQUIRE(buffer_append(data, "\n", 1) == 0);
}

static void
read_by_the_rules(struct buffer *events, const char *bytes, size_t len)
{
	struct buffer data = BUFFER_INIT(SIZE_MAX / 2);
	size_t start = len >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;

	for (size_t i = start; i < len; i++) {
		if (bytes[i] != '\r' && bytes[i] != '\n')
			continue;
		follow_rules(events, &data, bytes + start, i - start);
		if (bytes[i] == '\r' && i + 1 < len && bytes[i + 1] == '\n')
			i++;
		start = i + 1;
	}
	buffer_free(&data);
}

static void
require_same(const struct buffer *a, struct buffer *b)
{
	REQUIRE(a->len == b->len);
	REQUIRE(a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
	buffer_free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer rules = BUFFER_INIT(SIZE_MAX / 2), events = BUFFER_INIT(SIZE_MAX / 2);
	size_t a, b;

	if (size < 2 || size > 65536)
		return 0;
	a = data[0];
	b = a + data[1];
	data += 2;
	size -= 2;
	a = a < size ? a : size;
	b = b < size ? b : size;
	read_by_the_rules(&rules, (const char *)data, size);
	read_cut(&events, data, size, 0, size);
	require_same(&rules, &events);
	read_cut(&events, data, size, a, b);
	require_same(&rules, &events);
	read_bytewise(&events, data, size);
	require_same(&rules, &events);
	buffer_free(&rules);
	return 0;
}
