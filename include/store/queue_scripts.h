/*
 * queue_scripts.h - the queue's steps in Redis: each is a script, so it happens whole or not at
 * all, whoever dies.  For the files of the queue.
 *
 * What each does, takes and answers stands in queue_scripts.c.
 */
#ifndef STORE_QUEUE_SCRIPTS_H
#define STORE_QUEUE_SCRIPTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "net/redis.h"
#include "store/queue.h"

/* Where consumers are told that there is something to do. */
#define QUEUE_CHANNEL "bakame:queue"

/* Of payloads that are taken at a time: the one that goes past it is the last, for an answer has a bound. */
#define QUEUE_TAKE_BYTES 900000

/* No job is put off for longer. */
#define QUEUE_PAUSE_MAX_MS 1200000

enum queue_script {
	QUEUE_ADD,
	QUEUE_BUSY,
	QUEUE_TAKE,
	QUEUE_DONE,
	QUEUE_FAIL,
	QUEUE_GIVE_BACK,
	QUEUE_BEAT,
	QUEUE_LEAVE,
	QUEUE_STATS,
	QUEUE_LIST,
	QUEUE_RETRY,
	QUEUE_DROP,
};

/* Run it.  As redis_command(), but a script that fails is ERR_UNAVAILABLE too: the queue cannot be used. */
int queue_eval(struct arena *a, enum queue_script script, struct redis_value *reply_r, struct err *err,
               const struct redis_word *args, size_t count) MUST_USE;

/* The hash of `parts` texts as hexadecimal digits: the id of a job (of kind and key), the name of a group. */
void queue_hash(char id[QUEUE_ID_BYTES], const char *const *parts, size_t count);

/* A number as a word; `text` holds it. */
#define QUEUE_NUMBER_BYTES 24
struct redis_word queue_number(char text[QUEUE_NUMBER_BYTES], int64_t n);

/* An element of what QUEUE_TAKE answers; texts stay where the reply is.  -1 when it is none. */
int queue_job_parse(const struct redis_value *v, struct job *job_r) MUST_USE;

#endif
