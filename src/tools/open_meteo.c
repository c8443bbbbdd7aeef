/* open_meteo.c - weather of Open-Meteo, which needs no key; see tools/weather.h */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/fetch.h"
#include "tools/tool.h"
#include "tools/weather.h"

#define PROVIDER "Open-Meteo"

/* ---- reading answers ---- */

/* WMO code table 4677, as Open-Meteo groups it. */
static const char *
conditions(int64_t code)
{
	static const struct {
		int code;
		const char *words;
	} codes[] = {
	    {0, "clear sky"},
	    {1, "mainly clear"},
	    {2, "partly cloudy"},
	    {3, "overcast"},
	    {45, "fog"},
	    {48, "depositing rime fog"},
	    {51, "light drizzle"},
	    {53, "moderate drizzle"},
	    {55, "dense drizzle"},
	    {56, "light freezing drizzle"},
	    {57, "dense freezing drizzle"},
	    {61, "slight rain"},
	    {63, "moderate rain"},
	    {65, "heavy rain"},
	    {66, "light freezing rain"},
	    {67, "heavy freezing rain"},
	    {71, "slight snowfall"},
	    {73, "moderate snowfall"},
	    {75, "heavy snowfall"},
	    {77, "snow grains"},
	    {80, "slight rain showers"},
	    {81, "moderate rain showers"},
	    {82, "violent rain showers"},
	    {85, "slight snow showers"},
	    {86, "heavy snow showers"},
	    {95, "thunderstorm"},
	    {96, "thunderstorm with slight hail"},
	    {99, "thunderstorm with heavy hail"},
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].words;
	return NULL;
}

int
open_meteo_explain(long status, struct json_object *body, struct err *err)
{
	struct json_object *error = json_member(body, "error", json_type_boolean);
	const char *reason = json_member_text(body, "reason");

	if (error == NULL || !json_object_get_boolean(error))
		return 0;
	if (status == 429)
		return fetch_refused(PROVIDER, status, err);
	err_set(err, status >= 500 ? ERR_UNAVAILABLE : ERR_UNPROCESSABLE, PROVIDER " refused: %.150s", reason != NULL ? reason : "no reason given");
	return err_cause(err, "status %ld", status);
}

static bool
read_degrees(struct json_object *obj, const char *name, double most, double *degrees_r)
{
	struct json_object *value;

	if (!json_object_object_get_ex(obj, name, &value) ||
	    !(json_object_is_type(value, json_type_double) || json_object_is_type(value, json_type_int)))
		return false;
	*degrees_r = json_object_get_double(value);
	return fabs(*degrees_r) <= most;
}

int
open_meteo_read_place(struct json_object *answer, struct weather_place *place, struct err *err)
{
	struct json_object *results = json_member(answer, "results", json_type_array);
	struct json_object *first;
	const char *parts[3];

	/* without results is how they say that there are none */
	if (!json_object_is_type(answer, json_type_object) ||
	    (results == NULL && json_object_object_get_ex(answer, "results", NULL)))
		return fetch_malformed(PROVIDER, err);
	if (results == NULL || json_object_array_length(results) == 0)
		return weather_no_place(err);
	first = json_object_array_get_idx(results, 0);
	parts[0] = json_member_text(first, "name");
	parts[1] = json_member_text(first, "admin1");
	parts[2] = json_member_text(first, "country");
	if (parts[0] == NULL || !read_degrees(first, "latitude", 90, &place->latitude) ||
	    !read_degrees(first, "longitude", 180, &place->longitude))
		return fetch_malformed(PROVIDER, err);
	weather_place_name(place->name, sizeof(place->name), parts, 3);
	return 0;
}

static void
add_conditions(struct json_object *to, struct json_object *code)
{
	const char *words = json_object_is_type(code, json_type_int) || json_object_is_type(code, json_type_double)
	                        ? conditions(json_object_get_int64(code))
	                        : NULL;

	if (words != NULL)
		json_object_object_add(to, "conditions", json_object_new_string(words));
}

static struct json_object *
read_current(struct json_object *now)
{
	struct json_object *current = json_object_new_object();

	tool_add_text(current, "time", json_member_text(now, "time"), 32);
	add_conditions(current, json_object_object_get(now, "weather_code"));
	tool_add_number(current, "temperature", now, "temperature_2m");
	tool_add_number(current, "feels_like", now, "apparent_temperature");
	tool_add_number(current, "humidity_percent", now, "relative_humidity_2m");
	tool_add_number(current, "precipitation", now, "precipitation");
	tool_add_number(current, "wind_speed", now, "wind_speed_10m");
	return current;
}

/* The element of one of the daily columns. */
static struct json_object *
cell(struct json_object *daily, const char *column, size_t day)
{
	struct json_object *values = json_member(daily, column, json_type_array);

	return values != NULL ? json_object_array_get_idx(values, day) : NULL;
}

