/*
 * router.h - from method and path to a handler, by one table.
 */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct fcgi;
struct request;

struct route {
	const char *method;             /* GET also answers HEAD */
	const char *path;               /* exact, but for one "{id}" that stands for a segment: see request.h, `param` */
	/* Who may, and how often (guard/guard.h); NULL: anybody.  -1 with *err as below. */
	int (*guard)(struct request *rq, struct err *err);
	/* Answer the request.  -1 with *err: the router sends the error, unless
	   the answer has begun. */
	int (*handler)(struct request *rq, struct err *err);
	size_t body_max;                /* bytes; the handler passes it to request_read_*() */
	bool always;                    /* answered even when the worker is full */
};

/* Use this table, ended by an entry without a path. */
void router_init(const struct route *routes);

/* Serve one request of the connection: route, answer, log. */
void router_serve(struct fcgi *c);

#endif
