/*
 * weather.h - the weather tool's providers, and how their answers are read.
 *
 * OpenWeather: openweathermap.org/current, /forecast5, /api/geocoding-api.
 * Open-Meteo: open-meteo.com/en/docs, /docs/geocoding-api.
 *
 * The *_read functions are pure: an answer in, a result out, or *err.  Nothing in here but the providers' fetch waits.
 */
#ifndef TOOLS_WEATHER_H
#define TOOLS_WEATHER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"

#define WEATHER_DAYS_MAX 7
#define WEATHER_LOCATION_BYTES 200

struct tool_provider;
struct tool_run;

struct weather_query {
	const char *location;
	int days;
	bool imperial;
};

void weather_query_read(const struct tool_run *run, struct weather_query *query_r);

/* A place on earth that a name stands for. */
struct weather_place {
	char name[WEATHER_LOCATION_BYTES];
	double latitude;
	double longitude;
};

extern const struct tool_provider weather_openweather;
extern const struct tool_provider weather_open_meteo;

int openweather_explain(long status, struct json_object *body, struct err *err);
int openweather_read_place(struct json_object *answer, struct weather_place *place_r, struct err *err) MUST_USE;
/* `now` is of /weather, `forecast` of /forecast.  json_object_put() the result. */
struct json_object *openweather_read(struct json_object *now, struct json_object *forecast,
                                     const struct weather_query *q, const struct weather_place *place,
                                     struct err *err) MUST_USE;

int open_meteo_explain(long status, struct json_object *body, struct err *err);
int open_meteo_read_place(struct json_object *answer, struct weather_place *place_r, struct err *err) MUST_USE;
struct json_object *open_meteo_read(struct json_object *answer, const struct weather_query *q,
                                    const struct weather_place *place, struct err *err) MUST_USE;

/* ---- what both write ---- */

/* There is no such place: fills *err, returns -1. */
int weather_no_place(struct err *err);

/* The start of a result: where, and in which units. */
struct json_object *weather_begin(const struct weather_query *q, const struct weather_place *place,
                                  const char *wind_unit);

/* "Kigali, Rwanda" of parts that may be missing or the same. */
void weather_place_name(char *out, size_t size, const char *const *parts, size_t count);

#endif
