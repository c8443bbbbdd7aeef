/*
 * server.h - the listening socket and its connections.
 *
 * Several workers share one listening socket.  To spread connections evenly,
 * a worker that carries clearly more than the lightest of its peers (runtime/peers.h)
 * leaves a waiting connection to the others for a moment.  A worker that is
 * full does the same; when all are full, requests are answered 503.  What a front
 * sends on a connection that it has kept no peer can take: while one of them has
 * room, a full worker serves it, a few more than its maximum.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct fcgi;

/* Find the listening socket handed to us: fd 3 if LISTEN_FDS says so for this
   process (sd_listen_fds(3)), else fd 0.  -1 with *err if there is none. */
int server_find_socket(struct err *err) MUST_USE;

/* Accept connections of `fd` and run serve(c) in a fiber for each request.
   Beyond `max_streams` requests at once server_is_full() tells.  `own`: no peer accepts from this socket. */
void server_start(int fd, uint32_t max_streams, bool own, void (*serve)(struct fcgi *c));

/* More requests run than there is room for, here and at all peers: this one
   should be answered 503. */
bool server_is_full(void);

/* Stop accepting (of a socket of our own what has connected still is); let requests end; after `drain_ms` cancel those that are
   left (FIBER_DRAINING).  ended() is called when no connection is left. */
void server_drain(int64_t drain_ms, void (*ended)(void));
bool server_is_draining(void);

/* When it began, as loop_now_ms() has it. */
int64_t server_started_ms(void);

/* Requests that run now, and connections, which are kept between requests. */
uint32_t server_load(void);
uint32_t server_connections(void);

/* Requests that ever ran here. */
uint64_t server_requests(void);

#endif
