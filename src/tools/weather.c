/* weather.c - the tool that tells the weather; its providers are openweather.c and open_meteo.c */
#include "tools/weather.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tools/tool.h"

static const struct tool_provider *const providers[] = {&weather_openweather, &weather_open_meteo, NULL};

void
weather_query_read(const struct tool_run *run, struct weather_query *q)
{
	q->location = tool_arg_text(run, "location", "");
	q->days = (int)tool_arg_int(run, "days", 3);
	q->imperial = strcmp(tool_arg_text(run, "units", "metric"), "imperial") == 0;
}

static int
make_key(const struct tool_run *run, struct buffer *key, struct err *err)
{
	struct weather_query q;

	weather_query_read(run, &q);
	if (tool_key_add(key, "location", q.location) == -1 ||
	    buffer_printf(key, "|days=%d|units=%s", q.days, q.imperial ? "imperial" : "metric") == -1)
		return err_set(err, ERR_UNPROCESSABLE, "The question is too long.");
	return 0;
}

const struct tool tool_weather = {
    .name = "weather",
    .description = "Current weather and the forecast of the coming days (today first) at a place. Times and dates are the place's own.",
    .schema = "{\"type\":\"object\",\"properties\":{"
              "\"location\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":120,"
              "\"description\":\"City, if need be with its country: Kigali, or Paris, France\"},"
              "\"days\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":7,\"description\":\"Days of forecast, today included; 3 if left out\"},"
              "\"units\":{\"type\":\"string\",\"enum\":[\"metric\",\"imperial\"],\"description\":\"metric if left out\"}},"
              "\"required\":[\"location\"],\"additionalProperties\":false}",
    .ttl_secs = 600,
    .providers = providers,
    .key = make_key,
};

/* ---- what both providers write ---- */

int
weather_no_place(struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "No place of that name is known; try another spelling or add the country.");
}

struct json_object *
weather_begin(const struct weather_query *q, const struct weather_place *place, const char *wind_unit)
{
	struct json_object *result = json_object_new_object();
	struct json_object *units = json_object_new_object();

	json_object_object_add(result, "location", json_object_new_string(place->name));
	json_object_object_add(result, "latitude", tool_decimal(place->latitude, 4));
	json_object_object_add(result, "longitude", tool_decimal(place->longitude, 4));
	json_object_object_add(units, "temperature", json_object_new_string(q->imperial ? "°F" : "°C"));
	json_object_object_add(units, "wind_speed", json_object_new_string(wind_unit));
	json_object_object_add(units, "precipitation", json_object_new_string("mm"));
	json_object_object_add(result, "units", units);
	return result;
}

void
weather_place_name(char *out, size_t size, const char *const *parts, size_t count)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < count && len < size; i++) {
		if (parts[i] == NULL || parts[i][0] == '\0' || (i > 0 && parts[i - 1] != NULL && strcmp(parts[i], parts[i - 1]) == 0))
			continue;
		len += (size_t)snprintf(out + len, size - len, "%s%s", len > 0 ? ", " : "", parts[i]);
	}
	text_trim_partial_utf8(out);
}
