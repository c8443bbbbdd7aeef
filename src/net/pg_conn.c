/*
 * pg_conn.c - see net/pg_conn.h
 *
 * No explicit BEGIN and COMMIT: what is sent up to one Sync is one transaction by the protocol (protocol-flow.html,
 * "Pipelining"), ended by it and, after an error, rolled back whole without another round trip.
 */
#include "net/pg_conn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/work.h"

#define CLAIMS_MAX 128

struct pg_conn {
	struct pg_conn_link link;
	PGconn *pg;
	uv_poll_t *poll;                /* of the socket that libpq has now; closed by itself */
	int poll_fd;
	struct fiber *fiber;            /* who uses it; NULL: the pool */
	void (*lost_cb)(struct pg_conn *c);
	bool connecting;
	bool lost;
	bool writable;                  /* or, while connecting, as libpq wants it */
	bool unsent;                    /* libpq has bytes that the socket did not take */
	size_t at;                      /* whose results come now: 0 role and claims, then the statements */
};

/* The first statement of each transaction.  What it sets ends with the transaction.  The server's own time-out sees to
   it that what nobody waits for any more does not go on. */
#define SET_COMMON                                                                                                     \
	"select set_config('role', $1, true), set_config('request.jwt.claims', $2, true),"                             \
	" set_config('statement_timeout', $3, true), set_config('search_path', 'bakame', true)"
static const char set_for_all[] = SET_COMMON;
static const char set_for_reading[] = SET_COMMON ", set_config('transaction_read_only', 'on', true)";

/* ---- the socket ---- */

static void
free_poll_cb(uv_handle_t *handle)
{
	free(handle);
}

static void
poll_end(struct pg_conn *c)
{
	if (c->poll == NULL)
		return;
	uv_close((uv_handle_t *)c->poll, free_poll_cb);
	c->poll = NULL;
}

/* libpq closes its socket when it finds the connection broken: no longer poll it, for
   the number may be another's soon. */
static void
look_at_socket(struct pg_conn *c)
{
	if (PQsocket(c->pg) == -1 || PQstatus(c->pg) == CONNECTION_BAD) {
		poll_end(c);
		c->lost = true;
	}
}

static void
ready_cb(uv_poll_t *poll, int status, int events)
{
	struct pg_conn *c = poll->data;

	if (c->connecting) {
		uv_poll_stop(poll);
		c->writable = true;
		fiber_wake(c->fiber);
		return;
	}
	if (events & UV_WRITABLE)
		c->writable = true;
	if (status < 0 || PQconsumeInput(c->pg) == 0)
		c->lost = true;
	look_at_socket(c);
	bool quiet = PQisBusy(c->pg) && !c->lost && !c->writable;

	if (c->fiber == NULL) {
		if (c->lost)
			c->lost_cb(c);
	} else if (!quiet) {
		fiber_wake(c->fiber);
	}
}

static int
poll_for(struct pg_conn *c, int events)
{
	int fd = PQsocket(c->pg);

	if (c->poll != NULL && c->poll_fd != fd)
		poll_end(c);
	if (c->poll == NULL) {
		uv_poll_t *poll = mem_alloc(sizeof(*poll));

		if (fd == -1 || uv_poll_init(loop_get(), poll, fd) != 0) {
			free(poll);
			return -1;
		}
		poll->data = c;
		c->poll = poll;
		c->poll_fd = fd;
	}
	return uv_poll_start(c->poll, events, ready_cb) == 0 ? 0 : -1;
}

/* What comes while nobody asked anything is the server's farewell. */
static void
notice_cb(void *arg, const PGresult *notice)
{
	struct pg_conn *c = arg;

	(void)notice;
	if (c->fiber == NULL)
		c->lost = true;
}

/* ---- connecting: libpq's part of it in the thread pool, for it looks up names and computes SCRAM proofs ---- */

struct connect_job {
	const char *url;
	PGconn *pg;
	PostgresPollingStatusType next;
};

static void
connect_start_job(void *arg)
{
	struct connect_job *job = arg;
	/* after `dbname`, so they win over the URL's; nothing here that pgbouncer refuses */
	const char *const names[] = {"dbname",         "client_encoding",     "fallback_application_name",
	                             "gssencmode",     "keepalives_idle",     "keepalives_interval",
	                             "keepalives_count", "tcp_user_timeout",  NULL};
	const char *const values[] = {job->url, "UTF8", "bakame", "disable", "30", "10", "3", "30000", NULL};

	job->pg = PQconnectStartParams(names, values, 1);
}

