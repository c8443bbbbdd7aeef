/* test_cache_record.c - how the cache writes values down */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "in_fiber.h"
#include "net/cache.h"
#include "net/cache_record.h"

/* A value of `len` bytes: text that compresses, or bytes that do not. */
static char *
make_value(size_t len, bool text)
{
	char *value = mem_alloc(len + 1);

	if (text)
		for (size_t i = 0; i < len; i++)
			value[i] = "the weather in Kigali is "[i % 25];
	else
		randombytes_buf(value, len);
	return value;
}

struct round_trip {
	size_t len;
	bool text;
	enum cache_form form;           /* as found */
	size_t packed_len;
};

static void
check_round_trip(void *arg)
{
	struct round_trip *t = arg;
	char *value = make_value(t->len, t->text), *room;
	struct buffer out = BUFFER_INIT(CACHE_FETCH_MAX_BYTES);
	struct cache_record record;

	cache_record_pack(value, t->len, &record, &room);
	assert_int_equal(record.raw_len, t->len);
	assert_true(record.len <= CACHE_RECORD_MAX_BYTES - 100);
	assert_int_equal(cache_record_unpack(&record, &out), 0);
	assert_int_equal(out.len, t->len);
	if (t->len > 0)
		assert_memory_equal(out.data, value, t->len);
	t->form = record.form;
	t->packed_len = record.len;
	buffer_free(&out);
	free(room);
	free(value);
}

static void
values_come_back_as_they_were(void **state)
{
	const size_t sizes[] = {0, 1, 100, CACHE_COMPRESS_BYTES, CACHE_COMPRESS_BYTES + 1, CACHE_WORK_BYTES + 1,
	                        CACHE_VALUE_MAX_BYTES};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct round_trip text = {.len = sizes[i], .text = true}, bytes = {.len = sizes[i]};

		in_fiber(check_round_trip, &text);
		in_fiber(check_round_trip, &bytes);
		assert_int_equal(text.form, sizes[i] > CACHE_COMPRESS_BYTES ? CACHE_COMPRESSED : CACHE_PLAIN);
	}
}

static void
large_text_is_kept_small_and_bytes_as_text(void **state)
{
	struct round_trip text = {.len = 100000, .text = true}, bytes = {.len = 100000}, few = {.len = 100};

	(void)state;
	in_fiber(check_round_trip, &text);
	assert_true(text.packed_len < 5000);
	in_fiber(check_round_trip, &bytes);
	assert_int_equal(bytes.form, CACHE_BASE64);
	in_fiber(check_round_trip, &few);
	assert_int_equal(few.form, CACHE_BASE64);
}

static int
parse(const char *text, struct cache_record *record)
{
	return cache_record_parse(text, strlen(text), record);
}

static void
a_record_is_read_to_the_letter(void **state)
{
	struct cache_record r;

	(void)state;
	assert_int_equal(parse("BK1 1700000000000 600000 p 5\nhello", &r), 0);
	assert_int_equal(r.form, CACHE_PLAIN);
	assert_int_equal(r.raw_len, 5);
	assert_int_equal(r.len, 5);
	assert_memory_equal(r.data, "hello", 5);
	assert_int_equal(parse("BK1 1 1 n 0\n", &r), 0);
	assert_int_equal(r.len, 0);
}

static void
anything_else_is_no_record(void **state)
{
	static const char *const wrong[] = {
	    "", "\n", "BK1 ", "BK1 \n", "BK2 1 1 p 1\nx", "BK1 1 1 p\nx", "BK1 1 1  1\nx", "BK1 1 1 pp 1\nx",
	    "BK1 1 1 x 1\nx", "BK1 -1 1 p 1\nx", "BK1 1 -1 p 1\nx", "BK1 1 1 p -1\nx", "BK1 1 1 p 1 1\nx",
	    "BK1 1 1 p 1048577\nx", "BK1 1 1 p 99999999999999999999\nx", "BK1 a 1 p 1\nx", "BK1 1 1 p 1",
	    "bk1 1 1 p 1\nx", " BK1 1 1 p 1\nx",
	    "BK1 1111111111111111111111111111111111111111111111111111111111111111111111111111111111111 1 p 1\nx"};
	struct cache_record r;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(parse(wrong[i], &r), -1);
	assert_int_equal(cache_record_parse("BK1 1\0 1 p 1\nx", 14, &r), -1);
}

