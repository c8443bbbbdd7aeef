/*
 * fuzz_cursor.c - the cursor of a page, as anybody may make one up.
 *
 * What is taken for one has a list that was asked for, a moment and an id that are such, and is written again as a
 * cursor that says the same; what is not is told as a bad request.  What was written is read again.
 */
#include <sodium.h>
#include <string.h>

#include "fuzz.h"
#include "store/cursor.h"

#define LISTS "pofmua"
#define ARENA_BYTES ((size_t)64 << 10)

static void
check_same(struct arena *a, const struct cursor *c)
{
	struct cursor again;
	struct err err;
	const char *text = cursor_write(a, c->list, c->at_us, c->id);

	REQUIRE(text != NULL);
	REQUIRE(cursor_read(text, LISTS, &again, &err) == 0);
	REQUIRE(again.list == c->list && again.at_us == c->at_us && strcmp(again.id, c->id) == 0);
	for (const char *other = LISTS; *other != '\0'; other++)
		if (*other != c->list) {
			const char one[2] = {*other, '\0'};

			REQUIRE(cursor_read(text, one, &again, &err) == -1);
		}
}

static void
check_text(struct arena *a, const char *text)
{
	struct cursor c;
	struct err err = {0};

	if (cursor_read(text, LISTS, &c, &err) == -1) {
		REQUIRE(err.code == ERR_INVALID_REQUEST);
		return;
	}
	REQUIRE((c.list == '\0') == (*text == '\0'));
	if (c.list == '\0')
		return;
	REQUIRE(strchr(LISTS, c.list) != NULL && c.at_us >= 0 && ident_is_valid(c.id));
	REQUIRE(strspn(c.at_text, "0123456789") == strlen(c.at_text));
	check_same(a, &c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a;
	char *text, *encoded;
	size_t room;

	if (size > 512 || sodium_init() == -1)
		return 0;
	a = arena_new(ARENA_BYTES);
	text = calloc(1, size + 1);
	room = sodium_base64_encoded_len(size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	encoded = malloc(room);
	REQUIRE(text != NULL && encoded != NULL);
	if (size > 0)
		memcpy(text, data, size);
	sodium_bin2base64(encoded, room, data, size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	check_text(a, text);
	check_text(a, encoded);
	free(text);
	free(encoded);
	arena_free(&a);
	return 0;
}
