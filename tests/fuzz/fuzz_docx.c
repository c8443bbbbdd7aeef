/*
 * fuzz_docx.c - a file that somebody calls a DOCX: the zip around it and the document within.
 *
 * The first byte says what the rest is: 'z' a zip file, anything else the document, which is put into a good zip first.
 * Reading ends; what comes out is UTF-8 and not more than was asked for; an entry is read alike each time.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "base/text.h"
#include "fuzz.h"
#include "store/docx.h"
#include "store/zip.h"

#define ENTRY "word/document.xml"
#define WANTED_BYTES ((size_t)1 << 20)
#define HEADERS_BYTES 256

struct heard {
	size_t len;
	size_t most;
	uLong sum;
	bool text;                      /* has to be UTF-8 */
};

static bool
hear_cb(void *arg, const char *data, size_t len)
{
	struct heard *h = arg;

	REQUIRE(h->len < h->most);      /* nobody goes on who was told to stop */
	REQUIRE(len > 0);
	if (h->text)
		REQUIRE(text_is_utf8(data, len));
	h->sum = crc32(h->sum, (const Bytef *)data, (uInt)len);
	h->len += len;
	return h->len < h->most;
}

static int
open_bytes(const void *data, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	REQUIRE(fd != -1);
	REQUIRE(write(fd, data, len) == (ssize_t)len);
	return fd;
}

static void
check_file(int fd)
{
	struct heard text = {.most = WANTED_BYTES, .text = true}, a = {.most = WANTED_BYTES}, b = {.most = WANTED_BYTES};
	bool there = zip_has_entry(fd, ENTRY);
	int rc = docx_text(fd, hear_cb, &text);

	REQUIRE(rc >= -1 && rc <= 1);
	REQUIRE(there || (rc == -1 && text.len == 0));
	rc = zip_read_entry(fd, ENTRY, WANTED_BYTES, hear_cb, &a);
	REQUIRE(rc == zip_read_entry(fd, ENTRY, WANTED_BYTES, hear_cb, &b));
	REQUIRE(a.len == b.len && a.sum == b.sum && a.len <= WANTED_BYTES);
	REQUIRE(there || rc == -1);
}

/* ---- a zip file with one entry that is stored as it is (PKWARE, APPNOTE 4.3) ---- */

static size_t
put(unsigned char *out, size_t at, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		out[at + i] = (unsigned char)(value >> (8 * i));
	return at + bytes;
}

/* What the local header and the central one have alike. */
static size_t
put_facts(unsigned char *out, size_t at, const uint8_t *data, size_t size)
{
	at = put(out, at, 20, 2);               /* version */
	at = put(out, at, 0, 8);                /* flags, method, time, date */
	at = put(out, at, crc32(0, data, (uInt)size), 4);
	at = put(out, at, size, 4);
	at = put(out, at, size, 4);
	at = put(out, at, strlen(ENTRY), 2);
	return put(out, at, 0, 2);              /* nothing extra */
}

static size_t
put_name(unsigned char *out, size_t at)
{
	memcpy(out + at, ENTRY, strlen(ENTRY));
	return at + strlen(ENTRY);
}

static int
open_document(const uint8_t *data, size_t size)
{
	unsigned char *out = calloc(1, size + HEADERS_BYTES);
	size_t at, central;
	int fd;

	REQUIRE(out != NULL);
	at = put_facts(out, put(out, 0, 0x04034B50, 4), data, size);
	at = put_name(out, at);
	memcpy(out + at, data, size);
	central = at += size;
	at = put_facts(out, put(out, put(out, at, 0x02014B50, 4), 20, 2), data, size);
	at = put_name(out, put(out, put(out, at, 0, 8), 0, 6));     /* comment, disk, attributes; where it begins */
	central = at - central;
	at = put(out, put(out, at, 0x06054B50, 4), 0, 4);
	at = put(out, put(out, at, 1, 2), 1, 2);
	at = put(out, put(out, at, central, 4), at - central - 12, 4);
	at = put(out, at, 0, 2);
	fd = open_bytes(out, at);
	free(out);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd;

	if (size == 0)
		return 0;
	fd = data[0] == 'z' ? open_bytes(data + 1, size - 1) : open_document(data + 1, size - 1);
	if (data[0] != 'z')
		REQUIRE(zip_has_entry(fd, ENTRY));
	check_file(fd);
	close(fd);
	return 0;
}
