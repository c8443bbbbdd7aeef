/*
 * currency.h - the currency tool's providers, and how their answers are read.
 *
 * ExchangeRate-API: exchangerate-api.com/docs/pair-conversion-requests.
 * Frankfurter: frankfurter.dev; v2 knows some 200 currencies, v1 (older servers) the 30 of the European Central Bank.
 *
 * Past rates come from Frankfurter for both: v2 /rates?from=&base=&quotes= gives [{"date":,"base":,"quote":,"rate":}, ...],
 * v1 /DATE..?base=&symbols= gives {"rates":{DATE:{QUOTE:rate}, ...}}.  They are kept as {"source":...,"rates":[[DATE,
 * "1450.25"], ...]}, oldest first.
 *
 * What is kept in the cache is the rate of a pair as decimal text: {"rate":"1450.25","date":"2026-01-31","source":...}.
 */
#ifndef TOOLS_CURRENCY_H
#define TOOLS_CURRENCY_H

#include "base/err.h"
#include "base/json.h"
#include "tools/decimal.h"

struct tool_extra;
struct tool_provider;
struct tool_run;

/* Digits after the point of a currency of ISO 4217 by its code (capitals); -1 if there is no such. */
int currency_minor_units(const char *code);

extern const struct tool_provider currency_exchangerate_api;
extern const struct tool_provider currency_frankfurter;

int exchangerate_api_explain(long status, struct json_object *body, struct err *err);
struct json_object *exchangerate_api_read(struct json_object *answer, struct err *err) MUST_USE;

int frankfurter_explain(long status, struct json_object *body, struct err *err);
/* The shape of v2 or of v1. */
struct json_object *frankfurter_read(struct json_object *answer, const char *to, struct err *err) MUST_USE;

/* The rates of the last days, one each day that has one; at least two. */
int frankfurter_fetch_history(const struct tool_run *run, struct json_object **answer_r, struct err *err);
/* The shape of v2 or of v1.  NULL with *err. */
struct json_object *frankfurter_read_history(struct json_object *answer, const char *to, struct err *err) MUST_USE;

extern const struct tool_extra currency_history;
#define CURRENCY_HISTORY_DAYS 30        /* where nobody says otherwise */
#define CURRENCY_HISTORY_DAYS_MAX 90

/* As JSON, with the digits that it has. */
struct json_object *currency_number(struct decimal d) MUST_USE;

/* A rate as the cache keeps it; NULL with *err when `rate` is no positive decimal number. */
struct json_object *currency_rate(struct json_object *rate, const char *date, const char *source,
                                  struct err *err) MUST_USE;

#endif
