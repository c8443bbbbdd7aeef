/* log_line.c - see telemetry/log_line.h */
#include "telemetry/log_line.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "telemetry/scrub.h"

/* Kept free while a text is written, for the ellipsis and what closes the line. */
#define TAIL_BYTES 16

/* A field is begun only where its name and this much of its value have room. */
#define FIELD_ROOM_BYTES 48

#define JOURNAL_NAME_MAX 64
#define JOURNAL_PREFIX "BAKAME_"

#define ELLIPSIS "\xE2\x80\xA6"
#define REPLACEMENT "\xEF\xBF\xBD"

static const struct {
	const char *name;
	const char *pretty;             /* of equal width */
	const char *colour;             /* ECMA-48, SGR */
	int priority;                   /* RFC 5424, 6.2.1; <syslog.h> has names that are ours */
} levels[] = {
	[LOG_LEVEL_DEBUG] = {"debug", "DEBUG", "\x1b[2m", 7},
	[LOG_LEVEL_INFO] = {"info", "INFO ", "\x1b[32m", 6},
	[LOG_LEVEL_WARN] = {"warn", "WARN ", "\x1b[33m", 4},
	[LOG_LEVEL_ERROR] = {"error", "ERROR", "\x1b[31m", 3},
};

struct line {
	char *data;
	size_t size;
	size_t len;
};

/* How a text is set. */
enum style {
	STYLE_PLAIN,                    /* only control characters are escaped */
	STYLE_QUOTED,                   /* what stands between quotes: RFC 8259, 7 */
};

const char *
log_level_name(enum log_level level)
{
	return levels[level].name;
}

int
log_level_priority(enum log_level level)
{
	return levels[level].priority;
}

static size_t
room(const struct line *l)
{
	return l->len + TAIL_BYTES < l->size ? l->size - TAIL_BYTES - l->len : 0;
}

/* Add what is known to fit, tail included. */
static void
add(struct line *l, const char *data, size_t len)
{
	if (len > l->size - l->len)
		return;
	memcpy(l->data + l->len, data, len);
	l->len += len;
}

static void
add_text(struct line *l, const char *text)
{
	add(l, text, strlen(text));
}

