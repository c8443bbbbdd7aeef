/* test_multipart.c - parts come out the same however the bytes are cut */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "http/multipart.h"

#define TYPE "multipart/form-data; boundary=XyZ"
#define HEAD "Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n"

/* What was read, as text: "[name|filename]" begins a part, "]" ends it, "." is the end, "!" is a fault. */
struct reading {
	struct buffer text;
	struct multipart m;
	enum multipart_event last;
};

static void
note(struct reading *r, const char *text)
{
	assert_int_equal(buffer_append_text(&r->text, text), 0);
}

static void
note_event(struct reading *r, enum multipart_event event, const char *data, size_t len)
{
	switch (event) {
	case MULTIPART_PART:
		note(r, "[");
		note(r, r->m.name);
		note(r, "|");
		note(r, r->m.filename != NULL ? r->m.filename : "-");
		note(r, ":");
		break;
	case MULTIPART_DATA:
		assert_true(len > 0);
		assert_int_equal(buffer_append(&r->text, data, len), 0);
		break;
	case MULTIPART_PART_END:
		note(r, "]");
		break;
	case MULTIPART_END:
		note(r, r->last == MULTIPART_END ? "" : ".");
		break;
	case MULTIPART_BAD:
		note(r, r->last == MULTIPART_BAD ? "" : "!");
		break;
	case MULTIPART_MORE:
		break;
	}
	r->last = event;
}

/* From memory of its own, so that valgrind and ASan see who reads past its end. */
static void
feed(struct reading *r, const char *bytes, size_t len)
{
	char *piece = malloc(len > 0 ? len : 1);
	size_t done = 0;

	assert_non_null(piece);
	memcpy(piece, bytes, len);
	do {
		const char *data;
		size_t used, data_len;
		enum multipart_event event = multipart_feed(&r->m, piece + done, len - done, &used, &data, &data_len);

		assert_true(used <= len - done);
		note_event(r, event, data, data_len);
		done += used;
	} while (done < len);
	free(piece);
}

static void
begin(struct reading *r, const char *type)
{
	struct err err;

	memset(r, 0, sizeof(*r));
	r->text.max = (size_t)1024 * 1024;
	assert_int_equal(multipart_init(&r->m, type, &err), 0);
}

static void
end(struct reading *r)
{
	multipart_free(&r->m);
	buffer_free(&r->text);
}

/* The same at every split into two, and byte by byte. */
static void
assert_reads(const char *type, const char *body, size_t len, const char *expected)
{
	struct reading r;

	for (size_t cut = 0; cut <= len; cut++) {
		begin(&r, type);
		feed(&r, body, cut);
		feed(&r, body + cut, len - cut);
		assert_string_equal(r.text.data != NULL ? r.text.data : "", expected);
		end(&r);
	}
	begin(&r, type);
	for (size_t i = 0; i < len; i++)
		feed(&r, body + i, 1);
	assert_string_equal(r.text.data != NULL ? r.text.data : "", expected);
	end(&r);
}

#define READS(body, expected) assert_reads(TYPE, body, sizeof(body) - 1, expected)

static void
parts_come_out_at_every_split(void **state)
{
	(void)state;
	READS("--XyZ\r\n" HEAD "Content-Type: text/plain\r\n\r\nHello\r\n--XyZ--\r\n", "[file|a.txt:Hello].");
	READS("--XyZ\r\n" HEAD "\r\none\r\n--XyZ\r\n" HEAD "\r\ntwo\r\n--XyZ--", "[file|a.txt:one][file|a.txt:two].");
	READS("--XyZ\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--XyZ--", "[x|-:1].");
	READS("--XyZ\r\n" HEAD "\r\n\r\n--XyZ--", "[file|a.txt:].");
	READS("--XyZ \t \r\n" HEAD "\r\nx\r\n--XyZ--", "[file|a.txt:x].");
	READS("--XyZ--", ".");
}

static void
what_nearly_is_a_delimiter_is_data(void **state)
{
	(void)state;
	READS("--XyZ\r\n" HEAD "\r\n\r\r\n--Xy\r\n-\r\n\r\n--XyY--XyZ\n--XyZ\r\n--XyZ--",
	      "[file|a.txt:\r\r\n--Xy\r\n-\r\n\r\n--XyY--XyZ\n--XyZ].");
}

