/*
 * news.h - the news tool's providers, and how their answers are read.
 *
 * NewsAPI: newsapi.org/docs/endpoints.  Feeds: RSS 2.0 and 0.9x (rssboard.org/rss-specification), RSS 1.0
 * (web.resource.org/rss/1.0/spec), Atom (RFC 4287).
 */
#ifndef TOOLS_NEWS_H
#define TOOLS_NEWS_H

#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

#define NEWS_ARTICLES_MAX 10
#define NEWS_TEXT_MAX_BYTES 400

struct tool_provider;

extern const struct tool_provider news_newsapi;
extern const struct tool_provider news_feeds;

int newsapi_explain(long status, struct json_object *body, struct err *err);
struct json_object *newsapi_read(struct json_object *answer, struct err *err) MUST_USE;

/* Most items that are taken of one feed. */
#define FEED_ITEMS_MAX 100

/* Read a feed into an array of {title, url, published (seconds since 1970; 0: unknown), summary, source}.  `charset` is that of
   the Content-Type, "" if it has none: the document then tells.  A document type is refused, and with it every entity
   of the feed's own; elements nest 64 deep at most.  NULL with *err (ERR_UPSTREAM) for what is no feed. */
struct json_object *feed_read(const char *xml, size_t len, const char *charset, struct err *err) MUST_USE;

/* Seconds since 1970 of a date as RFC 3339 or RFC 822 has it; 0 for other text. */
int64_t feed_read_date(const char *text);

/* The articles of many items (borrowed) that fit a query ("" for all), the best fitting and newest first. */
struct json_object *feed_choose(struct json_object *items, const char *query);

#endif
