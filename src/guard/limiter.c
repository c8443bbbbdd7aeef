/* limiter.c - see guard/limiter.h */
#include "guard/limiter.h"

#include <stddef.h>

#include "config/config.h"
#include "guard/limit_redis.h"
#include "guard/limit_table.h"
#include "net/redis.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

#define SECOND_US 1000000
/* That Redis failed is written down to the millisecond. */
#define FAILED_GRAIN_US 10000

/* Who decided, then whether it admitted. */
static struct metric_series *decisions[LIMIT_BY_BOTH + 1][2];

void
limiter_start(void)
{
	static const char *const labels[LIMIT_BY_BOTH + 1][2] = {
	    [LIMIT_BY_REDIS] = {"decided_by=\"redis\",result=\"refused\"", "decided_by=\"redis\",result=\"admitted\""},
	    [LIMIT_BY_HOST] = {"decided_by=\"host\",result=\"refused\"", "decided_by=\"host\",result=\"admitted\""},
	    [LIMIT_BY_BOTH] = {"decided_by=\"both\",result=\"refused\"", "decided_by=\"both\",result=\"admitted\""},
	};

	limit_table_start(config()->limiter_keys);
	for (int by = LIMIT_BY_REDIS; by <= LIMIT_BY_BOTH; by++)
		for (int i = 0; i < 2; i++)
			decisions[by][i] = metric_series(METRIC_LIMITER_DECISIONS, labels[by][i]);
}

/* What the client is told, from how many hits there are and how long until there is room for one more. */
static void
tell(struct limit limit, const struct limit_count *count, struct limit_decision *d)
{
	d->limit = limit.count;
	d->at_us = count->at_us;
	d->remaining = limit.count > count->hits ? limit.count - count->hits : 0;
	d->reset_at = (loop_unix_us() + count->wait_us + SECOND_US - 1) / SECOND_US;
	d->reset_secs = (count->wait_us + SECOND_US - 1) / SECOND_US;
	if (d->reset_secs < 1 && !d->admitted)
		d->reset_secs = 1;
}

/* Redis could not be asked.  What is no news to anybody: the client going away meanwhile, and Redis away, which
   its breaker says. */
static void
note_failure(const char *key, const struct err *err)
{
	struct fiber *self = fiber_self();

	if (self != NULL && fiber_cancelled(self) != FIBER_GO_ON)
		return;
	limit_table_set_redis_failed(limit_table_now_us());
	if (err->code == ERR_INTERNAL && limit_table_is_news(LIMIT_NEWS_FOREIGN))
		LOG_ERROR(&log_root, "Redis did not count a hit: the memory of this host decides", LOG_STR("limit", key),
		          LOG_STR("reason", err->message), LOG_STR("cause", err->cause));
}

/* Was Redis away within the window?  Then it may lack hits that this host has admitted. */
static bool
in_doubt(struct limit limit)
{
	int64_t failed_us = limit_table_redis_failed_us();

	return failed_us != 0 && limit_table_now_us() - failed_us < limit.window_secs * SECOND_US + FAILED_GRAIN_US;
}

static void
ask_host(const char *key, struct limit limit, struct limit_decision *d)
{
	struct limit_count count;

	d->admitted = limit_table_hit(key, limit, &count) == 1;
	d->decided_by = LIMIT_BY_HOST;
	tell(limit, &count, d);
}

static void
ask_redis(const char *key, struct limit limit, struct limit_decision *d)
{
	struct limit_count count;
	struct err err;
	int rc = limit_redis_hit(key, limit, &count, &err);

	if (rc == -1) {
		note_failure(key, &err);
		ask_host(key, limit, d);
		return;
	}
	if (rc == 1)
		limit_table_record(key, limit);
	d->admitted = rc == 1;
	d->decided_by = LIMIT_BY_REDIS;
	tell(limit, &count, d);
}

/* The host first: what it admits can be taken back, what Redis has counted cannot. */
static void
ask_both(const char *key, struct limit limit, struct limit_decision *d)
{
	struct limit_count host, redis;
	struct err err;
	int rc;

	d->admitted = limit_table_hit(key, limit, &host) == 1;
	d->decided_by = LIMIT_BY_HOST;
	tell(limit, &host, d);
	if (!d->admitted)
		return;
	rc = limit_redis_hit(key, limit, &redis, &err);
	if (rc == -1) {
		note_failure(key, &err);
		return;
	}
	d->admitted = rc == 1;
	d->decided_by = LIMIT_BY_BOTH;
	if (!d->admitted)
		limit_table_take_back(key, host.at_us);
	if (!d->admitted || redis.hits > host.hits)
		tell(limit, &redis, d);
	d->at_us = host.at_us;
}

void
limiter_hit(const char *key, struct limit limit, struct limit_decision *decision_r)
{
	*decision_r = (struct limit_decision){.admitted = true, .decided_by = LIMIT_BY_NOBODY};
	if (limit.count == 0)
		return;
	if (redis_usable()) {
		if (in_doubt(limit))
			ask_both(key, limit, decision_r);
		else
			ask_redis(key, limit, decision_r);
	} else {
		if (config_has(FEATURE_REDIS))
			limit_table_set_redis_failed(limit_table_now_us());
		ask_host(key, limit, decision_r);
	}
	metric_add(decisions[decision_r->decided_by][decision_r->admitted], 1);
}
