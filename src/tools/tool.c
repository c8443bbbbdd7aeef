/* tool.c - what tools share; see tools/tool.h */
#include "tools/tool.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

const char *
tool_arg_text(const struct tool_run *run, const char *name, const char *fallback)
{
	const char *text = json_member_text(run->args, name);

	return text != NULL && text[0] != '\0' ? text : fallback;
}

int64_t
tool_arg_int(const struct tool_run *run, const char *name, int64_t fallback)
{
	struct json_object *value;

	if (!json_object_object_get_ex(run->args, name, &value) || value == NULL)
		return fallback;
	return json_object_get_int64(value);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int
tool_key_add(struct buffer *key, const char *name, const char *text)
{
	bool gap = false;

	if (buffer_printf(key, "|%s=", name) == -1)
		return -1;
	while (is_blank(*text))
		text++;
	for (; *text != '\0'; text++) {
		char c = (unsigned char)*text < 0x80 ? (char)tolower((unsigned char)*text) : *text;

		if (is_blank(c)) {
			gap = true;
			continue;
		}
		if ((gap && buffer_append(key, " ", 1) == -1) || buffer_append(key, &c, 1) == -1)
			return -1;
		gap = false;
	}
	return 0;
}

void
tool_add_text(struct json_object *obj, const char *name, const char *text, size_t max)
{
	size_t len = text != NULL ? strlen(text) : 0;
	char *cut;

	if (len == 0)
		return;
	if (len <= max) {
		json_object_object_add(obj, name, json_object_new_string_len(text, (int)len));
		return;
	}
	cut = mem_alloc(max + 4);
	memcpy(cut, text, max);
	text_trim_partial_utf8(cut);
	len = strlen(cut);
	memcpy(cut + len, "…", sizeof("…"));   /* there is room for its three bytes */
	json_object_object_add(obj, name, json_object_new_string(cut));
	free(cut);
}

bool
tool_is_url(const char *text)
{
	return text != NULL && (text_has_prefix_nocase(text, "https://") || text_has_prefix_nocase(text, "http://")) &&
	       strlen(text) <= TOOL_URL_MAX_BYTES;
}

void
tool_add_number(struct json_object *obj, const char *name, struct json_object *from, const char *member)
{
	struct json_object *value;

	if (!json_object_is_type(from, json_type_object) || !json_object_object_get_ex(from, member, &value))
		return;
	if (json_object_is_type(value, json_type_int) ||
	    (json_object_is_type(value, json_type_double) && isfinite(json_object_get_double(value))))
		json_object_object_add(obj, name, json_object_get(value));
}

struct json_object *
tool_decimal(double value, int places)
{
	char text[340];         /* room for the largest double */

	snprintf(text, sizeof(text), "%.*f", places, value);
	return json_object_new_double_s(value, text);
}

void
tool_format_time(char out[TOOL_TIME_BYTES], int64_t secs, int64_t offset_secs)
{
	time_t local = (time_t)(secs + offset_secs);
	int64_t minutes = (offset_secs < 0 ? -offset_secs : offset_secs) / 60;
	struct tm tm;
	size_t len;

	out[0] = '\0';
	if (gmtime_r(&local, &tm) == NULL)
		return;
	len = strftime(out, TOOL_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
	if (offset_secs == 0)
		snprintf(out + len, TOOL_TIME_BYTES - len, "Z");
	else
		snprintf(out + len, TOOL_TIME_BYTES - len, "%c%02d:%02d", offset_secs < 0 ? '-' : '+',
		         (int)(minutes / 60 % 100), (int)(minutes % 60));
}

void
tool_add_source(struct json_object *obj, const char *source)
{
	char now[TOOL_TIME_BYTES];

	tool_format_time(now, (int64_t)time(NULL), 0);
	json_object_object_add(obj, "source", json_object_new_string(source));
	json_object_object_add(obj, "retrieved_at", json_object_new_string(now));
}

/* ---- text out of HTML ---- */

/* The entities that occur in snippets; others stay as they are. */
static const struct {
	const char *name;
	const char *text;
} entities[] = {
    {"amp;", "&"}, {"lt;", "<"}, {"gt;", ">"}, {"quot;", "\""}, {"apos;", "'"}, {"#39;", "'"}, {"#039;", "'"},
    {"#x27;", "'"}, {"nbsp;", " "}, {"#160;", " "}, {"ndash;", "–"}, {"mdash;", "—"}, {"hellip;", "…"},
    {"rsquo;", "’"}, {"lsquo;", "‘"}, {"ldquo;", "“"}, {"rdquo;", "”"}, {"#8217;", "’"}, {"#8216;", "‘"},
    {"#8220;", "“"}, {"#8221;", "”"}, {"#8211;", "–"}, {"#8230;", "…"},
};

/* Past what stands at `in`, with its text in *out_r; no entity's text is longer than the entity. */
static const char *
decode_entity(const char *in, char **out_r)
{
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		size_t len = strlen(entities[i].name);

		if (strncmp(in + 1, entities[i].name, len) == 0) {
			*out_r = stpcpy(*out_r, entities[i].text);
			return in + 1 + len;
		}
	}
	*(*out_r)++ = '&';
	return in + 1;
}

static void
squeeze_blanks(char *text)
{
	char *out = text;

	for (const char *in = text; *in != '\0'; in++) {
		if (!is_blank(*in))
			*out++ = *in;
		else if (out > text && out[-1] != ' ')
			*out++ = ' ';
	}
	if (out > text && out[-1] == ' ')
		out--;
	*out = '\0';
}

/* Is there a tag at `in`, and where does it end?  A lone < is text. */
static const char *
tag_end(const char *in)
{
	if (!isalpha((unsigned char)in[1]) && in[1] != '/' && in[1] != '!')
		return NULL;
	return strchr(in, '>');
}

/* Does the tag at `in` part words? */
static bool
parts_words(const char *in)
{
	static const char *const names[] = {"p", "br", "div", "li", "tr", "td", "h1", "h2", "h3", "h4"};
	size_t len;

	in += in[1] == '/' ? 2 : 1;
	len = strspn(in, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ123456");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == len && strncasecmp(in, names[i], len) == 0)
			return true;
	return false;
}

char *
tool_strip_html(char *text)
{
	char *out = text;
	const char *in = text;

	while (in != NULL && *in != '\0') {
		const char *end = *in == '<' ? tag_end(in) : NULL;

		if (end != NULL) {
			if (parts_words(in))
				*out++ = ' ';
			in = end + 1;
		} else if (*in == '&') {
			in = decode_entity(in, &out);
		} else {
			*out++ = *in++;
		}
	}
	if (text != NULL) {
		*out = '\0';
		squeeze_blanks(text);
	}
	return text;
}
