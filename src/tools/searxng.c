/* searxng.c - web search of a SearXNG instance; see tools/web_search.h */
#include <string.h>

#include "tools/fetch.h"
#include "tools/tool.h"
#include "tools/web_search.h"

#define PROVIDER "SearXNG"

struct json_object *
searxng_read(struct json_object *answer, int64_t count, struct err *err)
{
	struct json_object *rows = json_member(answer, "results", json_type_array);
	struct json_object *silent = json_member(answer, "unresponsive_engines", json_type_array);
	struct json_object *results;

	if (rows == NULL) {
		fetch_malformed(PROVIDER, err);
		return NULL;
	}
	/* no engine answered: that is not the same as nothing found */
	if (json_object_array_length(rows) == 0 && silent != NULL && json_object_array_length(silent) > 0) {
		err_set(err, ERR_UNAVAILABLE, PROVIDER "'s search engines did not answer.");
		return NULL;
	}
	results = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(rows) && json_object_array_length(results) < (size_t)count; i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		web_search_add(results, json_member_text(row, "title"), json_member_text(row, "url"),
		               json_member_text(row, "content"), json_member_text(row, "publishedDate"));
	}
	return web_search_result(results, PROVIDER);
}

static int
fetch(const struct tool_run *run, struct json_object **result_r, struct err *err)
{
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	struct json_object *answer = NULL;

	*result_r = NULL;
	if (fetch_url(&url, err, config()->searxng_url, "/search", "q", tool_arg_text(run, "query", ""), "format", "json",
	              "pageno", "1", FETCH_END) == 0) {
		const struct fetch f = {.provider = PROVIDER, .url = url.data};

		if (fetch_json(&f, &answer, err) == 0) {
			*result_r = searxng_read(answer, web_search_count(run), err);
			json_object_put(answer);
		}
	}
	buffer_free(&url);
	return *result_r != NULL ? 0 : -1;
}

const struct tool_provider web_search_searxng = {.name = PROVIDER, .needs = FEATURE_SEARXNG, .fetch = fetch};
