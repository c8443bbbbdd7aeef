/*
 * budget.h - so many tokens a day for each person (TOKENS_PER_DAY, or their own): reserved before the model is
 * asked, settled after.  While the database is away nobody is held back.
 */
#ifndef CHAT_BUDGET_H
#define CHAT_BUDGET_H

#include <stdint.h>

#include "base/err.h"

struct prompt;
struct request;

/* Reserve what the prompt may take; prompt->reservation says under which id (NULL: no budget).  -1 with
   *err: ERR_RATE_LIMIT_EXCEEDED, with the time until there is more.  Waits. */
int budget_reserve(struct request *rq, struct prompt *prompt, struct err *err) MUST_USE;

/* The call has ended; a second time nothing happens.  Waits, even when cancelled. */
void budget_settle(struct request *rq, struct prompt *prompt, int64_t used);

#endif
