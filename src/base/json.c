/* json.c - see base/json.h */
#include "base/json.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/text.h"

/* Members as kept by the parser, which drops all but the last of a name. */
static size_t
members_kept(struct json_object *obj)
{
	size_t count = 0;

	if (json_object_is_type(obj, json_type_object)) {
		json_object_object_foreach(obj, name, value) {
			(void)name;
			count += 1 + members_kept(value);
		}
	} else if (json_object_is_type(obj, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(obj); i++)
			count += members_kept(json_object_array_get_idx(obj, i));
	}
	return count;
}

/* Where in the value something stands that we do not take, as a path. */
struct unwanted {
	const char *what;               /* NULL: nothing */
	char path[120];
};

static void find_unwanted(struct json_object *obj, struct unwanted *u);

/* Go into a child; its step of the path is only written if something is there. */
static void
look_into(struct json_object *child, struct unwanted *u, const char *name, size_t index)
{
	char below[sizeof(u->path)];
	char step[64];

	find_unwanted(child, u);
	if (u->what == NULL)
		return;
	if (name != NULL)
		snprintf(step, sizeof(step), ".%.50s", name);
	else
		snprintf(step, sizeof(step), "[%zu]", index);
	text_trim_partial_utf8(step);
	text_copy(below, sizeof(below), u->path);
	snprintf(u->path, sizeof(u->path), "%s%.*s", step, (int)(sizeof(below) - sizeof(step)), below);
	text_trim_partial_utf8(u->path);
}

static void
find_unwanted(struct json_object *obj, struct unwanted *u)
{
	switch (json_object_get_type(obj)) {
	case json_type_double:
		if (!isfinite(json_object_get_double(obj)))
			u->what = "is a number that is too large";
		break;
	case json_type_string:
		if (strlen(json_object_get_string(obj)) != (size_t)json_object_get_string_len(obj))
			u->what = "has a NUL character";
		break;
	case json_type_object: {
		json_object_object_foreach(obj, name, value)
			if (u->what == NULL)
				look_into(value, u, name, 0);
		break;
	}
	case json_type_array:
		for (size_t i = 0; i < json_object_array_length(obj) && u->what == NULL; i++)
			look_into(json_object_array_get_idx(obj, i), u, NULL, i);
		break;
	default:
		break;
	}
}

/* What is JSON to json-c and the grammar, and not to us. */
static int
check_tree(struct json_object *obj, const struct json_facts *facts, struct err *err)
{
	struct unwanted u = {0};

	if (!json_object_is_type(obj, json_type_object) && !json_object_is_type(obj, json_type_array))
		return err_set(err, ERR_INVALID_REQUEST, "The body is JSON, but not an object (byte 0).");
	if (facts->members != members_kept(obj))
		return err_set(err, ERR_INVALID_REQUEST,
		               "The body names a member twice in one object; name each once.");
	find_unwanted(obj, &u);
	if (u.what != NULL)
		return err_set(err, ERR_INVALID_REQUEST, "%s %s.", u.path + (u.path[0] == '.'), u.what);
	if (facts->oddity != NULL)
		return err_set(err, ERR_INVALID_REQUEST, "The body has %s at byte %zu.", facts->oddity,
		               facts->oddity_at);
	return 0;
}

static bool
is_blank(const char *text, size_t len)
{
	while (len > 0 && memchr(" \t\r\n", text[len - 1], 4) != NULL)
		len--;
	return len == 0;
}

struct json_object *
json_parse(const char *text, size_t len, struct err *err)
{
	struct json_facts facts;
	struct json_object *obj;

	if (!json_scan_check((struct json_slice){text, len}, &facts)) {
		err_set(err, ERR_INVALID_REQUEST,
		        is_blank(text, len) ? "The body is not JSON: it is empty (%zu bytes)." : "The body is not JSON at byte %zu.",
		        facts.stopped);
		return NULL;
	}
	obj = json_parse_trusted(text, len);
	if (check_tree(obj, &facts, err) == 0)
		return obj;
	json_object_put(obj);
	return NULL;
}

struct json_object *
json_parse_trusted(const char *text, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH_MAX);
	struct json_object *obj;
	bool whole;

	if (tok == NULL)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	obj = json_tokener_parse_ex(tok, text, (int)len);
	whole = json_tokener_get_error(tok) == json_tokener_success;    /* strict: nothing may follow */
	json_tokener_free(tok);
	if (whole)
		return obj;
	json_object_put(obj);
	return NULL;
}

struct json_object *
json_member(struct json_object *obj, const char *name, enum json_type type)
{
	struct json_object *value;

	if (!json_object_is_type(obj, json_type_object) ||
	    !json_object_object_get_ex(obj, name, &value) || !json_object_is_type(value, type))
		return NULL;
	return value;
}

const char *
json_member_text(struct json_object *obj, const char *name)
{
	struct json_object *value = json_member(obj, name, json_type_string);

	return value != NULL ? json_object_get_string(value) : NULL;
}

const char *
json_text(struct json_object *obj, size_t *len_r)
{
	return json_object_to_json_string_length(
	    obj, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, len_r);
}

static void
put_json(void *obj)
{
	json_object_put(obj);
}

struct json_object *
json_keep(struct arena *a, struct json_object *obj)
{
	return obj != NULL && arena_defer(a, put_json, obj) == 0 ? obj : NULL;
}
