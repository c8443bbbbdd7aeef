/* openweather.c - weather of OpenWeather, with a key; see tools/weather.h */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tools/fetch.h"
#include "tools/tool.h"
#include "tools/weather.h"

#define PROVIDER "OpenWeather"
#define DATE_BYTES sizeof("2026-01-31")

/* ---- reading answers ---- */

/* `cod` is a number or a text; errors come with their status, and some with status 200. */
int
openweather_explain(long status, struct json_object *body, struct err *err)
{
	struct json_object *cod = NULL;
	int64_t code = 200;

	if (json_object_is_type(body, json_type_object) && json_object_object_get_ex(body, "cod", &cod))
		code = json_object_get_int64(cod);
	if (cod == NULL || (code == 200 && status == 200))
		return 0;
	if (code == 404)
		return weather_no_place(err);
	if (code == 200 || code < 100 || code > 599)
		code = status;
	return fetch_refused(PROVIDER, (long)code, err);
}

static bool
read_number(struct json_object *obj, const char *name, double *number_r)
{
	struct json_object *value;

	if (!json_object_is_type(obj, json_type_object) || !json_object_object_get_ex(obj, name, &value) ||
	    !(json_object_is_type(value, json_type_double) || json_object_is_type(value, json_type_int)))
		return false;
	*number_r = json_object_get_double(value);
	return isfinite(*number_r);
}

int
openweather_read_place(struct json_object *answer, struct weather_place *place, struct err *err)
{
	struct json_object *first;
	const char *parts[3];

	if (!json_object_is_type(answer, json_type_array))
		return fetch_malformed(PROVIDER, err);
	if (json_object_array_length(answer) == 0)
		return weather_no_place(err);
	first = json_object_array_get_idx(answer, 0);
	parts[0] = json_member_text(first, "name");
	parts[1] = json_member_text(first, "state");
	parts[2] = json_member_text(first, "country");
	if (parts[0] == NULL || !read_number(first, "lat", &place->latitude) || fabs(place->latitude) > 90 ||
	    !read_number(first, "lon", &place->longitude) || fabs(place->longitude) > 180)
		return fetch_malformed(PROVIDER, err);
	weather_place_name(place->name, sizeof(place->name), parts, 3);
	return 0;
}

static void
add_description(struct json_object *to, struct json_object *entry)
{
	struct json_object *weather = json_member(entry, "weather", json_type_array);

	if (weather != NULL && json_object_array_length(weather) > 0)
		tool_add_text(to, "conditions", json_member_text(json_object_array_get_idx(weather, 0), "description"), 60);
}

static void
add_offset_name(struct json_object *to, int64_t offset_secs)
{
	char name[32];
	int64_t minutes = (offset_secs < 0 ? -offset_secs : offset_secs) / 60;

	snprintf(name, sizeof(name), "UTC%c%02d:%02d", offset_secs < 0 ? '-' : '+', (int)(minutes / 60), (int)(minutes % 60));
	json_object_object_add(to, "timezone", json_object_new_string(name));
}

static struct json_object *
read_current(struct json_object *now, int64_t offset_secs)
{
	struct json_object *current = json_object_new_object();
	struct json_object *main = json_member(now, "main", json_type_object);
	char time[TOOL_TIME_BYTES];
	double dt;

	if (read_number(now, "dt", &dt) && fabs(dt) < 1e11) {
		tool_format_time(time, (int64_t)dt, offset_secs);
		json_object_object_add(current, "time", json_object_new_string(time));
	}
	add_description(current, now);
	tool_add_number(current, "temperature", main, "temp");
	tool_add_number(current, "feels_like", main, "feels_like");
	tool_add_number(current, "humidity_percent", main, "humidity");
	tool_add_number(current, "wind_speed", json_member(now, "wind", json_type_object), "speed");
	return current;
}

/* A day gathered from its three-hour steps. */
struct day {
	char date[DATE_BYTES];
	double min, max;                /* infinite until known */
	double rain;
	double chance;                  /* -1 until known */
	struct json_object *noon;       /* the step that stands for the day; borrowed */
	double noon_distance;
};

static double
clamp(double value, double least, double most)
{
	return value < least ? least : value > most ? most : value;
}

static void
add_step(struct day *d, struct json_object *step, int64_t local_secs)
{
	struct json_object *main = json_member(step, "main", json_type_object);
	double value, from_noon = fabs((double)(local_secs % 86400) - 43200);

	if (read_number(main, "temp_min", &value) && value < d->min)
		d->min = value;
	if (read_number(main, "temp_max", &value) && value > d->max)
		d->max = value;
	if (read_number(json_member(step, "rain", json_type_object), "3h", &value))
		d->rain += clamp(value, 0, 1000);
	if (read_number(json_member(step, "snow", json_type_object), "3h", &value))
		d->rain += clamp(value, 0, 1000);
	if (read_number(step, "pop", &value) && value > d->chance)
		d->chance = clamp(value, 0, 1);
	if (d->noon == NULL || from_noon < d->noon_distance) {
		d->noon = step;
		d->noon_distance = from_noon;
	}
}

