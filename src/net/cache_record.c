/* cache_record.c - see net/cache_record.h */
#include "net/cache_record.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/text.h"
#include "net/cache.h"
#include "runtime/work.h"

#define BASE64 sodium_base64_VARIANT_ORIGINAL
#define MAGIC "BK1 "
/* Four numbers of at most 20 digits, and what is between them. */
#define HEADER_MAX 96
#define LEVEL 1                         /* of zlib: the network is not that slow */

/* Packing or unpacking, for the thread pool. */
struct task {
	const char *in;
	size_t in_len;
	char *out;                      /* made here, for free(); NULL when it failed */
	size_t out_len;
	size_t raw_len;
	bool compressed;
};

/* Base64 with its NUL: what libsodium wants. */
static char *
encode(const void *data, size_t len, size_t *len_r)
{
	size_t size = sodium_base64_encoded_len(len, BASE64);
	char *text = mem_alloc(size);

	sodium_bin2base64(text, size, data, len, BASE64);
	*len_r = size - 1;
	return text;
}

static void
pack(void *arg)
{
	struct task *t = arg;
	uLongf size = compressBound((uLong)t->in_len);
	unsigned char *packed = mem_alloc(size);

	/* what gains nothing in base64 stays as it is */
	if (compress2(packed, &size, (const Bytef *)t->in, (uLong)t->in_len, LEVEL) == Z_OK &&
	    size / 3 * 4 < t->in_len)
		t->out = encode(packed, size, &t->out_len);
	free(packed);
}

/* The whole of it is unpacked to exactly `raw_len` bytes, or it is corrupt: no more is ever written. */
static int
inflate_all(unsigned char *in, size_t in_len, char *out, size_t raw_len)
{
	z_stream z = {.next_in = in, .avail_in = (uInt)in_len, .next_out = (Bytef *)out, .avail_out = (uInt)raw_len};
	int rc;

	if (inflateInit(&z) != Z_OK)
		return -1;
	rc = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	return rc == Z_STREAM_END && z.avail_out == 0 && z.avail_in == 0 ? 0 : -1;
}

static void
unpack(void *arg)
{
	struct task *t = arg;
	size_t size = t->in_len / 4 * 3 + 3, len;
	unsigned char *bytes = mem_alloc(size);
	const char *end = NULL;

	if (sodium_base642bin(bytes, size, t->in, t->in_len, NULL, &len, &end, BASE64) != 0 || end != t->in + t->in_len)
		goto done;
	if (!t->compressed) {
		if (len != t->raw_len)
			goto done;
		t->out = (char *)bytes;
		t->out_len = len;
		return;
	}
	t->out = mem_alloc(t->raw_len + 1);
	t->out_len = t->raw_len;
	if (inflate_all(bytes, len, t->out, t->raw_len) == -1) {
		free(t->out);
		t->out = NULL;
	}
done:
	free(bytes);
}

static void
run(void (*fn)(void *arg), struct task *t, size_t bytes)
{
	if (bytes > CACHE_WORK_BYTES)
		work_run(fn, t);
	else
		fn(t);
}

void
cache_record_pack(const char *value, size_t len, struct cache_record *record_r, char **room_r)
{
	struct task t = {.in = value, .in_len = len};

	*room_r = NULL;
	*record_r = (struct cache_record){.form = CACHE_PLAIN, .raw_len = len, .data = value, .len = len};
	if (len > CACHE_COMPRESS_BYTES)
		run(pack, &t, len);
	if (t.out != NULL) {
		record_r->form = CACHE_COMPRESSED;
	} else if (!text_is_utf8(value, len)) {
		t.out = encode(value, len, &t.out_len);
		record_r->form = CACHE_BASE64;
	} else {
		return;
	}
	record_r->data = *room_r = t.out;
	record_r->len = t.out_len;
}

