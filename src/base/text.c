/* text.c - see base/text.h */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

uint32_t
text_hash(const char *text, uint32_t seed)
{
	uint32_t hash = 2166136261U ^ seed;

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619U;
	return hash;
}

/* How many bytes the UTF-8 sequence that starts with `lead` has; 0 if none starts so. */
static size_t
sequence_length(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xC2 && lead <= 0xDF)
		return 2;
	if (lead >= 0xE0 && lead <= 0xEF)
		return 3;
	if (lead >= 0xF0 && lead <= 0xF4)
		return 4;
	return 0;
}

void
text_trim_partial_utf8(char *text)
{
	size_t len = strlen(text);

	for (size_t back = 1; back <= 3 && back <= len; back++) {
		unsigned char c = (unsigned char)text[len - back];

		if (c < 0x80)
			return;
		if (c >= 0xC0) {
			if (sequence_length(c) > back)
				text[len - back] = '\0';
			return;
		}
	}
}

bool
text_copy(char *dst, size_t size, const char *src)
{
	size_t len = strlen(src);
	bool whole = len < size;

	if (!whole)
		len = size - 1;
	memcpy(dst, src, len);
	dst[len] = '\0';
	if (!whole)
		text_trim_partial_utf8(dst);
	return whole;
}

/* The second byte has a narrower range after some leads: RFC 3629, section 4. */
static bool
second_byte_fits(unsigned char lead, unsigned char second)
{
	switch (lead) {
	case 0xE0:
		return second >= 0xA0;
	case 0xED:
		return second <= 0x9F;
	case 0xF0:
		return second >= 0x90;
	case 0xF4:
		return second <= 0x8F;
	default:
		return true;
	}
}

/* Past all ASCII, eight bytes at a time. */
static const unsigned char *
skip_ascii(const unsigned char *p, const unsigned char *end)
{
	while ((size_t)(end - p) >= sizeof(uint64_t)) {
		uint64_t eight;

		memcpy(&eight, p, sizeof(eight));
		if (eight & UINT64_C(0x8080808080808080))
			break;
		p += sizeof(eight);
	}
	while (p < end && *p < 0x80)
		p++;
	return p;
}

size_t
text_valid_utf8(const char *data, size_t len)
{
	const unsigned char *start = (const unsigned char *)data;
	const unsigned char *p = start;
	const unsigned char *end = p + len;

	while (p < end) {
		size_t n;

		p = skip_ascii(p, end);
		if (p == end)
			break;
		n = sequence_length(*p);
		if (n == 0 || n > (size_t)(end - p) || !second_byte_fits(p[0], p[1]))
			break;
		for (size_t i = 1; i < n; i++)
			if ((p[i] & 0xC0) != 0x80)
				return (size_t)(p - start);
		p += n;
	}
	return (size_t)(p - start);
}

bool
text_is_utf8(const char *data, size_t len)
{
	return text_valid_utf8(data, len) == len;
}

int
text_to_int64(const char *text, int64_t min, int64_t max, int64_t *value_r)
{
	char *end;
	long long value;

	if (!isdigit((unsigned char)text[0]) && text[0] != '-')
		return -1;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < min || value > max)
		return -1;
	*value_r = value;
	return 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
text_percent_decode(char *text)
{
	char *out = text;

	for (const char *in = text; *in != '\0'; in++) {
		if (*in != '%') {
			*out++ = *in;
			continue;
		}
		int high = hex_digit(in[1]);
		int low = high < 0 ? -1 : hex_digit(in[2]);

		if (low < 0 || (high == 0 && low == 0))
			return -1;
		*out++ = (char)(high << 4 | low);
		in += 2;
	}
	*out = '\0';
	return 0;
}

bool
text_list_has(const char *list, const char *name)
{
	size_t want = strlen(name);

	while (*list != '\0') {
		list += strspn(list, ", \t");
		size_t len = strcspn(list, ",");
		size_t bare = len;

		while (bare > 0 && isspace((unsigned char)list[bare - 1]))
			bare--;
		if (bare == want && want > 0 && memcmp(list, name, want) == 0)
			return true;
		list += len;
	}
	return false;
}

bool
text_has_prefix_nocase(const char *text, const char *prefix)
{
	return strncasecmp(text, prefix, strlen(prefix)) == 0;
}
