/* openstreetmap.c - places of OpenStreetMap, which need no key; see tools/places.h */
#include <stdio.h>
#include <string.h>

#include "tools/fetch.h"
#include "tools/places.h"
#include "tools/tool.h"

#define PROVIDER "OpenStreetMap"
#define QUESTION_MAX_BYTES ((size_t)4096)

static int
ask_nominatim(const char *query, const char *limit, struct json_object **answer_r, struct err *err)
{
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	int rc = fetch_url(&url, err, config()->nominatim_url, "/search", "q", query, "format", "jsonv2", "limit", limit,
	                   "accept-language", "en", FETCH_END);

	if (rc == 0)
		rc = nominatim_take_turn(err);
	if (rc == 0) {
		const struct fetch f = {.provider = PROVIDER, .url = url.data, .explain = nominatim_explain};

		rc = fetch_json(&f, answer_r, err);
	}
	buffer_free(&url);
	return rc;
}

static int
find_point(const char *near, struct places_point *point, struct err *err)
{
	struct json_object *answer = NULL;
	int rc;

	if (ask_nominatim(near, "1", &answer, err) == -1)
		return -1;
	rc = nominatim_read_point(answer, point, err);
	json_object_put(answer);
	return rc;
}

/* The question in Overpass' language, as a form. */
static int
write_question(struct buffer *form, const char *filter, struct places_point at, int64_t radius_m)
{
	struct buffer question = BUFFER_INIT(QUESTION_MAX_BYTES);
	int rc = buffer_printf(&question, "[out:json][timeout:6];nwr%s(around:%lld,%.6f,%.6f);out center 60;", filter,
	                       (long long)radius_m, at.latitude, at.longitude);

	if (rc == 0)
		rc = buffer_append_text(form, "data=") == -1 || fetch_encode(form, question.data) == -1 ? -1 : 0;
	buffer_free(&question);
	return rc;
}

static int
ask_overpass(const char *filter, struct places_point at, int64_t radius_m, struct json_object **answer_r, struct err *err)
{
	static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	struct buffer form = BUFFER_INIT(QUESTION_MAX_BYTES);
	int rc = fetch_url(&url, err, config()->overpass_url, "/api/interpreter", FETCH_END);

	if (rc == 0 && write_question(&form, filter, at, radius_m) == -1)
		rc = err_set(err, ERR_INTERNAL, "The question is too long.");
	if (rc == 0) {
		const struct fetch f = {.provider = PROVIDER,
		                        .url = url.data,
		                        .headers = headers,
		                        .body = form.data,
		                        .explain = overpass_explain};

		rc = fetch_json(&f, answer_r, err);
	}
	buffer_free(&form);
	buffer_free(&url);
	return rc;
}

/* Kinds of places around a place. */
static int
look_around(const struct places_query *q, const char *filter, struct json_object **result_r, struct err *err)
{
	struct places_point at = {0};
	struct json_object *answer = NULL;

	if (find_point(q->near, &at, err) == -1 || ask_overpass(filter, at, q->radius_m, &answer, err) == -1)
		return -1;
	*result_r = overpass_read(answer, at, err);
	json_object_put(answer);
	return *result_r != NULL ? 0 : -1;
}

static int
search(const struct places_query *q, struct json_object **result_r, struct err *err)
{
	struct json_object *answer = NULL;
	char text[420];

	snprintf(text, sizeof(text), "%s%s%s", q->query, q->near != NULL ? ", " : "", q->near != NULL ? q->near : "");
	if (ask_nominatim(text, "8", &answer, err) == -1)
		return -1;
	*result_r = nominatim_read(answer, err);
	json_object_put(answer);
	return *result_r != NULL ? 0 : -1;
}

static int
fetch(const struct tool_run *run, struct json_object **result_r, struct err *err)
{
	struct places_query q;
	const char *filter;

	*result_r = NULL;
	places_query_read(run, &q);
	filter = q.near != NULL ? overpass_filter(q.query) : NULL;
	return filter != NULL ? look_around(&q, filter, result_r, err) : search(&q, result_r, err);
}

const struct tool_provider places_openstreetmap = {.name = PROVIDER, .needs = FEATURE_NONE, .fetch = fetch};