static void
what_stands_before_and_after_counts_for_nothing(void **state)
{
	(void)state;
	READS("Dear reader\r\n--XyZ\r\n" HEAD "\r\nx\r\n--XyZ--\r\n--XyZ\r\nrest", "[file|a.txt:x].");
}

static void
a_boundary_within_a_part_of_another_is_data(void **state)
{
	(void)state;
	READS("--XyZ\r\n" HEAD "Content-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\n\r\nx\r\n--in--\r\n--XyZ--",
	      "[file|a.txt:--in\r\n\r\nx\r\n--in--].");
}

static void
file_names_are_read_as_browsers_write_them(void **state)
{
	(void)state;
#define NAMED(as) "--XyZ\r\nContent-Disposition: form-data; name=\"f\"; filename=" as "\r\n\r\n\r\n--XyZ--"
	READS(NAMED("\"a%22b%0d%0A.txt\""), "[f|a\"b\r\n.txt:].");
	READS(NAMED("\"a\\\"b\\\\c\\d\""), "[f|a\"b\\c\\d:].");
	READS(NAMED("\"C:\\fakepath\\x.pdf\""), "[f|C:\\fakepath\\x.pdf:].");
	READS(NAMED("\"../../etc/passwd\""), "[f|../../etc/passwd:].");
	READS(NAMED("\"a;b=c\""), "[f|a;b=c:].");
	READS(NAMED("plain.txt"), "[f|plain.txt:].");
	READS(NAMED("\"\""), "[f|:].");
	READS(NAMED("\"100%.txt\"; filename*=UTF-8''other"), "[f|100%.txt:].");
#undef NAMED
}

static void
malformed_bodies_are_refused(void **state)
{
	(void)state;
	READS("--XyZ\n" HEAD "\r\nx\r\n--XyZ--", "!");
	READS("--XyZquux\r\n" HEAD "\r\nx\r\n--XyZ--", "!");
	READS("--XyZ-\r\n" HEAD "\r\nx", "!");
	READS("--XyZ\r\nContent-Type: text/plain\r\n\r\nx\r\n--XyZ--", "!");
	READS("--XyZ\r\n\r\nx\r\n--XyZ--", "!");
	READS("--XyZ\r\n" HEAD HEAD "\r\nx", "!");
	READS("--XyZ\r\nno header\r\n\r\nx", "!");
	READS("--XyZ\r\n" HEAD " folded\r\n\r\nx", "!");
	READS("--XyZ\r\nA: b\n\r\n", "!");
	READS("--XyZ\r\nContent-Disposition: attachment; name=x\r\n\r\nx", "!");
	READS("--XyZ\r\nA: \0\r\n\r\n", "!");
	READS("--XyZ\r\n" HEAD "\r\nx\r\n--XyZ, more", "[file|a.txt:x]!");
}

static void
a_body_that_breaks_off_is_not_complete(void **state)
{
	static const char body[] = "--XyZ\r\n" HEAD "\r\nHello\r\n--XyZ--";
	struct reading r;

	(void)state;
	for (size_t len = 0; len < sizeof(body); len++) {
		begin(&r, TYPE);
		feed(&r, body, len);
		assert_int_equal(multipart_complete(&r.m), len == sizeof(body) - 1);
		end(&r);
	}
}

/* Feed `count` times `text`; the last event. */
static enum multipart_event
feed_many(struct reading *r, const char *text, int count)
{
	while (count-- > 0 && r->last != MULTIPART_BAD)
		feed(r, text, strlen(text));
	return r->last;
}

