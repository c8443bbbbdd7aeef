/* test_feed.c - feeds of all formats and encodings, and feeds that are weapons */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "tools/news.h"

#define RSS(items) "<rss version=\"2.0\"><channel><title>F</title>" items "</channel></rss>"
#define ITEM(title) "<item><title>" title "</title><link>https://x.example/1</link></item>"

static struct json_object *
read_feed(const char *xml, size_t len, const char *charset)
{
	struct err err = {0};
	struct json_object *items = feed_read(xml, len, charset, &err);

	if (items == NULL)
		fail_msg("%s", err.message);
	return items;
}

/* The member of the first item of a feed. */
static void
expect_first(const char *xml, size_t len, const char *charset, const char *member, const char *expected)
{
	struct json_object *items = read_feed(xml, len, charset);
	struct json_object *first = json_object_array_get_idx(items, 0);
	const char *text = json_member_text(first, member);

	if (expected == NULL)
		assert_null(text);
	else
		assert_string_equal(text, expected);
	json_object_put(items);
}
#define EXPECT_FIRST(xml, charset, member, expected) expect_first(xml, sizeof(xml) - 1, charset, member, expected)

static void
expect_refusal(const char *xml, size_t len, const char *charset, const char *says)
{
	struct err err = {0};
	struct json_object *items = feed_read(xml, len, charset, &err);

	if (items != NULL)
		fail_msg("was taken: %.60s", xml);
	assert_int_equal(err.code, ERR_UPSTREAM);
	if (strstr(err.message, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.message, says);
}
#define EXPECT_REFUSAL(xml, charset, says) expect_refusal(xml, sizeof(xml) - 1, charset, says)

static void
entities_of_a_feeds_own_are_refused_with_its_document_type(void **state)
{
	static const char laughs[] = "<?xml version=\"1.0\"?><!DOCTYPE rss [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
	                             "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;\">]>" RSS(ITEM("&d;"));
	static const char file[] = "<!DOCTYPE rss [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>" RSS(ITEM("&x;"));
	static const char parameter[] = "<!DOCTYPE rss [<!ENTITY % p SYSTEM \"http://127.0.0.1/x.dtd\"> %p;]>" RSS(ITEM("x"));
	static const char dtd[] = "<!DOCTYPE rss PUBLIC \"-//Netscape//DTD RSS 0.91//EN\" \"http://my.netscape.com/rss-0.91.dtd\">" RSS(ITEM("x"));

	(void)state;
	EXPECT_REFUSAL(laughs, "", "document type");
	EXPECT_REFUSAL(file, "", "document type");
	EXPECT_REFUSAL(parameter, "", "document type");
	EXPECT_REFUSAL(dtd, "", "document type");
	EXPECT_REFUSAL(RSS(ITEM("&undefined;")), "", "undefined entity");
}

static void
nesting_is_bounded(void **state)
{
	struct buffer xml = BUFFER_INIT(100000);

	(void)state;
	assert_int_equal(buffer_append_text(&xml, "<rss>"), 0);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(buffer_append_text(&xml, "<a>"), 0);
	expect_refusal(xml.data, xml.len, "", "nested too deep");
	buffer_free(&xml);
}

static void
items_are_bounded(void **state)
{
	struct buffer xml = BUFFER_INIT(200000);
	struct json_object *items;

	(void)state;
	assert_int_equal(buffer_append_text(&xml, "<rss><channel>"), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buffer_append_text(&xml, ITEM("x")), 0);
	/* it breaks off after far more than are taken */
	items = read_feed(xml.data, xml.len, "");
	assert_int_equal(json_object_array_length(items), FEED_ITEMS_MAX);
	json_object_put(items);
	buffer_free(&xml);
}

static void
encodings_are_read_and_broken_ones_refused(void **state)
{
	(void)state;
	EXPECT_FIRST(RSS(ITEM("caf\xC3\xA9")), "", "title", "café");
	EXPECT_FIRST("\xEF\xBB\xBF" RSS(ITEM("caf\xC3\xA9")), "", "title", "café");
	EXPECT_FIRST("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>" RSS(ITEM("caf\xE9")), "", "title", "café");
	EXPECT_FIRST("<?xml version=\"1.0\" encoding=\"windows-1252\"?>" RSS(ITEM("\x93" "caf\xE9\x94 \x80")), "", "title", "“café” €");
	/* the transport is believed before the document */
	EXPECT_FIRST("<?xml version=\"1.0\" encoding=\"UTF-8\"?>" RSS(ITEM("caf\xE9")), "iso-8859-1", "title", "café");
	EXPECT_FIRST("<?xml version=\"1.0\" encoding=\"UTF-8\"?>" RSS(ITEM("caf\xC3\xA9")), "koi8-r", "title", "café");
	EXPECT_FIRST("\xFE\xFF\0<\0r\0s\0s\0>\0<\0i\0t\0e\0m\0>\0<\0t\0i\0t\0l\0e\0>\0\xE9\0<\0/\0t\0i\0t\0l\0e\0>\0<\0/\0i\0t\0e\0m\0>\0<\0/\0r\0s\0s\0>",
	             "", "title", "é");
	EXPECT_REFUSAL(RSS(ITEM("caf\xE9")), "", "not well-formed");
	EXPECT_REFUSAL(RSS(ITEM("\xED\xA0\x80")), "", "not well-formed");
	EXPECT_REFUSAL(RSS(ITEM("caf\xC3\xA9")), "us-ascii", "not well-formed");
	EXPECT_REFUSAL("<?xml version=\"1.0\" encoding=\"x-klingon\"?>" RSS(ITEM("x")), "", "unknown encoding");
}

static void
what_is_no_feed_is_refused(void **state)
{
	(void)state;
	EXPECT_REFUSAL("", "", "no element found");
	EXPECT_REFUSAL("<html><body><item><title>x</title></item></body></html>", "", "no RSS or Atom feed");
	EXPECT_REFUSAL("{\"a\":1}", "", "not well-formed");
	EXPECT_REFUSAL("<rss><channel>" ITEM("x"), "", "no element found");
	EXPECT_REFUSAL("<rss><channel></rss>", "", "mismatched tag");
}

static void
only_known_elements_count(void **state)
{
	static const char xml[] =
	    "<rss xmlns:media=\"http://search.yahoo.com/mrss/\" xmlns:itunes=\"http://www.itunes.com/dtds/podcast-1.0.dtd\"><channel>"
	    "<image><title>not the feed</title></image><title>The <b>feed</b></title><item>"
	    "<media:title>wrong</media:title><itunes:title>wrong</itunes:title><media:group><title>wrong</title></media:group>"
	    "<link>javascript:alert(1)</link><link>https://x.example/right</link><title>  Right &lt;b&gt;title&lt;/b&gt; &amp;amp; more </title>"
	    "<description><![CDATA[<p>One</p>\n<p>two &ndash; three</p><script>x</script>]]></description></item></channel></rss>";

	(void)state;
	EXPECT_FIRST(xml, "", "title", "Right title & more");
	EXPECT_FIRST(xml, "", "url", "https://x.example/right");
	EXPECT_FIRST(xml, "", "summary", "One two – three x");
	EXPECT_FIRST(xml, "", "source", "The feed");
}

/* A link is whole or it is none. */
static void
links_are_whole(void **state)
{
	static const size_t lengths[] = {700, 1000, 1001, 3000};

	(void)state;
	EXPECT_FIRST(RSS("<item><title>a</title><link>\n  https://x.example/1 \n</link></item>"), "", "url", "https://x.example/1");
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char url[3001], xml[3200];
		int len = snprintf(url, sizeof(url), "https://x.example/%0*d", (int)lengths[i] - 18, 1);

		assert_int_equal(len, lengths[i]);
		len = snprintf(xml, sizeof(xml), RSS("<item><title>a</title><link>%s</link></item>"), url);
		expect_first(xml, (size_t)len, "", "url", lengths[i] <= 1000 ? url : NULL);
	}
}

