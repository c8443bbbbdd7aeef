/*
 * feed_read.c - RSS and Atom, by expat; see tools/news.h
 *
 * Whatever the format, an article is an `item` or `entry` whose children have names known here, in one of the
 * namespaces known here; all else is passed over.
 */
#include <curl/curl.h>
#include <expat.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/text.h"
#include "tools/news.h"
#include "tools/tool.h"

#define DEPTH_MAX 64
/* Of one element; what is longer is cut. */
#define TEXT_MAX_BYTES ((size_t)16 * 1024)

enum field { NO_FIELD, TITLE, LINK, DATE, UPDATED, SUMMARY };

struct reader {
	XML_Parser parser;
	struct json_object *items;
	struct json_object *item;       /* being read; NULL outside */
	int depth;
	int item_depth;
	int text_depth;                 /* of the element whose text is taken; 0: none */
	enum field field;
	bool of_feed;                   /* the text is the feed's title, not an item's */
	bool is_feed;                   /* the outermost element is one of a feed */
	struct buffer text;
	char title[120];                /* of the feed */
	const char *fault;
};

static void
stop(struct reader *r, const char *fault)
{
	r->fault = fault;
	XML_StopParser(r->parser, XML_FALSE);
}

/* The name without its namespace; NULL when that is none of ours. */
static const char *
local_name(const char *name)
{
	static const char *const namespaces[] = {"http://www.w3.org/2005/Atom", "http://purl.org/rss/1.0/",
	                                         "http://purl.org/dc/elements/1.1/", "http://purl.org/atom/ns#",
	                                         "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://my.netscape.com/rdf/simple/0.9/"};
	const char *bar = strrchr(name, '|');

	if (bar == NULL)
		return name;
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		if (strncmp(name, namespaces[i], strlen(namespaces[i])) == 0 && name + strlen(namespaces[i]) == bar)
			return bar + 1;
	return NULL;
}

static enum field
field_of(const char *name)
{
	static const struct {
		const char *name;
		enum field field;
	} fields[] = {
	    {"title", TITLE},          {"link", LINK},      {"pubDate", DATE},        {"date", DATE},
	    {"published", DATE},       {"updated", UPDATED},   {"issued", DATE},         {"description", SUMMARY},
	    {"summary", SUMMARY},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(fields[i].name, name) == 0)
			return fields[i].field;
	return NO_FIELD;
}

static const char *
attribute(const char **attributes, const char *name)
{
	for (; *attributes != NULL; attributes += 2)
		if (strcmp(attributes[0], name) == 0)
			return attributes[1];
	return NULL;
}

/* Of several the first counts. */
static void
set_link(struct reader *r, const char *url)
{
	if (tool_is_url(url) && !json_object_object_get_ex(r->item, "url", NULL))
		tool_add_text(r->item, "url", url, TOOL_URL_MAX_BYTES);
}

static void
begin_text(struct reader *r, enum field field, bool of_feed)
{
	r->field = field;
	r->of_feed = of_feed;
	r->text_depth = r->depth;
	buffer_consume(&r->text, r->text.len);
}

static void XMLCALL
start_cb(void *arg, const char *full_name, const char **attributes)
{
	struct reader *r = arg;
	const char *name = local_name(full_name);

	if (++r->depth > DEPTH_MAX) {
		stop(r, "it is nested too deep");
		return;
	}
	if (name == NULL || r->text_depth != 0)
		return;
	if (r->depth == 1) {
		r->is_feed = strcasecmp(name, "rss") == 0 || strcmp(name, "RDF") == 0 || strcmp(name, "feed") == 0;
		if (!r->is_feed)
			stop(r, "it is no RSS or Atom feed");
	} else if (r->item == NULL && (strcmp(name, "item") == 0 || strcmp(name, "entry") == 0)) {
		r->item = json_object_new_object();
		r->item_depth = r->depth;
	} else if (r->item != NULL && r->depth == r->item_depth + 1) {
		enum field field = field_of(name);
		const char *rel = attribute(attributes, "rel");

		if (field == LINK && (rel == NULL || strcmp(rel, "alternate") == 0))
			set_link(r, attribute(attributes, "href"));
		if (field != NO_FIELD)
			begin_text(r, field, false);
	} else if (r->item == NULL && r->depth <= 3 && strcmp(name, "title") == 0 && r->title[0] == '\0') {
		begin_text(r, TITLE, true);
	}
}

