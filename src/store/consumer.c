/*
 * consumer.c - see store/consumer.h
 *
 * A fiber takes jobs, one for each job runs it, one keeps what runs ours.
 */
#include "store/consumer.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/redis.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "store/queue_scripts.h"
#include "telemetry/metrics.h"

/* Jobs taken at once: their payloads come in one reply. */
#define TAKE_MAX 8
#define TAKE_REPLY_MAX_BYTES (TAKE_MAX * (QUEUE_PAYLOAD_MAX_BYTES + 8192) + 65536)
#define STEP_REPLY_MAX_BYTES ((size_t)256 * 1024)
/* What a handler may use besides the payload. */
#define JOB_ARENA_MAX_BYTES ((size_t)16 * 1024 * 1024)
/* Nobody told us of something to do: look all the same. */
#define LOOK_MS 1000
#define REDIS_AWAY_MS 1000
#define TELL_AGAIN_MS 250
#define TELL_AGAIN_MAX_MS 2000
#define RETRY_MAX_MS (15LL * 60 * 1000)
#define AWAY_MAX_MS 60000
/* A job that was lost with so many consumers may have ended them. */
#define LOSSES_MAX 10
#define FORGET_MS "3600000"             /* consumers that have not been heard of */

struct running {
	struct running *next;
	struct fiber *fiber;
	struct arena *arena;
	const struct job_handler *handler;      /* NULL: we have none */
	struct job job;                         /* its texts are in the arena */
	bool lost;                              /* it is another's now */
};

static struct {
	struct consumer_options options;
	char name[96];
	struct running *running;
	unsigned load;
	struct fiber *taker;                    /* NULL once it has ended */
	struct fiber *beater;
	int64_t claim_at_ms;
	int64_t look_ms;                        /* until one is to be tried again, at most LOOK_MS */
	unsigned take_max;
	bool news;
	bool draining;
	bool over;                              /* the time to drain is */
	uv_timer_t drain_timer;
	void (*drained)(void);
} consumer;

unsigned
consumer_load(void)
{
	return consumer.load;
}

static void
count_job(const struct running *r, const char *result)
{
	char labels[120];

	snprintf(labels, sizeof(labels), "kind=\"%s\",result=\"%s\"", r->handler != NULL ? r->handler->kind : "unknown",
	         result);
	metric_count(METRIC_QUEUE_JOBS, labels);
}

/* When all has ended that is to end; the beater is the last. */
static void
end_if_drained(void)
{
	if (!consumer.draining || consumer.load > 0 || consumer.taker != NULL)
		return;
	if (consumer.beater != NULL)
		fiber_wake(consumer.beater);
	else
		consumer.drained();
}

/* ---- one job ---- */

/* Tell Redis what became of the job until it has heard it: 0.  -1 when it is not to be told. */
static int
tell(struct arena *a, enum queue_script script, struct redis_value *reply_r, const struct redis_word *args, size_t count)
{
	struct err err;
	int64_t pause = TELL_AGAIN_MS;

	for (;;) {
		if (queue_eval(a, script, reply_r, &err, args, count) == 0)
			return 0;
		if (consumer.over || err.code != ERR_UNAVAILABLE)
			return -1;
		LOG_WARN(&log_root, "cannot tell the queue what became of a job; trying again", LOG_STR("reason", err.message));
		(void)!fiber_wait(loop_now_ms() + pause);
		pause = pause * 2 < TELL_AGAIN_MAX_MS ? pause * 2 : TELL_AGAIN_MAX_MS;
	}
}

static void
tell_done(const struct running *r)
{
	char secs[QUEUE_NUMBER_BYTES];
	struct redis_value reply;

	if (tell(r->arena, QUEUE_DONE, &reply,
	         REDIS_WORDS(REDIS_TEXT(r->job.id), REDIS_TEXT(r->job.entry), queue_number(secs, QUEUE_DONE_SECS))) == -1) {
		LOG_WARN(&r->job.log, "a job is done, but the queue could not be told: it will run again");
		return;
	}
	LOG_DEBUG(&r->job.log, "job done", LOG_INT("tries", r->job.tries));
	count_job(r, "done");
}

static void
give_back(const struct running *r)
{
	struct redis_value reply;

	/* if that fails others take it when our lease ends */
	if (tell(r->arena, QUEUE_GIVE_BACK, &reply,
	         REDIS_WORDS(REDIS_TEXT(r->job.id), REDIS_TEXT(r->job.entry), REDIS_TEXT(consumer.name))) == 0)
		LOG_INFO(&r->job.log, "job given back");
}