static void
what_never_ends_is_refused_within_bounds(void **state)
{
	struct reading r;

	(void)state;
	begin(&r, TYPE);
	assert_int_equal(feed_many(&r, "no boundary here\r\n", 10000), MULTIPART_BAD);
	end(&r);
	begin(&r, TYPE);
	feed(&r, "--XyZ\r\n", 7);
	assert_int_equal(feed_many(&r, "X-More: headers\r\n", 10000), MULTIPART_BAD);
	assert_true(r.m.headers.len <= MULTIPART_HEADERS_MAX_BYTES);
	end(&r);
	begin(&r, TYPE);
	feed(&r, "--XyZ", 5);
	assert_int_equal(feed_many(&r, "    ", 10000), MULTIPART_BAD);
	end(&r);
	begin(&r, TYPE);
	feed(&r, "--XyZ\r\n" HEAD "\r\n", sizeof("--XyZ\r\n" HEAD "\r\n") - 1);
	assert_int_equal(feed_many(&r, "\r\n--XyZ\r\n" HEAD "\r\n", 10000), MULTIPART_BAD);
	assert_true(r.m.parts <= MULTIPART_PARTS_MAX + 1);
	end(&r);
}

static void
a_boundary_that_never_ends_is_data(void **state)
{
	struct reading r;

	(void)state;
	begin(&r, TYPE);
	feed(&r, "--XyZ\r\n" HEAD "\r\n", sizeof("--XyZ\r\n" HEAD "\r\n") - 1);
	feed_many(&r, "\r\n--Xy", 10000);
	assert_int_equal(r.text.len, sizeof("[file|a.txt:") - 1 + 9999 * 6);
	end(&r);
}

static void
only_forms_with_one_good_boundary_are_taken(void **state)
{
	static const struct {
		const char *type;
		enum err_code code;
	} cases[] = {
	    {"", ERR_UNSUPPORTED_MEDIA_TYPE},
	    {"application/json", ERR_UNSUPPORTED_MEDIA_TYPE},
	    {"multipart/form-database; boundary=x", ERR_UNSUPPORTED_MEDIA_TYPE},
	    {"multipart/mixed; boundary=x", ERR_UNSUPPORTED_MEDIA_TYPE},
	    {"multipart/form-data", ERR_INVALID_REQUEST},
	    {"multipart/form-data; boundary=", ERR_INVALID_REQUEST},
	    {"multipart/form-data; boundary=\"\"", ERR_INVALID_REQUEST},
	    {"multipart/form-data; boundary=\"x", ERR_INVALID_REQUEST},
	    {"multipart/form-data; boundary=\"x \"", ERR_INVALID_REQUEST},
	    {"multipart/form-data; boundary=\"a\nb\"", ERR_INVALID_REQUEST},
	    {"multipart/form-data; boundary=a; boundary=b", ERR_INVALID_REQUEST},
	    {"multipart/form-data; boundary=aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg1",
	     ERR_INVALID_REQUEST},
	};
	struct multipart m;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(multipart_init(&m, cases[i].type, &err), -1);
		assert_int_equal(err.code, cases[i].code);
	}
	assert_int_equal(multipart_init(&m, "Multipart/Form-Data; charset=utf-8; BOUNDARY=\"a 'b\"", &err), 0);
	assert_string_equal(m.delimiter, "\r\n--a 'b");
}

static void
the_longest_boundary_works(void **state)
{
	static const char type[] = "multipart/form-data; "
	                           "boundary=aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg";
	static const char body[] = "--aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg\r\n" HEAD
	                           "\r\nx\r\n--aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg--";

	(void)state;
	assert_reads(type, body, sizeof(body) - 1, "[file|a.txt:x].");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parts_come_out_at_every_split),
	    cmocka_unit_test(what_nearly_is_a_delimiter_is_data),
	    cmocka_unit_test(what_stands_before_and_after_counts_for_nothing),
	    cmocka_unit_test(a_boundary_within_a_part_of_another_is_data),
	    cmocka_unit_test(file_names_are_read_as_browsers_write_them),
	    cmocka_unit_test(malformed_bodies_are_refused),
	    cmocka_unit_test(a_body_that_breaks_off_is_not_complete),
	    cmocka_unit_test(what_never_ends_is_refused_within_bounds),
	    cmocka_unit_test(a_boundary_that_never_ends_is_data),
	    cmocka_unit_test(only_forms_with_one_good_boundary_are_taken),
	    cmocka_unit_test(the_longest_boundary_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
