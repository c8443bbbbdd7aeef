/*
 * fuzz_providers.c - answers of the tools' providers: a letter that tells which, a line end, JSON.
 *
 * What is taken becomes a result that is JSON, UTF-8 and short; what is refused is refused in words that can be shown.
 */
#include <string.h>

#include "base/json.h"
#include "base/json_scan.h"
#include "base/text.h"
#include "config/config.h"
#include "fuzz.h"
#include "tools/currency.h"
#include "tools/news.h"
#include "tools/places.h"
#include "tools/tool.h"
#include "tools/weather.h"
#include "tools/web_search.h"

#define RESULT_MAX_BYTES 65536

static const struct weather_query query = {"x", 5, false};
static const struct weather_place place = {"x", 1, 2};
static const struct places_point point = {-1.95, 30.06};

static struct json_object *
read_weather_place(int (*read)(struct json_object *, struct weather_place *, struct err *), struct json_object *answer,
                   struct err *err)
{
	struct weather_place found;

	if (read(answer, &found, err) == -1)
		return NULL;
	REQUIRE(found.latitude >= -90 && found.latitude <= 90 && found.longitude >= -180 && found.longitude <= 180);
	REQUIRE(text_is_utf8(found.name, strlen(found.name)));
	return json_object_new_object();
}

static struct json_object *
read_point(int (*read)(struct json_object *, struct places_point *, struct err *), struct json_object *answer,
           struct err *err)
{
	struct places_point found;

	if (read(answer, &found, err) == -1)
		return NULL;
	REQUIRE(found.latitude >= -90 && found.latitude <= 90 && found.longitude >= -180 && found.longitude <= 180);
	return json_object_new_object();
}

static struct json_object *
read_explained(int rc)
{
	return rc == 0 ? json_object_new_object() : NULL;
}

/* The reader of that letter, on this answer.  *known_r: there is one. */
static struct json_object *
read_answer(char which, struct json_object *a, bool *known_r, struct err *err)
{
	*known_r = true;
	switch (which) {
	case 'a': return open_meteo_read(a, &query, &place, err);
	case 'b': return read_weather_place(open_meteo_read_place, a, err);
	case 'c': return openweather_read(json_member(a, "now", json_type_object), json_member(a, "forecast", json_type_object),
	                                  &query, &place, err);
	case 'd': return read_weather_place(openweather_read_place, a, err);
	case 'e': return exchangerate_api_read(a, err);
	case 'f': return frankfurter_read(a, "RWF", err);
	case 'g': return newsapi_read(a, err);
	case 'h': return tavily_read(a, 5, err);
	case 'i': return searxng_read(a, 5, err);
	case 'j': return wikipedia_read(a, "https://w.example", 5, err);
	case 'k': return nominatim_read(a, err);
	case 'l': return read_point(nominatim_read_point, a, err);
	case 'm': return overpass_read(a, point, err);
	case 'n': return google_places_read(a, err);
	case 'o': return read_point(google_places_read_point, a, err);
	case 'p': return read_explained(openweather_explain(200, a, err));
	case 'q': return read_explained(open_meteo_explain(400, a, err));
	case 'r': return read_explained(exchangerate_api_explain(404, a, err));
	case 's': return read_explained(newsapi_explain(401, a, err));
	case 't': return read_explained(tavily_explain(401, a, err));
	case 'u': return read_explained(wikipedia_explain(200, a, err));
	case 'v': return read_explained(nominatim_explain(400, a, err));
	case 'w': return read_explained(overpass_explain(200, a, err));
	case 'x': return read_explained(google_places_explain(403, a, err));
	case 'y': return frankfurter_read_history(a, "RWF", err);
	default: break;
	}
	*known_r = false;
	return NULL;
}

static void
check_result(struct json_object *result)
{
	struct json_object *again;
	const char *text;
	size_t len;

	text = json_text(result, &len);
	REQUIRE(len <= RESULT_MAX_BYTES);
	REQUIRE(text_is_utf8(text, len));
	again = json_parse_trusted(text, len);
	REQUIRE(again != NULL);
	json_object_put(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct json_facts facts;
	struct json_object *answer, *result;
	struct err err = {0};
	bool known;

	if (size < 3 || !json_scan_check((struct json_slice){text + 2, size - 2}, &facts))
		return 0;
	answer = json_parse_trusted(text + 2, size - 2);
	if (answer == NULL)
		return 0;
	result = read_answer(text[0], answer, &known, &err);
	if (result != NULL) {
		check_result(result);
	} else if (known) {
		REQUIRE(err.code != ERR_NONE && err.message[0] != '\0');
		REQUIRE(text_is_utf8(err.message, strlen(err.message)));
	}
	json_object_put(result);
	json_object_put(answer);
	return 0;
}
