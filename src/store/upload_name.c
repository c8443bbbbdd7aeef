/* upload_name.c - see store/upload_name.h */
#include "store/upload_name.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"

/* What a suffix may take of a name that is cut. */
#define SUFFIX_MAX_BYTES 16

/* Bytes of the UTF-8 sequence at `p`, which has at least one byte; 0 if it is none. */
static size_t
sequence_len(const char *p, size_t left)
{
	size_t len = (unsigned char)*p < 0x80 ? 1 : (unsigned char)*p < 0xE0 ? 2 : (unsigned char)*p < 0xF0 ? 3 : 4;

	return len <= left && text_is_utf8(p, len) ? len : 0;
}

/* Control characters (C0, C1, DEL), and those that make "exe.fdp" be shown as "pdf.exe": U+200E, U+200F,
   U+202A to U+202E, U+2066 to U+2069; line and paragraph separators; the byte order mark. */
static bool
is_hidden(const char *p, size_t len)
{
	const unsigned char *b = (const unsigned char *)p;

	if (len == 1)
		return b[0] < 0x20 || b[0] == 0x7F;
	if (len == 2)
		return b[0] == 0xC2 && b[1] < 0xA0;
	if (len != 3)
		return false;
	if (b[0] == 0xE2 && b[1] == 0x80)
		return b[2] == 0x8E || b[2] == 0x8F || (b[2] >= 0xA8 && b[2] <= 0xAE);
	if (b[0] == 0xE2 && b[1] == 0x81)
		return b[2] >= 0xA6 && b[2] <= 0xA9;
	return b[0] == 0xEF && b[1] == 0xBB && b[2] == 0xBF;
}

/* Blanks and dots at the end, which some systems drop. */
static size_t
len_without_end(const char *name, size_t len)
{
	while (len > 0 && (name[len - 1] == ' ' || name[len - 1] == '.'))
		len--;
	return len;
}

/* Copy the name; the middle of one that is too long is left out. */
static void
shorten(const char *name, size_t len, char name_r[UPLOAD_NAME_BYTES])
{
	const char *dot = strrchr(name, '.');
	size_t suffix = dot != NULL ? len - (size_t)(dot - name) : 0;
	char stem[UPLOAD_NAME_BYTES];

	if (text_copy(name_r, UPLOAD_NAME_BYTES, name))
		return;
	if (suffix > SUFFIX_MAX_BYTES)
		suffix = 0;
	text_copy(stem, sizeof(stem) - suffix, name);
	snprintf(name_r, UPLOAD_NAME_BYTES, "%s%s", stem, name + len - suffix);
	name_r[len_without_end(name_r, strlen(name_r))] = '\0';
}

void
upload_name_clean(const char *sent, char name_r[UPLOAD_NAME_BYTES])
{
	struct buffer clean = BUFFER_INIT(strlen(sent) * 3 + 1);
	const char *base = sent;
	size_t left, len;

	for (const char *p = sent; *p != '\0'; p++)
		if (*p == '/' || *p == '\\')
			base = p + 1;
	for (left = strlen(base); left > 0; base += len, left -= len) {
		size_t whole = sequence_len(base, left);

		len = whole > 0 ? whole : 1;
		if (whole == 0)
			(void)!buffer_append_text(&clean, "\xEF\xBF\xBD");      /* U+FFFD */
		else if (!is_hidden(base, len) && (clean.len > 0 || *base != ' '))
			(void)!buffer_append(&clean, base, len);
	}
	clean.len = len_without_end(clean.data, clean.len);
	name_r[0] = '\0';
	if (clean.len > 0) {
		clean.data[clean.len] = '\0';
		shorten(clean.data, clean.len, name_r);
	}
	/* what was cut may have been dots up to there */
	if (name_r[0] == '\0')
		text_copy(name_r, UPLOAD_NAME_BYTES, "file");
	buffer_free(&clean);
}

void
upload_name_disposition(const char *name, char value_r[UPLOAD_DISPOSITION_BYTES])
{
	static const char head[] = "attachment; filename=\"", middle[] = "\"; filename*=UTF-8''";
	struct buffer b = BUFFER_INIT(UPLOAD_DISPOSITION_BYTES - 1);

	(void)!buffer_append_text(&b, head);
	for (const char *p = name; *p != '\0'; p++) {
		/* for clients that know no better: one "_" for each character */
		if (((unsigned char)*p & 0xC0) != 0x80)
			(void)!buffer_printf(&b, "%c", isascii(*p) && strchr("\"\\%", *p) == NULL ? *p : '_');
	}
	(void)!buffer_append_text(&b, middle);
	for (const char *p = name; *p != '\0'; p++) {
		if (isascii(*p) && (isalnum((unsigned char)*p) || strchr("!#$&+-.^_`|~", *p) != NULL))
			(void)!buffer_append(&b, p, 1);
		else
			(void)!buffer_printf(&b, "%%%02X", (unsigned char)*p);
	}
	text_copy(value_r, UPLOAD_DISPOSITION_BYTES, b.data);
	buffer_free(&b);
}
