/*
 * err.h - what went wrong: a code for the program, a message for the person
 * who asked, a cause for the operator's log.
 *
 * The codes are the error types of the HTTP contract plus ERR_CANCELLED; they
 * become a status and a body in one place (http/response.c).  A function that
 * can fail takes a `struct err *` as its last argument and returns -1 or NULL
 * after filling it in.  It is logged once, where it is handled.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/mem.h"

enum err_code {
	ERR_NONE = 0,
	ERR_INVALID_REQUEST,
	ERR_UNAUTHORIZED,
	ERR_FORBIDDEN,
	ERR_NOT_FOUND,
	ERR_METHOD_NOT_ALLOWED,
	ERR_CONFLICT,
	ERR_PAYLOAD_TOO_LARGE,
	ERR_UNSUPPORTED_MEDIA_TYPE,
	ERR_UNPROCESSABLE,
	ERR_RATE_LIMIT_EXCEEDED,
	ERR_INTERNAL,
	ERR_UPSTREAM,
	ERR_UNAVAILABLE,
	ERR_UPSTREAM_TIMEOUT,
	ERR_CANCELLED,                  /* who asked has gone: nobody to tell */
};

struct err {
	enum err_code code;
	int retry_after_secs;           /* 0: no advice */
	char message[400];              /* for the client: never a secret, a query or a stack */
	char cause[240];                /* for the log; may be empty */
};

/* Fill in `err` (NULL is allowed) and return -1, so that a function can end
   with `return err_set(...)`.  Too long a message is cut at a character. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Add what only the operator should see.  Returns -1 like err_set(). */
int err_cause(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The HTTP status of a code, and its `type` in the contract. */
int err_status(enum err_code code);
const char *err_type(enum err_code code);

#endif
