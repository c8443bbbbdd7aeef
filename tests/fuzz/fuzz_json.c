/*
 * fuzz_json.c - JSON from clients and providers.
 *
 * What json_parse() takes is an object or array that json-c writes and reads
 * again as the same; it has no escaped NUL; json_scan_object() takes every object of it
 * and finds the members that the tree has; json_mould_scan() finds the same in a second object
 * that is like the first but for some values.  What it refuses it refuses as
 * invalid_request, with a message that can be sent.
 */
#include <string.h>

#include "base/json.h"
#include "base/json_mould.h"
#include "base/json_scan.h"
#include "base/text.h"
#include "fuzz.h"

/* Is there an escape for NUL, outside or inside of member names? */
static bool
has_escaped_nul(const char *text, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		if (text[i] != '\\')
			continue;
		i++;
		if (text[i] == 'u' && len - i > 4 && memcmp(text + i + 1, "0000", 4) == 0)
			return true;
	}
	return false;
}

static void
check_written_again(struct json_object *obj)
{
	size_t len;
	const char *text = json_text(obj, &len);
	struct err err;
	struct json_object *again = json_parse(text, len, &err);

	REQUIRE(again != NULL);
	REQUIRE(json_object_equal(obj, again));
	json_object_put(again);
}

/* What was found stands in the text and is what the tree holds. */
static void
check_slice(struct json_slice text, const struct json_want *want, struct json_object *obj)
{
	struct json_object *in_tree = NULL, *found;
	bool there = json_object_object_get_ex(obj, want->name, &in_tree);
	char *alone;

	/* a name written with escapes is in the tree and is not found */
	if (want->value.len == 0)
		return;
	REQUIRE(there);
	REQUIRE(want->value.text >= text.text && want->value.text + want->value.len <= text.text + text.len);
	REQUIRE(json_slice_given(want->value) == (in_tree != NULL));
	alone = malloc(want->value.len + 3);
	REQUIRE(alone != NULL);
	alone[0] = '[';
	memcpy(alone + 1, want->value.text, want->value.len);
	memcpy(alone + 1 + want->value.len, "]", 2);
	found = json_parse_trusted(alone, want->value.len + 2);
	REQUIRE(found != NULL || in_tree != NULL);      /* nested as deep as can be, with the brackets */
	if (found != NULL)
		REQUIRE(json_object_equal(json_object_array_get_idx(found, 0), in_tree));
	json_object_put(found);
	free(alone);
}

/* Elements that the scanner steps through are as many as the tree has. */
static void
check_elements(struct json_slice array, struct json_object *in_tree)
{
	struct json_slice element;
	size_t count = 0;

	while (json_scan_next(&array, &element)) {
		REQUIRE(element.len > 0);
		count++;
	}
	REQUIRE(count == json_object_array_length(in_tree));
}

static void
check_scan(const char *bytes, size_t len, struct json_object *obj)
{
	struct json_want wants[] = {{.name = "id"}, {.name = "choices"}, {.name = "a"}};
	struct json_slice text = {bytes, len};

	REQUIRE(json_scan_object(text, wants, sizeof(wants) / sizeof(wants[0])) == 0);
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
		struct json_object *array = json_member(obj, wants[i].name, json_type_array);

		check_slice(text, &wants[i], obj);
		if (array != NULL && wants[i].value.len > 0)
			check_elements(wants[i].value, array);
	}
}

/* As a chunk of a model's stream: what the scanner takes the parser takes too, so that no
   chunk can get lost. */
static void
check_as_chunk(const char *bytes, size_t len)
{
	struct json_object *obj = json_parse_trusted(bytes, len);

	if (json_scan_object((struct json_slice){bytes, len}, NULL, 0) == 0)
		REQUIRE(json_object_is_type(obj, json_type_object));
	json_object_put(obj);
}

/* The object, and then the same with its first half in place of the value. */
static void
check_mould(const char *bytes, size_t len)
{
	enum { ID, TEXT, CHOICES, COUNT };
	const struct json_want wanted[COUNT] = {{.name = "id"}, {.name = "a", .anywhere = true}, {.name = "choices"}};
	struct json_want first[COUNT], cast[COUNT], scanned[COUNT];
	struct json_mould *mould = NULL;
	struct json_slice text = {bytes, len}, second;
	char *copy;
	size_t before, after;

	memcpy(first, wanted, sizeof(wanted));
	memcpy(cast, wanted, sizeof(wanted));
	memcpy(scanned, wanted, sizeof(wanted));
	if (json_mould_scan(&mould, text, first, COUNT, 1U << TEXT | 1U << ID) == 0 && first[TEXT].value.len > 0) {
		before = (size_t)(first[TEXT].value.text - bytes);
		after = len - before - first[TEXT].value.len;
		second.len = before + len / 2 + after;
		copy = malloc(second.len);
		REQUIRE(copy != NULL);
		memcpy(copy, bytes, before);
		memcpy(copy + before, bytes, len / 2);
		memcpy(copy + before + len / 2, bytes + len - after, after);
		/* mostly it is no string: let it begin and end like one */
		if (len / 2 >= 2)
			copy[before] = copy[before + len / 2 - 1] = '"';
		second.text = copy;
		REQUIRE(json_mould_scan(&mould, second, cast, COUNT, 1U << TEXT | 1U << ID) == json_scan_object(second, scanned, COUNT));
		for (int i = 0; i < COUNT; i++)
			REQUIRE(cast[i].value.text == scanned[i].value.text && cast[i].value.len == scanned[i].value.len);
		free(copy);
	}
	json_mould_free(&mould);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct err err = {0};
	struct json_object *obj = json_parse(text, size, &err);

	if (obj == NULL) {
		REQUIRE(err.code == ERR_INVALID_REQUEST);
		REQUIRE(err.message[0] != '\0');
		REQUIRE(text_is_utf8(err.message, strlen(err.message)));
	} else {
		REQUIRE(json_object_is_type(obj, json_type_object) || json_object_is_type(obj, json_type_array));
		REQUIRE(!has_escaped_nul(text, size));
		check_written_again(obj);
		if (json_object_is_type(obj, json_type_object))
			check_scan(text, size, obj);
	}
	json_object_put(obj);
	check_as_chunk(text, size);
	check_mould(text, size);
	return 0;
}
