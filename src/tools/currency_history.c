/* currency_history.c - past rates: drawn for people, summed up for the model; see tools/currency.h */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "tools/currency.h"
#include "tools/tool.h"

#define TTL_SECS 21600          /* they change once a day */
#define TIME_MS 3000

static int64_t
days_of(const struct tool_run *run)
{
	return tool_arg_int(run, "days", CURRENCY_HISTORY_DAYS);
}

static bool
is_wanted(const struct tool_run *run)
{
	return days_of(run) > 0 && strcasecmp(tool_arg_text(run, "from", ""), tool_arg_text(run, "to", "")) != 0;
}

static int
make_key(const struct tool_run *run, struct buffer *key, struct err *err)
{
	char days[8];

	snprintf(days, sizeof(days), "%d", (int)(days_of(run) % 1000));
	return tool_key_add(key, "from", tool_arg_text(run, "from", "")) == 0 &&
	               tool_key_add(key, "to", tool_arg_text(run, "to", "")) == 0 && tool_key_add(key, "days", days) == 0
	           ? 0
	           : err_set(err, ERR_INTERNAL, "The question is too long.");
}

/* A day's rate, as it is kept: [date, "1450.25"]. */
struct day {
	const char *date;
	struct decimal rate;
};

static bool
read_day(struct json_object *kept, struct day *day_r)
{
	struct json_object *date, *rate;

	if (!json_object_is_type(kept, json_type_array) || json_object_array_length(kept) != 2)
		return false;
	date = json_object_array_get_idx(kept, 0);
	rate = json_object_array_get_idx(kept, 1);
	day_r->date = json_object_get_string(date);
	return json_object_is_type(date, json_type_string) && json_object_is_type(rate, json_type_string) &&
	       decimal_read(json_object_get_string(rate), &day_r->rate) == 0 && decimal_is_positive(day_r->rate);
}

static struct json_object *
write_day(const struct day *day)
{
	struct json_object *written = json_object_new_object();

	json_object_object_add(written, "date", json_object_new_string(day->date));
	json_object_object_add(written, "rate", currency_number(day->rate));
	return written;
}

/* What a model can say of it in a sentence. */
static struct json_object *
sum_up(struct json_object *series, const struct day days[4])
{
	static const char *const names[4] = {"first", "last", "lowest", "highest"};
	struct json_object *sum = json_object_new_object();
	char percent[DECIMAL_TEXT_BYTES];

	json_object_object_add(sum, "days", json_object_new_int64((int64_t)json_object_array_length(series)));
	for (size_t i = 0; i < 4; i++)
		json_object_object_add(sum, names[i], write_day(&days[i]));
	decimal_write(percent, decimal_change_percent(days[0].rate, days[1].rate));
	json_object_object_add(sum, "change_percent", json_object_new_double_s(strtod(percent, NULL), percent));
	return sum;
}

static void
add(const struct tool_run *run, struct json_object *result, struct json_object *answer)
{
	struct json_object *rates = json_member(answer, "rates", json_type_array);
	struct json_object *series = json_object_new_array(), *sum;
	struct day days[4] = {{0}};     /* first, last, lowest, highest */
	struct day day = {0};

	(void)run;
	for (size_t i = 0; rates != NULL && i < json_object_array_length(rates); i++) {
		if (!read_day(json_object_array_get_idx(rates, i), &day))
			continue;
		if (json_object_array_length(series) == 0)
			days[0] = days[2] = days[3] = day;
		days[1] = day;
		if (decimal_compare(day.rate, days[2].rate) < 0)
			days[2] = day;
		if (decimal_compare(day.rate, days[3].rate) > 0)
			days[3] = day;
		json_object_array_add(series, write_day(&day));
	}
	if (json_object_array_length(series) < 2) {
		json_object_put(series);
		return;
	}
	sum = sum_up(series, days);
	tool_add_text(sum, "source", json_member_text(answer, "source"), 60);
	json_object_object_add(result, "history", sum);
	json_object_object_add(result, currency_history.drawn, series);
}

const struct tool_extra currency_history = {
    .name = "currency_history",
    .provider = "Frankfurter",
    .ttl_secs = TTL_SECS,
    .time_ms = TIME_MS,
    .is_wanted = is_wanted,
    .key = make_key,
    .fetch = frankfurter_fetch_history,
    .add = add,
    .drawn = "series",
};
