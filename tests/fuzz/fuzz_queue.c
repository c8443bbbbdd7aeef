/*
 * fuzz_queue.c - what Redis answers when a job is taken.
 *
 * The input builds a reply of any shape.  A job that is read has all its texts, ended by a NUL
 * within the reply, of the sizes that are stated, and counts that are none below 0.
 *
 * Format: a value is a byte modulo 4, its type; then nothing, 8 bytes of integer, a length of 2
 * bytes and the text, or a count (modulo 12) and the items.
 */
#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "fuzz.h"
#include "store/queue_scripts.h"

#define DEPTH_MAX 4

struct input {
	const uint8_t *at;
	size_t left;
};

static uint64_t
next_number(struct input *in, size_t bytes)
{
	uint64_t n = 0;

	for (; bytes > 0 && in->left > 0; bytes--, in->at++, in->left--)
		n = n << 8 | *in->at;
	return n;
}

static void
next_value(struct input *in, struct arena *a, int depth, struct redis_value *v)
{
	struct redis_value *items;
	size_t len;

	*v = (struct redis_value){.type = (enum redis_type)(next_number(in, 1) % 4)};
	switch (v->type) {
	case REDIS_NIL:
		break;
	case REDIS_INTEGER:
		v->integer = (int64_t)next_number(in, 8);
		break;
	case REDIS_STRING:
		len = next_number(in, 2);
		len = len < in->left ? len : in->left;
		v->text = arena_strndup(a, (const char *)in->at, len);
		REQUIRE(v->text != NULL);
		v->len = len;
		in->at += len;
		in->left -= len;
		break;
	case REDIS_ARRAY:
		v->count = depth < DEPTH_MAX ? next_number(in, 1) % 12 : 0;
		items = arena_alloc(a, (v->count + 1) * sizeof(*items));
		REQUIRE(items != NULL);
		for (size_t i = 0; i < v->count; i++)
			next_value(in, a, depth + 1, &items[i]);
		v->items = items;
		break;
	}
}

static bool
is_text(const char *text, size_t max)
{
	return text != NULL && text[0] != '\0' && strlen(text) <= max;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {.at = data, .left = size};
	struct arena *a = arena_new((size_t)64 * 1024 * 1024);
	struct redis_value v;
	struct job job;

	next_value(&in, a, 0, &v);
	if (queue_job_parse(&v, &job) == 0) {
		REQUIRE(is_text(job.entry, 64) && is_text(job.id, QUEUE_ID_BYTES - 1));
		REQUIRE(is_text(job.kind, 64) && is_text(job.key, 1024));
		REQUIRE(job.payload_len <= QUEUE_PAYLOAD_MAX_BYTES && job.payload[job.payload_len] == '\0');
		REQUIRE(job.tries >= 1 && job.postponed >= 0 && job.age_secs >= 0);
	}
	arena_free(&a);
	return 0;
}
