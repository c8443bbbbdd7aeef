/* pg_pool.c - the connections of this process; see net/pg_pool.h */
#include "net/pg_pool.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "net/pg_conn.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"

/* Connecting uses the thread pool, where a name server that hangs holds a thread. */
#define CONNECTING_MAX 2
#define CONNECT_TIMEOUT_MS 5000
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 5000
#define IDLE_MAX_MS 300000
#define TICK_MS 10000
/* At the end of a program, for connections in the making: one that looks up a name cannot be broken off. */
#define FINISH_MS 1000
#define FINISH_POLL_MS 2

/* A fiber that waits for a connection; on its stack. */
struct waiter {
	struct waiter *next, **at;      /* at: NULL once it left the queue */
	struct fiber *fiber;
	struct pg_conn *conn;           /* what it was given */
	bool refused;                   /* none is to be had: see pool.trouble */
};

static struct {
	char *url;                      /* NULL: none configured */
	unsigned max;
	struct pg_conn *idle;           /* the last given back first, so that the others can age */
	unsigned idle_count;
	unsigned open;                  /* all, idle or in use */
	unsigned connecting;
	struct fiber *connectors[CONNECTING_MAX];       /* NULL: none */
	struct waiter *waiting;
	struct waiter **waiting_end;
	unsigned waiting_count;
	int64_t retry_at_ms;            /* no attempt to connect before */
	int64_t pause_ms;
	struct err trouble;             /* of the last attempt */
	uv_timer_t tick;
	bool stopping;
} pool;

static void conn_lost(struct pg_conn *c);
static void connect_more(void);

/* ---- who waits ---- */

static void
waiter_enter(struct waiter *w)
{
	w->at = pool.waiting_end;
	w->next = NULL;
	*pool.waiting_end = w;
	pool.waiting_end = &w->next;
	pool.waiting_count++;
}

static void
waiter_leave(struct waiter *w)
{
	if (w->at == NULL)
		return;
	*w->at = w->next;
	if (w->next != NULL)
		w->next->at = w->at;
	else
		pool.waiting_end = w->at;
	w->at = NULL;
	pool.waiting_count--;
}

static void
refuse_all(void)
{
	while (pool.waiting != NULL) {
		struct waiter *w = pool.waiting;

		waiter_leave(w);
		w->refused = true;
		fiber_wake(w->fiber);
	}
}

/* ---- connections, idle ---- */

static void
idle_add(struct pg_conn *c)
{
	struct pg_conn_link *link = pg_conn_link(c);

	link->prev = NULL;
	link->next = pool.idle;
	link->idle_since_ms = loop_now_ms();
	if (pool.idle != NULL)
		pg_conn_link(pool.idle)->prev = c;
	pool.idle = c;
	pool.idle_count++;
	pg_conn_watch(c, conn_lost);
}

static void
idle_remove(struct pg_conn *c)
{
	struct pg_conn_link *link = pg_conn_link(c);

	if (link->prev != NULL)
		pg_conn_link(link->prev)->next = link->next;
	else
		pool.idle = link->next;
	if (link->next != NULL)
		pg_conn_link(link->next)->prev = link->prev;
	pool.idle_count--;
}

void
pg_pool_drop(struct pg_conn *c)
{
	pg_conn_close(&c);
	pool.open--;
	connect_more();
}

static void
conn_lost(struct pg_conn *c)
{
	idle_remove(c);
	pg_pool_drop(c);
}

void
pg_pool_give_back(struct pg_conn *c)
{
	struct waiter *w = pool.waiting;

	if (pool.stopping || !pg_conn_alive(c)) {
		pg_pool_drop(c);
	} else if (w != NULL) {
		waiter_leave(w);
		w->conn = c;
		fiber_wake(w->fiber);
	} else {
		idle_add(c);
	}
}

/* An idle connection that lives, or NULL. */
static struct pg_conn *
take_idle(void)
{
	while (pool.idle != NULL) {
		struct pg_conn *c = pool.idle;

		idle_remove(c);
		if (pg_conn_alive(c))
			return c;
		pg_conn_close(&c);
		pool.open--;
	}
	return NULL;
}

/* ---- connections, new ---- */

static void
connected(struct pg_conn *c)
{
	if (pool.pause_ms > 0)
		LOG_INFO(&log_root, "database: connected again");
	pool.pause_ms = 0;
	pool.retry_at_ms = 0;
	pg_pool_give_back(c);
}

static void
connect_missed(const struct err *err)
{
	int64_t now = loop_now_ms();

	pool.open--;
	if (pool.stopping)
		return;
	pool.trouble = *err;
	if (now >= pool.retry_at_ms) {  /* of two that failed together one counts */
		pool.pause_ms = pool.pause_ms == 0 ? PAUSE_MIN_MS : pool.pause_ms * 2;
		if (pool.pause_ms > PAUSE_MAX_MS)
			pool.pause_ms = PAUSE_MAX_MS;
		pool.retry_at_ms = now + pool.pause_ms / 2 + (int64_t)randombytes_uniform((uint32_t)pool.pause_ms);
	}
	LOG_WARN(&log_root, "database: no connection", LOG_STR("cause", err->cause),
	         LOG_INT("retry_in_ms", pool.retry_at_ms - now));
	if (pool.open == 0)
		refuse_all();
}

