/* wikipedia.c - search in Wikipedia, which needs no key; see tools/web_search.h */
#include <stdio.h>
#include <string.h>

#include "tools/fetch.h"
#include "tools/tool.h"
#include "tools/web_search.h"

#define PROVIDER "Wikipedia"

/* Errors come with status 200. */
int
wikipedia_explain(long status, struct json_object *body, struct err *err)
{
	struct json_object *error = json_member(body, "error", json_type_object);
	const char *code = json_member_text(error, "code");

	if (error == NULL)
		return 0;
	if (status == 429 || (code != NULL && (strcmp(code, "ratelimited") == 0 || strcmp(code, "maxlag") == 0)))
		fetch_refused(PROVIDER, 429, err);
	else if (code != NULL && strncmp(code, "internal_api_error", 18) == 0)
		fetch_refused(PROVIDER, 500, err);
	else
		fetch_refused(PROVIDER, status == 200 ? 400 : status, err);
	return err_cause(err, "%.60s", code != NULL ? code : "no code");
}

static void
add_page(struct json_object *results, struct json_object *row, const char *base)
{
	struct json_object *id = json_member(row, "pageid", json_type_int);
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);

	if (id != NULL &&
	    buffer_printf(&url, "%s/?curid=%lld", base, (long long)json_object_get_int64(id)) == 0)
		web_search_add(results, json_member_text(row, "title"), url.data, json_member_text(row, "snippet"),
		               json_member_text(row, "timestamp"));
	buffer_free(&url);
}

struct json_object *
wikipedia_read(struct json_object *answer, const char *base, int64_t count, struct err *err)
{
	struct json_object *rows = json_member(json_member(answer, "query", json_type_object), "search", json_type_array);
	struct json_object *results;

	if (rows == NULL) {
		fetch_malformed(PROVIDER, err);
		return NULL;
	}
	results = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(rows) && json_object_array_length(results) < (size_t)count; i++)
		add_page(results, json_object_array_get_idx(rows, i), base);
	return web_search_result(results, PROVIDER);
}

static int
fetch(const struct tool_run *run, struct json_object **result_r, struct err *err)
{
	const char *base = config()->wikipedia_url;
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	struct json_object *answer = NULL;
	char count[8];

	*result_r = NULL;
	snprintf(count, sizeof(count), "%d", (int)web_search_count(run));
	if (fetch_url(&url, err, base, "/w/api.php", "action", "query", "list", "search", "srsearch",
	              tool_arg_text(run, "query", ""), "srlimit", count, "format", "json", "formatversion", "2", FETCH_END) == 0) {
		const struct fetch f = {.provider = PROVIDER, .url = url.data, .explain = wikipedia_explain};

		if (fetch_json(&f, &answer, err) == 0) {
			*result_r = wikipedia_read(answer, base, web_search_count(run), err);
			json_object_put(answer);
		}
	}
	buffer_free(&url);
	return *result_r != NULL ? 0 : -1;
}

const struct tool_provider web_search_wikipedia = {.name = PROVIDER, .needs = FEATURE_NONE, .fetch = fetch};
