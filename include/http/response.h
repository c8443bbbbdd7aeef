/*
 * response.h - the answer to a request.
 *
 * Either one of the *_json / *_error functions, which send everything, or
 * response_begin() followed by response_write() and response_flush().  Each
 * answer carries X-Request-Id.  What fails with -1 fails because the client has
 * gone or the request was cancelled; the handler then has nobody to tell.
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

struct request;

/* Add a header to the answer, before it begins.  `value` must not come from
   outside unchecked: control characters make it be left out. */
void response_header(struct request *rq, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Send status and headers with the next flush. */
int response_begin(struct request *rq, int status, const char *content_type) MUST_USE;
int response_write(struct request *rq, const char *data, size_t len) MUST_USE;

/* See fcgi_room(). */
char *response_room(struct request *rq, size_t len) MUST_USE;
int response_flush(struct request *rq) MUST_USE;

/* The whole answer.  `obj` is borrowed. */
int response_json(struct request *rq, int status, struct json_object *obj);
int response_text(struct request *rq, int status, const char *content_type, const char *body, size_t len);

/* The error's status, headers (Retry-After) and body, as the contract has them.
   Nothing is sent for ERR_CANCELLED with the client gone. */
void response_error(struct request *rq, const struct err *err);

/* {"error":{"type":…,"message":…,"request_id":…}}: free with json_object_put(). */
struct json_object *response_error_body(const struct request *rq, const struct err *err);

/* Has the answer begun? */
#define response_begun(rq) ((rq)->status != 0)

#endif
