/*
 * fuzz_redis_rest.c - answers of a REST server for Redis.
 *
 * Whatever it says ends in one of the outcomes; a reply handed out can be walked, is no deeper than allowed
 * and its texts end in a NUL; words of an error fit.
 */
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "fuzz.h"
#include "net/redis_rest.h"
#include "net/redis_value.h"

static void
walk(const struct redis_value *v, int depth)
{
	REQUIRE(depth <= REDIS_REPLY_DEPTH_MAX);
	if (v->type == REDIS_STRING)
		REQUIRE(v->text[v->len] == '\0');
	for (size_t i = 0; v->type == REDIS_ARRAY && i < v->count; i++)
		walk(&v->items[i], depth + 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new((size_t)1 << 20);
	struct json_object *answer = json_parse_trusted((const char *)data, size);
	char said[REDIS_SAID_BYTES] = "";
	struct redis_value v = {0};
	enum redis_outcome outcome = redis_rest_read(answer, a, &v, said);

	REQUIRE(outcome == REDIS_DONE || outcome == REDIS_SAID_NO || outcome == REDIS_LOST || outcome == REDIS_TOO_LARGE);
	REQUIRE(memchr(said, '\0', sizeof(said)) != NULL);
	if (outcome == REDIS_DONE)
		walk(&v, 1);
	json_object_put(answer);
	arena_free(&a);
	return 0;
}
