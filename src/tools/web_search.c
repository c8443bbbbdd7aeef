/* web_search.c - the tool that searches the web; its providers are tavily.c, searxng.c and wikipedia.c */
#include "tools/web_search.h"

#include <stdlib.h>
#include <string.h>

#include "tools/tool.h"

#define SNIPPET_MAX_BYTES 700

static const struct tool_provider *const providers[] = {&web_search_tavily, &web_search_searxng, &web_search_wikipedia,
                                                        NULL};

int64_t
web_search_count(const struct tool_run *run)
{
	return tool_arg_int(run, "count", 5);
}

static int
make_key(const struct tool_run *run, struct buffer *key, struct err *err)
{
	if (tool_key_add(key, "query", tool_arg_text(run, "query", "")) == -1 ||
	    buffer_printf(key, "|count=%d", (int)web_search_count(run)) == -1)
		return err_set(err, ERR_UNPROCESSABLE, "The question is too long.");
	return 0;
}

const struct tool tool_web_search = {
    .name = "web_search",
    .description = "Search the web for what is not known or may have changed. Results have a title, an address and a snippet.",
    .schema = "{\"type\":\"object\",\"properties\":{"
              "\"query\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":400},"
              "\"count\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":10,\"description\":\"How many results; 5 if left out\"}},"
              "\"required\":[\"query\"],\"additionalProperties\":false}",
    .ttl_secs = 1800,
    .providers = providers,
    .key = make_key,
};

/* ---- what all providers write ---- */

static void
add_clean(struct json_object *to, const char *name, const char *text, size_t max)
{
	char *copy = mem_strdup(text != NULL ? text : "");

	tool_add_text(to, name, tool_strip_html(copy), max);
	free(copy);
}

void
web_search_add(struct json_object *results, const char *title, const char *url, const char *snippet, const char *date)
{
	struct json_object *row;

	if (title == NULL || !tool_is_url(url))
		return;
	row = json_object_new_object();
	add_clean(row, "title", title, 200);
	tool_add_text(row, "url", url, TOOL_URL_MAX_BYTES);
	add_clean(row, "snippet", snippet, SNIPPET_MAX_BYTES);
	tool_add_text(row, "date", date, 40);
	json_object_array_add(results, row);
}

struct json_object *
web_search_result(struct json_object *results, const char *source)
{
	struct json_object *result = json_object_new_object();

	json_object_object_add(result, "results", results);
	tool_add_source(result, source);
	return result;
}
