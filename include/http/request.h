/*
 * request.h - one HTTP request as a handler sees it.
 *
 * Made when the front's parameters have arrived, freed after the answer's end;
 * everything it points to lives in its arena or in the FastCGI connection.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/err.h"
#include "base/json.h"
#include "telemetry/breadcrumbs.h"
#include "telemetry/log.h"

struct fcgi;
struct identity;
struct route;

struct request {
	struct fcgi *fcgi;
	struct arena *arena;
	struct logger log;              /* with request id and client address */
	struct breadcrumbs crumbs;      /* its last lines */
	const struct route *route;      /* NULL until routed */
	const char *id;
	const char *method;
	const char *path;               /* decoded, without the query */
	const char *query;              /* as sent; "" if none */
	const char *param;              /* what stood for the "{id}" of the route's path; "" if none */
	const struct identity *who;     /* who is asking (guard/identity.h); NULL until the guard has looked */
	const char *remote_addr;
	int64_t started_ms;
	struct buffer body;             /* once read */
	/* the answer so far: see http/response.h */
	struct buffer headers;
	int status;                     /* 0: not begun */
	uint64_t bytes_sent;
	bool broken;                    /* the client does not take any more */
};

/* Memory that one request may use, bodies aside. */
#define REQUEST_ARENA_BYTES ((size_t)4 * 1024 * 1024)

/* Make the request that the connection has read.  Free with request_free(). */
struct request *request_new(struct fcgi *fcgi);
void request_free(struct request **rq);

/* A request header by its HTTP name ("X-Bakame-Tools"), or NULL. */
const char *request_header(const struct request *rq, const char *name);

/* Is the body declared to be of `type`, parameters aside? */
bool request_is_type(const struct request *rq, const char *type);

/* Read the whole body, at most `max` bytes; it lives as long as the request.
   -1 with *err: ERR_PAYLOAD_TOO_LARGE, or what fcgi_read() says.  Waits. */
int request_read_body(struct request *rq, size_t max, const char **data_r, size_t *len_r,
                      struct err *err) MUST_USE;

/* Read a JSON object as body; it lives as long as the request.  NULL with *err:
   ERR_UNSUPPORTED_MEDIA_TYPE, ERR_INVALID_REQUEST with the offset, or as above.  Waits. */
struct json_object *request_read_json(struct request *rq, size_t max, struct err *err) MUST_USE;

#endif
