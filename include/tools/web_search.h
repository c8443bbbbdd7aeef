/*
 * web_search.h - the web search tool's providers, and how their answers are read.
 *
 * Tavily: docs.tavily.com/documentation/api-reference/endpoint/search.  SearXNG: docs.searxng.org/dev/search_api.html
 * (its settings must allow the format json).  Wikipedia: www.mediawiki.org/wiki/API:Search.
 */
#ifndef TOOLS_WEB_SEARCH_H
#define TOOLS_WEB_SEARCH_H

#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

struct tool_provider;
struct tool_run;

#define WEB_SEARCH_RESULTS_MAX 10

extern const struct tool_provider web_search_tavily;
extern const struct tool_provider web_search_searxng;
extern const struct tool_provider web_search_wikipedia;

/* How many results a call wants. */
int64_t web_search_count(const struct tool_run *run);

int tavily_explain(long status, struct json_object *body, struct err *err);
struct json_object *tavily_read(struct json_object *answer, int64_t count, struct err *err) MUST_USE;

struct json_object *searxng_read(struct json_object *answer, int64_t count, struct err *err) MUST_USE;

int wikipedia_explain(long status, struct json_object *body, struct err *err);
/* `base` is where the wiki is, for the addresses of its pages. */
struct json_object *wikipedia_read(struct json_object *answer, const char *base, int64_t count,
                                   struct err *err) MUST_USE;

/* ---- what all write ---- */

/* Add a result, cleaned and cut, to the array; one without title or web address is left out. */
void web_search_add(struct json_object *results, const char *title, const char *url, const char *snippet,
                    const char *date);

struct json_object *web_search_result(struct json_object *results, const char *source);

#endif
