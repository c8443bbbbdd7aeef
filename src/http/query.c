/* query.c - see http/query.h */
#include "http/query.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "http/request.h"

/* The value of the next `name=value` in *rest that has this name; false if there is none. */
static bool
find_value(const char **rest, const char *name, const char **value_r, size_t *len_r)
{
	size_t name_len = strlen(name);

	while (**rest != '\0') {
		const char *pair = *rest;
		size_t len = strcspn(pair, "&");

		*rest = pair[len] == '&' ? pair + len + 1 : pair + len;
		if (len < name_len || strncmp(pair, name, name_len) != 0 || (len > name_len && pair[name_len] != '='))
			continue;
		*value_r = pair + name_len + (len > name_len);
		*len_r = len - name_len - (len > name_len);
		return true;
	}
	return false;
}

const char *
query_text(const struct request *rq, const char *name, struct err *err)
{
	const char *rest = rq->query, *value, *again;
	size_t len, again_len;
	char *text;

	if (!find_value(&rest, name, &value, &len))
		return "";
	if (find_value(&rest, name, &again, &again_len)) {
		err_set(err, ERR_INVALID_REQUEST, "The parameter %s is given twice.", name);
		return NULL;
	}
	text = arena_strndup(rq->arena, value, len);
	if (text == NULL) {
		err_set(err, ERR_INTERNAL, "The request needs too much memory.");
		return NULL;
	}
	for (char *p = text; *p != '\0'; p++)
		if (*p == '+')
			*p = ' ';
	if (text_percent_decode(text) == -1 || !text_is_utf8(text, strlen(text))) {
		err_set(err, ERR_INVALID_REQUEST, "The parameter %s is not UTF-8, percent-encoded.", name);
		return NULL;
	}
	return text;
}

int
query_int(const struct request *rq, const char *name, int64_t min, int64_t max, int64_t fallback, int64_t *value_r,
          struct err *err)
{
	const char *text = query_text(rq, name, err);

	if (text == NULL)
		return -1;
	*value_r = fallback;
	if (*text != '\0' && text_to_int64(text, min, max, value_r) == -1)
		return err_set(err, ERR_INVALID_REQUEST, "%s must be a number from %" PRId64 " to %" PRId64 ".", name, min, max);
	return 0;
}
