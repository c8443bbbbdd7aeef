/*
 * cache.c - see net/cache.h
 *
 * All calls for one thing that are in this worker at the same time share a flight.  One of them leads:
 * looks, fetches, keeps; the others wait for how it ends.  A leader that is cancelled steps down, and
 * the next who runs leads, with the same token: he takes the lease over with his first look.
 */
#include "net/cache.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "net/cache_memory.h"
#include "net/cache_record.h"
#include "net/cache_redis.h"
#include "net/redis.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

#define HASH_BYTES 16
#define TOKEN_BYTES 16
/* Of what one step gets from Redis: a record, and what is around it. */
#define REPLY_MAX_BYTES (CACHE_RECORD_MAX_BYTES * 2 + 65536)
/* Whoever is not told that a lease ended looks again after so long, then after twice that, ... */
#define LOOK_AGAIN_MS 50
#define LOOK_AGAIN_MAX_MS 250

/* How it was answered: the label of the metric. */
enum result { RESULT_HIT, RESULT_MISS, RESULT_STALE, RESULT_COALESCED, RESULT_NEGATIVE };
static const char *const result_names[] = {"hit", "miss", "stale", "coalesced", "negative"};

struct waiter {
	struct waiter *next;
	struct fiber *fiber;
};

struct flight {
	UT_hash_handle hh;
	char id[CACHE_ID_BYTES];
	char token[TOKEN_BYTES * 2 + 1];
	unsigned calls;                 /* that take part */
	struct fiber *leader;           /* NULL: to be taken by the next who runs */
	struct waiter *waiters;
	bool asked;                     /* Redis, so that we may have the lease */
	bool waited;                    /* for another worker's fetch */
	bool news;                      /* from Redis since the last look */
	bool done;
	enum result result;
	int64_t age_ms;
	struct buffer value;
	struct err err;                 /* its code is ERR_NONE where there is a value */
	struct cache_answer answer;     /* here, and not on the leader's stack */
};

/* What one call wants. */
struct call {
	const struct cache_kind *kind;
	cache_fetch_cb fetch;
	void *arg;
};

static struct flight *flights;

static void
message_cb(void *arg, const char *channel, const char *text, size_t len)
{
	const size_t around = strlen(CACHE_KEY_START CACHE_KEY_END);
	size_t channel_len = strlen(channel);
	struct flight *f = NULL;

	(void)arg;
	(void)text;
	(void)len;
	if (channel_len > around)       /* as the pattern has it */
		HASH_FIND(hh, flights, channel + strlen(CACHE_KEY_START), channel_len - around, f);
	if (f == NULL)
		return;
	f->news = true;
	if (f->leader != NULL)
		fiber_wake(f->leader);
}

void
cache_start(void)
{
	cache_memory_start();
	if (redis_subscribe(CACHE_KEY_START "*" CACHE_KEY_END, message_cb, NULL) == -1)
		LOG_DEBUG(&log_root, "cache: no messages from this Redis; looking again from time to time");
}

/* ---- flights ---- */

