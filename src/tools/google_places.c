/* google_places.c - places of Google, with a key; see tools/places.h */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/fetch.h"
#include "tools/places.h"
#include "tools/tool.h"

#define PROVIDER "Google Places"

/* {"error":{"code":403,"message":...,"status":"PERMISSION_DENIED"}} */
int
google_places_explain(long status, struct json_object *body, struct err *err)
{
	struct json_object *error = json_member(body, "error", json_type_object);
	const char *state = json_member_text(error, "status");

	if (error == NULL)
		return 0;
	if (state != NULL && strcmp(state, "RESOURCE_EXHAUSTED") == 0)
		fetch_refused(PROVIDER, 429, err);
	else if (state != NULL && (strcmp(state, "INVALID_ARGUMENT") == 0 || strcmp(state, "PERMISSION_DENIED") == 0 ||
	                           strcmp(state, "UNAUTHENTICATED") == 0))
		fetch_refused(PROVIDER, 403, err);      /* a wrong key is an INVALID_ARGUMENT to them */
	else
		fetch_refused(PROVIDER, status == 200 ? 500 : status, err);
	return err_cause(err, "%.60s", state != NULL ? state : "no status");
}

static struct json_object *
read_place(struct json_object *place)
{
	struct json_object *row = json_object_new_object();
	struct json_object *location = json_member(place, "location", json_type_object);
	const char *url = json_member_text(place, "googleMapsUri");

	tool_add_text(row, "name", json_member_text(json_member(place, "displayName", json_type_object), "text"), 200);
	tool_add_text(row, "type", json_member_text(place, "primaryType"), 60);
	tool_add_text(row, "address", json_member_text(place, "formattedAddress"), 300);
	tool_add_number(row, "latitude", location, "latitude");
	tool_add_number(row, "longitude", location, "longitude");
	tool_add_number(row, "rating", place, "rating");
	tool_add_number(row, "ratings", place, "userRatingCount");
	if (tool_is_url(url))
		tool_add_text(row, "url", url, TOOL_URL_MAX_BYTES);
	return row;
}

/* The places of an answer, borrowed; NULL when it has none, and without `places` is how they say so. */
static int
find_places(struct json_object *answer, struct json_object **found_r, struct err *err)
{
	*found_r = NULL;
	if (!json_object_is_type(answer, json_type_object) ||
	    (json_object_object_get_ex(answer, "places", found_r) && !json_object_is_type(*found_r, json_type_array)))
		return fetch_malformed(PROVIDER, err);
	return 0;
}

struct json_object *
google_places_read(struct json_object *answer, struct err *err)
{
	struct json_object *found, *list;

	if (find_places(answer, &found, err) == -1)
		return NULL;
	list = json_object_new_array();
	for (size_t i = 0; found != NULL && i < json_object_array_length(found) && i < PLACES_MAX; i++)
		if (json_object_is_type(json_object_array_get_idx(found, i), json_type_object))
			json_object_array_add(list, read_place(json_object_array_get_idx(found, i)));
	return places_result(list, PROVIDER);
}

/* ---- asking ---- */

static int
ask(struct json_object *question, struct json_object **answer_r, struct err *err)
{
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	char header[600];
	const char *const headers[] = {
	    "Content-Type: application/json", header,
	    "X-Goog-FieldMask: places.displayName,places.primaryType,places.formattedAddress,places.location,places.rating,"
	    "places.userRatingCount,places.googleMapsUri",
	    NULL};
	int rc = fetch_url(&url, err, config()->google_places_base_url, "/v1/places:searchText", FETCH_END);

	fetch_key_header(header, sizeof(header), "X-Goog-Api-Key: ", config()->google_places_api_key);
	if (rc == 0) {
		const struct fetch f = {.provider = PROVIDER,
		                        .url = url.data,
		                        .headers = headers,
		                        .body = json_text(question, NULL),
		                        .key = config()->google_places_api_key,
		                        .explain = google_places_explain};

		rc = fetch_json(&f, answer_r, err);
	}
	buffer_free(&url);
	return rc;
}

static struct json_object *
make_question(const char *text, int count)
{
	struct json_object *question = json_object_new_object();

	json_object_object_add(question, "textQuery", json_object_new_string(text));
	json_object_object_add(question, "pageSize", json_object_new_int(count));
	return question;
}

static bool
read_degrees(struct json_object *obj, const char *name, double most, double *degrees_r)
{
	struct json_object *value;

	if (!json_object_is_type(obj, json_type_object) || !json_object_object_get_ex(obj, name, &value) ||
	    !(json_object_is_type(value, json_type_double) || json_object_is_type(value, json_type_int)))
		return false;
	*degrees_r = json_object_get_double(value);
	return fabs(*degrees_r) <= most;
}

int
google_places_read_point(struct json_object *answer, struct places_point *point, struct err *err)
{
	struct json_object *found, *location;

	if (find_places(answer, &found, err) == -1)
		return -1;
	if (found == NULL || json_object_array_length(found) == 0)
		return err_set(err, ERR_NOT_FOUND, "There is no such place to look near.");
	location = json_member(json_object_array_get_idx(found, 0), "location", json_type_object);
	if (!read_degrees(location, "latitude", 90, &point->latitude) ||
	    !read_degrees(location, "longitude", 180, &point->longitude))
		return fetch_malformed(PROVIDER, err);
	return 0;
}

/* Where `near` is, so that a radius can be given. */
static int
find_point(const char *near, struct places_point *point, struct err *err)
{
	struct json_object *question = make_question(near, 1), *answer = NULL;
	int rc = ask(question, &answer, err);

	json_object_put(question);
	if (rc == -1)
		return -1;
	rc = google_places_read_point(answer, point, err);
	json_object_put(answer);
	return rc;
}

static void
add_circle(struct json_object *question, struct places_point at, int64_t radius_m)
{
	struct json_object *bias = json_object_new_object(), *circle = json_object_new_object();
	struct json_object *center = json_object_new_object();

	json_object_object_add(center, "latitude", tool_decimal(at.latitude, 6));
	json_object_object_add(center, "longitude", tool_decimal(at.longitude, 6));
	json_object_object_add(circle, "center", center);
	json_object_object_add(circle, "radius", json_object_new_int64(radius_m));
	json_object_object_add(bias, "circle", circle);
	json_object_object_add(question, "locationBias", bias);
}

static int
fetch(const struct tool_run *run, struct json_object **result_r, struct err *err)
{
	struct places_query q;
	struct places_point point = {0};
	struct json_object *question, *answer = NULL;
	char text[420];
	int rc;

	*result_r = NULL;
	places_query_read(run, &q);
	if (q.near != NULL && q.radius_given && find_point(q.near, &point, err) == -1)
		return -1;
	snprintf(text, sizeof(text), "%s%s%s", q.query, q.near != NULL ? " near " : "", q.near != NULL ? q.near : "");
	question = make_question(text, PLACES_MAX);
	if (q.near != NULL && q.radius_given)
		add_circle(question, point, q.radius_m);
	rc = ask(question, &answer, err);
	json_object_put(question);
	if (rc == -1)
		return -1;
	*result_r = google_places_read(answer, err);
	json_object_put(answer);
	return *result_r != NULL ? 0 : -1;
}

const struct tool_provider places_google = {.name = PROVIDER, .needs = FEATURE_GOOGLE_PLACES, .fetch = fetch};
