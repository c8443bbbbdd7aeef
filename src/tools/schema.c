/* schema.c - see tools/schema.h */
#include "tools/schema.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define PATH_BYTES 100

/* Where in the arguments we are. */
struct place {
	char path[PATH_BYTES];
};

static int
refuse(const struct place *at, struct err *err, const char *what)
{
	return err_set(err, ERR_UNPROCESSABLE, "%s %s.", at->path[0] != '\0' ? at->path : "The arguments", what);
}

/* A text of the value's is shown cut: models learn from it, logs need not. */
static const char *
shown(char *out, size_t size, const char *text)
{
	text_copy(out, size, text);
	return out;
}

static size_t
characters(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += ((unsigned char)*text & 0xC0) != 0x80;
	return count;
}

static bool
is_integer(struct json_object *value)
{
	double number;

	if (json_object_is_type(value, json_type_int))
		return true;
	number = json_object_get_double(value);
	return json_object_is_type(value, json_type_double) && fabs(number) < 1e15 && floor(number) == number;
}

static bool
is_number(struct json_object *value)
{
	return json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
}

static bool
has_type(struct json_object *value, const char *type)
{
	if (strcmp(type, "integer") == 0)
		return is_integer(value);
	if (strcmp(type, "number") == 0)
		return is_number(value);
	if (strcmp(type, "string") == 0)
		return json_object_is_type(value, json_type_string);
	if (strcmp(type, "boolean") == 0)
		return json_object_is_type(value, json_type_boolean);
	if (strcmp(type, "array") == 0)
		return json_object_is_type(value, json_type_array);
	return strcmp(type, "object") == 0 && json_object_is_type(value, json_type_object);
}

/* A bound of the schema, if it gives one. */
static bool
bound(struct json_object *schema, const char *name, double *bound_r)
{
	struct json_object *value;

	if (!json_object_object_get_ex(schema, name, &value) || !is_number(value))
		return false;
	*bound_r = json_object_get_double(value);
	return true;
}

static int
check_bounds(struct json_object *schema, double number, const char *least, const char *most, const char *unit,
             const struct place *at, struct err *err)
{
	char words[80];
	double limit;

	if (bound(schema, least, &limit) && !(number >= limit)) {
		snprintf(words, sizeof(words), "must %s at least %.15g%s", *unit != '\0' ? "have" : "be", limit, unit);
		return refuse(at, err, words);
	}
	if (bound(schema, most, &limit) && !(number <= limit)) {
		snprintf(words, sizeof(words), "must %s at most %.15g%s", *unit != '\0' ? "have" : "be", limit, unit);
		return refuse(at, err, words);
	}
	return 0;
}

static int
check_enum(struct json_object *schema, struct json_object *value, const struct place *at, struct err *err)
{
	struct json_object *allowed = json_member(schema, "enum", json_type_array);
	char words[300];

	if (allowed == NULL)
		return 0;
	for (size_t i = 0; i < json_object_array_length(allowed); i++)
		if (json_object_equal(json_object_array_get_idx(allowed, i), value))
			return 0;
	snprintf(words, sizeof(words), "must be one of %.270s", json_text(allowed, NULL));
	text_trim_partial_utf8(words);
	return refuse(at, err, words);
}

static void
step_into(struct place *below, const struct place *at, const char *name, size_t index)
{
	char above[50], cut[40];

	text_copy(above, sizeof(above), at->path);
	if (name != NULL)
		snprintf(below->path, sizeof(below->path), "%s%s%s", above, above[0] != '\0' ? "." : "", shown(cut, sizeof(cut), name));
	else
		snprintf(below->path, sizeof(below->path), "%s[%zu]", above, index);
}

static int check_value(struct json_object *schema, struct json_object *value, const struct place *at, struct err *err);

static int
check_required(struct json_object *schema, struct json_object *value, const struct place *at, struct err *err)
{
	struct json_object *required = json_member(schema, "required", json_type_array);

	for (size_t i = 0; required != NULL && i < json_object_array_length(required); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(required, i));
		struct place below;

		if (name == NULL || json_object_object_get_ex(value, name, NULL))
			continue;
		step_into(&below, at, name, 0);
		return refuse(&below, err, "is missing");
	}
	return 0;
}

static int
check_members(struct json_object *schema, struct json_object *value, const struct place *at, struct err *err)
{
	struct json_object *properties = json_member(schema, "properties", json_type_object);
	struct json_object *more = json_member(schema, "additionalProperties", json_type_boolean);
	bool closed = more != NULL && !json_object_get_boolean(more);

	json_object_object_foreach(value, name, member) {
		struct json_object *schema_of = json_member(properties, name, json_type_object);
		struct place below;

		step_into(&below, at, name, 0);
		if (schema_of == NULL && closed)
			return refuse(&below, err, "is not known");
		if (schema_of != NULL && check_value(schema_of, member, &below, err) == -1)
			return -1;
	}
	return 0;
}

static int
check_items(struct json_object *schema, struct json_object *value, const struct place *at, struct err *err)
{
	struct json_object *items = json_member(schema, "items", json_type_object);
	size_t count = json_object_array_length(value);

	if (check_bounds(schema, (double)count, "minItems", "maxItems", " items", at, err) == -1)
		return -1;
	for (size_t i = 0; items != NULL && i < count; i++) {
		struct place below;

		step_into(&below, at, NULL, i);
		if (check_value(items, json_object_array_get_idx(value, i), &below, err) == -1)
			return -1;
	}
	return 0;
}

static int
check_value(struct json_object *schema, struct json_object *value, const struct place *at, struct err *err)
{
	const char *type = json_member_text(schema, "type");
	char words[60];

	if (type != NULL && !has_type(value, type)) {
		snprintf(words, sizeof(words), "must be of type %.20s", type);
		return refuse(at, err, words);
	}
	if (check_enum(schema, value, at, err) == -1)
		return -1;
	if (is_number(value))
		return check_bounds(schema, json_object_get_double(value), "minimum", "maximum", "", at, err);
	if (json_object_is_type(value, json_type_string))
		return check_bounds(schema, (double)characters(json_object_get_string(value)), "minLength", "maxLength",
		                    " characters", at, err);
	if (json_object_is_type(value, json_type_array))
		return check_items(schema, value, at, err);
	if (!json_object_is_type(value, json_type_object))
		return 0;
	if (check_required(schema, value, at, err) == -1)
		return -1;
	return check_members(schema, value, at, err);
}

int
schema_check(struct json_object *schema, struct json_object *value, struct err *err)
{
	const struct place outermost = {""};

	return check_value(schema, value, &outermost, err);
}

static bool
is_required(struct json_object *schema, const char *name)
{
	struct json_object *required = json_member(schema, "required", json_type_array);

	for (size_t i = 0; required != NULL && i < json_object_array_length(required); i++)
		if (strcmp(json_object_get_string(json_object_array_get_idx(required, i)), name) == 0)
			return true;
	return false;
}

void
schema_drop_nulls(struct json_object *schema, struct json_object *value)
{
	struct json_object *properties = json_member(schema, "properties", json_type_object);

	if (properties == NULL || !json_object_is_type(value, json_type_object))
		return;
	json_object_object_foreach(properties, name, schema_of) {
		struct json_object *member;

		(void)schema_of;
		if (json_object_object_get_ex(value, name, &member) && member == NULL && !is_required(schema, name))
			json_object_object_del(value, name);
	}
}
