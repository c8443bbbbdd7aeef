/* test_upload_name.c - names that can be shown, whatever a client sent */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/upload_name.h"

static void
assert_clean(const char *sent, const char *expected)
{
	char name[UPLOAD_NAME_BYTES];

	upload_name_clean(sent, name);
	assert_string_equal(name, expected);
}

static void
good_names_stay(void **state)
{
	(void)state;
	assert_clean("report.pdf", "report.pdf");
	assert_clean("Raporo y'umwaka wa 2025.docx", "Raporo y'umwaka wa 2025.docx");
	assert_clean("d\xC3\xA9j\xC3\xA0 vu \xF0\x9F\x98\x80.png", "d\xC3\xA9j\xC3\xA0 vu \xF0\x9F\x98\x80.png");
	assert_clean("'; drop table uploads; --.txt", "'; drop table uploads; --.txt");
	assert_clean(".gitignore", ".gitignore");
}

static void
directories_go(void **state)
{
	(void)state;
	assert_clean("../../etc/passwd", "passwd");
	assert_clean("C:\\fakepath\\x.pdf", "x.pdf");
	assert_clean("/", "file");
	assert_clean("..", "file");
	assert_clean("../..", "file");
	assert_clean("a/..\\.", "file");
}

static void
what_hides_or_breaks_goes(void **state)
{
	(void)state;
	assert_clean("a\r\nSet-Cookie: x\x1b[31m\x7f.txt", "aSet-Cookie: x[31m.txt");
	assert_clean("x\xE2\x80\xAEgpj.exe", "xgpj.exe");
	assert_clean("x\xC2\x85y\xC2\xA0z", "xy\xC2\xA0z");
	assert_clean("\xEF\xBB\xBFx", "x");
	assert_clean("  x . ", "x");
	assert_clean("", "file");
	assert_clean("\x01\x02", "file");
	assert_clean("a\xFF\xC3(\xED\xA0\x80", "a\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
	assert_clean("cut\xE2\x82", "cut\xEF\xBF\xBD\xEF\xBF\xBD");
}

static void
long_names_lose_their_middle(void **state)
{
	char sent[2000], name[UPLOAD_NAME_BYTES];

	(void)state;
	memset(sent, 'a', sizeof(sent));
	memcpy(sent + sizeof(sent) - 6, ".docx", 6);
	upload_name_clean(sent, name);
	assert_int_equal(strlen(name), UPLOAD_NAME_BYTES - 1);
	assert_string_equal(name + UPLOAD_NAME_BYTES - 6, ".docx");
	for (size_t i = 0; i + 2 < sizeof(sent); i += 2)
		memcpy(sent + i, "\xC3\xA9", 3);
	upload_name_clean(sent, name);
	assert_true(strlen(name) >= UPLOAD_NAME_BYTES - 2);
	assert_true(text_is_utf8(name, strlen(name)));
	memset(sent, '.', sizeof(sent) - 1);
	sent[sizeof(sent) - 1] = '\0';
	upload_name_clean(sent, name);
	assert_string_equal(name, "file");
	/* all that is kept are dots: what follows the last is too long for a suffix */
	memset(sent + sizeof(sent) - 21, 'x', 20);
	upload_name_clean(sent, name);
	assert_string_equal(name, "file");
}

static void
the_disposition_can_be_sent_whatever_the_name(void **state)
{
	char value[UPLOAD_DISPOSITION_BYTES], name[UPLOAD_NAME_BYTES];

	(void)state;
	upload_name_disposition("a\"b\\c%d \xC3\xA9;.txt", value);
	assert_string_equal(value, "attachment; filename=\"a_b_c_d _;.txt\"; "
	                           "filename*=UTF-8''a%22b%5Cc%25d%20%C3%A9%3B.txt");
	memset(name, '%', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	upload_name_disposition(name, value);
	assert_int_equal(strlen(value), strlen("attachment; filename=\"\"; filename*=UTF-8''") + 255 * 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_names_stay),
	    cmocka_unit_test(directories_go),
	    cmocka_unit_test(what_hides_or_breaks_goes),
	    cmocka_unit_test(long_names_lose_their_middle),
	    cmocka_unit_test(the_disposition_can_be_sent_whatever_the_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