/* Between three and five quarters of it: what failed together is not tried again together. */
static int64_t
with_jitter(int64_t ms)
{
	return ms - ms / 4 + (int64_t)randombytes_uniform((uint32_t)(ms / 2 + 1));
}

_Static_assert(RETRY_MAX_MS + RETRY_MAX_MS / 4 < QUEUE_PAUSE_MAX_MS, "with_jitter() of the longest pause");

static int64_t
pause_after(int times, int64_t most_ms)
{
	int64_t ms = consumer.options.retry_ms;

	for (int i = 1; i < times && ms < most_ms; i++)
		ms *= 4;
	return with_jitter(ms < most_ms ? ms : most_ms);
}

static bool
is_hopeless(const struct err *err)
{
	return err->code == ERR_INVALID_REQUEST || err->code == ERR_UNPROCESSABLE;
}

static void
tell_failed(const struct running *r, const struct err *err)
{
	const struct job *job = &r->job;
	bool away = err->code == ERR_UNAVAILABLE;
	bool hopeless = is_hopeless(err) || (away && job->age_secs >= QUEUE_AWAY_SECS);
	const char *verdict = hopeless ? "dead" : away ? "later" : "again";
	int64_t pause = away ? pause_after(job->postponed + 1, AWAY_MAX_MS) : pause_after(job->tries, RETRY_MAX_MS);
	char pause_text[QUEUE_NUMBER_BYTES], tries[QUEUE_NUMBER_BYTES], dead[QUEUE_NUMBER_BYTES];
	struct redis_value reply;
	const char *what;

	if (tell(r->arena, QUEUE_FAIL, &reply,
	         REDIS_WORDS(REDIS_TEXT(job->id), REDIS_TEXT(job->entry), REDIS_TEXT(consumer.name),
	                     REDIS_TEXT(err->cause[0] != '\0' ? err->cause : err->message),
	                     queue_number(pause_text, pause), REDIS_TEXT(verdict),
	                     queue_number(tries, QUEUE_TRIES_MAX), queue_number(dead, QUEUE_DEAD_MAX))) == -1)
		return;
	if (reply.type != REDIS_ARRAY || reply.count != 2 || reply.items[0].type != REDIS_STRING)
		return;
	what = reply.items[0].text;
	consumer.news = true;           /* the taker is to know when the next try is due */
	if (strcmp(what, "dead") == 0) {
		LOG_ERROR(&job->log, "job failed for good", LOG_STR("reason", err->message), LOG_STR("cause", err->cause),
		          LOG_INT("tries", job->tries), LOG_INT("dead_letters_dropped", reply.items[1].integer));
		count_job(r, "dead");
	} else if (strcmp(what, "again") == 0) {
		LOG_WARN(&job->log, "job failed; it will be tried again", LOG_STR("reason", err->message),
		         LOG_STR("cause", err->cause), LOG_INT("tries", job->tries), LOG_INT("pause_ms", pause));
		count_job(r, "retried");
	}
}

static void
job_end(struct running *r)
{
	struct running **at;

	for (at = &consumer.running; *at != r; at = &(*at)->next)
		;
	*at = r->next;
	consumer.load--;
	arena_free(&r->arena);
	free(r);
	if (consumer.taker != NULL)
		fiber_wake(consumer.taker);
	end_if_drained();
}

static void
job_main(void *arg)
{
	struct running *r = arg;
	struct err err = {.code = ERR_INTERNAL};
	int rc;

	fiber_set_deadline(loop_now_ms() + consumer.options.deadline_ms);
	if (r->handler != NULL)
		rc = r->handler->run(&r->job, &err);
	else
		rc = err_set(&err, ERR_UNAVAILABLE, "Nobody here knows how to do this kind of job.");
	/* whatever happened to this fiber, the queue is told */
	fiber_mask_begin();
	if (rc == 0)
		tell_done(r);
	else if (fiber_cancelled(r->fiber) == FIBER_DRAINING && !r->lost)
		give_back(r);
	else if (!r->lost)
		tell_failed(r, &err);
	fiber_mask_end();
	job_end(r);
}

static const struct job_handler *
handler_of(const char *kind)
{
	for (const struct job_handler *h = consumer.options.handlers; h->kind != NULL; h++)
		if (strcmp(h->kind, kind) == 0)
			return h;
	return NULL;
}

static bool
is_running(const char *entry)
{
	for (const struct running *r = consumer.running; r != NULL; r = r->next)
		if (strcmp(r->job.entry, entry) == 0)
			return true;
	return false;
}