static void
check_corrupt(void *arg)
{
	static const struct cache_record wrong[] = {
	    {.form = CACHE_PLAIN, .raw_len = 4, .data = "hello", .len = 5},
	    {.form = CACHE_BASE64, .raw_len = 5, .data = "aGVsbG8", .len = 7},
	    {.form = CACHE_BASE64, .raw_len = 4, .data = "aGVsbG8=", .len = 8},
	    {.form = CACHE_BASE64, .raw_len = 5, .data = "aGVs?G8=", .len = 8},
	    {.form = CACHE_BASE64, .raw_len = 5, .data = "aGVsbG8=aGVsbG8=", .len = 16},
	    {.form = CACHE_COMPRESSED, .raw_len = 5, .data = "aGVsbG8=", .len = 8},
	    {.form = CACHE_COMPRESSED, .raw_len = 5, .data = "", .len = 0},
	    {.form = CACHE_NEGATIVE, .raw_len = 5, .data = "hello", .len = 5},
	    {.form = CACHE_PLAIN, .raw_len = CACHE_VALUE_MAX_BYTES + 1, .data = "hello", .len = 5},
	};
	struct buffer out = BUFFER_INIT(CACHE_FETCH_MAX_BYTES);

	(void)arg;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(cache_record_unpack(&wrong[i], &out), -1);
		assert_int_equal(out.len, 0);
	}
	buffer_free(&out);
}

static void
a_corrupt_record_gives_nothing(void **state)
{
	(void)state;
	in_fiber(check_corrupt, NULL);
}

/* 64 MiB of zeros in 64 KiB. */
static void
check_bomb(void *arg)
{
	const size_t bomb = (size_t)64 * 1024 * 1024;
	char *zeros = mem_alloc(bomb);
	uLongf size = compressBound((uLong)bomb);
	unsigned char *packed = mem_alloc(size);
	struct buffer out = BUFFER_INIT(CACHE_FETCH_MAX_BYTES);
	char *text;

	(void)arg;
	assert_int_equal(compress(packed, &size, (const Bytef *)zeros, (uLong)bomb), Z_OK);
	text = mem_alloc(sodium_base64_encoded_len(size, sodium_base64_VARIANT_ORIGINAL));
	sodium_bin2base64(text, sodium_base64_encoded_len(size, sodium_base64_VARIANT_ORIGINAL), packed, size,
	                  sodium_base64_VARIANT_ORIGINAL);
	for (size_t said = 0; said <= CACHE_VALUE_MAX_BYTES; said += CACHE_VALUE_MAX_BYTES / 4) {
		struct cache_record r = {
		    .form = CACHE_COMPRESSED, .raw_len = said, .data = text, .len = strlen(text)};

		assert_int_equal(cache_record_unpack(&r, &out), -1);
		assert_int_equal(out.cap, 0);
	}
	free(text);
	free(packed);
	free(zeros);
}

static void
a_bomb_is_not_unpacked(void **state)
{
	(void)state;
	in_fiber(check_bomb, NULL);
}

static void
failures_come_back_as_they_were(void **state)
{
	char text[CACHE_FAILURE_BYTES];
	struct err err, back;

	(void)state;
	for (enum err_code code = ERR_INVALID_REQUEST; code < ERR_CANCELLED; code++) {
		err_set(&err, code, "The provider said: \"%s\".", "no\nmore ümlauts");
		err.retry_after_secs = 17;
		cache_failure_print(&err, text, sizeof(text));
		cache_failure_parse(text, strlen(text), &back);
		assert_int_equal(back.code, code);
		assert_string_equal(back.message, err.message);
		assert_int_equal(back.retry_after_secs, 17);
	}
}

static void
a_failure_that_is_none_is_a_failure_of_the_upstream(void **state)
{
	static const char *const wrong[] = {"", "!", "! ", "!upstream_error", "!upstream_error x y", "token",
	                                    "!upstream_error -1 y", "!what 1 y\xff"};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cache_failure_parse(wrong[i], strlen(wrong[i]), &err);
		assert_int_equal(err.code, ERR_UPSTREAM);
		assert_true(err.message[0] != '\0');
	}
	cache_failure_parse("!cancelled 1 y", 14, &err);
	assert_int_equal(err.code, ERR_UPSTREAM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_come_back_as_they_were),
	    cmocka_unit_test(large_text_is_kept_small_and_bytes_as_text),
	    cmocka_unit_test(a_record_is_read_to_the_letter),
	    cmocka_unit_test(anything_else_is_no_record),
	    cmocka_unit_test(a_corrupt_record_gives_nothing),
	    cmocka_unit_test(a_bomb_is_not_unpacked),
	    cmocka_unit_test(failures_come_back_as_they_were),
	    cmocka_unit_test(a_failure_that_is_none_is_a_failure_of_the_upstream),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests_name("cache_record", tests, NULL, in_fiber_teardown);
}
