/*
 * pg.h - PostgreSQL for fibers: a bounded pool of connections, a transaction a call.
 *
 *	struct pg_tx tx = {.role = PG_USER, .user_id = id, .read_only = true};
 *	const struct pg_rows *rows;
 *
 *	if (pg_query(&tx, rq->arena, &rows, err, "select title from conversations where id = $1", PG_PARAMS(id)) == -1)
 *		return -1;
 *	for (size_t i = 0; i < pg_count(rows); i++)
 *		... pg_text(rows, i, 0) ...
 *
 * A transaction is one round trip (libpq's pipeline mode): role and claims for row-level security, the
 * statements, the end.  All of them happen or none.  No state outlives it (no prepared statements, no
 * session settings), so a transaction pooler between (pgbouncer, Supabase's) does no harm.  The names of
 * our tables need no schema: search_path is `bakame`.
 *
 * Connections are made when needed, at most DATABASE_POOL a worker, and given back by who waited longest.
 * One that died while idle is dropped unseen; after a failure to connect the next try waits, longer each
 * time and with jitter, and meanwhile calls fail at once.  Behind a breaker of the host ("database").
 *
 * www.postgresql.org/docs/15/libpq-async.html, libpq-pipeline-mode.html, protocol-flow.html.
 */
#ifndef NET_PG_H
#define NET_PG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

/* As whom: what row-level security lets the statements see. */
enum pg_role {
	PG_ANON,                        /* nothing of anybody's */
	PG_USER,                        /* what belongs to `user_id` */
	PG_SERVICE,                     /* everything: for sign-in, admin and jobs only */
};

struct pg_tx {
	enum pg_role role;
	const char *user_id;            /* of PG_USER: a UUID */
	/* Nothing is written.  Such a transaction is tried once more when its connection breaks; one that
	   may write never is, once it was sent. */
	bool read_only;
	/* Only to see whether it is there: neither asks the breaker nor counts for it. */
	bool probe;
	int64_t timeout_ms;             /* for all of it, the wait for a connection too; 0: DATABASE_TIMEOUT_MS */
};

#define PG_STATEMENTS_MAX 16

/* One SQL statement, its values as text ($1 ...); NULL is null.  Values reach SQL no other way. */
struct pg_statement {
	const char *sql;
	const char *const *params;
	size_t count;
};

#define PG_PARAMS(...)                                                                                                 \
	((const char *const[]){__VA_ARGS__}), (sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))
#define PG_NO_PARAMS NULL, 0
#define PG_STATEMENT(text, ...) ((struct pg_statement){(text), PG_PARAMS(__VA_ARGS__)})

struct pg_rows;

/* By the configuration; does not wait: the first transaction connects.  Without a database configured
   each fails at once. */
void pg_start(void);
void pg_stop(void);

/* Refuse who asks from now on, and wait, for a second at most, until no connection is in the making.  For the end of a
   program, in a fiber, before the loop ends and pg_stop() closes the rest. */
void pg_finish(void);

/*
 * Run the statements in one transaction; rows_r[i] is what the i-th gave, and lives in the arena.  -1 with *err,
 * and nothing of it happened, or (ERR_UNAVAILABLE or ERR_UPSTREAM_TIMEOUT after it was sent, or cancelled) nobody knows,
 * so what is written has to be safe to write again:
 *   ERR_UNAVAILABLE       away, read-only, full, too many connections, breaker open, no connection free in time
 *   ERR_UPSTREAM_TIMEOUT  not within the time
 *   ERR_CONFLICT          there already (unique)
 *   ERR_NOT_FOUND         refers to what is not there (foreign key)
 *   ERR_FORBIDDEN         row-level security or a missing grant
 *   ERR_UNPROCESSABLE     a value that the column does not take
 *   ERR_INTERNAL          the statement is wrong, or the schema is not there (`bakamectl migrate`)
 *   the message's own     raised by a function of ours: SQLSTATE BKnnn is the status nnn
 *   as fiber_cancel_err() the fiber was cancelled
 * The cause has SQLSTATE, constraint and the server's words.  Waits.
 */
int pg_run(const struct pg_tx *tx, struct arena *a, const struct pg_statement *statements, size_t count,
           const struct pg_rows **rows_r, struct err *err) MUST_USE;

/* The same for one statement. */
int pg_query(const struct pg_tx *tx, struct arena *a, const struct pg_rows **rows_r, struct err *err, const char *sql,
             const char *const *params, size_t count) MUST_USE;

size_t pg_count(const struct pg_rows *rows);
/* Rows that INSERT, UPDATE, DELETE touched. */
int64_t pg_affected(const struct pg_rows *rows);
/* NULL where it is null. */
const char *pg_text(const struct pg_rows *rows, size_t row, int column);
size_t pg_len(const struct pg_rows *rows, size_t row, int column);
/* 0 and false where it is null. */
int64_t pg_int(const struct pg_rows *rows, size_t row, int column);
bool pg_bool(const struct pg_rows *rows, size_t row, int column);

/* Could a transaction start now: configured, the breaker not open, not in the pause after a failure? */
bool pg_usable(void);

/* The pool of this process, for those who look after it. */
struct pg_view {
	unsigned max, open, idle, waiting;
};
void pg_view(struct pg_view *view_r);

#endif
