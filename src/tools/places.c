/* places.c - the tool that finds places; its providers are google_places.c and openstreetmap.c */
#include "tools/places.h"

#include <string.h>

#include "tools/tool.h"

#define RADIUS_M 1500

static const struct tool_provider *const providers[] = {&places_google, &places_openstreetmap, NULL};

void
places_query_read(const struct tool_run *run, struct places_query *q)
{
	q->query = tool_arg_text(run, "query", "");
	q->near = tool_arg_text(run, "near", NULL);
	q->radius_given = json_object_object_get_ex(run->args, "radius_m", NULL);
	q->radius_m = tool_arg_int(run, "radius_m", RADIUS_M);
}

static int
make_key(const struct tool_run *run, struct buffer *key, struct err *err)
{
	struct places_query q;

	places_query_read(run, &q);
	if (tool_key_add(key, "query", q.query) == -1 || tool_key_add(key, "near", q.near != NULL ? q.near : "") == -1 ||
	    buffer_printf(key, "|radius=%lld", (long long)q.radius_m) == -1)
		return err_set(err, ERR_UNPROCESSABLE, "The question is too long.");
	return 0;
}

const struct tool tool_places = {
    .name = "places",
    .description = "Find places: an address or sight by its name, or kinds of places (cafe, pharmacy, hotel, hospital, bank ...) near one.",
    .schema = "{\"type\":\"object\",\"properties\":{"
              "\"query\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":200,\"description\":\"What: cafe, pharmacy, or a name\"},"
              "\"near\":{\"type\":\"string\",\"maxLength\":200,\"description\":\"Around which place: Kimihurura, Kigali\"},"
              "\"radius_m\":{\"type\":\"integer\",\"minimum\":50,\"maximum\":20000,\"description\":\"How far from it, in metres; 1500 if left out\"}},"
              "\"required\":[\"query\"],\"additionalProperties\":false}",
    .ttl_secs = 3600,
    .providers = providers,
    .key = make_key,
};

struct json_object *
places_result(struct json_object *places, const char *source)
{
	struct json_object *result = json_object_new_object();

	json_object_object_add(result, "places", places);
	tool_add_source(result, source);
	return result;
}
