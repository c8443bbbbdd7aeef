/*
 * pg_pool.h - the connections of this process to PostgreSQL.  For the files of net/pg*.c.
 *
 * At most `max`, made when a fiber waits for one; who has waited longest is served first.  After a failure to connect
 * there is a pause that grows and has jitter; while none is open then, who asks is refused at once.
 */
#ifndef NET_PG_POOL_H
#define NET_PG_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct pg_conn;

void pg_pool_start(const char *url, unsigned max);
void pg_pool_stop(void);

/* See pg_finish(). */
void pg_pool_finish(void);

/* A connection for the calling fiber, which gives it back or drops it.  NULL with *err: ERR_UNAVAILABLE, or
   cancelled.  Waits. */
struct pg_conn *pg_pool_take(int64_t deadline_ms, struct err *err) MUST_USE;

/* Give back a connection on which nothing is left over. */
void pg_pool_give_back(struct pg_conn *c);

/* Close one that is of no more use. */
void pg_pool_drop(struct pg_conn *c);

/* Is a connection open, or might one be made now? */
bool pg_pool_reachable(void);

#endif
