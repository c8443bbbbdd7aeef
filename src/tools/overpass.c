/* overpass.c - what Overpass says; see tools/places.h */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tools/fetch.h"
#include "tools/places.h"
#include "tools/tool.h"

#define PROVIDER "OpenStreetMap"
#define EARTH_RADIUS_M 6371008.8

const char *
overpass_filter(const char *query)
{
	/* longer words first where one is part of another */
	static const struct {
		const char *word;
		const char *filter;
	} kinds[] = {
	    {"supermarket", "[\"shop\"=\"supermarket\"]"},
	    {"grocer", "[\"shop\"~\"^(supermarket|convenience|greengrocer)$\"]"},
	    {"bakery", "[\"shop\"=\"bakery\"]"},
	    {"bakeries", "[\"shop\"=\"bakery\"]"},
	    {"coffee", "[\"amenity\"=\"cafe\"]"},
	    {"cafe", "[\"amenity\"=\"cafe\"]"},
	    {"café", "[\"amenity\"=\"cafe\"]"},
	    {"restaurant", "[\"amenity\"=\"restaurant\"]"},
	    {"fast food", "[\"amenity\"=\"fast_food\"]"},
	    {"pharmac", "[\"amenity\"=\"pharmacy\"]"},
	    {"hospital", "[\"amenity\"=\"hospital\"]"},
	    {"clinic", "[\"amenity\"=\"clinic\"]"},
	    {"doctor", "[\"amenity\"=\"doctors\"]"},
	    {"dentist", "[\"amenity\"=\"dentist\"]"},
	    {"hotel", "[\"tourism\"=\"hotel\"]"},
	    {"hostel", "[\"tourism\"=\"hostel\"]"},
	    {"museum", "[\"tourism\"=\"museum\"]"},
	    {"atm", "[\"amenity\"=\"atm\"]"},
	    {"bank", "[\"amenity\"=\"bank\"]"},
	    {"fuel", "[\"amenity\"=\"fuel\"]"},
	    {"petrol", "[\"amenity\"=\"fuel\"]"},
	    {"gas station", "[\"amenity\"=\"fuel\"]"},
	    {"parking", "[\"amenity\"=\"parking\"]"},
	    {"police", "[\"amenity\"=\"police\"]"},
	    {"post office", "[\"amenity\"=\"post_office\"]"},
	    {"librar", "[\"amenity\"=\"library\"]"},
	    {"school", "[\"amenity\"=\"school\"]"},
	    {"universit", "[\"amenity\"=\"university\"]"},
	    {"church", "[\"amenity\"=\"place_of_worship\"][\"religion\"=\"christian\"]"},
	    {"mosque", "[\"amenity\"=\"place_of_worship\"][\"religion\"=\"muslim\"]"},
	    {"cinema", "[\"amenity\"=\"cinema\"]"},
	    {"market", "[\"amenity\"=\"marketplace\"]"},
	    {"bus sto", "[\"highway\"=\"bus_stop\"]"},
	    {"bus station", "[\"amenity\"=\"bus_station\"]"},
	    {"park", "[\"leisure\"=\"park\"]"},
	    {"gym", "[\"leisure\"=\"fitness_centre\"]"},
	    {"pub", "[\"amenity\"=\"pub\"]"},
	    {"bar", "[\"amenity\"=\"bar\"]"},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *found = strcasestr(query, kinds[i].word);

		/* at the start of a word: "bar" is not in "Zanzibar" */
		if (found != NULL && (found == query || strchr(" ,-/", found[-1]) != NULL))
			return kinds[i].filter;
	}
	return NULL;
}

/* A query that ran out of time or memory is a remark beside whatever was found. */
int
overpass_explain(long status, struct json_object *body, struct err *err)
{
	const char *remark = json_member_text(body, "remark");

	(void)status;
	if (remark == NULL || strstr(remark, "error") == NULL)
		return 0;
	err_set(err, ERR_UNAVAILABLE, PROVIDER " is too busy to look around that place.");
	return err_cause(err, "%.120s", remark);
}

struct found {
	struct json_object *tags;
	struct json_object *element;
	struct places_point at;
	double distance_m;
};

