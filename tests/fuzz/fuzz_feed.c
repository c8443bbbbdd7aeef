/*
 * fuzz_feed.c - RSS and Atom feeds, dates, and text with HTML in it.
 *
 * What is taken is a bounded number of items with a title each, in UTF-8, whose addresses are of the web; choosing among them
 * works with any words.  HTML is taken out in place and never makes a text longer.
 */
#include <string.h>

#include "base/text.h"
#include "fuzz.h"
#include "tools/news.h"
#include "tools/tool.h"

static void
check_items(struct json_object *items)
{
	size_t count = json_object_array_length(items), len;
	struct json_object *chosen;
	const char *text = json_text(items, &len);

	REQUIRE(count <= FEED_ITEMS_MAX);
	REQUIRE(text_is_utf8(text, len));
	for (size_t i = 0; i < count; i++) {
		const char *url = json_member_text(json_object_array_get_idx(items, i), "url");

		REQUIRE(json_member_text(json_object_array_get_idx(items, i), "title") != NULL);
		REQUIRE(url == NULL || text_has_prefix_nocase(url, "http://") || text_has_prefix_nocase(url, "https://"));
	}
	chosen = feed_choose(items, "rain in kigali");
	REQUIRE(json_object_array_length(chosen) <= NEWS_ARTICLES_MAX);
	json_object_put(chosen);
}

static void
check_text(const char *text, size_t size)
{
	char *copy = mem_alloc(size + 1);
	size_t len;

	memcpy(copy, text, size);
	(void)feed_read_date(copy);
	len = strlen(copy);
	REQUIRE(tool_strip_html(copy) == copy && strlen(copy) <= len);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const charsets[] = {"", "utf-8", "iso-8859-1", "windows-1252"};
	struct err err = {0};
	struct json_object *items;

	if (size == 0)
		return 0;
	items = feed_read((const char *)data + 1, size - 1, charsets[data[0] % 4], &err);
	if (items != NULL)
		check_items(items);
	else
		REQUIRE(err.code == ERR_UPSTREAM && text_is_utf8(err.message, strlen(err.message)));
	json_object_put(items);
	check_text((const char *)data, size);
	return 0;
}
