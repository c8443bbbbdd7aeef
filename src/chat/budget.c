/* budget.c - see chat/budget.h */
#include "chat/budget.h"

#include <inttypes.h>
#include <time.h>

#include "base/json.h"
#include "chat/prompt.h"
#include "config/config.h"
#include "guard/identity.h"
#include "http/request.h"
#include "runtime/fiber.h"
#include "store/usage.h"
#include "telemetry/log.h"

#define BYTES_PER_TOKEN 4
/* Of an answer for which the request sets no maximum. */
#define ANSWER_TOKENS 1024
#define DAY_SECS 86400

static int64_t
budget_of(const struct identity *who)
{
	return who->tokens_per_day >= 0 ? who->tokens_per_day : config()->tokens_per_day;
}

/* Roughly: the settlement knows better. */
static int64_t
estimate(const struct prompt *p)
{
	struct json_object *max = json_object_object_get(p->body, "max_completion_tokens");
	size_t len = prompt_weight(json_object_object_get(p->body, "messages"));
	int64_t answer;

	if (max == NULL)
		max = json_object_object_get(p->body, "max_tokens");
	answer = json_object_get_int64(max);
	return (int64_t)(len / BYTES_PER_TOKEN) + (answer > 0 && answer < INT32_MAX ? answer : ANSWER_TOKENS);
}

static int
refuse(int64_t budget, struct err *err)
{
	err_set(err, ERR_RATE_LIMIT_EXCEEDED,
	        "What is left of the %" PRId64 " tokens that you have a day does not hold this; there are new ones at midnight, UTC.",
	        budget);
	err->retry_after_secs = (int)(DAY_SECS - time(NULL) % DAY_SECS);
	return -1;
}

int
budget_reserve(struct request *rq, struct prompt *p, struct err *err)
{
	char id[IDENT_BYTES];
	int64_t budget;
	int rc;

	p->reservation = NULL;
	if (rq->who == NULL || rq->who->kind != IDENTITY_USER || !config_has(FEATURE_DATABASE) ||
	    (budget = budget_of(rq->who)) == 0)
		return 0;
	p->estimate = estimate(p);
	rc = usage_reserve(rq->arena, rq->who->user_id, p->estimate, budget, id, err);
	if (rc == 0)
		return refuse(budget, err);
	if (rc == -1 && err->code == ERR_CANCELLED)
		return -1;
	/* though nothing could be reserved, what is used counts in the end */
	p->reservation = arena_strdup(rq->arena, id);
	if (rc == 1)
		return 0;
	LOG_WARN(&rq->log, "a budget was not looked at", LOG_STR("reason", err->message), LOG_STR("cause", err->cause));
	*err = (struct err){0};
	return 0;
}

void
budget_settle(struct request *rq, struct prompt *p, int64_t used)
{
	const char *id = p->reservation;
	struct err err;

	if (id == NULL)
		return;
	p->reservation = NULL;
	fiber_mask_begin();
	if (usage_settle(rq->arena, id, rq->who->user_id, used, &err) == -1)
		LOG_WARN(&rq->log, "a budget was not settled", LOG_STR("reason", err.message), LOG_STR("cause", err.cause));
	fiber_mask_end();
}