static void
connect_poll_job(void *arg)
{
	struct connect_job *job = arg;

	job->next = PQconnectPoll(job->pg);
}

static int
connect_failed(struct pg_conn *c, struct err *err, const char *why)
{
	err_set(err, ERR_UNAVAILABLE, "The database is away at the moment; please try again.");
	err->retry_after_secs = 1;
	return err_cause(err, "connecting to PostgreSQL: %s", why != NULL ? why : PQerrorMessage(c->pg));
}

static int
connect_go_on(struct pg_conn *c, int64_t deadline_ms, struct err *err)
{
	struct connect_job job = {.pg = c->pg, .next = PGRES_POLLING_WRITING};

	while (job.next == PGRES_POLLING_READING || job.next == PGRES_POLLING_WRITING) {
		if (poll_for(c, job.next == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE) == -1)
			return connect_failed(c, err, NULL);
		c->writable = false;
		while (!c->writable) {  /* for PQconnectPoll() takes being called for readiness */
			switch (fiber_wait(deadline_ms)) {
			case FIBER_WOKEN:
				break;
			case FIBER_TIMEOUT:
				return connect_failed(c, err, "no connection within the time");
			case FIBER_CANCELLED:
				return fiber_cancel_err(err);
			}
		}
		if (c->poll != NULL)
			uv_poll_stop(c->poll);  /* it may close this socket and try another address */
		work_run(connect_poll_job, &job);
	}
	return job.next == PGRES_POLLING_OK ? 0 : connect_failed(c, err, NULL);
}

static int
connect_now(struct pg_conn *c, const char *url, int64_t deadline_ms, struct err *err)
{
	struct connect_job job = {.url = url};

	work_run(connect_start_job, &job);
	c->pg = job.pg;
	if (c->pg == NULL)
		return connect_failed(c, err, "out of memory");
	if (PQstatus(c->pg) == CONNECTION_BAD || connect_go_on(c, deadline_ms, err) == -1)
		return err->code != ERR_NONE ? -1 : connect_failed(c, err, NULL);
	c->connecting = false;
	PQsetNoticeReceiver(c->pg, notice_cb, c);
	if (PQsetnonblocking(c->pg, 1) == -1 || PQenterPipelineMode(c->pg) == 0 || poll_for(c, UV_READABLE) == -1)
		return connect_failed(c, err, NULL);
	return 0;
}

struct pg_conn *
pg_conn_open(const char *url, int64_t deadline_ms, struct err *err)
{
	struct pg_conn *c = mem_alloc(sizeof(*c));

	*err = (struct err){0};
	c->connecting = true;
	c->fiber = fiber_self();
	if (connect_now(c, url, deadline_ms, err) == -1)
		pg_conn_close(&c);
	return c;
}

void
pg_conn_close(struct pg_conn **c_p)
{
	struct pg_conn *c = *c_p;

	if (c == NULL)
		return;
	poll_end(c);
	PQfinish(c->pg);
	free(c);
	*c_p = NULL;
}

void
pg_conn_watch(struct pg_conn *c, void (*lost)(struct pg_conn *c))
{
	c->fiber = NULL;
	c->lost_cb = lost;
}

