/* queue.c - see store/queue.h */
#include "store/queue.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "net/redis.h"
#include "store/queue_scripts.h"
#include "telemetry/metrics.h"

/* Of one step's reply; a list of 1,000 is the largest. */
#define REPLY_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define LIST_MAX 1000
#define KIND_MAX_BYTES 64
#define KEY_MAX_BYTES 1024

/* The argument of a script that takes one, and the number that it answers. */
static int
eval_number(enum queue_script script, const struct redis_word *args, size_t count, int64_t *number_r, struct err *err)
{
	struct arena *a = arena_new(REPLY_MAX_BYTES);
	struct redis_value reply;
	int rc = queue_eval(a, script, &reply, err, args, count);

	*number_r = 0;
	if (rc == 0 && reply.type != REDIS_INTEGER)
		rc = err_set(err, ERR_UNAVAILABLE, "The queue answered something else than expected.");
	if (rc == 0)
		*number_r = reply.integer;
	arena_free(&a);
	return rc;
}

static void
count_job(const char *kind, const char *result)
{
	char labels[120];

	snprintf(labels, sizeof(labels), "kind=\"%s\",result=\"%s\"", kind, result);
	metric_count(METRIC_QUEUE_JOBS, labels);
}

static int
add(const char *group, const char *kind, const char *key, const char *payload, size_t len, struct err *err)
{
	char id[QUEUE_ID_BYTES], group_hash[QUEUE_ID_BYTES] = "", most[QUEUE_NUMBER_BYTES];
	int64_t answer;

	if (len > QUEUE_PAYLOAD_MAX_BYTES || strlen(key) > KEY_MAX_BYTES || key[0] == '\0' || strlen(kind) > KIND_MAX_BYTES)
		return err_set(err, ERR_PAYLOAD_TOO_LARGE, "This is too large to be put off.");
	queue_hash(id, (const char *const[]){kind, key}, 2);
	if (group != NULL)
		queue_hash(group_hash, &group, 1);
	if (eval_number(QUEUE_ADD,
	                REDIS_WORDS(REDIS_TEXT(id), REDIS_TEXT(kind), REDIS_TEXT(key), REDIS_BYTES(payload, len),
	                            REDIS_TEXT(group_hash), queue_number(most, config()->queue_max_jobs)),
	                &answer, err) == -1)
		return -1;
	if (answer >= 0)
		return answer > 0;
	err_set(err, ERR_UNAVAILABLE, "Too much work is waiting to be done already; please try again later.");
	return err_cause(err, "QUEUE_MAX_JOBS jobs are there");
}

int
queue_add_in_order(const char *group, const char *kind, const char *key, const char *payload, size_t len,
                   struct err *err)
{
	int rc = add(group, kind, key, payload, len, err);

	count_job(kind, rc == 1 ? "added" : rc == 0 ? "duplicate" : "refused");
	return rc;
}

int
queue_add(const char *kind, const char *key, const char *payload, size_t len, struct err *err)
{
	return queue_add_in_order(NULL, kind, key, payload, len, err);
}

int
queue_group_is_busy(const char *group, struct err *err)
{
	char hash[QUEUE_ID_BYTES];
	int64_t jobs;

	queue_hash(hash, &group, 1);
	if (eval_number(QUEUE_BUSY, REDIS_WORDS(REDIS_TEXT(hash)), &jobs, err) == -1)
		return -1;
	return jobs > 0;
}

static bool
are_integers(const struct redis_value *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (items[i].type != REDIS_INTEGER)
			return false;
	return true;
}

int
queue_stats(struct queue_stats *stats_r, struct err *err)
{
	struct arena *a = arena_new(REPLY_MAX_BYTES);
	struct redis_value reply;
	int rc = queue_eval(a, QUEUE_STATS, &reply, err, NULL, 0);

	if (rc == 0 && (reply.type != REDIS_ARRAY || reply.count != 5 || !are_integers(reply.items, 5)))
		rc = err_set(err, ERR_UNAVAILABLE, "The queue answered something else than expected.");
	if (rc == 0) {
		int64_t waiting = reply.items[0].integer - reply.items[1].integer - reply.items[2].integer;

		*stats_r = (struct queue_stats){.waiting = waiting > 0 ? waiting : 0,
		                                .delayed = reply.items[1].integer,
		                                .running = reply.items[2].integer,
		                                .dead = reply.items[3].integer,
		                                .oldest_secs = reply.items[4].integer};
	}
	arena_free(&a);
	return rc;
}

static int
read_item(const struct redis_value *v, struct queue_item *item_r)
{
	const struct redis_value *items = v->items;

	if (v->type != REDIS_ARRAY || v->count != 7 || !are_integers(items + 5, 2))
		return -1;
	for (size_t i = 0; i < 5; i++)
		if (items[i].type != REDIS_STRING)
			return -1;
	*item_r = (struct queue_item){.id = items[0].text,
	                              .state = items[1].text,
	                              .kind = items[2].text,
	                              .key = items[3].text,
	                              .error = items[4].text,
	                              .tries = items[5].integer,
	                              .age_secs = items[6].integer};
	return 0;
}

int
queue_list(struct arena *a, bool dead, int64_t offset, int64_t count, struct queue_item **items_r, struct err *err)
{
	char from[QUEUE_NUMBER_BYTES], most[QUEUE_NUMBER_BYTES];
	struct redis_value reply;
	struct queue_item *items;

	if (queue_eval(a, QUEUE_LIST, &reply, err,
	               REDIS_WORDS(REDIS_TEXT(dead ? "1" : "0"), queue_number(from, offset),
	                           queue_number(most, count < LIST_MAX ? count : LIST_MAX))) == -1)
		return -1;
	items = reply.type == REDIS_ARRAY ? arena_alloc(a, (reply.count + 1) * sizeof(*items)) : NULL;
	if (items == NULL)
		return err_set(err, ERR_UNAVAILABLE, "The queue answered something else than expected.");
	for (size_t i = 0; i < reply.count; i++)
		if (read_item(&reply.items[i], &items[i]) == -1)
			return err_set(err, ERR_UNAVAILABLE, "The queue answered something else than expected.");
	*items_r = items;
	return (int)reply.count;
}

int
queue_retry(const char *id, struct err *err)
{
	int64_t answer;

	return eval_number(QUEUE_RETRY, REDIS_WORDS(REDIS_TEXT(id)), &answer, err) == -1 ? -1 : answer > 0;
}

int
queue_drop(const char *id, struct err *err)
{
	int64_t answer;

	if (eval_number(QUEUE_DROP, REDIS_WORDS(REDIS_TEXT(id)), &answer, err) == -1)
		return -1;
	if (answer == -1)
		return err_set(err, ERR_CONFLICT, "This job runs now.");
	return answer > 0;
}
