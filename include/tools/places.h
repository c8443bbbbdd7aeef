/*
 * places.h - the places tool's providers, and how their answers are read.
 *
 * Google: developers.google.com/maps/documentation/places/web-service/text-search (Places API, New).
 * Nominatim: nominatim.org/release-docs/latest/api/Search; its public server's rules
 * (operations.osmfoundation.org/policies/nominatim) ask for a second between requests and a User-Agent that says who
 * asks.  Overpass: wiki.openstreetmap.org/wiki/Overpass_API/Overpass_QL.
 */
#ifndef TOOLS_PLACES_H
#define TOOLS_PLACES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

struct tool_provider;
struct tool_run;

#define PLACES_MAX 8

extern const struct tool_provider places_google;
extern const struct tool_provider places_openstreetmap;

struct places_query {
	const char *query;
	const char *near;               /* NULL: nowhere in particular */
	int64_t radius_m;
	bool radius_given;
};

void places_query_read(const struct tool_run *run, struct places_query *query_r);

struct places_point {
	double latitude;
	double longitude;
};

int google_places_explain(long status, struct json_object *body, struct err *err);
struct json_object *google_places_read(struct json_object *answer, struct err *err) MUST_USE;
/* Where the first place of an answer is.  ERR_NOT_FOUND when it has none. */
int google_places_read_point(struct json_object *answer, struct places_point *point_r, struct err *err) MUST_USE;

int nominatim_explain(long status, struct json_object *body, struct err *err);
struct json_object *nominatim_read(struct json_object *answer, struct err *err) MUST_USE;
/* Where the first place of an answer is.  ERR_NOT_FOUND when it has none. */
int nominatim_read_point(struct json_object *answer, struct places_point *point_r, struct err *err) MUST_USE;

/* What Overpass is to look for when a query speaks of cafes, pharmacies ...: "amenity"="cafe"; NULL if of nothing
   that is known here. */
const char *overpass_filter(const char *query);
int overpass_explain(long status, struct json_object *body, struct err *err);
struct json_object *overpass_read(struct json_object *answer, struct places_point from, struct err *err) MUST_USE;

/* Wait for this host's turn to ask Nominatim: NOMINATIM_INTERVAL_MS after the last, over all workers.  -1 with *err
   (ERR_RATE_LIMIT_EXCEEDED) at once when the turn would come too late.  Waits. */
int nominatim_take_turn(struct err *err) MUST_USE;

/* {"places":..., "source":..., "retrieved_at":...} */
struct json_object *places_result(struct json_object *places, const char *source);

#endif