bool
pg_conn_alive(struct pg_conn *c)
{
	char byte;

	/* The loop may not have seen the end yet, nor a reset.  That nothing is there yet to be read means alive. */
	return !c->lost && PQstatus(c->pg) == CONNECTION_OK && PQtransactionStatus(c->pg) == PQTRANS_IDLE &&
	       recv(PQsocket(c->pg), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1 && errno == EAGAIN;
}

const char *
pg_conn_trouble(const struct pg_conn *c)
{
	return PQerrorMessage(c->pg);
}

struct pg_conn_link *
pg_conn_link(struct pg_conn *c)
{
	return &c->link;
}

/* ---- a transaction ---- */

static bool
send_start(struct pg_conn *c, const struct pg_tx *tx, int64_t timeout_ms)
{
	static const char *const roles[] = {
	    [PG_ANON] = "anon", [PG_USER] = "authenticated", [PG_SERVICE] = "service_role"};
	char claims[CLAIMS_MAX], timeout[24];
	const char *const params[] = {roles[tx->role], claims, timeout};

	/* as PostgREST has it, for what reads auth.uid(); the id was checked to be a UUID */
	if (tx->role == PG_USER)
		snprintf(claims, sizeof(claims), "{\"sub\":\"%s\",\"role\":\"authenticated\"}", tx->user_id);
	else
		snprintf(claims, sizeof(claims), "{\"role\":\"%s\"}", roles[tx->role]);
	snprintf(timeout, sizeof(timeout), "%" PRId64, timeout_ms > 0 ? timeout_ms : 1);
	return PQsendQueryParams(c->pg, tx->read_only ? set_for_reading : set_for_all, 3, NULL, params, NULL, NULL, 0) == 1;
}

static bool
send_all(struct pg_conn *c, const struct pg_tx *tx, const struct pg_statement *statements, size_t count,
         int64_t timeout_ms)
{
	if (!send_start(c, tx, timeout_ms))
		return false;
	for (size_t i = 0; i < count; i++)
		if (PQsendQueryParams(c->pg, statements[i].sql, (int)statements[i].count, NULL, statements[i].params,
		                      NULL, NULL, 0) != 1)
			return false;
	return PQpipelineSync(c->pg) == 1;      /* flushes, too */
}

static enum pg_outcome
wait_for_socket(int64_t deadline_ms)
{
	switch (fiber_wait(deadline_ms)) {
	case FIBER_TIMEOUT:
		return PG_OUTCOME_TIMEOUT;
	case FIBER_CANCELLED:
		return PG_OUTCOME_CANCELLED;
	case FIBER_WOKEN:
		break;
	}
	return PG_OUTCOME_DONE;
}

/* Send what libpq has buffered.  The server may answer meanwhile, which ready_cb() reads, so neither waits for the other. */
static enum pg_outcome
flush(struct pg_conn *c, int64_t deadline_ms)
{
	for (;;) {
		int rc = PQflush(c->pg);

		look_at_socket(c);
		c->unsent = rc != 0;
		if (rc == -1 || c->lost)
			return PG_OUTCOME_LOST;
		c->writable = false;
		if (poll_for(c, c->unsent ? UV_READABLE | UV_WRITABLE : UV_READABLE) == -1)
			return PG_OUTCOME_LOST;
		if (!c->unsent)
			return PG_OUTCOME_DONE;
		enum pg_outcome outcome = wait_for_socket(deadline_ms);

		if (outcome != PG_OUTCOME_DONE)
			return outcome;
	}
}

/* One result of libpq: into the answer, or away. */
static void
take_result(struct pg_conn *c, PGresult *result, struct pg_answer *answer)
{
	ExecStatusType status = PQresultStatus(result);

	if (answer != NULL && (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) && c->at > 0 &&
	    c->at <= PG_STATEMENTS_MAX && answer->results[c->at - 1] == NULL) {
		answer->results[c->at - 1] = result;
	} else if (answer != NULL && status == PGRES_FATAL_ERROR && answer->error == NULL) {
		answer->error = result;
		answer->at_start = c->at == 0;
	} else {
		PQclear(result);
	}
}

/* Read until the server is ready for the next transaction. */
static enum pg_outcome
read_answer(struct pg_conn *c, int64_t deadline_ms, struct pg_answer *answer)
{
	for (;;) {
		while (PQisBusy(c->pg)) {
			enum pg_outcome outcome = c->lost ? PG_OUTCOME_LOST : wait_for_socket(deadline_ms);

			if (outcome != PG_OUTCOME_DONE)
				return outcome;
		}
		PGresult *result = PQgetResult(c->pg);

		if (result == NULL) {
			c->at++;
		} else if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
			PQclear(result);
			break;
		} else {
			take_result(c, result, answer);
		}
		look_at_socket(c);
		if (c->lost)
			return PG_OUTCOME_LOST;
	}
	if (answer != NULL)
		answer->ended = true;
	return PG_OUTCOME_DONE;
}

enum pg_outcome
pg_conn_run(struct pg_conn *c, const struct pg_tx *tx, const struct pg_statement *statements, size_t count,
            int64_t deadline_ms, struct pg_answer *answer)
{
	enum pg_outcome outcome;

	*answer = (struct pg_answer){0};
	c->fiber = fiber_self();
	c->at = 0;
	if (!send_all(c, tx, statements, count, deadline_ms - loop_now_ms())) {
		look_at_socket(c);
		return PG_OUTCOME_LOST;
	}
	outcome = flush(c, deadline_ms);
	if (outcome == PG_OUTCOME_DONE)
		outcome = read_answer(c, deadline_ms, answer);
	return outcome;
}

bool
pg_conn_drain(struct pg_conn *c, int64_t deadline_ms)
{
	c->fiber = fiber_self();
	return (!c->unsent || flush(c, deadline_ms) == PG_OUTCOME_DONE) &&
	       read_answer(c, deadline_ms, NULL) == PG_OUTCOME_DONE;
}