static void XMLCALL
text_cb(void *arg, const char *text, int len)
{
	struct reader *r = arg;

	if (r->text_depth != 0)
		(void)!buffer_append(&r->text, text, (size_t)len);
}

static void
take_text(struct reader *r, char *text)
{
	int64_t date;

	switch (r->field) {
	case TITLE:
		tool_strip_html(text);
		if (r->of_feed && !text_copy(r->title, sizeof(r->title), text))
			text_trim_partial_utf8(r->title);
		if (!r->of_feed)
			tool_add_text(r->item, "title", text, NEWS_TEXT_MAX_BYTES);
		break;
	case LINK:
		text += strspn(text, " \t\r\n");
		text[strcspn(text, " \t\r\n")] = '\0';
		set_link(r, text);
		break;
	case DATE:
	case UPDATED:
		date = feed_read_date(text);
		if (date != 0 && (r->field == DATE || !json_object_object_get_ex(r->item, "published", NULL)))
			json_object_object_add(r->item, "published", json_object_new_int64(date));
		break;
	case SUMMARY:
		tool_add_text(r->item, "summary", tool_strip_html(text), NEWS_TEXT_MAX_BYTES);
		break;
	case NO_FIELD:
		break;
	}
}

static void
end_item(struct reader *r)
{
	if (json_object_object_get_ex(r->item, "title", NULL)) {
		json_object_array_add(r->items, r->item);
	} else {
		json_object_put(r->item);
	}
	r->item = NULL;
	if (json_object_array_length(r->items) == FEED_ITEMS_MAX)
		XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL
end_cb(void *arg, const char *name)
{
	struct reader *r = arg;

	(void)name;
	if (r->text_depth == r->depth) {
		if (r->text.len > 0) {
			text_trim_partial_utf8(r->text.data);
			take_text(r, r->text.data);
		}
		r->text_depth = 0;
	} else if (r->item != NULL && r->item_depth == r->depth) {
		end_item(r);
	}
	r->depth--;
}

/* With a document type come entities: ones that grow without bound, ones that are files of ours. */
static void XMLCALL
doctype_cb(void *arg, const char *name, const char *system_id, const char *public_id, int has_subset)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_subset;
	stop(arg, "it has a document type, which is not taken");
}

/* windows-1252, which expat does not know (encoding.spec.whatwg.org/#windows-1252). */
static int XMLCALL
encoding_cb(void *arg, const char *name, XML_Encoding *info)
{
	static const int high[32] = {0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
	                             0x2039, 0x0152, 0x8D, 0x017D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
	                             0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178};

	(void)arg;
	if (strcasecmp(name, "windows-1252") != 0 && strcasecmp(name, "cp1252") != 0)
		return XML_STATUS_ERROR;
	for (int i = 0; i < 256; i++)
		info->map[i] = i >= 0x80 && i < 0xA0 ? high[i - 0x80] : i;
	info->data = NULL;
	info->convert = NULL;
	info->release = NULL;
	return XML_STATUS_OK;
}

/* What the transport says of the encoding comes first (RFC 7303, 3.2), if it is one that can be read. */
static const char *
known_charset(const char *charset)
{
	static const char *const known[] = {"utf-8", "utf-16", "iso-8859-1", "us-ascii", "windows-1252"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasecmp(known[i], charset) == 0)
			return known[i];
	return NULL;
}