static struct json_object *
day_object(const struct day *d)
{
	struct json_object *row = json_object_new_object();

	json_object_object_add(row, "date", json_object_new_string(d->date));
	add_description(row, d->noon);
	if (isfinite(d->min))
		json_object_object_add(row, "temperature_min", tool_decimal(d->min, 1));
	if (isfinite(d->max))
		json_object_object_add(row, "temperature_max", tool_decimal(d->max, 1));
	json_object_object_add(row, "precipitation", tool_decimal(d->rain, 1));
	if (d->chance >= 0)
		json_object_object_add(row, "precipitation_chance_percent", json_object_new_int((int)lround(d->chance * 100)));
	return row;
}

static const struct day no_day = {.min = INFINITY, .max = -INFINITY, .chance = -1};

static struct json_object *
read_days(struct json_object *steps, int64_t offset_secs, int days_max)
{
	struct json_object *days = json_object_new_array();
	struct day d = no_day;

	for (size_t i = 0; i < json_object_array_length(steps); i++) {
		struct json_object *step = json_object_array_get_idx(steps, i);
		char time[TOOL_TIME_BYTES];
		double dt;

		if (!read_number(step, "dt", &dt) || dt < 0 || dt > 1e11)
			continue;
		tool_format_time(time, (int64_t)dt + offset_secs, 0);
		time[DATE_BYTES - 1] = '\0';
		if (d.noon != NULL && strcmp(d.date, time) != 0) {
			json_object_array_add(days, day_object(&d));
			d = no_day;
			if (json_object_array_length(days) == (size_t)days_max)
				return days;
		}
		text_copy(d.date, sizeof(d.date), time);
		add_step(&d, step, (int64_t)dt + offset_secs);
	}
	if (d.noon != NULL)
		json_object_array_add(days, day_object(&d));
	return days;
}

struct json_object *
openweather_read(struct json_object *now, struct json_object *forecast, const struct weather_query *q,
                 const struct weather_place *place, struct err *err)
{
	struct json_object *steps = json_member(forecast, "list", json_type_array);
	struct json_object *result;
	double offset = 0;

	if (json_member(now, "main", json_type_object) == NULL || steps == NULL) {
		fetch_malformed(PROVIDER, err);
		return NULL;
	}
	if (!read_number(now, "timezone", &offset) || fabs(offset) > 18 * 3600)
		offset = 0;
	result = weather_begin(q, place, q->imperial ? "mph" : "m/s");
	add_offset_name(result, (int64_t)offset);
	json_object_object_add(result, "current", read_current(now, (int64_t)offset));
	json_object_object_add(result, "days", read_days(steps, (int64_t)offset, q->days));
	tool_add_source(result, PROVIDER);
	return result;
}

/* ---- asking ---- */

static int
ask(struct buffer *url, struct json_object **answer_r, struct err *err)
{
	const struct fetch f = {
	    .provider = PROVIDER, .url = url->data, .key = config()->openweather_api_key, .explain = openweather_explain};

	return fetch_json(&f, answer_r, err);
}

static int
find_place(const char *location, struct weather_place *place, struct err *err)
{
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	struct json_object *answer = NULL;
	int rc = -1;

	if (fetch_url(&url, err, config()->openweather_base_url, "/geo/1.0/direct", "q", location, "limit", "1", "appid",
	              config()->openweather_api_key, FETCH_END) == 0 &&
	    ask(&url, &answer, err) == 0) {
		rc = openweather_read_place(answer, place, err);
		json_object_put(answer);
	}
	buffer_free(&url);
	return rc;
}

static int
ask_at(const char *path, const struct weather_query *q, const struct weather_place *place,
       struct json_object **answer_r, struct err *err)
{
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	char latitude[32], longitude[32];
	int rc;

	snprintf(latitude, sizeof(latitude), "%.4f", place->latitude);
	snprintf(longitude, sizeof(longitude), "%.4f", place->longitude);
	rc = fetch_url(&url, err, config()->openweather_base_url, path, "lat", latitude, "lon", longitude, "units",
	               q->imperial ? "imperial" : "metric", "appid", config()->openweather_api_key, FETCH_END);
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
	struct json_object *now = NULL, *forecast = NULL;
	int rc = -1;

	weather_query_read(run, &q);
	if (find_place(q.location, &place, err) == -1)
		return -1;
	if (ask_at("/data/2.5/weather", &q, &place, &now, err) == 0 &&
	    ask_at("/data/2.5/forecast", &q, &place, &forecast, err) == 0) {
		*result_r = openweather_read(now, forecast, &q, &place, err);
		rc = *result_r != NULL ? 0 : -1;
	}
	json_object_put(now);
	json_object_put(forecast);
	return rc;
}

const struct tool_provider weather_openweather = {.name = PROVIDER, .needs = FEATURE_OPENWEATHER, .fetch = fetch};
