/* nominatim.c - what Nominatim says, and when it may be asked; see tools/places.h */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/shm.h"
#include "tools/fetch.h"
#include "tools/places.h"
#include "tools/tool.h"

#define PROVIDER "OpenStreetMap"
/* What is left for the request itself when the turn comes. */
#define REQUEST_MS 1000

/* ---- turns ---- */

/* When the next may be asked, by the clock that all processes of the host share.  Taking a turn is moving it on:
   sound wherever a worker is killed. */
struct turns {
	_Atomic int64_t next_ms;
};

/* The time of a turn of our own; -1 if that is later than `latest_ms`. */
static int64_t
reserve_turn(struct turns *turns, int64_t now_ms, int64_t latest_ms)
{
	int64_t next = atomic_load(&turns->next_ms), at;

	do {
		at = next > now_ms ? next : now_ms;
		if (at > latest_ms)
			return -1;
	} while (!atomic_compare_exchange_weak(&turns->next_ms, &next, at + config()->nominatim_interval_ms));
	return at;
}

int
nominatim_take_turn(struct err *err)
{
	int64_t whole = fiber_deadline();
	int64_t latest = whole == FIBER_NO_DEADLINE ? whole : whole - FETCH_GRACE_MS - REQUEST_MS;
	int64_t at;

	if (config()->nominatim_interval_ms == 0)
		return 0;
	at = reserve_turn(shm_section("nominatim.1", sizeof(struct turns)), loop_now_ms(), latest);
	if (at == -1)
		return err_set(err, ERR_RATE_LIMIT_EXCEEDED, "Too many people look for places at the moment.");
	return at > loop_now_ms() ? fiber_sleep(at - loop_now_ms(), err) : 0;
}

/* ---- answers ---- */

/* {"error":{"code":400,"message":"..."}}, or {"error":"..."} of older servers. */
int
nominatim_explain(long status, struct json_object *body, struct err *err)
{
	struct json_object *error = NULL;

	if (!json_object_is_type(body, json_type_object) || !json_object_object_get_ex(body, "error", &error) || error == NULL)
		return 0;
	return fetch_refused(PROVIDER, status == 200 ? 500 : status, err);
}

/* Coordinates come as text. */
static bool
read_degrees(struct json_object *place, const char *name, double most, double *degrees_r)
{
	const char *text = json_member_text(place, name);
	char *end;

	if (text == NULL || text[0] == '\0')
		return false;
	*degrees_r = strtod(text, &end);
	return *end == '\0' && fabs(*degrees_r) <= most;
}

int
nominatim_read_point(struct json_object *answer, struct places_point *point, struct err *err)
{
	struct json_object *first;

	if (!json_object_is_type(answer, json_type_array))
		return fetch_malformed(PROVIDER, err);
	if (json_object_array_length(answer) == 0)
		return err_set(err, ERR_NOT_FOUND, "There is no such place to look near.");
	first = json_object_array_get_idx(answer, 0);
	if (!read_degrees(first, "lat", 90, &point->latitude) || !read_degrees(first, "lon", 180, &point->longitude))
		return fetch_malformed(PROVIDER, err);
	return 0;
}

static void
add_place(struct json_object *list, struct json_object *place)
{
	struct json_object *row;
	struct places_point at;

	if (!read_degrees(place, "lat", 90, &at.latitude) || !read_degrees(place, "lon", 180, &at.longitude))
		return;
	row = json_object_new_object();
	tool_add_text(row, "name", json_member_text(place, "name"), 200);
	tool_add_text(row, "type", json_member_text(place, "type"), 60);
	tool_add_text(row, "address", json_member_text(place, "display_name"), 300);
	json_object_object_add(row, "latitude", tool_decimal(at.latitude, 5));
	json_object_object_add(row, "longitude", tool_decimal(at.longitude, 5));
	json_object_array_add(list, row);
}

struct json_object *
nominatim_read(struct json_object *answer, struct err *err)
{
	struct json_object *list;

	if (!json_object_is_type(answer, json_type_array)) {
		fetch_malformed(PROVIDER, err);
		return NULL;
	}
	list = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(answer) && i < PLACES_MAX; i++)
		add_place(list, json_object_array_get_idx(answer, i));
	if (json_object_array_length(list) < json_object_array_length(answer) && json_object_array_length(list) == 0) {
		json_object_put(list);
		fetch_malformed(PROVIDER, err);
		return NULL;
	}
	return places_result(list, "OpenStreetMap contributors (Nominatim)");
}
