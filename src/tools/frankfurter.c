/* frankfurter.c - rates of Frankfurter, which needs no key; see tools/currency.h */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/currency.h"
#include "tools/fetch.h"
#include "tools/tool.h"

#define PROVIDER "Frankfurter"

static int
not_quoted(struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, PROVIDER " does not quote that pair of currencies.");
}

/* {"message":"not found"}, and the like with 422. */
int
frankfurter_explain(long status, struct json_object *body, struct err *err)
{
	if (status == 404 || (status == 422 && json_object_is_type(body, json_type_object)))
		return not_quoted(err);
	return 0;
}

struct json_object *
frankfurter_read(struct json_object *answer, const char *to, struct err *err)
{
	struct json_object *rates = json_member(answer, "rates", json_type_object);
	struct json_object *rate = NULL;

	if (rates != NULL && !json_object_object_get_ex(rates, to, &rate)) {
		not_quoted(err);
		return NULL;
	}
	if (rates == NULL && json_object_is_type(answer, json_type_object))
		json_object_object_get_ex(answer, "rate", &rate);
	return currency_rate(rate, json_member_text(answer, "date"), PROVIDER, err);
}

/* Asks, and reads the answer by that reader. */
typedef struct json_object *read_cb(struct json_object *answer, const char *to, struct err *err);

static int
ask(struct buffer *url, const char *to, read_cb *read, struct json_object **read_r, struct err *err)
{
	const struct fetch f = {.provider = PROVIDER, .url = url->data, .explain = frankfurter_explain};
	struct json_object *answer = NULL;

	*read_r = NULL;
	if (fetch_json(&f, &answer, err) == -1)
		return -1;
	*read_r = read(answer, to, err);
	json_object_put(answer);
	return *read_r != NULL ? 0 : -1;
}

static void
upper(char out[4], const char *code)
{
	snprintf(out, 4, "%s", code);
	for (char *p = out; *p != '\0'; p++)
		*p = (char)toupper((unsigned char)*p);
}

static int
ask_v2(const char *from, const char *to, struct json_object **rate_r, struct err *err)
{
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	char path[32];
	int rc;

	snprintf(path, sizeof(path), "/v2/rate/%s/%s", from, to);
	rc = fetch_url(&url, err, config()->frankfurter_url, path, FETCH_END);
	if (rc == 0)
		rc = ask(&url, to, frankfurter_read, rate_r, err);
	buffer_free(&url);
	return rc;
}

static int
ask_v1(const char *from, const char *to, struct json_object **rate_r, struct err *err)
{
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	int rc = fetch_url(&url, err, config()->frankfurter_url, "/v1/latest", "base", from, "symbols", to, FETCH_END);

	if (rc == 0)
		rc = ask(&url, to, frankfurter_read, rate_r, err);
	buffer_free(&url);
	return rc;
}

static int
fetch(const struct tool_run *run, struct json_object **rate_r, struct err *err)
{
	char from[4], to[4];

	upper(from, tool_arg_text(run, "from", ""));
	upper(to, tool_arg_text(run, "to", ""));
	if (strcmp(from, to) == 0) {    /* which they refuse */
		struct json_object *one = json_object_new_int(1);

		*rate_r = currency_rate(one, NULL, PROVIDER, err);
		json_object_put(one);
		return 0;
	}
	if (ask_v2(from, to, rate_r, err) == 0)
		return 0;
	return err->code == ERR_NOT_FOUND ? ask_v1(from, to, rate_r, err) : -1;
}

/* ---- past rates ---- */

#define DATE_BYTES sizeof("2026-01-31")

static bool
is_date(const char *text)
{
	static const char shape[] = "dddd-dd-dd";
	size_t i = 0;

	for (; text != NULL && shape[i] != '\0'; i++)
		if (shape[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i])
			return false;
	return text != NULL && text[i] == '\0';
}

/* A day is left out where its date or rate is no such thing; one bad day is no reason to show none. */
static void
add_day(struct json_object *rates, const char *date, struct json_object *rate)
{
	struct json_object *kept;
	struct decimal value;
	const char *text = json_object_get_string(rate);

	if (!is_date(date) || json_object_array_length(rates) >= CURRENCY_HISTORY_DAYS_MAX + 2)
		return;
	if ((!json_object_is_type(rate, json_type_double) && !json_object_is_type(rate, json_type_int)) ||
	    decimal_read(text, &value) == -1 || !decimal_is_positive(value))
		return;
	kept = json_object_new_array();
	json_object_array_add(kept, json_object_new_string(date));
	json_object_array_add(kept, json_object_new_string(text));
	json_object_array_add(rates, kept);
}

static int
compare_days(const void *a, const void *b)
{
	return strcmp(json_object_get_string(json_object_array_get_idx(*(struct json_object *const *)a, 0)),
	              json_object_get_string(json_object_array_get_idx(*(struct json_object *const *)b, 0)));
}

struct json_object *
frankfurter_read_history(struct json_object *answer, const char *to, struct err *err)
{
	struct json_object *by_date = json_member(answer, "rates", json_type_object);
	struct json_object *rates, *rate, *kept;

	if (by_date == NULL && !json_object_is_type(answer, json_type_array)) {
		fetch_malformed(PROVIDER, err);
		return NULL;
	}
	rates = json_object_new_array();
	if (by_date != NULL) {
		json_object_object_foreach(by_date, date, quotes)
			if (json_object_is_type(quotes, json_type_object) && json_object_object_get_ex(quotes, to, &rate))
				add_day(rates, date, rate);
	}
	for (size_t i = 0; by_date == NULL && i < json_object_array_length(answer); i++) {
		struct json_object *day = json_object_array_get_idx(answer, i);
		const char *quote = json_member_text(day, "quote");

		if (quote != NULL && strcmp(quote, to) == 0 && json_object_object_get_ex(day, "rate", &rate))
			add_day(rates, json_member_text(day, "date"), rate);
	}
	if (json_object_array_length(rates) < 2) {
		json_object_put(rates);
		not_quoted(err);
		return NULL;
	}
	json_object_array_sort(rates, compare_days);
	kept = json_object_new_object();
	json_object_object_add(kept, "rates", rates);
	tool_add_source(kept, PROVIDER);
	return kept;
}

int
frankfurter_fetch_history(const struct tool_run *run, struct json_object **answer_r, struct err *err)
{
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	char from[4], to[4], start[TOOL_TIME_BYTES], path[TOOL_TIME_BYTES + 8];
	int rc;

	*answer_r = NULL;
	upper(from, tool_arg_text(run, "from", ""));
	upper(to, tool_arg_text(run, "to", ""));
	tool_format_time(start, (int64_t)time(NULL) - tool_arg_int(run, "days", CURRENCY_HISTORY_DAYS) * 86400, 0);
	start[DATE_BYTES - 1] = '\0';
	rc = fetch_url(&url, err, config()->frankfurter_url, "/v2/rates", "from", start, "base", from, "quotes", to, FETCH_END);
	if (rc == 0)
		rc = ask(&url, to, frankfurter_read_history, answer_r, err);
	if (rc == -1 && err->code == ERR_NOT_FOUND) {
		snprintf(path, sizeof(path), "/v1/%s..", start);
		buffer_consume(&url, url.len);
		rc = fetch_url(&url, err, config()->frankfurter_url, path, "base", from, "symbols", to, FETCH_END);
		if (rc == 0)
			rc = ask(&url, to, frankfurter_read_history, answer_r, err);
	}
	buffer_free(&url);
	return rc;
}

const struct tool_provider currency_frankfurter = {.name = PROVIDER, .needs = FEATURE_NONE, .fetch = fetch};