static void PRINTF_LIKE(2, 3)
add_printf(struct line *l, const char *fmt, ...)
{
	char text[128];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len > 0)
		add(l, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

/* How many characters from `p` on need no thought in any style. */
static size_t
plain_length(const char *p, size_t left)
{
	size_t n = 0;

	while (n < left && p[n] >= ' ' && p[n] < 0x7F && p[n] != '"' && p[n] != '\\')
		n++;
	return n;
}

/* Length of the character at `p`; 0 where it is no UTF-8. */
static size_t
character_length(const char *p, size_t left)
{
	if ((unsigned char)*p < 0x80)
		return 1;
	for (size_t n = 2; n <= 4 && n <= left; n++)
		if (text_is_utf8(p, n))
			return n;
	return 0;
}

/* C1 controls (U+0080..9F), which terminals obey, and the two separators that
   some readers take for the end of a line (U+2028, U+2029). */
static unsigned
hidden_control(const char *p, size_t len)
{
	const unsigned char *c = (const unsigned char *)p;

	if (len == 2 && c[0] == 0xC2 && c[1] < 0xA0)
		return c[1];
	if (len == 3 && c[0] == 0xE2 && c[1] == 0x80 && (c[2] == 0xA8 || c[2] == 0xA9))
		return 0x2000U + (c[2] & 0x3F);
	return 0;
}

/* The character at `p` as it is written; the result may be `p` itself. */
static const char *
escape(const char *p, size_t len, enum style style, char scratch[8], size_t *len_r)
{
	static const char from[] = "\n\r\t\b\f", to[] = "nrtbf";
	const char *found = len == 1 && *p != '\0' ? strchr(from, *p) : NULL;
	unsigned control = len == 1 && iscntrl((unsigned char)*p) ? (unsigned char)*p
	                                                          : hidden_control(p, len);

	scratch[0] = '\\';
	*len_r = 2;
	if (found != NULL) {
		scratch[1] = to[found - from];
	} else if (control != 0) {
		*len_r = (size_t)snprintf(scratch, 8, "\\u%04x", control);
	} else if (style == STYLE_QUOTED && (*p == '"' || *p == '\\')) {
		scratch[1] = *p;
	} else {
		*len_r = len;
		return p;
	}
	return scratch;
}

static void
add_escaped(struct line *l, const char *text, size_t len, enum style style)
{
	const char *end = text + len;

	while (text < end) {
		char scratch[8];
		size_t left = (size_t)(end - text), written;
		size_t n = plain_length(text, left < room(l) ? left : room(l));
		const char *bytes;

		if (n > 0) {
			add(l, text, n);
			text += n;
			continue;
		}
		n = character_length(text, left);
		if (n == 0) {
			bytes = REPLACEMENT;
			written = strlen(REPLACEMENT);
			n = 1;
		} else {
			bytes = escape(text, n, style, scratch, &written);
		}
		if (written > room(l)) {
			add_text(l, ELLIPSIS);
			return;
		}
		add(l, bytes, written);
		text += n;
	}
}

/* `text` without its secrets, until the next call.  Not on the stack, because
   the pages that a fiber's stack touches stay in memory. */
static const char *
scrubbed(const char *text, size_t *len_r)
{
	static char buffer[LOG_TEXT_MAX];

	*len_r = scrub_text(buffer, sizeof(buffer), text, strlen(text));
	return buffer;
}

static void
add_scrubbed(struct line *l, const char *text, enum style style)
{
	size_t len;
	const char *clean = scrubbed(text, &len);

	add_escaped(l, clean, len, style);
}

static void
add_time(struct line *l, const struct timespec *when)
{
	struct tm tm;

	gmtime_r(&when->tv_sec, &tm);
	add_printf(l, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
	           tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, when->tv_nsec / 1000000);
}

static bool
is_masked(const struct log_field *f)
{
	return f->type != LOG_TYPE_BOOL && scrub_name_is_secret(f->name, strlen(f->name));
}

/* The text of a value that is not simply its string; NULL if it is. */
static const char *
value_word(const struct log_field *f, char number[24])
{
	if (f->type == LOG_TYPE_BOOL)
		return f->value.number != 0 ? "true" : "false";
	if (f->type == LOG_TYPE_STR)
		return f->value.text == NULL ? "null" : NULL;
	snprintf(number, 24, "%" PRId64, f->value.number);
	return number;
}

/* --- JSON --- */

/* Members that every line has; a field of the same name gets an underscore. */
static bool
is_reserved(const char *name)
{
	return strcmp(name, "time") == 0 || strcmp(name, "level") == 0 ||
	       strcmp(name, "message") == 0 || strcmp(name, "pid") == 0;
}

static void
add_json_field(struct line *l, const struct log_field *f)
{
	char number[24];
	const char *word = value_word(f, number);

	if (room(l) < strlen(f->name) + FIELD_ROOM_BYTES)
		return;
	add_text(l, ",\"");
	add_text(l, f->name);
	add_text(l, is_reserved(f->name) ? "_\":" : "\":");
	if (is_masked(f)) {
		add_text(l, "\"" SCRUB_MASK "\"");
	} else if (word != NULL) {
		add_text(l, word);
	} else {
		add_text(l, "\"");
		add_scrubbed(l, f->value.text, STYLE_QUOTED);
		add_text(l, "\"");
	}
}

size_t
log_line_json(char *out, size_t size, const struct log_event *ev)
{
	struct line l = {.data = out, .size = size};

	add_text(&l, "{\"time\":\"");
	add_time(&l, &ev->when);
	add_printf(&l, "\",\"level\":\"%s\",\"message\":\"", levels[ev->level].name);
	add_scrubbed(&l, ev->message, STYLE_QUOTED);
	add_printf(&l, "\",\"pid\":%d", (int)getpid());
	for (size_t i = 0; i < ev->count; i++)
		add_json_field(&l, ev->fields[i]);
	add_text(&l, "}\n");
	return l.len;
}

/* --- pretty --- */

/* Would a reader take it for one word? */
static bool
is_plain_word(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
		if (!isgraph((unsigned char)*text) || *text == '"' || *text == '=' || *text == '\\')
			return false;
	return true;
}

static void
add_pretty_field(struct line *l, const struct log_field *f)
{
	char number[24];
	const char *word = value_word(f, number);

	if (room(l) < strlen(f->name) + FIELD_ROOM_BYTES)
		return;
	add_text(l, " ");
	add_text(l, f->name);
	add_text(l, "=");
	if (is_masked(f)) {
		add_text(l, SCRUB_MASK);
	} else if (word != NULL) {
		add_text(l, word);
	} else if (is_plain_word(f->value.text)) {
		add_scrubbed(l, f->value.text, STYLE_PLAIN);
	} else {
		add_text(l, "\"");
		add_scrubbed(l, f->value.text, STYLE_QUOTED);
		add_text(l, "\"");
	}
}

static void
add_pretty(struct line *l, const struct log_event *ev)
{
	add_scrubbed(l, ev->message, STYLE_PLAIN);
	for (size_t i = 0; i < ev->count; i++)
		add_pretty_field(l, ev->fields[i]);
}

size_t
log_line_pretty(char *out, size_t size, const struct log_event *ev, bool bare, bool colour)
{
	struct line l = {.data = out, .size = size};

	if (!bare) {
		add_time(&l, &ev->when);
		add_printf(&l, " %s%s%s [%d] ", colour ? levels[ev->level].colour : "",
		           levels[ev->level].pretty, colour ? "\x1b[0m" : "", (int)getpid());
	}
	add_pretty(&l, ev);
	add_text(&l, "\n");
	return l.len;
}

/* --- journal --- */

/* A name may have capitals, digits and underscores. */
static void
add_journal_name(struct line *l, const char *name)
{
	char fitting[JOURNAL_NAME_MAX + 1];
	size_t n = 0;

	for (; *name != '\0' && n + strlen(JOURNAL_PREFIX) < JOURNAL_NAME_MAX; name++)
		fitting[n++] = isalnum((unsigned char)*name) ? (char)toupper((unsigned char)*name) : '_';
	add_text(l, JOURNAL_PREFIX);
	add(l, fitting, n);
}

/* A value with a newline in it is preceded by its length, 64 bits, little-endian. */
static void
add_journal_value(struct line *l, const char *value, size_t len)
{
	if (memchr(value, '\n', len) == NULL) {
		add_text(l, "=");
	} else {
		char length[8];

		for (size_t i = 0; i < sizeof(length); i++)
			length[i] = (char)((uint64_t)len >> (8 * i) & 0xFF);
		add_text(l, "\n");
		add(l, length, sizeof(length));
	}
	add(l, value, len);
	add_text(l, "\n");
}

static void
add_journal_field(struct line *l, const struct log_field *f)
{
	char number[24];
	const char *value = is_masked(f) ? SCRUB_MASK : value_word(f, number);
	size_t len;

	if (value == NULL)
		value = scrubbed(f->value.text, &len);
	else
		len = strlen(value);
	if (room(l) < JOURNAL_NAME_MAX + len + sizeof(uint64_t))
		return;
	add_journal_name(l, f->name);
	add_journal_value(l, value, len);
}

size_t
log_line_journal(char *out, size_t size, const struct log_event *ev)
{
	/* What people read has all fields too, and gets half of the room. */
	struct line l = {.data = out, .size = size / 2};

	add_printf(&l, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=", levels[ev->level].priority,
	           ev->ident);
	add_pretty(&l, ev);
	add_text(&l, "\n");
	l.size = size;
	for (size_t i = 0; i < ev->count; i++)
		add_journal_field(&l, ev->fields[i]);
	return l.len;
}
