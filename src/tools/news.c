/* news.c - the tool that tells the news; its providers are newsapi.c and feeds.c */
#include "tools/news.h"

#include <string.h>

#include "tools/tool.h"

static const struct tool_provider *const providers[] = {&news_newsapi, &news_feeds, NULL};

static int
make_key(const struct tool_run *run, struct buffer *key, struct err *err)
{
	static const char *const names[] = {"query", "country", "category", "language"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (tool_key_add(key, names[i], tool_arg_text(run, names[i], "")) == -1)
			return err_set(err, ERR_UNPROCESSABLE, "The question is too long.");
	return 0;
}

const struct tool tool_news = {
    .name = "news",
    .description = "Recent news articles: the headlines, or those on a topic. Times are UTC.",
    .schema = "{\"type\":\"object\",\"properties\":{"
              "\"query\":{\"type\":\"string\",\"maxLength\":200,\"description\":\"Words to look for; left out for the headlines\"},"
              "\"country\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":2,\"description\":\"ISO 3166 code of two letters: rw\"},"
              "\"category\":{\"type\":\"string\",\"enum\":[\"business\",\"entertainment\",\"general\",\"health\",\"science\",\"sports\",\"technology\"]},"
              "\"language\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":2,\"description\":\"ISO 639 code of two letters: en\"}},"
              "\"additionalProperties\":false}",
    .ttl_secs = 900,
    .providers = providers,
    .key = make_key,
};
