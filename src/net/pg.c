/* pg.c - transactions and their rows; see net/pg.h */
#include "net/pg.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"
#include "config/config.h"
#include "net/breaker.h"
#include "net/pg_conn.h"
#include "net/pg_pool.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

static struct breaker *breaker;
static bool started;

/* ---- a transaction ---- */

static void
drain_main(void *arg)
{
	struct pg_conn *c = arg;

	if (pg_conn_drain(c, loop_now_ms() + config()->database_timeout_ms))
		pg_pool_give_back(c);
	else
		pg_pool_drop(c);
}

static void
answer_clear(struct pg_answer *answer)
{
	for (size_t i = 0; i < PG_STATEMENTS_MAX; i++)
		PQclear(answer->results[i]);
	PQclear(answer->error);
}

static void
free_result(void *result)
{
	PQclear(result);
}

/* Hand the rows to the arena. */
static int
keep_rows(struct arena *a, struct pg_answer *answer, size_t count, const struct pg_rows **rows_r, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		PGresult *result = answer->results[i];

		answer->results[i] = NULL;
		assert(result != NULL);
		if (arena_defer(a, free_result, result) == -1)
			return err_set(err, ERR_INTERNAL, "The request needs too much memory.");
		rows_r[i] = (const struct pg_rows *)result;
	}
	return 0;
}

/* What became of a transaction, as *err has it; 0 if all is well. */
static int
judge(struct pg_conn *c, const struct pg_answer *answer, enum pg_outcome outcome, struct err *err)
{
	if (outcome == PG_OUTCOME_CANCELLED)
		return fiber_cancel_err(err);
	if (answer->error != NULL)
		return pg_error_read(answer->error, answer->at_start, err);
	if (outcome == PG_OUTCOME_DONE)
		return 0;
	if (outcome == PG_OUTCOME_TIMEOUT) {
		err_set(err, ERR_UPSTREAM_TIMEOUT, "The database took too long; please try again.");
		return err_cause(err, "no answer from PostgreSQL within the time");
	}
	err_set(err, ERR_UNAVAILABLE, "The database is away at the moment; please try again.");
	err->retry_after_secs = 1;
	return err_cause(err, "the connection to PostgreSQL broke: %s", pg_conn_trouble(c));
}

/* Let go of the connection by what became of it. */
static void
let_go(struct pg_conn *c, const struct pg_answer *answer, enum pg_outcome outcome)
{
	if (outcome == PG_OUTCOME_CANCELLED)
		fiber_spawn(drain_main, c);
	else if (outcome == PG_OUTCOME_DONE && (answer->error == NULL || !pg_error_is_outage(answer->error)))
		pg_pool_give_back(c);
	else
		pg_pool_drop(c);
}

static enum breaker_outcome
breaker_outcome(const struct pg_answer *answer, enum pg_outcome outcome)
{
	if (outcome == PG_OUTCOME_CANCELLED)
		return BREAKER_UNKNOWN;
	if (outcome != PG_OUTCOME_DONE || (answer->error != NULL && pg_error_is_outage(answer->error)))
		return BREAKER_FAILED;
	return BREAKER_OK;
}

static void
count(const struct err *err, int rc, uint64_t began_ns)
{
	if (rc == 0)
		metric_count(METRIC_DATABASE_QUERIES, "result=\"ok\"");
	else if (err->code == ERR_UPSTREAM_TIMEOUT)
		metric_count(METRIC_DATABASE_QUERIES, "result=\"timeout\"");
	else
		metric_count(METRIC_DATABASE_QUERIES, "result=\"error\"");
	metric_observe(metric_series(METRIC_DATABASE_SECONDS, ""), (double)(uv_hrtime() - began_ns) / 1e9);
}

struct transaction {
	const struct pg_tx *tx;
	struct arena *arena;
	const struct pg_statement *statements;
	size_t count;
	const struct pg_rows **rows_r;
	int64_t deadline_ms;
};

/* One attempt.  *broke_r: the connection broke, which another might survive. */
static int
attempt(const struct transaction *t, enum breaker_outcome *outcome_r, bool *broke_r, struct err *err)
{
	struct pg_answer answer;
	enum pg_outcome outcome;
	struct pg_conn *c = pg_pool_take(t->deadline_ms, err);
	int rc;

	*broke_r = false;
	if (c == NULL) {
		*outcome_r = err->code == ERR_UNAVAILABLE && !pg_pool_reachable() ? BREAKER_FAILED : BREAKER_UNKNOWN;
		return -1;
	}
	outcome = pg_conn_run(c, t->tx, t->statements, t->count, t->deadline_ms, &answer);
	rc = judge(c, &answer, outcome, err);
	*outcome_r = breaker_outcome(&answer, outcome);
	*broke_r = outcome == PG_OUTCOME_LOST;
	let_go(c, &answer, outcome);
	if (rc == 0)
		rc = keep_rows(t->arena, &answer, t->count, t->rows_r, err);
	answer_clear(&answer);
	return rc;
}

