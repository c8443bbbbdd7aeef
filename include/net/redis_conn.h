/*
 * redis_conn.h - one connection to Redis by hiredis' asynchronous API on the loop.
 *
 * It connects when it is first wanted (the name looked up off the loop, each address tried), says who we are,
 * and counts as ready when Redis has answered a PING: so one who accepts and says nothing, or speaks
 * another protocol, is found out before a command is sent.  Lost, it comes back after a pause that
 * doubles from 50 ms to 5 s, with jitter; while the breaker is open it is not tried but for a probe.
 * What fibers send in one round goes out in one write.
 *
 * For the files of net/redis only.
 */
#ifndef NET_REDIS_CONN_H
#define NET_REDIS_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "net/redis.h"

struct breaker;
struct redis_conn;

enum redis_outcome {
	REDIS_DONE,
	REDIS_SAID_NO,                  /* an error reply; its text in `said` */
	REDIS_LOST,                     /* the connection, or none was to be had; `said` tells */
	REDIS_SLOW,                     /* no answer in time */
	REDIS_BUSY,                     /* too many commands are in flight */
	REDIS_TOO_LARGE,                /* the command, or the reply for the arena */
	REDIS_CANCELLED,                /* the fiber was */
};

#define REDIS_SAID_BYTES 160

struct redis_conn_options {
	struct breaker *breaker;
	/* One that others use at the same time: a command that is given up leaves it as it is, a few in a row end it.
	   Else the first does, since what follows would wait behind it. */
	bool shared;
	/* For a subscription: PSUBSCRIBE this once ready, and call message_cb for each message. */
	const char *pattern;
	void (*message_cb)(void *arg, const char *channel, const char *text, size_t len);
	void *arg;
};

/* Does not connect yet, unless it subscribes. */
struct redis_conn *redis_conn_open(const struct redis_conn_options *options);

/* Those who wait see it lost.  Sets *c to NULL. */
void redis_conn_close(struct redis_conn **c);

/* Run a command.  `now`: connect at once if there is no connection, whatever the pause (a probe).  Waits. */
enum redis_outcome redis_conn_run(struct redis_conn *c, struct arena *a, int64_t deadline_ms, bool now,
                                  struct redis_value *reply_r, char said_r[REDIS_SAID_BYTES],
                                  const struct redis_word *words, size_t count) MUST_USE;

/* Give the connection up, e.g. because it leads to a replica. */
void redis_conn_drop(struct redis_conn *c, const char *why);

#endif
