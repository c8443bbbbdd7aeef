/*
 * fuzz_text.c - the helpers on text that see what comes from outside.
 *
 * UTF-8 is judged as a decoder by the letter of RFC 3629 judges it; cutting leaves
 * whole characters; decoding %XX undoes encoding and never leaves a NUL.
 */
#include <string.h>

#include "base/text.h"
#include "fuzz.h"

/* The length of the character at `p`, or 0: RFC 3629, 3 and 4, by its value. */
static size_t
decode(const uint8_t *p, size_t len)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
	uint32_t value;

	if (n <= 1 || n > len)
		return n <= 1 ? n : 0;
	value = p[0] & (0x7Fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		value = value << 6 | (p[i] & 0x3Fu);
	}
	return value >= least[n] && value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF) ? n : 0;
}

static void
check_utf8(const uint8_t *data, size_t size)
{
	size_t at = 0, n;

	while (at < size && (n = decode(data + at, size - at)) > 0)
		at += n;
	REQUIRE(text_valid_utf8((const char *)data, size) == at);
	REQUIRE(text_is_utf8((const char *)data, size) == (at == size));
}

static void
check_cut(const char *text, size_t room)
{
	char *copy = malloc(room);
	bool whole;

	REQUIRE(copy != NULL);
	whole = text_copy(copy, room, text);
	REQUIRE(strlen(copy) < room);
	REQUIRE(strncmp(copy, text, strlen(copy)) == 0);
	REQUIRE(whole == (strcmp(copy, text) == 0));
	if (text_is_utf8(text, strlen(text))) {
		REQUIRE(text_is_utf8(copy, strlen(copy)));
		REQUIRE(whole || room - strlen(copy) <= 4);     /* no more is lost than a character */
	}
	free(copy);
}

static void
check_decode(const char *text)
{
	size_t len = strlen(text);
	char *encoded = malloc(3 * len + 1), *plain = strdup(text);

	REQUIRE(encoded != NULL && plain != NULL);
	encoded[0] = '\0';
	for (size_t i = 0; i < len; i++)
		snprintf(encoded + 3 * i, 4, i % 2 == 0 ? "%%%02X" : "%%%02x", (unsigned char)text[i]);
	REQUIRE(text_percent_decode(encoded) == 0);
	REQUIRE(strcmp(encoded, text) == 0);
	if (text_percent_decode(plain) == 0) {
		REQUIRE(strlen(plain) <= len);
		REQUIRE(strchr(text, '%') != NULL || strcmp(plain, text) == 0);
	} else {
		REQUIRE(strchr(text, '%') != NULL);
	}
	free(encoded);
	free(plain);
}

static void
check_number(const char *text)
{
	int64_t value;
	char again[32];

	if (text_to_int64(text, -1000000, INT64_MAX, &value) == -1)
		return;
	REQUIRE(value >= -1000000);
	snprintf(again, sizeof(again), "%lld", (long long)value);
	REQUIRE(text_to_int64(again, value, value, &value) == 0);
	REQUIRE(strspn(text, "-0123456789") == strlen(text));
}

/* Each entry of a list is in it; those with white space inside aside. */
static void
check_list(const char *text)
{
	char *copy = strdup(text), *rest = copy, *entry;

	REQUIRE(copy != NULL);
	while ((entry = strsep(&rest, ",")) != NULL) {
		size_t len;

		entry += strspn(entry, " \t");
		len = strcspn(entry, " \t\n\v\f\r");
		if (len > 0 && strspn(entry + len, " \t") == strlen(entry + len)) {
			entry[len] = '\0';
			REQUIRE(text_list_has(text, entry));
		}
	}
	REQUIRE(!text_list_has(text, ""));
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0 || size > 4096)
		return 0;
	check_utf8(data + 1, size - 1);
	text = malloc(size);
	REQUIRE(text != NULL);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	check_cut(text, 1 + data[0]);
	check_decode(text);
	check_number(text);
	check_list(text);
	free(text);
	return 0;
}
