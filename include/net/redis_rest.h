/*
 * redis_rest.h - Redis over Upstash's REST protocol (upstash.com/docs/redis/features/restapi).
 *
 * A command is a JSON array of words, POSTed to the base URL; the commands of one round of fibers go together
 * to /pipeline.  Answers are {"result": ...} or {"error": "..."}, texts in them in base64 (Upstash-Encoding),
 * so that any bytes come back; words that go there must be UTF-8, since JSON has nothing else.
 *
 * For the files of net/redis only.
 */
#ifndef NET_REDIS_REST_H
#define NET_REDIS_REST_H

#include <json-c/json.h>

#include "net/redis_conn.h"

/* Run a command, by the configuration.  Waits. */
enum redis_outcome redis_rest_run(struct arena *a, int64_t deadline_ms, struct redis_value *reply_r,
                                  char said_r[REDIS_SAID_BYTES], const struct redis_word *words,
                                  size_t count) MUST_USE;

/* Cancel what is on its way. */
void redis_rest_stop(void);

/* What one {"result": ...} or {"error": ...} says. */
enum redis_outcome redis_rest_read(struct json_object *answer, struct arena *a, struct redis_value *reply_r,
                                   char said_r[REDIS_SAID_BYTES]) MUST_USE;

#endif
