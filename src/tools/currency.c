/* currency.c - the tool that converts money; its providers are exchangerate_api.c and frankfurter.c */
#include "tools/currency.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "tools/decimal.h"
#include "tools/fetch.h"
#include "tools/tool.h"

#define CODE_BYTES 4

static const struct tool_provider *const providers[] = {&currency_exchangerate_api, &currency_frankfurter, NULL};

/* The code of a currency, in capitals; its minor units, or -1 with *err. */
static int
read_code(const struct tool_run *run, const char *name, char code[CODE_BYTES], struct err *err)
{
	const char *given = tool_arg_text(run, name, "");
	int units;

	for (size_t i = 0; i < CODE_BYTES; i++)
		code[i] = i < strlen(given) ? (char)toupper((unsigned char)given[i]) : '\0';
	code[CODE_BYTES - 1] = '\0';
	units = strlen(given) == 3 ? currency_minor_units(code) : -1;
	if (units == -1)
		return err_set(err, ERR_UNPROCESSABLE, "%s is no currency of ISO 4217; give its three letters, such as USD or RWF.",
		               name);
	return units;
}

/* json-c keeps the text that a number was written as. */
static int
read_amount(const struct tool_run *run, struct decimal *amount_r, struct err *err)
{
	struct json_object *amount = json_object_object_get(run->args, "amount");

	if (amount == NULL || decimal_read(json_object_get_string(amount), amount_r) == -1)
		return err_set(err, ERR_UNPROCESSABLE, "amount must be a number of at most %d digits.", DECIMAL_DIGITS_MAX);
	return 0;
}

static int
make_key(const struct tool_run *run, struct buffer *key, struct err *err)
{
	char from[CODE_BYTES], to[CODE_BYTES];
	struct decimal amount;

	if (read_code(run, "from", from, err) == -1 || read_code(run, "to", to, err) == -1 ||
	    read_amount(run, &amount, err) == -1)
		return -1;
	/* not the amount: all amounts have one rate */
	return tool_key_add(key, "from", from) == 0 && tool_key_add(key, "to", to) == 0
	           ? 0
	           : err_set(err, ERR_INTERNAL, "The question is too long.");
}

struct json_object *
currency_number(struct decimal d)
{
	char text[DECIMAL_TEXT_BYTES];

	decimal_write(text, d);
	return json_object_new_double_s(strtod(text, NULL), text);
}

static struct json_object *
finish(const struct tool_run *run, struct json_object *answer, struct err *err)
{
	const char *rate_text = json_member_text(answer, "rate");
	struct json_object *result = NULL;
	char from[CODE_BYTES], to[CODE_BYTES];
	struct decimal amount = {0}, rate = {0};
	int units = read_code(run, "to", to, err);

	if (units == -1 || read_code(run, "from", from, err) == -1 || read_amount(run, &amount, err) == -1)
		goto done;
	if (rate_text == NULL || decimal_read(rate_text, &rate) == -1) {
		err_set(err, ERR_UPSTREAM, "The rate could not be understood.");
		goto done;
	}
	result = json_object_new_object();
	json_object_object_add(result, "amount", currency_number(amount));
	json_object_object_add(result, "from", json_object_new_string(from));
	json_object_object_add(result, "to", json_object_new_string(to));
	json_object_object_add(result, "result", currency_number(decimal_round(decimal_multiply(amount, rate), units)));
	json_object_object_add(result, "rate", currency_number(rate));
	tool_add_text(result, "rate_date", json_member_text(answer, "date"), 40);
	tool_add_text(result, "source", json_member_text(answer, "source"), 60);
	tool_add_text(result, "retrieved_at", json_member_text(answer, "retrieved_at"), 40);
done:
	json_object_put(answer);
	return result;
}

const struct tool tool_currency = {
    .name = "currency",
    .description = "Convert an amount of money at the latest reference rate. The result is rounded to what the currency has: "
                   "no cents for RWF, UGX or JPY.",
    .schema = "{\"type\":\"object\",\"properties\":{"
              "\"amount\":{\"type\":\"number\",\"minimum\":0,\"maximum\":999999999999999,\"description\":\"How much\"},"
              "\"from\":{\"type\":\"string\",\"minLength\":3,\"maxLength\":3,\"description\":\"ISO 4217 code of what is converted: USD\"},"
              "\"to\":{\"type\":\"string\",\"minLength\":3,\"maxLength\":3,\"description\":\"ISO 4217 code of what is wanted: RWF\"},"
              "\"days\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":90,\"description\":\"Of how many past days the "
              "person sees the rate drawn: 30 if not given, 0 for none\"}},"
              "\"required\":[\"amount\",\"from\",\"to\"],\"additionalProperties\":false}",
    .ttl_secs = 300,
    .providers = providers,
    .key = make_key,
    .finish = finish,
    .extra = &currency_history,
};

/* ---- what both providers write ---- */

struct json_object *
currency_rate(struct json_object *rate, const char *date, const char *source, struct err *err)
{
	struct json_object *kept;
	struct decimal value;
	const char *text;

	if (!json_object_is_type(rate, json_type_double) && !json_object_is_type(rate, json_type_int)) {
		fetch_malformed(source, err);
		return NULL;
	}
	text = json_object_get_string(rate);
	if (decimal_read(text, &value) == -1 || !decimal_is_positive(value)) {
		fetch_malformed(source, err);
		return NULL;
	}
	kept = json_object_new_object();
	json_object_object_add(kept, "rate", json_object_new_string(text));
	tool_add_text(kept, "date", date, 40);
	tool_add_source(kept, source);
	return kept;
}