static void
open_parser(struct reader *r, const char *charset)
{
	r->parser = XML_ParserCreateNS(known_charset(charset), '|');
	if (r->parser == NULL)
		abort();        /* as out of memory */
	XML_SetUserData(r->parser, r);
	XML_SetElementHandler(r->parser, start_cb, end_cb);
	XML_SetCharacterDataHandler(r->parser, text_cb);
	XML_SetStartDoctypeDeclHandler(r->parser, doctype_cb);
	XML_SetUnknownEncodingHandler(r->parser, encoding_cb, NULL);
}

struct json_object *
feed_read(const char *xml, size_t len, const char *charset, struct err *err)
{
	struct reader r = {.items = json_object_new_array(), .text = BUFFER_INIT(TEXT_MAX_BYTES)};
	bool whole;

	open_parser(&r, charset);
	whole = XML_Parse(r.parser, xml, (int)len, XML_TRUE) == XML_STATUS_OK;
	if (!whole && r.fault == NULL && json_object_array_length(r.items) < FEED_ITEMS_MAX)
		r.fault = XML_ErrorString(XML_GetErrorCode(r.parser));
	XML_ParserFree(r.parser);
	buffer_free(&r.text);
	json_object_put(r.item);
	for (size_t i = 0; i < json_object_array_length(r.items); i++)
		tool_add_text(json_object_array_get_idx(r.items, i), "source", r.title, sizeof(r.title));
	if (r.fault == NULL)
		return r.items;
	json_object_put(r.items);
	err_set(err, ERR_UPSTREAM, "A feed could not be understood: %s.", r.fault);
	return NULL;
}

/* ---- dates ---- */

/* `count` digits as a number; -1 if they are none.  Moves on past them and the one character after. */
static int
digits(const char **text, int count)
{
	int value = 0;

	for (; count > 0; count--, (*text)++) {
		if (**text < '0' || **text > '9')
			return -1;
		value = value * 10 + (**text - '0');
	}
	if (**text != '\0')
		(*text)++;
	return value;
}

/* RFC 3339: 2026-01-31T08:00:00.123+02:00, or the day alone. */
static int64_t
read_rfc3339(const char *text)
{
	const char *at = text;
	struct tm tm = {0};
	int64_t offset = 0;

	tm.tm_year = digits(&at, 4) - 1900;
	tm.tm_mon = digits(&at, 2) - 1;
	tm.tm_mday = digits(&at, 2);
	if (tm.tm_year < 0 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31)
		return 0;
	if (at[0] >= '0' && at[0] <= '9') {
		tm.tm_hour = digits(&at, 2);
		tm.tm_min = digits(&at, 2);
		if (tm.tm_hour < 0 || tm.tm_hour > 24 || tm.tm_min < 0 || tm.tm_min > 60)
			return 0;
		tm.tm_sec = at[0] >= '0' && at[0] <= '9' && at[-1] == ':' ? digits(&at, 2) : 0;
		if (tm.tm_sec < 0 || tm.tm_sec > 60)
			return 0;
		at = strpbrk(text + 10, "+-");
		if (at != NULL) {
			int sign = *at++ == '-' ? -1 : 1;
			int hours = digits(&at, 2), minutes = digits(&at, 2);

			offset = hours >= 0 && minutes >= 0 ? sign * (hours * 3600 + minutes * 60) : 0;
		}
	}
	return (int64_t)timegm(&tm) - offset;
}

int64_t
feed_read_date(const char *text)
{
	char cut[64];
	int64_t secs;

	text += strspn(text, " \t\r\n");
	text_copy(cut, sizeof(cut), text);
	secs = cut[0] >= '0' && cut[0] <= '9' && strlen(cut) >= 10 && cut[4] == '-' ? read_rfc3339(cut)
	                                                                             : (int64_t)curl_getdate(cut, NULL);
	return secs > 0 ? secs : 0;
}