static void
dates_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t secs;
	} cases[] = {
	    {"Thu, 01 Jan 2026 02:00:00 GMT", 1767232800},
	    {"Thu, 01 Jan 2026 02:00:00 +0200", 1767225600},
	    {"2026-01-01T02:00:00Z", 1767232800},
	    {"2026-01-01T02:00:00.123+02:00", 1767225600},
	    {"2026-01-01T00:00:00-05:30", 1767245400},
	    {" 2026-01-01 ", 1767225600},
	    {"2026-13-01T00:00:00Z", 0},
	    {"yesterday-ish", 0},
	    {"", 0},
	    {"9999999999999999999999", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (feed_read_date(cases[i].text) != cases[i].secs)
			fail_msg("%s: %lld", cases[i].text, (long long)feed_read_date(cases[i].text));
}

static void
published_counts_before_updated(void **state)
{
	static const char xml[] = "<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry><title>x</title><updated>2026-02-02T00:00:00Z</updated>"
	                          "<published>2026-01-01T00:00:00Z</published></entry></feed>";
	struct json_object *items = read_feed(xml, sizeof(xml) - 1, "");

	(void)state;
	assert_int_equal(json_object_get_int64(json_object_object_get(json_object_array_get_idx(items, 0), "published")), 1767225600);
	json_object_put(items);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(entities_of_a_feeds_own_are_refused_with_its_document_type),
	    cmocka_unit_test(nesting_is_bounded),
	    cmocka_unit_test(items_are_bounded),
	    cmocka_unit_test(encodings_are_read_and_broken_ones_refused),
	    cmocka_unit_test(what_is_no_feed_is_refused),
	    cmocka_unit_test(only_known_elements_count),
	    cmocka_unit_test(links_are_whole),
	    cmocka_unit_test(dates_are_read),
	    cmocka_unit_test(published_counts_before_updated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
