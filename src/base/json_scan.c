/* json_scan.c - see base/json_scan.h */
#include "base/json_scan.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"

struct cursor {
	const char *p;
	const char *end;
	unsigned depth;
	const char *start;
	struct json_facts *facts;       /* NULL: nobody asks */
	struct json_want *wants;
	size_t count;
	uint32_t initials;              /* of the wants' names, see initial_bit() */
};

static bool skip_value(struct cursor *c);

static bool
is_space(char x)
{
	return x <= ' ' && (x == ' ' || x == '\n' || x == '\t' || x == '\r');
}

/* Mostly there is none. */
static inline void
skip_space(struct cursor *c)
{
	while (c->p < c->end && is_space(*c->p))
		c->p++;
}

static inline bool
skip_char(struct cursor *c, char wanted)
{
	if (c->p == c->end || *c->p != wanted)
		return false;
	c->p++;
	return true;
}

static int
hex_value(char x)
{
	if (x >= '0' && x <= '9')
		return x - '0';
	x |= 0x20;
	return x >= 'a' && x <= 'f' ? x - 'a' + 10 : -1;
}

/* Four hex digits; -1 if there are none such. */
static int
skip_unit(struct cursor *c)
{
	int unit = 0;

	if (c->end - c->p < 4)
		return -1;
	for (int i = 0; i < 4; i++, c->p++) {
		int digit = hex_value(*c->p);

		if (digit == -1)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

static void
note_oddity(struct cursor *c, const char *what, const char *at)
{
	if (c->facts != NULL && c->facts->oddity == NULL) {
		c->facts->oddity = what;
		c->facts->oddity_at = (size_t)(at - c->start);
	}
}

/* After \u: one unit, or the two of a surrogate pair (RFC 8259, 7 and 8.2). */
static bool
skip_units(struct cursor *c)
{
	const char *at = c->p - 2;
	int unit = skip_unit(c);

	if (unit == 0)
		note_oddity(c, "a NUL character", at);
	else if (unit >= 0xDC00 && unit <= 0xDFFF)
		note_oddity(c, "half a surrogate pair", at);
	if (unit < 0xD800 || unit > 0xDBFF)
		return unit != -1;
	if (c->end - c->p < 2 || c->p[0] != '\\' || c->p[1] != 'u') {
		note_oddity(c, "half a surrogate pair", at);
		return true;
	}
	c->p += 2;
	unit = skip_unit(c);
	if (unit < 0xDC00 || unit > 0xDFFF)
		note_oddity(c, "half a surrogate pair", at);
	return unit != -1;
}

/* What follows a backslash. */
static bool
skip_escape(struct cursor *c)
{
	if (c->p == c->end)
		return false;
	if (*c->p == 'u') {
		c->p++;
		return skip_units(c);
	}
	return memchr("\"\\/bfnrt", *c->p++, 8) != NULL;
}

/* Bytes that do not stand for themselves within a string. */
static const bool special[256] = {[0 ... 0x1F] = true, ['"'] = true, ['\\'] = true};

#define EACH_BYTE(x) (UINT64_C(0x0101010101010101) * (x))

/* The top bit of each byte of `eight` that is 0, and perhaps of those above the lowest such one:
   https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord */
static inline uint64_t
zero_bytes(uint64_t eight)
{
	return (eight - EACH_BYTE(0x01)) & ~eight & EACH_BYTE(0x80);
}

/* The first special byte, or the end: eight bytes at a time. */
static inline const char *
find_special(const char *p, const char *end)
{
	while (end - p >= 8) {
		uint64_t eight, found;

		memcpy(&eight, p, sizeof(eight));
		eight = le64toh(eight);         /* the first byte is the lowest */
		found = zero_bytes(eight ^ EACH_BYTE('"')) | zero_bytes(eight ^ EACH_BYTE('\\')) |
		        ((eight - EACH_BYTE(0x20)) & ~eight & EACH_BYTE(0x80));
		if (found != 0)
			return p + __builtin_ctzll(found) / 8;
		p += 8;
	}
	while (p < end && !special[(unsigned char)*p])
		p++;
	return p;
}

static bool
skip_string(struct cursor *c)
{
	if (!skip_char(c, '"'))
		return false;
	for (;;) {
		const char *p = find_special(c->p, c->end), *end = c->end;

		c->p = p;
		if (p == end || (unsigned char)*p < 0x20)
			return false;
		c->p++;
		if (*p == '"')
			return true;
		if (!skip_escape(c))
			return false;
	}
}

static bool
skip_digits(struct cursor *c)
{
	const char *start = c->p;

	while (c->p < c->end && *c->p >= '0' && *c->p <= '9')
		c->p++;
	return c->p > start;
}

/* RFC 8259, 6 */
static bool
skip_number(struct cursor *c)
{
	(void)skip_char(c, '-');
	if (!skip_char(c, '0') && !skip_digits(c))
		return false;
	if (skip_char(c, '.') && !skip_digits(c))
		return false;
	if (c->p < c->end && (*c->p | 0x20) == 'e') {
		c->p++;
		if (!skip_char(c, '+'))
			(void)skip_char(c, '-');
		return skip_digits(c);
	}
	return true;
}

static bool
skip_word(struct cursor *c, const char *word, size_t len)
{
	if ((size_t)(c->end - c->p) < len || memcmp(c->p, word, len) != 0)
		return false;
	c->p += len;
	return true;
}

static bool
skip_array(struct cursor *c)
{
	c->p++;
	skip_space(c);
	if (skip_char(c, ']'))
		return true;
	do {
		if (!skip_value(c))
			return false;
	} while (skip_char(c, ','));
	return skip_char(c, ']');
}

static uint32_t
initial_bit(char letter)
{
	return UINT32_C(1) << (letter & 31);
}

static inline void
note_member(struct cursor *c, bool outermost, struct json_slice name, struct json_slice value)
{
	/* mostly the first letter tells */
	if ((c->initials & initial_bit(name.text[0])) == 0)
		return;
	for (size_t i = 0; i < c->count; i++) {
		struct json_want *want = &c->wants[i];

		if (want->name[0] != name.text[0] || (!outermost && !want->anywhere))
			continue;
		if (strncmp(want->name, name.text, name.len) == 0 &&
		    want->name[name.len] == '\0' && (want->value.len == 0 || json_slice_given(value)))
			want->value = value;
	}
}

static struct json_slice
slice(const char *from, const char *to)
{
	return (struct json_slice){from, (size_t)(to - from)};
}

/* The value, without the white space around it. */
static bool
skip_trimmed(struct cursor *c, struct json_slice *value_r)
{
	const char *last;

	skip_space(c);
	value_r->text = c->p;
	if (!skip_value(c))
		return false;
	last = c->p;
	while (is_space(last[-1]))
		last--;
	value_r->len = (size_t)(last - value_r->text);
	return true;
}

static bool
skip_object(struct cursor *c)
{
	bool outermost = c->depth == 1;

	c->p++;
	skip_space(c);
	if (skip_char(c, '}'))
		return true;
	do {
		struct json_slice name, value;

		skip_space(c);
		name.text = c->p + 1;
		if (!skip_string(c))
			return false;
		name = slice(name.text, c->p - 1);
		skip_space(c);
		if (!skip_char(c, ':') || !skip_trimmed(c, &value))
			return false;
		note_member(c, outermost, name, value);
		if (c->facts != NULL)
			c->facts->members++;
	} while (skip_char(c, ','));
	return skip_char(c, '}');
}

/* A value and the white space around it. */
static bool
skip_value(struct cursor *c)
{
	bool ok = false;

	skip_space(c);
	if (c->p == c->end || c->depth == JSON_SCAN_DEPTH_MAX)
		return false;
	c->depth++;
	switch (*c->p) {
	case '{':
		ok = skip_object(c);
		break;
	case '[':
		ok = skip_array(c);
		break;
	case '"':
		ok = skip_string(c);
		break;
	case 't':
		ok = skip_word(c, "true", 4);
		break;
	case 'f':
		ok = skip_word(c, "false", 5);
		break;
	case 'n':
		ok = skip_word(c, "null", 4);
		break;
	default:
		ok = skip_number(c);
		break;
	}
	c->depth--;
	skip_space(c);
	return ok;
}

int
json_scan_object(struct json_slice text, struct json_want *wants, size_t count)
{
	struct cursor c = {
	    .p = text.text, .end = text.text + text.len, .depth = 1, .wants = wants, .count = count};
	bool ok;

	for (size_t i = 0; i < count; i++) {
		wants[i].value = (struct json_slice){0};
		c.initials |= initial_bit(wants[i].name[0]);
	}
	if (!text_is_utf8(text.text, text.len))
		return -1;
	skip_space(&c);
	ok = c.p < c.end && *c.p == '{' && skip_object(&c);
	skip_space(&c);
	if (ok && c.p == c.end)
		return 0;
	for (size_t i = 0; i < count; i++)
		wants[i].value = (struct json_slice){0};
	return -1;
}

bool
json_scan_check(struct json_slice text, struct json_facts *facts)
{
	struct cursor c = {.p = text.text, .end = text.text + text.len, .start = text.text, .facts = facts};
	bool ok;

	*facts = (struct json_facts){.stopped = text_valid_utf8(text.text, text.len)};
	if (facts->stopped < text.len)
		return false;
	ok = skip_value(&c);
	facts->stopped = (size_t)(c.p - text.text);
	return ok && c.p == c.end;
}

size_t
json_scan_scalar(struct json_slice text)
{
	struct cursor c;
	size_t len;

	if (text.len == 0)
		return 0;
	c = (struct cursor){.p = text.text, .end = text.text + text.len};
	if (!(*text.text == '"' ? skip_string(&c) : skip_number(&c)))
		return 0;
	len = (size_t)(c.p - text.text);
	return text_is_utf8(text.text, len) ? len : 0;
}

bool
json_scan_next(struct json_slice *rest, struct json_slice *element_r)
{
	struct cursor c = {.p = rest->text, .end = rest->text + rest->len};

	/* the bracket, or the comma that the last element left */
	if (c.p == c.end || (*c.p != '[' && *c.p != ','))
		return false;
	c.p++;
	if (!skip_trimmed(&c, element_r))
		return false;
	*rest = slice(c.p, c.end);
	return true;
}

bool
json_slice_given(struct json_slice value)
{
	return value.len > 0 && !(value.len == 4 && memcmp(value.text, "null", 4) == 0);
}
