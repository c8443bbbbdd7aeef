/* tavily.c - web search of Tavily, with a key; see tools/web_search.h */
#include <stdio.h>
#include <string.h>

#include "tools/fetch.h"
#include "tools/tool.h"
#include "tools/web_search.h"

#define PROVIDER "Tavily"

/* {"detail":{"error":"..."}}; 432 and 433 are limits of the plan. */
int
tavily_explain(long status, struct json_object *body, struct err *err)
{
	struct json_object *detail = NULL;

	if (status == 432 || status == 433)
		return fetch_refused(PROVIDER, 402, err);
	if (!json_object_is_type(body, json_type_object) || !json_object_object_get_ex(body, "detail", &detail) || detail == NULL)
		return 0;
	return fetch_refused(PROVIDER, status == 200 ? 500 : status, err);
}

struct json_object *
tavily_read(struct json_object *answer, int64_t count, struct err *err)
{
	struct json_object *rows = json_member(answer, "results", json_type_array);
	struct json_object *results;

	if (rows == NULL) {
		fetch_malformed(PROVIDER, err);
		return NULL;
	}
	results = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(rows) && json_object_array_length(results) < (size_t)count; i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		web_search_add(results, json_member_text(row, "title"), json_member_text(row, "url"),
		               json_member_text(row, "content"), json_member_text(row, "published_date"));
	}
	return web_search_result(results, PROVIDER);
}

static int
ask(const struct tool_run *run, const char *url, struct json_object **answer_r, struct err *err)
{
	struct json_object *question = json_object_new_object();
	char header[600];
	const char *const headers[] = {"Content-Type: application/json", header, NULL};
	struct fetch f = {.provider = PROVIDER,
	                  .url = url,
	                  .headers = headers,
	                  .key = config()->tavily_api_key,
	                  .explain = tavily_explain};
	int rc;

	fetch_key_header(header, sizeof(header), "Authorization: Bearer ", config()->tavily_api_key);
	json_object_object_add(question, "query", json_object_new_string(tool_arg_text(run, "query", "")));
	json_object_object_add(question, "max_results", json_object_new_int64(web_search_count(run)));
	json_object_object_add(question, "search_depth", json_object_new_string("basic"));
	f.body = json_text(question, NULL);
	rc = fetch_json(&f, answer_r, err);
	json_object_put(question);
	return rc;
}

static int
fetch(const struct tool_run *run, struct json_object **result_r, struct err *err)
{
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	struct json_object *answer = NULL;

	*result_r = NULL;
	if (fetch_url(&url, err, config()->tavily_base_url, "/search", FETCH_END) == 0 && ask(run, url.data, &answer, err) == 0) {
		*result_r = tavily_read(answer, web_search_count(run), err);
		json_object_put(answer);
	}
	buffer_free(&url);
	return *result_r != NULL ? 0 : -1;
}

const struct tool_provider web_search_tavily = {.name = PROVIDER, .needs = FEATURE_TAVILY, .fetch = fetch};
