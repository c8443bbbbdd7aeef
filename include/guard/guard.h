/*
 * guard.h - who may, and how often: what stands in the `guard` column of handlers/routes.c.
 *
 * A guard finds out who is asking (rq->who), counts the request against their limit and
 * puts the limit's headers on the answer, whatever it will be.  -1 with *err when the request
 * is not to be served: ERR_RATE_LIMIT_EXCEEDED with the time to wait.  May wait for Redis.
 */
#ifndef GUARD_GUARD_H
#define GUARD_GUARD_H

#include <stddef.h>

#include "base/err.h"
#include "guard/limiter.h"

struct request;

/* Anybody: signed in by their own limit, others as guests by address.  Who comes with a token that is no good
   is refused (ERR_UNAUTHORIZED, or ERR_FORBIDDEN: see guard/auth.h), and counts as a guest. */
int guard_guest_or_user(struct request *rq, struct err *err);

/* Who is signed in; others are refused with ERR_UNAUTHORIZED. */
int guard_user(struct request *rq, struct err *err);

/* Administrators; others are refused with ERR_UNAUTHORIZED or ERR_FORBIDDEN. */
int guard_admin(struct request *rq, struct err *err);

/* Anybody, without a look at who it is: all by address. */
int guard_address(struct request *rq, struct err *err);

/* For a handler that signs in or up, before it looks at the password: RATE_LIMIT_SIGN_IN holds for the address
   and for the account's name (letters' case aside), known or not. */
int guard_sign_in(struct request *rq, const char *account, struct err *err);

/* After that, when `account` was found under the name `known`: where the two are one to the database only, the limit holds
   for the known name, too.  The headers do not tell of it. */
int guard_sign_in_known(const char *account, const char *known, struct err *err);

/* One of the limits that a request is under. */
struct guard_limit {
	char key[LIMIT_KEY_BYTES];
	struct limit limit;
	const char *policy;             /* its name in the headers: a constant without quotes */
	const char *whom;               /* "30 per 60 s for ..." in the message */
};

/* For guards of other kinds: count the request in each of them until one refuses.  The headers tell of that one, or of
   the one with least left.  Once per request. */
int guard_count(struct request *rq, const struct guard_limit *limits, size_t count, struct err *err);

#endif
