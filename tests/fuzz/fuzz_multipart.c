/*
 * fuzz_multipart.c - a body of type multipart/form-data.
 *
 * However it is cut, the same parts with the same bytes come out, and memory stays bounded.
 * The first two bytes say where to cut; the boundary is "b".
 */
#include <string.h>

#include "base/buffer.h"
#include "fuzz.h"
#include "http/multipart.h"

/* Events one after the other, data without regard to its pieces. */
static void
note(struct buffer *log, const struct multipart *m, enum multipart_event event, const char *data, size_t len)
{
	char kind = (char)('0' + event);

	if (event == MULTIPART_DATA) {
		REQUIRE(len > 0);
		REQUIRE(buffer_append(log, data, len) == 0);
		return;
	}
	if (event == MULTIPART_MORE || ((event == MULTIPART_END || event == MULTIPART_BAD) && log->len > 0 &&
	                                log->data[log->len - 1] == kind))
		return;
	REQUIRE(buffer_append(log, "\0", 1) == 0);
	if (event == MULTIPART_PART) {
		REQUIRE(buffer_append_text(log, m->name) == 0);
		REQUIRE(buffer_append_text(log, m->filename != NULL ? m->filename : "") == 0);
	}
	if (event == MULTIPART_BAD)
		REQUIRE(m->fault != NULL);
	REQUIRE(buffer_append(log, &kind, 1) == 0);
}

/* From memory of its own that is gone afterwards. */
static void
feed(struct multipart *m, struct buffer *log, const uint8_t *bytes, size_t len)
{
	char *part = malloc(len > 0 ? len : 1);
	size_t done = 0;

	REQUIRE(part != NULL);
	memcpy(part, bytes, len);
	while (done < len) {
		const char *data;
		size_t used, data_len;
		enum multipart_event event = multipart_feed(m, part + done, len - done, &used, &data, &data_len);

		REQUIRE(used <= len - done);
		REQUIRE(used > 0 || event != MULTIPART_MORE);
		REQUIRE(m->headers.len <= MULTIPART_HEADERS_MAX_BYTES);
		note(log, m, event, data, data_len);
		done += used;
	}
	free(part);
}

static void
read_cut(struct buffer *log, const uint8_t *bytes, size_t len, size_t a, size_t step)
{
	struct multipart m;

	REQUIRE(multipart_init(&m, "multipart/form-data; boundary=b", NULL) == 0);
	feed(&m, log, bytes, a);
	for (size_t at = a; at < len; at += step)
		feed(&m, log, bytes + at, len - at < step ? len - at : step);
	multipart_free(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer whole = BUFFER_INIT(SIZE_MAX / 2), cut = BUFFER_INIT(SIZE_MAX / 2);
	const size_t steps[] = {1, 2, 3, size + 1};
	struct multipart m;
	char type[128];
	size_t a;

	if (size < 2 || size > 65536)
		return 0;
	/* the header, too */
	snprintf(type, sizeof(type), "multipart/form-data; %.*s", (int)(size < 90 ? size : 90), (const char *)data);
	if (multipart_init(&m, type, NULL) == 0)
		REQUIRE(m.delimiter_len > 4 && m.delimiter_len < sizeof(m.delimiter));
	a = (size_t)data[0] * data[1];
	data += 2;
	size -= 2;
	a = a < size ? a : size;
	read_cut(&whole, data, size, size, 1);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		read_cut(&cut, data, size, a, steps[i]);
		REQUIRE(cut.len == whole.len);
		REQUIRE(cut.len == 0 || memcmp(cut.data, whole.data, cut.len) == 0);
		buffer_free(&cut);
	}
	buffer_free(&whole);
	return 0;
}
