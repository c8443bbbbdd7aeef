/* guarded.c - see tools/guarded.h */
#include "tools/guarded.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "net/breaker.h"
#include "net/cache.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"

/* How long it is remembered that there is no such place. */
#define NEGATIVE_TTL_SECS 300
#define LEASE_GRACE_MS 2000
/* For one answer out of the cache. */
#define ARENA_BYTES (CACHE_FETCH_MAX_BYTES + 65536)

/* A provider that answers, though it be "no", works. */
static enum breaker_outcome
outcome_of(int rc, const struct err *err)
{
	enum fiber_cancel cancelled = fiber_cancelled(fiber_self());

	if (rc == 0)
		return BREAKER_OK;
	if (cancelled != FIBER_GO_ON && cancelled != FIBER_PAST_DEADLINE)
		return BREAKER_UNKNOWN;
	if (cancelled == FIBER_PAST_DEADLINE)
		return BREAKER_FAILED;
	switch (err->code) {
	case ERR_UPSTREAM:
	case ERR_UPSTREAM_TIMEOUT:
	case ERR_UNAVAILABLE:
		return BREAKER_FAILED;
	case ERR_RATE_LIMIT_EXCEEDED:           /* ours: nothing was asked */
	case ERR_INTERNAL:
		return BREAKER_UNKNOWN;
	default:
		return BREAKER_OK;
	}
}

static int
fetch_behind_breaker(struct guarded *g, struct json_object **answer_r, struct err *err)
{
	struct breaker *breaker = breaker_of(g->name);
	struct breaker_pass pass;
	enum breaker_outcome outcome;
	int64_t retry_ms;
	int rc;

	if (!breaker_allow(breaker, loop_now_ms(), &retry_ms, &pass)) {
		g->refused = true;
		return err_set(err, ERR_UNAVAILABLE, "%s has failed several times and is left alone for the moment.", g->provider);
	}
	rc = g->fetch(g->run, answer_r, err);
	outcome = outcome_of(rc, err);
	if (outcome == BREAKER_FAILED)
		breaker_report_failure(breaker, &pass, loop_now_ms(), err->message);
	else
		breaker_report(breaker, &pass, loop_now_ms(), outcome);
	return rc;
}

static int
fetch_for_cache(void *arg, struct buffer *out, struct err *err)
{
	struct json_object *answer = NULL;
	const char *text;
	size_t len;
	int rc;

	if (fetch_behind_breaker(arg, &answer, err) == -1)
		return -1;
	text = json_text(answer, &len);
	rc = buffer_append(out, text, len);
	json_object_put(answer);
	return rc == 0 ? 0 : err_set(err, ERR_UPSTREAM, "The answer was too large.");
}

int
guarded_fetch(struct guarded *g, const char *key, struct guarded_answer *f, struct err *err)
{
	const struct cache_kind kind = {
	    .name = g->name,
	    .ttl_secs = g->ttl_secs,
	    .negative_ttl_secs = g->ttl_secs < NEGATIVE_TTL_SECS ? g->ttl_secs : NEGATIVE_TTL_SECS,
	    .lease_ms = g->time_ms + LEASE_GRACE_MS,
	};
	struct arena *a = arena_new(ARENA_BYTES);
	struct cache_value value = {0};
	int rc = cache_get(&kind, key, fetch_for_cache, g, a, &value, err);

	*f = (struct guarded_answer){0};
	if (rc == 0) {
		f->answer = json_parse_trusted(value.text, value.len);
		f->cached = value.source != CACHE_FETCHED;
		f->stale = value.source == CACHE_STALE;
		f->age_secs = value.age_secs;
		if (f->answer == NULL)
			rc = err_set(err, ERR_INTERNAL, "What was kept of an earlier answer is of no use.");
	}
	arena_free(&a);
	return rc;
}
