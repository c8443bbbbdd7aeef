/*
 * model_guard.h - the model's breaker, round one call of it.
 *
 * Failures are: no connection, a time-out, a status of 5xx, 408 or 429, an answer that breaks off or makes no sense.
 * Other 4xx mean that the model works; of a client that left nothing is known.  A call counts once,
 * its second attempt included.  Nothing here waits.
 */
#ifndef CHAT_MODEL_GUARD_H
#define CHAT_MODEL_GUARD_H

#include <stdbool.h>

#include "base/err.h"
#include "net/breaker.h"

struct model_guard {
	struct breaker_pass pass;
	bool inside;                    /* an outcome is still to be told */
};

/* May a call begin?  -1 with ERR_UNAVAILABLE and when to come again. */
int model_guard_enter(struct model_guard *g, struct err *err) MUST_USE;

/* The first chunk has come.  A probe ends well here, so that others need not wait for a long answer's end;
   what follows counts as another attempt. */
void model_guard_first_chunk(struct model_guard *g);

/* How it ended; the first word counts. */
void model_guard_ok(struct model_guard *g);
void model_guard_unknown(struct model_guard *g);

/* It ended with *err.  `refusal` is the status by which the model refused, or 0. */
void model_guard_failed(struct model_guard *g, long refusal, const struct err *err);

#endif