static void
make_id(char id[CACHE_ID_BYTES], const struct cache_kind *kind, const char *key)
{
	unsigned char hash[HASH_BYTES];
	char hex[HASH_BYTES * 2 + 1];

	assert(strlen(kind->name) < CACHE_KIND_BYTES);
	crypto_generichash(hash, sizeof(hash), (const unsigned char *)key, strlen(key), NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	snprintf(id, CACHE_ID_BYTES, "%s:%s", kind->name, hex);
}

static struct flight *
flight_join(const char *id)
{
	unsigned char token[TOKEN_BYTES];
	struct flight *f;

	HASH_FIND_STR(flights, id, f);
	if (f == NULL) {
		f = mem_alloc(sizeof(*f));
		snprintf(f->id, sizeof(f->id), "%s", id);
		randombytes_buf(token, sizeof(token));
		sodium_bin2hex(f->token, sizeof(f->token), token, sizeof(token));
		f->value = BUFFER_INIT(CACHE_FETCH_MAX_BYTES);
		HASH_ADD_STR(flights, id, f);
	}
	f->calls++;
	return f;
}

static void
wake_waiters(struct flight *f)
{
	for (const struct waiter *w = f->waiters; w != NULL; w = w->next)
		fiber_wake(w->fiber);
}

/* Nobody joins any more. */
static void
flight_close(struct flight *f)
{
	HASH_DEL(flights, f);
}

static void
flight_leave(struct flight *f)
{
	if (--f->calls > 0)
		return;
	buffer_free(&f->value);
	free(f);
}

static void
flight_end(struct flight *f, enum result result, int64_t age_ms)
{
	f->done = true;
	f->result = result;
	f->age_ms = age_ms;
	flight_close(f);
	wake_waiters(f);
}

static void
end_with_value(struct flight *f, enum result result, int64_t age_ms)
{
	f->err.code = ERR_NONE;
	flight_end(f, result, age_ms);
}

/* ---- one leader's steps ---- */

/* Give the lease back, whatever happened to this fiber.  If that fails it ends by itself. */
static void
release(struct flight *f)
{
	struct arena *a = arena_new(REPLY_MAX_BYTES);

	fiber_mask_begin();
	(void)!cache_redis_release(a, f->id, f->token, NULL);
	fiber_mask_end();
	arena_free(&a);
}

/* This fiber was cancelled.  If nobody leads now, the next does; the lease is given back where there is none. */
static void
withdraw(struct flight *f)
{
	if (f->leader == fiber_self())
		f->leader = NULL;
	if (f->leader != NULL)
		return;
	if (f->calls > 1) {
		wake_waiters(f);
		return;
	}
	flight_close(f);
	if (f->asked && redis_usable())
		release(f);
}

static bool
is_cancelled(void)
{
	return fiber_cancelled(fiber_self()) != FIBER_GO_ON;
}

/* The record becomes the flight's value.  -1 when it is corrupt. */
static int
take_record(struct flight *f, const struct cache_record *record)
{
	buffer_consume(&f->value, f->value.len);
	return record->data != NULL ? cache_record_unpack(record, &f->value) : -1;
}

/* From the host's memory, past its time too if `stale`.  True when the flight has ended. */
static bool
end_from_memory(struct flight *f, bool stale)
{
	struct cache_record *record = &f->answer.record;
	int64_t age_ms;
	char *room;
	bool fresh;

	if (!cache_memory_get(f->id, loop_now_ms(), CACHE_STALE_SECS * 1000, record, &room, &age_ms, &fresh))
		return false;
	if (record->form == CACHE_NEGATIVE && fresh) {
		cache_negative_err(record, &f->err);
		flight_end(f, RESULT_NEGATIVE, age_ms);
	} else if ((fresh || stale) && take_record(f, record) == 0) {
		end_with_value(f, fresh ? RESULT_HIT : RESULT_STALE, age_ms);
	}
	free(room);
	return f->done;
}

/* Keep what was fetched: in Redis, or in the host's memory. */
static void
keep(struct flight *f, const struct cache_kind *kind, const struct cache_record *record, bool in_redis)
{
	bool negative = record->form == CACHE_NEGATIVE;
	int64_t ttl_ms = (negative ? kind->negative_ttl_secs : kind->ttl_secs) * 1000;
	int64_t keep_ms = ttl_ms + (negative ? 0 : CACHE_STALE_SECS * 1000);
	struct arena *a = arena_new(REPLY_MAX_BYTES);

	/* whoever is cancelled now has it all the same: it would be a waste */
	fiber_mask_begin();
	if (!in_redis || cache_redis_store(a, f->id, f->token, record, ttl_ms, keep_ms, NULL) == -1)
		cache_memory_put(f->id, record, ttl_ms, loop_now_ms());
	fiber_mask_end();
	arena_free(&a);
}

static void
fetched(struct flight *f, const struct cache_kind *kind, bool in_redis)
{
	struct cache_record record;
	char *room;

	if (f->value.len > CACHE_VALUE_MAX_BYTES) {
		LOG_DEBUG(&log_root, "cache: too large to keep", LOG_STR("kind", kind->name),
		          LOG_INT("bytes", f->value.len));
		if (in_redis)
			release(f);
	} else {
		cache_record_pack(f->value.data != NULL ? f->value.data : "", f->value.len, &record, &room);
		keep(f, kind, &record, in_redis);
		free(room);
	}
	end_with_value(f, RESULT_MISS, 0);
}

/* A failed fetch: what is there past its time, else the failure for all. */
static void
failed(struct flight *f, const struct cache_kind *kind, bool in_redis)
{
	struct cache_record *record = &f->answer.record;
	struct arena *a;
	int64_t age_ms = 0;
	int rc = -1;

	if (f->err.code == ERR_NOT_FOUND && kind->negative_ttl_secs > 0) {
		*record = (struct cache_record){
		    .form = CACHE_NEGATIVE, .data = f->err.message, .len = strlen(f->err.message)};
		keep(f, kind, record, in_redis);
		flight_end(f, RESULT_MISS, 0);
		return;
	}
	a = arena_new(REPLY_MAX_BYTES);
	if (in_redis) {
		fiber_mask_begin();
		rc = cache_redis_fail(a, f->id, f->token, &f->err, record, &age_ms, NULL);
		fiber_mask_end();
	}
	/* that there is no such thing is an answer too: none from before takes its place */
	if (f->err.code != ERR_NOT_FOUND) {
		if (rc == 0 && take_record(f, record) == 0)
			end_with_value(f, RESULT_STALE, age_ms);
		else
			(void)!end_from_memory(f, true);
	}
	if (!f->done)
		flight_end(f, RESULT_MISS, 0);
	arena_free(&a);
}

/* With the lease, or (`in_redis` false) without asking anybody. */
static void
fetch(struct flight *f, const struct call *c, bool in_redis)
{
	buffer_consume(&f->value, f->value.len);
	if (c->fetch(c->arg, &f->value, &f->err) == 0)
		fetched(f, c->kind, in_redis);
	else if (!is_cancelled())
		failed(f, c->kind, in_redis);
}

/* Until another's lease may have ended.  -1 when cancelled. */
static int
await_news(struct flight *f, unsigned looks)
{
	int64_t pause = (int64_t)looks * LOOK_AGAIN_MS;
	int64_t until = loop_now_ms() + (pause < LOOK_AGAIN_MAX_MS ? pause : LOOK_AGAIN_MAX_MS);

	f->waited = true;
	while (!f->news) {
		enum fiber_event event = fiber_wait(until);

		if (event == FIBER_CANCELLED)
			return -1;
		if (event == FIBER_TIMEOUT)
			break;
	}
	return 0;
}

/* Another's value, or how his fetch failed.  False when the record is corrupt. */
static bool
end_from_answer(struct flight *f)
{
	struct cache_answer *answer = &f->answer;

	if (answer->look == CACHE_LOOK_FRESH && answer->record.form == CACHE_NEGATIVE) {
		cache_negative_err(&answer->record, &f->err);
		flight_end(f, RESULT_NEGATIVE, answer->age_ms);
	} else if (take_record(f, &answer->record) == 0) {
		if (answer->look == CACHE_LOOK_FAILED)
			end_with_value(f, RESULT_STALE, answer->age_ms);
		else
			end_with_value(f, f->waited ? RESULT_COALESCED : RESULT_HIT, answer->age_ms);
	} else if (answer->look == CACHE_LOOK_FAILED) {
		f->err = answer->failure;
		flight_end(f, RESULT_COALESCED, 0);
	}
	return f->done;
}

/* What a look found. */
enum found { FOUND_END, FOUND_LEASE, FOUND_WAIT, FOUND_CORRUPT, FOUND_NO_REDIS };

static enum found
look(struct flight *f, const struct call *c, bool drop)
{
	struct arena *a;
	enum found found = FOUND_NO_REDIS;

	if (!redis_usable())
		return found;
	a = arena_new(REPLY_MAX_BYTES);
	f->news = false;
	f->asked = true;
	if (cache_redis_look(a, f->id, f->token, c->kind->lease_ms, drop, &f->answer, &f->err) == 0) {
		if (f->answer.look == CACHE_LOOK_LEASE)
			found = FOUND_LEASE;
		else if (f->answer.look == CACHE_LOOK_WAIT)
			found = FOUND_WAIT;
		else
			found = end_from_answer(f) ? FOUND_END : FOUND_CORRUPT;
	}
	arena_free(&a);
	return found;
}

/* Until the flight has ended or this leader is cancelled.  Who sees fetchers die one after the other, or a lease
   that does not end, fetches without. */
static void
lead(struct flight *f, const struct call *c)
{
	int64_t give_up_ms = loop_now_ms() + 2 * c->kind->lease_ms;
	enum found found = FOUND_WAIT;

	f->leader = fiber_self();
	for (unsigned looks = 1;; looks++) {
		bool drop = found == FOUND_CORRUPT;

		found = look(f, c, drop);
		if (found == FOUND_END)
			return;
		if (found == FOUND_LEASE) {
			fetch(f, c, true);
			return;
		}
		if (found == FOUND_NO_REDIS) {
			if (!is_cancelled() && !end_from_memory(f, false))
				fetch(f, c, false);
			return;
		}
		if (found == FOUND_WAIT && await_news(f, looks) == -1)
			return;
		if ((found == FOUND_CORRUPT && drop) || loop_now_ms() >= give_up_ms) {
			fetch(f, c, false);
			return;
		}
	}
}

/* ---- a call ---- */

/* Wait until the flight has ended or has no leader.  -1 when cancelled. */
static int
follow(struct flight *f)
{
	struct waiter self = {.next = f->waiters, .fiber = fiber_self()}, **w;
	enum fiber_event event = FIBER_WOKEN;

	/* cppcheck-suppress autoVariables ; out of the list again before we return */
	f->waiters = &self;
	while (!f->done && f->leader != NULL && event != FIBER_CANCELLED)
		event = fiber_wait(FIBER_NO_DEADLINE);
	for (w = &f->waiters; *w != &self; w = &(*w)->next)
		;
	*w = self.next;
	return f->done || event != FIBER_CANCELLED ? 0 : -1;
}

static void
count(const struct cache_kind *kind, enum result result)
{
	char labels[96];

	snprintf(labels, sizeof(labels), "kind=\"%s\",result=\"%s\"", kind->name, result_names[result]);
	metric_count(METRIC_CACHE_LOOKUPS, labels);
}

static int
answer(const struct flight *f, const struct cache_kind *kind, bool led, struct arena *a, struct cache_value *value_r,
       struct err *err)
{
	static const enum cache_source sources[] = {[RESULT_HIT] = CACHE_HIT,
	                                            [RESULT_MISS] = CACHE_FETCHED,
	                                            [RESULT_STALE] = CACHE_STALE,
	                                            [RESULT_COALESCED] = CACHE_COALESCED};
	enum result result = f->result == RESULT_MISS && !led ? RESULT_COALESCED : f->result;

	count(kind, result);
	if (f->err.code != ERR_NONE) {
		*err = f->err;
		return -1;
	}
	value_r->text = arena_strndup(a, f->value.len > 0 ? f->value.data : "", f->value.len);
	if (value_r->text == NULL)
		return err_set(err, ERR_INTERNAL, "There is no room for this answer.");
	value_r->len = f->value.len;
	value_r->source = sources[result];
	value_r->age_secs = f->age_ms / 1000;
	return 0;
}

int
cache_get(const struct cache_kind *kind, const char *key, cache_fetch_cb fetch_cb, void *arg, struct arena *a,
          struct cache_value *value_r, struct err *err)
{
	const struct call c = {.kind = kind, .fetch = fetch_cb, .arg = arg};
	char id[CACHE_ID_BYTES];
	struct flight *f;
	bool led = false;
	int rc;

	make_id(id, kind, key);
	f = flight_join(id);
	while (!f->done && !led && follow(f) == 0) {
		led = !f->done;
		if (led)
			lead(f, &c);
	}
	if (f->done) {
		rc = answer(f, kind, led, a, value_r, err);
	} else {
		withdraw(f);
		rc = fiber_cancel_err(err);
	}
	flight_leave(f);
	return rc;
}
