/*
 * fuzz_cache.c - what stands in Redis under the cache's keys, where others may have written.
 *
 * A record that is read points into what was read, and gives a value of exactly the length
 * that it says, or none; a failure always gives an error that can be told.  A value that is
 * packed, whatever it is, comes back as it was.
 */
#include <sodium.h>
#include <string.h>

#include "base/text.h"
#include "fuzz.h"
#include "net/cache.h"
#include "net/cache_record.h"

static void
read_record(const char *text, size_t size)
{
	struct buffer out = BUFFER_INIT(CACHE_FETCH_MAX_BYTES);
	struct cache_record record;
	struct err err;

	if (cache_record_parse(text, size, &record) == -1)
		return;
	REQUIRE(record.data >= text && record.data + record.len == text + size);
	REQUIRE(record.raw_len <= CACHE_VALUE_MAX_BYTES);
	cache_negative_err(&record, &err);
	REQUIRE(err.code == ERR_NOT_FOUND && text_is_utf8(err.message, strlen(err.message)));
	/* more than that is unpacked by the thread pool, for which there is no loop here */
	if (record.raw_len > CACHE_WORK_BYTES)
		return;
	if (cache_record_unpack(&record, &out) == 0)
		REQUIRE(out.len == record.raw_len);
	else
		REQUIRE(out.len == 0);
	buffer_free(&out);
}

static void
read_failure(const char *text, size_t size)
{
	struct err err;

	cache_failure_parse(text, size, &err);
	REQUIRE(err.code > ERR_NONE && err.code < ERR_CANCELLED);
	REQUIRE(err.retry_after_secs >= 0);
	REQUIRE(text_is_utf8(err.message, strlen(err.message)));
}

static void
round_trip(const char *value, size_t size)
{
	struct buffer out = BUFFER_INIT(CACHE_FETCH_MAX_BYTES);
	struct cache_record record;
	char *room;

	cache_record_pack(value, size, &record, &room);
	REQUIRE(cache_record_unpack(&record, &out) == 0);
	REQUIRE(out.len == size && (size == 0 || memcmp(out.data, value, size) == 0));
	free(room);
	buffer_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > CACHE_WORK_BYTES || sodium_init() == -1)
		return 0;
	read_record((const char *)data, size);
	read_failure((const char *)data, size);
	round_trip((const char *)data, size);
	return 0;
}
