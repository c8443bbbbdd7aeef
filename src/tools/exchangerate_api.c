/* exchangerate_api.c - rates of ExchangeRate-API, with a key; see tools/currency.h */
#include <ctype.h>
#include <string.h>

#include "tools/currency.h"
#include "tools/fetch.h"
#include "tools/tool.h"

#define PROVIDER "ExchangeRate-API"

int
exchangerate_api_explain(long status, struct json_object *body, struct err *err)
{
	const char *result = json_member_text(body, "result");
	const char *type = json_member_text(body, "error-type");

	if (result == NULL || strcmp(result, "error") != 0)
		return 0;
	if (type == NULL)
		type = "no reason given";
	if (strcmp(type, "unsupported-code") == 0)
		return err_set(err, ERR_UNPROCESSABLE, PROVIDER " does not know that currency.");
	if (strcmp(type, "quota-reached") == 0)
		return fetch_refused(PROVIDER, 429, err);
	if (strcmp(type, "invalid-key") == 0 || strcmp(type, "inactive-account") == 0)
		return fetch_refused(PROVIDER, 403, err);
	err_set(err, status >= 500 ? ERR_UNAVAILABLE : ERR_UNPROCESSABLE, PROVIDER " refused the question.");
	return err_cause(err, "%.60s", type);
}

struct json_object *
exchangerate_api_read(struct json_object *answer, struct err *err)
{
	struct json_object *rate = NULL;

	if (json_object_is_type(answer, json_type_object))
		json_object_object_get_ex(answer, "conversion_rate", &rate);
	return currency_rate(rate, json_member_text(answer, "time_last_update_utc"), PROVIDER, err);
}

static int
add_upper(struct buffer *out, const char *code)
{
	for (; *code != '\0'; code++) {
		char c = (char)toupper((unsigned char)*code);

		if (buffer_append(out, &c, 1) == -1)
			return -1;
	}
	return 0;
}

static int
fetch(const struct tool_run *run, struct json_object **answer_r, struct err *err)
{
	struct buffer path = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	struct buffer url = BUFFER_INIT(FETCH_URL_MAX_BYTES);
	struct json_object *answer = NULL;
	int rc = -1;

	*answer_r = NULL;
	if (buffer_append_text(&path, "/v6/") == -1 || fetch_encode(&path, config()->exchange_rate_api_key) == -1 ||
	    buffer_append_text(&path, "/pair/") == -1 || add_upper(&path, tool_arg_text(run, "from", "")) == -1 ||
	    buffer_append_text(&path, "/") == -1 || add_upper(&path, tool_arg_text(run, "to", "")) == -1)
		err_set(err, ERR_INTERNAL, "EXCHANGE_RATE_API_KEY is too long.");
	else if (fetch_url(&url, err, config()->exchange_rate_base_url, path.data, FETCH_END) == 0) {
		const struct fetch f = {.provider = PROVIDER,
		                        .url = url.data,
		                        .key = config()->exchange_rate_api_key,
		                        .explain = exchangerate_api_explain};

		if (fetch_json(&f, &answer, err) == 0) {
			*answer_r = exchangerate_api_read(answer, err);
			rc = *answer_r != NULL ? 0 : -1;
			json_object_put(answer);
		}
	}
	buffer_free(&path);
	buffer_free(&url);
	return rc;
}

const struct tool_provider currency_exchangerate_api = {
    .name = PROVIDER, .needs = FEATURE_EXCHANGE_RATE_API, .fetch = fetch};
