/*
 * fuzz_upload_name.c - the name of a file, as a client sends it.
 *
 * What is shown is UTF-8, not empty, has no directory, no control character and no mark that turns the direction of
 * writing, and is the same when it is cleaned again; as a header it is one line of ASCII with one quoted string.
 */
#include <string.h>

#include "base/text.h"
#include "fuzz.h"
#include "store/upload_name.h"

static const char *const hidden[] = {"\xE2\x80\x8E", "\xE2\x80\x8F", "\xE2\x80\xAA", "\xE2\x80\xAB", "\xE2\x80\xAC",
                                     "\xE2\x80\xAD", "\xE2\x80\xAE", "\xE2\x81\xA6", "\xE2\x81\xA7", "\xE2\x81\xA8",
                                     "\xE2\x81\xA9", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xEF\xBB\xBF"};

static void
check_shown(const char *name)
{
	char again[UPLOAD_NAME_BYTES];

	REQUIRE(*name != '\0' && strlen(name) < UPLOAD_NAME_BYTES);
	REQUIRE(text_is_utf8(name, strlen(name)));
	REQUIRE(strpbrk(name, "/\\") == NULL);
	for (const char *p = name; *p != '\0'; p++)
		REQUIRE((unsigned char)*p >= 0x20 && *p != 0x7F);
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		REQUIRE(strstr(name, hidden[i]) == NULL);
	REQUIRE(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
	upload_name_clean(name, again);
	REQUIRE(strcmp(name, again) == 0);
}

static void
check_header(const char *name)
{
	char value[UPLOAD_DISPOSITION_BYTES], *quoted, *end;

	upload_name_disposition(name, value);
	for (const char *p = value; *p != '\0'; p++)
		REQUIRE(*p >= 0x20 && *p < 0x7F);
	quoted = strchr(value, '"');
	REQUIRE(quoted != NULL);
	end = strchr(quoted + 1, '"');
	REQUIRE(end != NULL && strchr(end + 1, '"') == NULL);
	REQUIRE(memchr(quoted, '\\', (size_t)(end - quoted)) == NULL);
	end = strstr(end, "''");
	REQUIRE(end != NULL && text_percent_decode(end) == 0 && strcmp(end + 2, name) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[UPLOAD_NAME_BYTES], *sent;

	if (size > 2048)
		return 0;
	sent = calloc(1, size + 1);
	REQUIRE(sent != NULL);
	if (size > 0)
		memcpy(sent, data, size);
	upload_name_clean(sent, name);
	check_shown(name);
	check_header(name);
	free(sent);
	return 0;
}