int
cache_record_unpack(const struct cache_record *record, struct buffer *out)
{
	struct task t = {.in = record->data,
	                 .in_len = record->len,
	                 .raw_len = record->raw_len,
	                 .compressed = record->form == CACHE_COMPRESSED};
	int rc;

	if (record->raw_len > CACHE_VALUE_MAX_BYTES || record->len > CACHE_RECORD_MAX_BYTES)
		return -1;
	if (record->form == CACHE_PLAIN)
		return record->len == record->raw_len ? buffer_append(out, record->data, record->len) : -1;
	if (record->form != CACHE_BASE64 && record->form != CACHE_COMPRESSED)
		return -1;
	run(unpack, &t, record->raw_len > record->len ? record->raw_len : record->len);
	if (t.out == NULL)
		return -1;
	rc = buffer_append(out, t.out, t.out_len);
	free(t.out);
	return rc;
}

/* A word of the header, ended by `end`; NULL if it is too long or not ended. */
static char *
next_word(char **at, char end)
{
	char *word = *at, *stop = strchr(word, end);

	if (stop == NULL || stop == word)
		return NULL;
	*stop = '\0';
	*at = stop + 1;
	return word;
}

int
cache_record_parse(const char *text, size_t len, struct cache_record *record_r)
{
	char header[HEADER_MAX], *at = header + sizeof(MAGIC) - 1;
	const char *end = memchr(text, '\n', len < HEADER_MAX ? len : HEADER_MAX - 1);
	char *fetched, *ttl, *form, *raw_len;
	int64_t number;

	if (end == NULL || memchr(text, '\0', (size_t)(end - text)) != NULL)
		return -1;
	memcpy(header, text, (size_t)(end - text) + 1);
	header[end - text + 1] = '\0';
	if (strncmp(header, MAGIC, sizeof(MAGIC) - 1) != 0)
		return -1;
	fetched = next_word(&at, ' ');
	ttl = fetched != NULL ? next_word(&at, ' ') : NULL;
	form = ttl != NULL ? next_word(&at, ' ') : NULL;
	raw_len = form != NULL ? next_word(&at, '\n') : NULL;
	if (raw_len == NULL || text_to_int64(fetched, 0, INT64_MAX, &number) == -1 ||
	    text_to_int64(ttl, 0, INT64_MAX, &number) == -1)
		return -1;
	if (strchr("pbzn", form[0]) == NULL || form[1] != '\0' ||
	    text_to_int64(raw_len, 0, (int64_t)CACHE_VALUE_MAX_BYTES, &number) == -1)
		return -1;
	*record_r = (struct cache_record){.form = (enum cache_form)form[0],
	                                  .raw_len = (size_t)number,
	                                  .data = end + 1,
	                                  .len = len - (size_t)(end + 1 - text)};
	return 0;
}

void
cache_failure_print(const struct err *err, char *out, size_t size)
{
	snprintf(out, size, "!%s %d %s", err_type(err->code), err->retry_after_secs, err->message);
	text_trim_partial_utf8(out);
}

static enum err_code
code_of(const char *type)
{
	for (enum err_code code = ERR_INVALID_REQUEST; code < ERR_CANCELLED; code++)
		if (strcmp(err_type(code), type) == 0)
			return code;
	return ERR_UPSTREAM;
}

void
cache_failure_parse(const char *text, size_t len, struct err *err_r)
{
	char copy[CACHE_FAILURE_BYTES], *at = copy + 1;
	char *type, *retry;
	int64_t secs = 0;

	err_set(err_r, ERR_UPSTREAM, "This could not be fetched just now.");
	err_cause(err_r, "the fetch of another failed");
	if (len == 0 || len >= sizeof(copy) || text[0] != '!' || !text_is_utf8(text, len))
		return;
	memcpy(copy, text, len);
	copy[len] = '\0';
	type = next_word(&at, ' ');
	retry = type != NULL ? next_word(&at, ' ') : NULL;
	if (retry == NULL || text_to_int64(retry, 0, 86400, &secs) == -1)
		return;
	err_set(err_r, code_of(type), "%s", at);
	err_r->retry_after_secs = (int)secs;
	err_cause(err_r, "the fetch of another failed");
}

void
cache_negative_err(const struct cache_record *record, struct err *err_r)
{
	if (record->len < sizeof(err_r->message) && text_is_utf8(record->data, record->len))
		err_set(err_r, ERR_NOT_FOUND, "%.*s", (int)record->len, record->data);
	else
		err_set(err_r, ERR_NOT_FOUND, "There is no such thing.");
}
