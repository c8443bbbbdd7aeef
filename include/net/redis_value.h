/*
 * redis_value.h - replies of Redis: how large they may be, and as what they are handed out.
 *
 * For the files of net/redis only.
 */
#ifndef NET_REDIS_VALUE_H
#define NET_REDIS_VALUE_H

#include <hiredis/async.h>

#include "net/redis.h"

/* With REDIS_REPLY_MAX_BYTES the bounds of one reply; past them the connection is dropped. */
#define REDIS_REPLY_DEPTH_MAX 8

/* What watches the replies of one connection.  Lives as long as the context. */
struct redis_guard {
	redisAsyncContext *ac;
	const char *pattern;            /* of its subscription, or NULL */
	size_t bytes;                   /* of the reply that comes in, so far */
};

/*
 * Let hiredis refuse what is larger than that while it still comes in, and what would make it
 * abort the process: a reply that nobody waits for, and, once subscribed, what is no message
 * of the pattern.  hiredis takes the refusal for a lack of memory and drops the connection.
 */
void redis_guard_attach(struct redis_guard *guard, redisAsyncContext *ac, const char *pattern);

/* Copy a reply that is no error into the arena; -1 if it has no room. */
int redis_value_copy(struct arena *a, const redisReply *reply, struct redis_value *value_r) MUST_USE;

#endif