/* Texts move from the reply into the job's own arena, which has room for them. */
static void
job_start(const struct job *taken)
{
	struct running *r = mem_alloc(sizeof(*r));
	struct job *job = &r->job;

	r->arena = arena_new(QUEUE_PAYLOAD_MAX_BYTES + JOB_ARENA_MAX_BYTES);
	*job = *taken;
	job->arena = r->arena;
	job->id = arena_strdup(r->arena, taken->id);
	job->entry = arena_strdup(r->arena, taken->entry);
	job->kind = arena_strdup(r->arena, taken->kind);
	job->key = arena_strdup(r->arena, taken->key);
	job->payload = arena_strndup(r->arena, taken->payload, taken->payload_len);
	assert(job->payload != NULL);
	job->log = (struct logger){.parent = &log_root,
	                           .fields = {LOG_STR("job_kind", job->kind), LOG_STR("job_id", job->id)}};
	r->handler = handler_of(job->kind);
	r->next = consumer.running;
	consumer.running = r;
	consumer.load++;
	r->fiber = fiber_spawn(job_main, r);
	if (consumer.over)              /* it came when nobody waits any more */
		fiber_cancel(r->fiber, FIBER_DRAINING);
}

/* ---- taking ---- */

/* Start what Redis gave us; how many. */
static unsigned
start_taken(const struct redis_value *reply)
{
	unsigned started = 0;
	struct job job;

	consumer.look_ms = LOOK_MS;
	if (reply->type != REDIS_ARRAY || reply->count != 3 || reply->items[0].type != REDIS_ARRAY)
		return 0;
	if (reply->items[2].integer >= 0 && reply->items[2].integer < LOOK_MS)
		consumer.look_ms = reply->items[2].integer + 1;
	if (reply->items[1].integer > 0)
		LOG_ERROR(&log_root, "jobs failed for good: their consumer ended or lost touch each time",
		          LOG_INT("jobs", reply->items[1].integer));
	for (size_t i = 0; i < reply->items[0].count; i++) {
		const struct redis_value *v = &reply->items[0].items[i];

		if (queue_job_parse(v, &job) == -1) {
			LOG_ERROR(&log_root, "the queue holds something that is no job; it is left there");
			continue;
		}
		/* our own, taken over from ourselves after Redis had been away */
		if (is_running(job.entry))
			continue;
		job_start(&job);
		started++;
	}
	return started;
}

/* The number of jobs started; -1 with *err. */
static int
take(unsigned most, struct err *err)
{
	char count[QUEUE_NUMBER_BYTES], idle[QUEUE_NUMBER_BYTES], losses[QUEUE_NUMBER_BYTES], dead[QUEUE_NUMBER_BYTES];
	bool claim = loop_now_ms() >= consumer.claim_at_ms;
	struct arena *a = arena_new(TAKE_REPLY_MAX_BYTES);
	struct redis_value reply;
	int rc = queue_eval(a, QUEUE_TAKE, &reply, err,
	                    REDIS_WORDS(REDIS_TEXT(consumer.name), queue_number(count, most),
	                                queue_number(idle, claim ? consumer.options.lease_ms : 0),
	                                queue_number(losses, LOSSES_MAX), queue_number(dead, QUEUE_DEAD_MAX)));

	if (rc == 0) {
		if (claim)
			consumer.claim_at_ms = loop_now_ms() + consumer.options.lease_ms / 4;
		rc = (int)start_taken(&reply);
	}
	arena_free(&a);
	return rc;
}

/* Wait for news, but not past `ms`. */
static void
taker_wait(int64_t ms)
{
	int64_t until = loop_now_ms() + ms;

	while (!consumer.news && !consumer.draining && fiber_wait(until) == FIBER_WOKEN)
		;
}

static void
taker_main(void *arg)
{
	struct err err;

	(void)arg;
	while (!consumer.draining) {
		unsigned room = consumer.options.concurrency - consumer.load;
		int taken;

		if (room == 0) {
			(void)!fiber_wait(FIBER_NO_DEADLINE);
			continue;
		}
		consumer.news = false;
		taken = take(room < consumer.take_max ? room : consumer.take_max, &err);
		if (taken == -1) {
			LOG_WARN(&log_root, "the queue cannot be read; trying again", LOG_STR("reason", err.message),
			         LOG_STR("cause", err.cause));
			/* perhaps all of it together was too large to come in time */
			consumer.take_max = 1;
			(void)!fiber_wait(loop_now_ms() + with_jitter(REDIS_AWAY_MS));
		} else if (taken == 0) {
			taker_wait(consumer.look_ms);
		} else if (consumer.take_max < TAKE_MAX) {
			consumer.take_max++;
		}
	}
	consumer.taker = NULL;
	end_if_drained();
}

