/* newsapi.c - news of NewsAPI, with a key; see tools/news.h */
#include <stdlib.h>
#include <string.h>

#include "tools/fetch.h"
#include "tools/news.h"
#include "tools/tool.h"

#define PROVIDER "NewsAPI"

int
newsapi_explain(long status, struct json_object *body, struct err *err)
{
	const char *state = json_member_text(body, "status");
	const char *code = json_member_text(body, "code");

	if (state == NULL || strcmp(state, "error") != 0)
		return 0;
	if (code == NULL)
		code = "no reason given";
	if (strncmp(code, "apiKey", 6) == 0)
		fetch_refused(PROVIDER, strcmp(code, "apiKeyExhausted") == 0 ? 429 : 401, err);
	else if (strcmp(code, "rateLimited") == 0)
		fetch_refused(PROVIDER, 429, err);
	else if (status >= 500 || strcmp(code, "unexpectedError") == 0)
		fetch_refused(PROVIDER, 500, err);
	else
		err_set(err, ERR_UNPROCESSABLE, PROVIDER " could not make sense of the question.");
	return err_cause(err, "%.60s", code);
}

static void
add_clean_text(struct json_object *to, const char *name, const char *text)
{
	char *copy = mem_strdup(text != NULL ? text : "");

	tool_add_text(to, name, tool_strip_html(copy), NEWS_TEXT_MAX_BYTES);
	free(copy);
}

/* NULL for an article that was taken back. */
static struct json_object *
read_article(struct json_object *article)
{
	const char *title = json_member_text(article, "title");
	const char *url = json_member_text(article, "url");
	struct json_object *row;

	if (title == NULL || strcmp(title, "[Removed]") == 0 || !tool_is_url(url))
		return NULL;
	row = json_object_new_object();
	add_clean_text(row, "title", title);
	tool_add_text(row, "source", json_member_text(json_member(article, "source", json_type_object), "name"), 80);
	tool_add_text(row, "published_at", json_member_text(article, "publishedAt"), 40);
	tool_add_text(row, "url", url, TOOL_URL_MAX_BYTES);
	add_clean_text(row, "summary", json_member_text(article, "description"));
	return row;
}

struct json_object *
newsapi_read(struct json_object *answer, struct err *err)
{
	struct json_object *articles = json_member(answer, "articles", json_type_array);
	struct json_object *result, *list;

	if (articles == NULL) {
		fetch_malformed(PROVIDER, err);
		return NULL;
	}
	list = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(articles); i++) {
		struct json_object *row = read_article(json_object_array_get_idx(articles, i));

		if (row != NULL)
			json_object_array_add(list, row);
		if (json_object_array_length(list) == NEWS_ARTICLES_MAX)
			break;
	}
	result = json_object_new_object();
	json_object_object_add(result, "articles", list);
	tool_add_source(result, PROVIDER);
	return result;
}

/* /everything searches, but knows no country and no category; /top-headlines knows no language. */
static int
make_url(const struct tool_run *run, struct buffer *url, struct err *err)
{
	const char *base = config()->news_api_base_url;
	const char *query = tool_arg_text(run, "query", NULL);
	const char *country = tool_arg_text(run, "country", NULL);
	const char *category = tool_arg_text(run, "category", NULL);

	if (query != NULL && country == NULL && category == NULL)
		return fetch_url(url, err, base, "/v2/everything", "q", query, "language", tool_arg_text(run, "language", NULL),
		                 "sortBy", "publishedAt", "pageSize", "15", FETCH_END);
	if (query == NULL && country == NULL && category == NULL)
		category = "general";
	return fetch_url(url, err, base, "/v2/top-headlines", "q", query, "country", country, "category", category, "pageSize",
	                 "15", FETCH_END);
}

static int
fetch(const struct tool_run *run, struct json_object **result_r, struct err *err)
{
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	char header[600];
	const char *const headers[] = {header, NULL};
	struct json_object *answer = NULL;
	int rc = make_url(run, &url, err);

	*result_r = NULL;
	fetch_key_header(header, sizeof(header), "X-Api-Key: ", config()->news_api_key);
	if (rc == 0) {
		const struct fetch f = {.provider = PROVIDER,
		                        .url = url.data,
		                        .headers = headers,
		                        .key = config()->news_api_key,
		                        .explain = newsapi_explain};

		rc = fetch_json(&f, &answer, err);
	}
	if (rc == 0) {
		*result_r = newsapi_read(answer, err);
		json_object_put(answer);
	}
	buffer_free(&url);
	return *result_r != NULL ? 0 : -1;
}

const struct tool_provider news_newsapi = {.name = PROVIDER, .needs = FEATURE_NEWS_API, .fetch = fetch};