static void
connector_main(void *arg)
{
	struct err err;
	struct pg_conn *c = pg_conn_open(pool.url, loop_now_ms() + CONNECT_TIMEOUT_MS, &err);
	struct fiber **place = arg;

	*place = NULL;
	pool.connecting--;
	if (c == NULL)
		connect_missed(&err);
	else
		connected(c);
	connect_more();
}

static struct fiber **
free_place(void)
{
	size_t i = 0;

	while (pool.connectors[i] != NULL)
		i++;
	return &pool.connectors[i];
}

/* As many connections as wait, within the bounds. */
static void
connect_more(void)
{
	while (!pool.stopping && pool.waiting_count > pool.connecting && pool.connecting < CONNECTING_MAX &&
	       pool.open < pool.max && loop_now_ms() >= pool.retry_at_ms) {
		struct fiber **place = free_place();

		pool.connecting++;
		pool.open++;
		*place = fiber_spawn(connector_main, place);
	}
	if (pool.open == 0)
		refuse_all();
}

static int
none_in_time(struct err *err)
{
	err_set(err, ERR_UNAVAILABLE, "The database is busy at the moment; please try again.");
	err->retry_after_secs = 1;
	return err_cause(err, "no connection free within the time: %u open, %u wait", pool.open, pool.waiting_count);
}

struct pg_conn *
pg_pool_take(int64_t deadline_ms, struct err *err)
{
	struct waiter w = {.fiber = fiber_self()};
	struct pg_conn *c = pool.waiting == NULL ? take_idle() : NULL;
	enum fiber_event event = FIBER_WOKEN;

	if (c != NULL)
		return c;
	waiter_enter(&w);
	connect_more();
	while (w.conn == NULL && !w.refused && event == FIBER_WOKEN)
		event = fiber_wait(deadline_ms);
	waiter_leave(&w);
	if (w.conn != NULL && event == FIBER_CANCELLED)
		pg_pool_give_back(w.conn);
	if (event == FIBER_CANCELLED)
		(void)fiber_cancel_err(err);
	else if (w.conn != NULL)
		return w.conn;
	else if (w.refused)
		*err = pool.trouble;
	else
		(void)none_in_time(err);
	return NULL;
}

/* ---- the pool as a whole ---- */

bool
pg_pool_reachable(void)
{
	return pool.url != NULL && (pool.open > 0 || loop_now_ms() >= pool.retry_at_ms);
}

void
pg_view(struct pg_view *view_r)
{
	*view_r = (struct pg_view){pool.max, pool.open, pool.idle_count, pool.waiting_count};
}

/* Close what has not been needed for long, so that quiet workers leave the server its places. */
static void
tick_cb(uv_timer_t *timer)
{
	struct pg_conn *next;

	(void)timer;
	for (struct pg_conn *c = pool.idle; c != NULL; c = next) {
		next = pg_conn_link(c)->next;
		if (loop_now_ms() - pg_conn_link(c)->idle_since_ms > IDLE_MAX_MS)
			conn_lost(c);
	}
}

void
pg_pool_start(const char *url, unsigned max)
{
	memset(&pool, 0, sizeof(pool));
	pool.waiting_end = &pool.waiting;
	pool.max = max;
	pool.url = pg_url_clean(url);
	uv_timer_init(loop_get(), &pool.tick);
	uv_timer_start(&pool.tick, tick_cb, TICK_MS, TICK_MS);
	uv_unref((uv_handle_t *)&pool.tick);
}

static void
refuse_from_now_on(void)
{
	pool.stopping = true;
	err_set(&pool.trouble, ERR_UNAVAILABLE, "The service is restarting; please try again.");
	refuse_all();
}

void
pg_pool_finish(void)
{
	int64_t deadline = loop_now_ms() + FINISH_MS;

	if (pool.url == NULL)
		return;
	refuse_from_now_on();
	fiber_mask_begin();
	for (size_t i = 0; i < CONNECTING_MAX; i++)
		if (pool.connectors[i] != NULL)
			fiber_cancel(pool.connectors[i], FIBER_DRAINING);
	while (pool.connecting > 0 && loop_now_ms() < deadline)
		(void)!fiber_sleep(FINISH_POLL_MS, NULL);
	fiber_mask_end();
}

void
pg_pool_stop(void)
{
	if (pool.url == NULL)
		return;
	refuse_from_now_on();
	while (pool.idle != NULL)
		conn_lost(pool.idle);
	uv_close((uv_handle_t *)&pool.tick, NULL);
	free(pool.url);
	pool.url = NULL;
}