static void
message_cb(void *arg, const char *channel, const char *text, size_t len)
{
	(void)arg;
	(void)channel;
	(void)text;
	(void)len;
	consumer.news = true;
	if (consumer.taker != NULL)
		fiber_wake(consumer.taker);
}

/* ---- keeping what runs ours ---- */

/* Jobs that another has taken over meanwhile: one that does them is enough. */
static void
note_lost(const struct redis_value *lost)
{
	for (size_t i = 0; lost->type == REDIS_ARRAY && i < lost->count; i++)
		for (struct running *r = consumer.running; r != NULL; r = r->next)
			if (lost->items[i].type == REDIS_STRING && strcmp(r->job.entry, lost->items[i].text) == 0 && !r->lost) {
				LOG_WARN(&r->job.log, "job taken over by another: its consumer was not heard of in time");
				r->lost = true;
				fiber_cancel(r->fiber, FIBER_PAST_DEADLINE);
			}
}

static void
beat(void)
{
	struct arena *a = arena_new(STEP_REPLY_MAX_BYTES);
	struct redis_word *args = arena_alloc(a, (consumer.load + 1) * sizeof(*args));
	struct redis_value reply;
	struct err err;
	size_t count = 0;

	assert(args != NULL);
	args[count++] = REDIS_TEXT(consumer.name);
	for (const struct running *r = consumer.running; r != NULL; r = r->next) {
		char *entry = r->lost ? NULL : arena_strdup(a, r->job.entry);

		if (entry != NULL)
			args[count++] = REDIS_TEXT(entry);
	}
	if (count > 1 && queue_eval(a, QUEUE_BEAT, &reply, &err, args, count) == 0)
		note_lost(&reply);
	arena_free(&a);
}

/* Forget those who are gone, and at the end ourselves. */
static void
leave(void)
{
	struct arena *a = arena_new(STEP_REPLY_MAX_BYTES);
	struct redis_value reply;
	struct err err;

	(void)!queue_eval(a, QUEUE_LEAVE, &reply, &err, REDIS_WORDS(REDIS_TEXT(consumer.name), REDIS_TEXT(FORGET_MS)));
	arena_free(&a);
}

static void
beater_main(void *arg)
{
	(void)arg;
	while (!(consumer.draining && consumer.load == 0 && consumer.taker == NULL)) {
		(void)!fiber_wait(loop_now_ms() + consumer.options.lease_ms / 3);
		beat();
	}
	leave();
	consumer.beater = NULL;
	end_if_drained();
}

/* ---- start and end ---- */

void
consumer_start(const struct consumer_options *options)
{
	char host[48] = "host";
	unsigned char tail[4];
	char tail_hex[sizeof(tail) * 2 + 1];

	gethostname(host, sizeof(host) - 1);
	randombytes_buf(tail, sizeof(tail));
	sodium_bin2hex(tail_hex, sizeof(tail_hex), tail, sizeof(tail));
	snprintf(consumer.name, sizeof(consumer.name), "%s-%d-%s", host, (int)getpid(), tail_hex);
	consumer.options = *options;
	consumer.take_max = TAKE_MAX;
	(void)!redis_subscribe(QUEUE_CHANNEL, message_cb, NULL);       /* else we look from time to time */
	consumer.taker = fiber_spawn(taker_main, NULL);
	consumer.beater = fiber_spawn(beater_main, NULL);
}

/* What still runs is given back; nobody waits for Redis any more. */
static void
drain_cb(uv_timer_t *timer)
{
	(void)timer;
	consumer.over = true;
	for (const struct running *r = consumer.running; r != NULL; r = r->next) {
		fiber_cancel(r->fiber, FIBER_DRAINING);
		fiber_wake(r->fiber);
	}
}

void
consumer_drain(int64_t ms, void (*done)(void))
{
	consumer.draining = true;
	consumer.drained = done;
	uv_timer_init(loop_get(), &consumer.drain_timer);
	uv_unref((uv_handle_t *)&consumer.drain_timer);
	uv_timer_start(&consumer.drain_timer, drain_cb, (uint64_t)ms, 0);
	fiber_wake(consumer.taker);
	fiber_wake(consumer.beater);
}