static void
add_cell(struct json_object *to, const char *name, struct json_object *daily, const char *column, size_t day)
{
	struct json_object *value = cell(daily, column, day);

	if (json_object_is_type(value, json_type_int) ||
	    (json_object_is_type(value, json_type_double) && isfinite(json_object_get_double(value))))
		json_object_object_add(to, name, json_object_get(value));
}

static struct json_object *
read_day(struct json_object *daily, size_t day)
{
	struct json_object *row = json_object_new_object();
	struct json_object *date = cell(daily, "time", day);

	if (json_object_is_type(date, json_type_string))
		tool_add_text(row, "date", json_object_get_string(date), 16);
	add_conditions(row, cell(daily, "weather_code", day));
	add_cell(row, "temperature_min", daily, "temperature_2m_min", day);
	add_cell(row, "temperature_max", daily, "temperature_2m_max", day);
	add_cell(row, "precipitation", daily, "precipitation_sum", day);
	add_cell(row, "precipitation_chance_percent", daily, "precipitation_probability_max", day);
	return row;
}

struct json_object *
open_meteo_read(struct json_object *answer, const struct weather_query *q, const struct weather_place *place,
                struct err *err)
{
	struct json_object *now = json_member(answer, "current", json_type_object);
	struct json_object *daily = json_member(answer, "daily", json_type_object);
	struct json_object *dates = json_member(daily, "time", json_type_array);
	struct json_object *result, *days;

	if (now == NULL || dates == NULL) {
		fetch_malformed(PROVIDER, err);
		return NULL;
	}
	result = weather_begin(q, place, q->imperial ? "mph" : "km/h");
	days = json_object_new_array();
	tool_add_text(result, "timezone", json_member_text(answer, "timezone"), 64);
	json_object_object_add(result, "current", read_current(now));
	for (size_t i = 0; i < json_object_array_length(dates) && i < (size_t)q->days; i++)
		json_object_array_add(days, read_day(daily, i));
	json_object_object_add(result, "days", days);
	tool_add_source(result, PROVIDER);
	return result;
}

/* ---- asking ---- */

static int
ask(struct buffer *url, struct json_object **answer_r, struct err *err)
{
	const struct fetch f = {.provider = PROVIDER, .url = url->data, .explain = open_meteo_explain};

	return fetch_json(&f, answer_r, err);
}

static int
find_named(const char *name, struct weather_place *place, struct err *err)
{
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	struct json_object *answer = NULL;
	int rc = -1;

	if (fetch_url(&url, err, config()->open_meteo_geocoding_url, "/v1/search", "name", name, "count", "1", "language",
	              "en", "format", "json", FETCH_END) == 0 &&
	    ask(&url, &answer, err) == 0) {
		rc = open_meteo_read_place(answer, place, err);
		json_object_put(answer);
	}
	buffer_free(&url);
	return rc;
}

/* Older geocoders of theirs take no "Paris, France": then the part before the comma alone. */
static int
find_place(const char *location, struct weather_place *place, struct err *err)
{
	const char *comma = strchr(location, ',');
	char first[128];

	if (find_named(location, place, err) == 0)
		return 0;
	if (err->code != ERR_NOT_FOUND || comma == NULL || comma == location)
		return -1;
	snprintf(first, sizeof(first), "%.*s", (int)(comma - location), location);
	return find_named(first, place, err);
}

static int
ask_forecast(const struct weather_query *q, const struct weather_place *place, struct json_object **answer_r,
             struct err *err)
{
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	char latitude[32], longitude[32], days[8];
	int rc;

	snprintf(latitude, sizeof(latitude), "%.4f", place->latitude);
	snprintf(longitude, sizeof(longitude), "%.4f", place->longitude);
	snprintf(days, sizeof(days), "%d", q->days);
	rc = fetch_url(&url, err, config()->open_meteo_url, "/v1/forecast", "latitude", latitude, "longitude", longitude,
	               "current", "temperature_2m,apparent_temperature,relative_humidity_2m,precipitation,weather_code,wind_speed_10m",
	               "daily", "weather_code,temperature_2m_max,temperature_2m_min,precipitation_sum,precipitation_probability_max",
	               "timezone", "auto", "forecast_days", days, "temperature_unit", q->imperial ? "fahrenheit" : NULL,
	               "wind_speed_unit", q->imperial ? "mph" : NULL, FETCH_END);
	if (rc == 0)
		rc = ask(&url, answer_r, err);
	buffer_free(&url);
	return rc;
}

static int
fetch(const struct tool_run *run, struct json_object **result_r, struct err *err)
{
	struct weather_query q;
	struct weather_place place = {0};
	struct json_object *answer = NULL;

	weather_query_read(run, &q);
	if (find_place(q.location, &place, err) == -1 || ask_forecast(&q, &place, &answer, err) == -1)
		return -1;
	*result_r = open_meteo_read(answer, &q, &place, err);
	json_object_put(answer);
	return *result_r != NULL ? 0 : -1;
}

const struct tool_provider weather_open_meteo = {.name = PROVIDER, .needs = FEATURE_NONE, .fetch = fetch};
