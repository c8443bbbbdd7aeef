/*
 * fcgi.h - a FastCGI connection: one request at a time in, its answer out.
 *
 * libfcgi parses what comes in (FastCGI 1.0); it was written to block, and so it
 * may: the four calls through which it touches a socket (its fcgios.h: OS_Read,
 * OS_Write, OS_Accept, OS_IpcClose) are replaced by ours, which let the calling fiber
 * wait and the worker go on.  Only fcgi.c looks into FCGX_Request.
 *
 * While a request runs the connection is watched: when the front closes it,
 * the client has gone and the request's fiber is cancelled (FIBER_CLIENT_GONE).
 */
#ifndef HTTP_FCGI_H
#define HTTP_FCGI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct fcgi;
struct fiber;

/* What the owner of connections wants to know. */
struct fcgi_events {
	/* In a fiber of its own: answer the request; its end is sent after this returns. */
	void (*request)(struct fcgi *c);
	/* The connection is closed and about to be freed. */
	void (*closed)(struct fcgi *c);
};

/* Once per process, before anything else here.  Installs libfcgi's signal
   handlers: install one's own afterwards. */
void fcgi_init(void);

/* Serve the accepted socket `fd`, which now belongs to the connection.  The
   connection frees itself after `closed`. */
struct fcgi *fcgi_open(int fd, const struct fcgi_events *events);

/* A parameter of the current request, or NULL.  Lives until the request ends. */
const char *fcgi_param(const struct fcgi *c, const char *name);

/* Read up to `size` bytes of the body.  0 at its end, -1 with *err when it broke
   off, was too slow, or the fiber was cancelled.  Waits. */
int fcgi_read(struct fcgi *c, char *data, size_t size, struct err *err) MUST_USE;

/* Add to the answer, header lines and an empty line first.  -1 when the client
   has gone or stopped reading.  Waits when the buffer is full. */
int fcgi_write(struct fcgi *c, const char *data, size_t len) MUST_USE;

/* Add `len` bytes to the answer, for the caller to fill in before anything else happens.  NULL when the record in the
   making has no room for them, or the client has gone: fcgi_write() them then. */
char *fcgi_room(struct fcgi *c, size_t len) MUST_USE;

/* Send what is buffered.  -1 as above.  Waits while the client is slow. */
int fcgi_flush(struct fcgi *c) MUST_USE;

/* Has the front closed the connection? */
bool fcgi_client_gone(const struct fcgi *c);

/* The fiber of the running request; NULL while idle. */
struct fiber *fcgi_fiber(const struct fcgi *c);

/* Let the front close after the current request, or now when it keeps the connection idle.  Nothing is lost:
   what it sends before it heard of this is answered. */
void fcgi_close_when_idle(struct fcgi *c);

/* Close an idle connection, whatever the front has in mind. */
void fcgi_close_if_idle(struct fcgi *c);

/* For the owner's list of connections. */
struct fcgi_link {
	struct fcgi *next, *prev;
};
struct fcgi_link *fcgi_link(struct fcgi *c);

#endif