/* The way along the earth's surface (haversine). */
static double
distance(struct places_point a, struct places_point b)
{
	const double degree = M_PI / 180;
	double up = sin((b.latitude - a.latitude) * degree / 2);
	double along = sin((b.longitude - a.longitude) * degree / 2);
	double h = up * up + cos(a.latitude * degree) * cos(b.latitude * degree) * along * along;

	return 2 * EARTH_RADIUS_M * asin(sqrt(h < 1 ? h : 1));
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

/* Places without a name are of no use to a person. */
static bool
read_element(struct json_object *element, struct places_point from, struct found *f)
{
	struct json_object *center = json_member(element, "center", json_type_object);
	struct json_object *where = center != NULL ? center : element;

	f->element = element;
	f->tags = json_member(element, "tags", json_type_object);
	if (json_member_text(f->tags, "name") == NULL || !read_degrees(where, "lat", 90, &f->at.latitude) ||
	    !read_degrees(where, "lon", 180, &f->at.longitude))
		return false;
	f->distance_m = distance(from, f->at);
	return true;
}

static int
compare(const void *left, const void *right)
{
	const struct found *a = left, *b = right;

	return (a->distance_m > b->distance_m) - (a->distance_m < b->distance_m);
}

static void
add_address(struct json_object *row, struct json_object *tags)
{
	const char *street = json_member_text(tags, "addr:street");
	const char *number = json_member_text(tags, "addr:housenumber");
	const char *city = json_member_text(tags, "addr:city");
	char road[120], house[30], town[100], address[300];

	if (street == NULL)
		return;
	text_copy(road, sizeof(road), street);
	text_copy(house, sizeof(house), number != NULL ? number : "");
	text_copy(town, sizeof(town), city != NULL ? city : "");
	snprintf(address, sizeof(address), "%s%s%s%s%s", road, *house != '\0' ? " " : "", house, *town != '\0' ? ", " : "", town);
	tool_add_text(row, "address", address, sizeof(address));
}

/* Tags that hold the kind of a place, and those that hold its telephone. */
static const char *
first_tag(struct json_object *tags, const char *const *names)
{
	const char *text = NULL;

	for (; text == NULL && *names != NULL; names++)
		text = json_member_text(tags, *names);
	return text;
}

static struct json_object *
describe(const struct found *f)
{
	static const char *const kinds[] = {"amenity", "shop", "tourism", "leisure", "highway", NULL};
	static const char *const phones[] = {"phone", "contact:phone", NULL};
	static const char *const websites[] = {"website", "contact:website", NULL};
	struct json_object *row = json_object_new_object();
	const char *website = first_tag(f->tags, websites);

	tool_add_text(row, "name", json_member_text(f->tags, "name"), 200);
	tool_add_text(row, "type", first_tag(f->tags, kinds), 60);
	json_object_object_add(row, "distance_m", json_object_new_int64(llround(f->distance_m)));
	add_address(row, f->tags);
	tool_add_text(row, "opening_hours", json_member_text(f->tags, "opening_hours"), 200);
	tool_add_text(row, "phone", first_tag(f->tags, phones), 60);
	if (tool_is_url(website))
		tool_add_text(row, "website", website, TOOL_URL_MAX_BYTES);
	json_object_object_add(row, "latitude", tool_decimal(f->at.latitude, 5));
	json_object_object_add(row, "longitude", tool_decimal(f->at.longitude, 5));
	return row;
}

struct json_object *
overpass_read(struct json_object *answer, struct places_point from, struct err *err)
{
	struct json_object *elements = json_member(answer, "elements", json_type_array);
	struct json_object *list;
	struct found *all;
	size_t count = 0;

	if (elements == NULL) {
		fetch_malformed(PROVIDER, err);
		return NULL;
	}
	all = mem_alloc((json_object_array_length(elements) + 1) * sizeof(*all));
	for (size_t i = 0; i < json_object_array_length(elements); i++)
		count += read_element(json_object_array_get_idx(elements, i), from, &all[count]);
	qsort(all, count, sizeof(*all), compare);
	list = json_object_new_array();
	for (size_t i = 0; i < count && i < PLACES_MAX; i++)
		json_object_array_add(list, describe(&all[i]));
	free(all);
	return places_result(list, "OpenStreetMap contributors (Overpass)");
}
