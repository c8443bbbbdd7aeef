/*
 * pg_conn.h - one connection to PostgreSQL.  For the files of net/pg*.c.
 *
 * In pipeline mode from its first moment.  A connection belongs to one fiber at a time, or to the pool.
 */
#ifndef NET_PG_CONN_H
#define NET_PG_CONN_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/pg.h"

struct pg_conn;

/* Connect to `url`; waits until `deadline_ms`.  NULL with *err: ERR_UNAVAILABLE.  Close with pg_conn_close(). */
struct pg_conn *pg_conn_open(const char *url, int64_t deadline_ms, struct err *err) MUST_USE;
void pg_conn_close(struct pg_conn **c);

/* Call lost(c) from the loop when the server ends it while nobody uses it; lost() closes it. */
void pg_conn_watch(struct pg_conn *c, void (*lost)(struct pg_conn *c));

/* Is nothing known against sending on it? */
bool pg_conn_alive(struct pg_conn *c);

/* How far a transaction came. */
enum pg_outcome {
	PG_OUTCOME_DONE,                /* the server answered all of it, by rows or an error */
	PG_OUTCOME_LOST,                /* the connection broke */
	PG_OUTCOME_TIMEOUT,
	PG_OUTCOME_CANCELLED,           /* the fiber was */
};

/* What the server answered. */
struct pg_answer {
	PGresult *results[PG_STATEMENTS_MAX];   /* PQclear() them */
	PGresult *error;                /* the first, or NULL; PQclear() it */
	bool at_start;                  /* it concerns role and claims, not a statement */
	bool ended;                     /* the server is ready for the next transaction */
};

/* Send the transaction and wait for the whole answer.  After anything but PG_OUTCOME_DONE the connection
   is of no more use, but for pg_conn_drain() after PG_OUTCOME_CANCELLED. */
enum pg_outcome pg_conn_run(struct pg_conn *c, const struct pg_tx *tx, const struct pg_statement *statements,
                            size_t count, int64_t deadline_ms, struct pg_answer *answer);

/* After PG_OUTCOME_CANCELLED, in another fiber: wait for the rest of the answer and drop it.  False if that
   did not come by the deadline. */
bool pg_conn_drain(struct pg_conn *c, int64_t deadline_ms) MUST_USE;

/* What libpq says of its state, for the log. */
const char *pg_conn_trouble(const struct pg_conn *c);

/* For the pool's list. */
struct pg_conn_link {
	struct pg_conn *next, *prev;
	int64_t idle_since_ms;
};
struct pg_conn_link *pg_conn_link(struct pg_conn *c);

/* ---- pg_error.c ---- */

/* Fill in *err by the SQLSTATE of an error.  Returns -1. */
int pg_error_read(const PGresult *error, bool at_start, struct err *err);

/* Does this error speak against the server (for the breaker), and against using the connection again? */
bool pg_error_is_outage(const PGresult *error);

/* ---- pg_url.c ---- */

/* The connection URL without parameters that libpq does not know (poolers' and other libraries' settings, as
   pgbouncer=true).  Free with free(). */
char *pg_url_clean(const char *url);

#endif
