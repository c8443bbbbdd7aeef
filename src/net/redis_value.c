/* redis_value.c - see net/redis_value.h */
#include "net/redis_value.h"

#include <stdbool.h>
#include <string.h>

#if HIREDIS_MAJOR >= 1
typedef size_t elements_t;
#else
typedef int elements_t;
#endif

/* hiredis' own functions, which ours ask when all is well. */
static redisReplyObjectFunctions makers;

static int
depth_of(const redisReadTask *task)
{
	int depth = 1;

	for (; task->parent != NULL; task = task->parent)
		depth++;
	return depth;
}

static bool
is_text(const char *text, size_t len, const char *wanted)
{
	return len == strlen(wanted) && memcmp(text, wanted, len) == 0;
}

/* Does the next reply belong to a subscription (else to a command)? */
static bool
comes_from_subscription(const struct redis_guard *g)
{
	return g->ac->replies.head == NULL && (g->ac->c.flags & REDIS_SUBSCRIBED) != 0;
}

/* [pmessage, pattern, channel, text], or [psubscribe, pattern, count] */
static bool
fits_message(const redisReadTask *task, const struct redis_guard *g, const char *text, size_t len)
{
	if (task->parent == NULL)
		return task->type == REDIS_REPLY_ARRAY || task->type == REDIS_REPLY_ERROR;
	if (task->idx == 0)
		return text != NULL && (is_text(text, len, "pmessage") || is_text(text, len, "psubscribe"));
	if (task->idx == 1)
		return text != NULL && is_text(text, len, g->pattern);
	return task->type != REDIS_REPLY_ARRAY;
}

/* May this part of a reply be made, with `bytes` of memory? */
static bool
admit(const redisReadTask *task, const char *text, size_t len, size_t bytes)
{
	struct redis_guard *g = task->privdata;

	if (task->parent == NULL) {
		g->bytes = 0;
		/* an error may come unasked: too many clients */
		if (g->ac->replies.head == NULL && !comes_from_subscription(g) && task->type != REDIS_REPLY_ERROR)
			return false;
	}
	if (comes_from_subscription(g) && !fits_message(task, g, text, len))
		return false;
	if (bytes > REDIS_REPLY_MAX_BYTES || depth_of(task) > REDIS_REPLY_DEPTH_MAX)
		return false;
	g->bytes += bytes + sizeof(struct redis_value);
	return g->bytes <= REDIS_REPLY_MAX_BYTES;
}

static void *
make_string(const redisReadTask *task, char *text, size_t len)
{
	return admit(task, task->type == REDIS_REPLY_STRING ? text : NULL, len, len) ? makers.createString(task, text, len)
	                                                                              : NULL;
}

static void *
make_array(const redisReadTask *task, elements_t count)
{
	const struct redis_guard *g = task->privdata;
	size_t elements = (size_t)count;

	if (elements > REDIS_REPLY_MAX_BYTES / sizeof(struct redis_value))
		return NULL;
	if (comes_from_subscription(g) && elements < 3)
		return NULL;
	return admit(task, NULL, 0, elements * sizeof(void *)) ? makers.createArray(task, count) : NULL;
}

static void *
make_integer(const redisReadTask *task, long long value)
{
	return admit(task, NULL, 0, 0) ? makers.createInteger(task, value) : NULL;
}

static void *
make_nil(const redisReadTask *task)
{
	return admit(task, NULL, 0, 0) ? makers.createNil(task) : NULL;
}

void
redis_guard_attach(struct redis_guard *guard, redisAsyncContext *ac, const char *pattern)
{
	static redisReplyObjectFunctions guarded;

	if (makers.createString == NULL) {
		makers = *ac->c.reader->fn;
		guarded = makers;
		guarded.createString = make_string;
		guarded.createArray = make_array;
		guarded.createInteger = make_integer;
		guarded.createNil = make_nil;
	}
	*guard = (struct redis_guard){.ac = ac, .pattern = pattern};
	ac->c.reader->fn = &guarded;
	ac->c.reader->privdata = guard;
}

static int
copy_text(struct arena *a, const redisReply *reply, struct redis_value *v)
{
	char *text = arena_alloc(a, reply->len + 1);

	if (text == NULL)
		return -1;
	memcpy(text, reply->str, reply->len);
	v->type = REDIS_STRING;
	v->text = text;
	v->len = reply->len;
	return 0;
}

/* The guard has bounded depth and size. */
static int
copy_array(struct arena *a, const redisReply *reply, struct redis_value *v)
{
	struct redis_value *items = arena_alloc(a, reply->elements * sizeof(*items) + 1);

	if (items == NULL)
		return -1;
	for (size_t i = 0; i < reply->elements; i++)
		if (redis_value_copy(a, reply->element[i], &items[i]) == -1)
			return -1;
	v->type = REDIS_ARRAY;
	v->items = items;
	v->count = reply->elements;
	return 0;
}

int
redis_value_copy(struct arena *a, const redisReply *reply, struct redis_value *v)
{
	*v = (struct redis_value){.type = REDIS_NIL};
	switch (reply->type) {
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
	case REDIS_REPLY_ERROR:         /* inside an array: of a transaction */
		return copy_text(a, reply, v);
	case REDIS_REPLY_INTEGER:
		v->type = REDIS_INTEGER;
		v->integer = reply->integer;
		return 0;
	case REDIS_REPLY_ARRAY:
		return copy_array(a, reply, v);
	default:
		return 0;
	}
}