static int
check_breaker(struct breaker *guard, struct breaker_pass *pass, struct err *err)
{
	int64_t retry_ms;

	if (breaker_allow(guard, loop_now_ms(), &retry_ms, pass))
		return 0;
	metric_count(METRIC_DATABASE_QUERIES, "result=\"refused\"");
	err_set(err, ERR_UNAVAILABLE, "The database is away at the moment; please try again.");
	err->retry_after_secs = (int)((retry_ms + 999) / 1000);
	return err_cause(err, "the breaker \"database\" is open");
}

/* A UUID in its usual form (RFC 9562), as the claims take it in without escaping. */
static bool
is_uuid(const char *id)
{
	return id != NULL && strlen(id) == 36 && strspn(id, "0123456789abcdefABCDEF-") == 36;
}

int
pg_run(const struct pg_tx *tx, struct arena *a, const struct pg_statement *statements, size_t statements_count,
       const struct pg_rows **rows_r, struct err *err)
{
	const int64_t timeout_ms = tx->timeout_ms > 0 ? tx->timeout_ms : config()->database_timeout_ms;
	const struct transaction t = {tx, a, statements, statements_count, rows_r, loop_now_ms() + timeout_ms};
	enum breaker_outcome outcome = BREAKER_UNKNOWN;
	struct breaker *guard = tx->probe ? NULL : breaker;
	struct breaker_pass pass;
	uint64_t began_ns = uv_hrtime();
	bool broke;
	int rc;

	assert(statements_count <= PG_STATEMENTS_MAX);
	if (!started)
		return err_set(err, ERR_UNAVAILABLE, "No database is configured here.");
	if (tx->role == PG_USER && !is_uuid(tx->user_id))
		return err_set(err, ERR_INTERNAL, "That person's id is none.");
	if (check_breaker(guard, &pass, err) == -1)
		return -1;
	rc = attempt(&t, &outcome, &broke, err);
	if (rc == -1 && broke && tx->read_only)
		rc = attempt(&t, &outcome, &broke, err);
	if (outcome == BREAKER_FAILED)
		breaker_report_failure(guard, &pass, loop_now_ms(), err->cause);
	else
		breaker_report(guard, &pass, loop_now_ms(), outcome);
	count(err, rc, began_ns);
	return rc;
}

int
pg_query(const struct pg_tx *tx, struct arena *a, const struct pg_rows **rows_r, struct err *err, const char *sql,
         const char *const *params, size_t params_count)
{
	const struct pg_statement statement = {sql, params, params_count};

	return pg_run(tx, a, &statement, 1, rows_r, err);
}

/* ---- rows ---- */

static const PGresult *
result_of(const struct pg_rows *rows)
{
	return (const PGresult *)rows;
}

size_t
pg_count(const struct pg_rows *rows)
{
	return (size_t)PQntuples(result_of(rows));
}

int64_t
pg_affected(const struct pg_rows *rows)
{
	int64_t number;

	return text_to_int64(PQcmdTuples((PGresult *)rows), 0, INT64_MAX, &number) == 0 ? number : 0;
}

const char *
pg_text(const struct pg_rows *rows, size_t row, int column)
{
	return PQgetisnull(result_of(rows), (int)row, column) ? NULL : PQgetvalue(result_of(rows), (int)row, column);
}

size_t
pg_len(const struct pg_rows *rows, size_t row, int column)
{
	return (size_t)PQgetlength(result_of(rows), (int)row, column);
}

int64_t
pg_int(const struct pg_rows *rows, size_t row, int column)
{
	const char *text = pg_text(rows, row, column);
	int64_t number;

	return text != NULL && text_to_int64(text, INT64_MIN, INT64_MAX, &number) == 0 ? number : 0;
}

bool
pg_bool(const struct pg_rows *rows, size_t row, int column)
{
	const char *text = pg_text(rows, row, column);

	return text != NULL && *text == 't';
}

/* ---- the whole ---- */

bool
pg_usable(void)
{
	return started && pg_pool_reachable() && !breaker_is_open(breaker, loop_now_ms());
}

void
pg_start(void)
{
	const char *pooler = config()->supabase_db_pooler_url;

	if (!config_has(FEATURE_DATABASE))
		return;
	pg_pool_start(*pooler != '\0' ? pooler : config()->database_url, (unsigned)config()->database_pool);
	breaker = breaker_of("database");
	started = true;
}

void
pg_finish(void)
{
	pg_pool_finish();
}

void
pg_stop(void)
{
	pg_pool_stop();
	started = false;
}
