/* redis_conn.c - see net/redis_conn.h */
#include "net/redis_conn.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/config.h"
#include "config/redis_url.h"
#include "net/breaker.h"
#include "net/redis_link.h"
#include "net/redis_tls.h"
#include "net/redis_value.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"

#define PAUSE_MIN_MS 50
#define PAUSE_MAX_MS 5000
#define OPEN_BREAKER_PAUSE_MS 1000
/* To connect and be greeted. */
#define GREETING_MIN_MS 1000
#define GREETING_TIMEOUTS 4             /* REDIS_TIMEOUT_MS so often, if that is longer */
/* So many commands in a row without an answer, and a shared connection is given up. */
#define GIVE_UP_AFTER 3

#define IN_FLIGHT_MAX 8192
#define UNSENT_MAX_BYTES ((size_t)16 * 1024 * 1024)
#define COMMAND_MAX_BYTES ((size_t)8 * 1024 * 1024)
#define ADDRESSES_MAX 8

enum state { IDLE, RESOLVING, GREETING, READY, PAUSING };

struct lookup {
	uv_getaddrinfo_t request;
	struct redis_conn *conn;        /* NULL: it has gone */
};

/* A fiber that waits for the connection; on its stack. */
struct waiter {
	struct waiter *next;
	struct fiber *fiber;
};

/* A command sent and not answered.  Stays until the reply comes, whether or not the
   fiber is still there. */
struct pending {
	struct redis_conn *conn;
	struct fiber *fiber;            /* NULL: it has left */
	struct arena *arena;
	struct redis_value *reply;
	char *said;
	enum redis_outcome outcome;
	bool done;
};

struct redis_conn {
	struct redis_conn_options options;
	struct redis_url url;
	enum state state;
	redisAsyncContext *ac;          /* while greeting or ready */
	struct lookup *lookup;          /* while resolving */
	char addresses[ADDRESSES_MAX][INET6_ADDRSTRLEN];
	unsigned address_count;
	unsigned address_next;          /* to try */
	struct waiter *waiters;
	unsigned in_flight;
	unsigned unanswered;            /* commands given up since the last reply */
	unsigned greetings;             /* replies still to come */
	int64_t pause_ms;
	bool told;                      /* that it is away */
	char why[REDIS_SAID_BYTES];     /* there is no connection */
	uv_timer_t timer;               /* of the pause, or of the greeting */
};

static void connect_now(struct redis_conn *c);
static void try_next_address(struct redis_conn *c);

/* ---- states ---- */

static void
wake_waiters(struct redis_conn *c)
{
	for (struct waiter *w = c->waiters; w != NULL; w = w->next)
		fiber_wake(w->fiber);
}

static void
pause_over_cb(uv_timer_t *timer)
{
	struct redis_conn *c = timer->data;

	if (breaker_is_open(c->options.breaker, loop_now_ms()))
		uv_timer_start(&c->timer, pause_over_cb, OPEN_BREAKER_PAUSE_MS, 0);
	else
		connect_now(c);
}

static void
start_pause(struct redis_conn *c)
{
	uint64_t pause;

	c->state = PAUSING;
	c->pause_ms = c->pause_ms == 0 ? PAUSE_MIN_MS : c->pause_ms * 2;
	if (c->pause_ms > PAUSE_MAX_MS)
		c->pause_ms = PAUSE_MAX_MS;
	pause = (uint64_t)c->pause_ms / 2 + randombytes_uniform((uint32_t)c->pause_ms / 2 + 1);
	uv_timer_start(&c->timer, pause_over_cb, pause, 0);
}

/* hiredis has dropped the connection, or it could not be made. */
static void
lost(struct redis_conn *c, const char *why)
{
	bool was_ready = c->state == READY;

	c->ac = NULL;
	log_scrub(c->why, sizeof(c->why), why);
	if (!c->told)
		LOG_DEBUG(&log_root, "no connection to Redis", LOG_STR("reason", c->why));
	c->told = true;
	if (!was_ready && c->address_next < c->address_count)
		try_next_address(c);
	else
		start_pause(c);
}

static void
lost_cb(void *arg, const char *why)
{
	lost(arg, why);
}

/* Give up a connection that hiredis still takes for sound. */
static void
drop(struct redis_conn *c, const char *why)
{
	redisAsyncContext *ac = c->ac;

	if (ac == NULL)
		return;
	c->ac = NULL;
	redis_link_disown(ac);
	redisAsyncFree(ac);     /* answers all that is in flight */
	lost(c, why);
}

void
redis_conn_drop(struct redis_conn *c, const char *why)
{
	if (c->state == READY)
		drop(c, why);
}

/* ---- greeting ---- */

static void
message_cb(redisAsyncContext *ac, void *reply_arg, void *arg)
{
	struct redis_conn *c = arg;
	const redisReply *reply = reply_arg;

	(void)ac;
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != 4)
		return;
	if (reply->element[2]->type == REDIS_REPLY_STRING && reply->element[3]->type == REDIS_REPLY_STRING)
		c->options.message_cb(c->options.arg, reply->element[2]->str, reply->element[3]->str,
		                      reply->element[3]->len);
}

static void
become_ready(struct redis_conn *c)
{
	uv_timer_stop(&c->timer);
	c->state = READY;
	c->pause_ms = 0;
	c->unanswered = 0;
	if (c->told)
		LOG_DEBUG(&log_root, "connected to Redis again");
	c->told = false;
	if (c->options.pattern != NULL)
		redisAsyncCommand(c->ac, message_cb, c, "PSUBSCRIBE %s", c->options.pattern);
	wake_waiters(c);
}

static void
greeted_cb(redisAsyncContext *ac, void *reply_arg, void *arg)
{
	struct redis_conn *c = arg;
	const redisReply *reply = reply_arg;

	if (reply == NULL || ac != c->ac || c->state != GREETING)
		return;
	if (reply->type == REDIS_REPLY_ERROR)
		drop(c, reply->str);
	else if (--c->greetings == 0)
		become_ready(c);
}

static void
greeting_late_cb(uv_timer_t *timer)
{
	drop(timer->data, "Redis does not answer");
}

static void
send_greeting(struct redis_conn *c)
{
	c->greetings = 1;
	if (c->url.password != NULL) {
		c->greetings++;
		if (c->url.user != NULL)
			redisAsyncCommand(c->ac, greeted_cb, c, "AUTH %s %s", c->url.user, c->url.password);
		else
			redisAsyncCommand(c->ac, greeted_cb, c, "AUTH %s", c->url.password);
	}
	if (c->url.db != 0) {
		c->greetings++;
		redisAsyncCommand(c->ac, greeted_cb, c, "SELECT %d", c->url.db);
	}
	redisAsyncCommand(c->ac, greeted_cb, c, "PING");
}

/* ---- connecting ---- */

/* NULL, or why not. */
static const char *
make_ready(struct redis_conn *c, redisAsyncContext *ac)
{
	const char *fault;

	if (ac->err != 0)
		return ac->errstr;
	fault = c->url.tls ? redis_tls_start(ac, c->url.host) : NULL;
	if (fault == NULL && redis_link_attach(ac, c->options.pattern, lost_cb, c) == -1)
		fault = "the socket cannot be watched";
	return fault;
}

static void
start_connection(struct redis_conn *c, redisAsyncContext *ac)
{
	int64_t wait = config()->redis_timeout_ms * GREETING_TIMEOUTS;
	const char *fault;

	if (ac == NULL) {
		lost(c, "out of memory");
		return;
	}
	fault = make_ready(c, ac);
	if (fault != NULL) {
		char why[REDIS_SAID_BYTES];

		text_copy(why, sizeof(why), fault);
		redisAsyncFree(ac);
		lost(c, why);
		return;
	}
	c->ac = ac;
	c->state = GREETING;
	uv_timer_start(&c->timer, greeting_late_cb, (uint64_t)(wait > GREETING_MIN_MS ? wait : GREETING_MIN_MS), 0);
	send_greeting(c);
}

static void
try_next_address(struct redis_conn *c)
{
	start_connection(c, redisAsyncConnect(c->addresses[c->address_next++], c->url.port));
}

static void
take_address(struct redis_conn *c, const struct sockaddr *address)
{
	char *text = c->addresses[c->address_count];

	if (address->sa_family == AF_INET6
	        ? uv_ip6_name((const struct sockaddr_in6 *)(const void *)address, text, INET6_ADDRSTRLEN) == 0
	        : address->sa_family == AF_INET &&
	              uv_ip4_name((const struct sockaddr_in *)(const void *)address, text, INET6_ADDRSTRLEN) == 0)
		c->address_count++;
}

static void
resolved_cb(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
	struct lookup *l = request->data;
	struct redis_conn *c = l->conn;

	free(l);
	if (c != NULL) {
		c->lookup = NULL;
		for (const struct addrinfo *ai = found; ai != NULL && c->address_count < ADDRESSES_MAX; ai = ai->ai_next)
			take_address(c, ai->ai_addr);
		if (c->address_count > 0)
			try_next_address(c);
		else
			lost(c, status != 0 ? uv_strerror(status) : "the name has no address");
	}
	uv_freeaddrinfo(found);
}

/* hiredis would look names up itself, and hold up the loop. */
static void
resolve(struct redis_conn *c)
{
	static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	int rc;

	c->state = RESOLVING;
	c->lookup = mem_alloc(sizeof(*c->lookup));
	c->lookup->conn = c;
	c->lookup->request.data = c->lookup;
	rc = uv_getaddrinfo(loop_get(), &c->lookup->request, resolved_cb, c->url.host, NULL, &hints);
	if (rc == 0)
		return;
	free(c->lookup);
	c->lookup = NULL;
	lost(c, uv_strerror(rc));
}

static bool
is_address(const char *host)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return uv_inet_pton(AF_INET, host, bytes) == 0 || uv_inet_pton(AF_INET6, host, bytes) == 0;
}

static void
connect_now(struct redis_conn *c)
{
	uv_timer_stop(&c->timer);
	c->address_count = 0;
	c->address_next = 0;
	if (c->url.path != NULL) {
		start_connection(c, redisAsyncConnectUnix(c->url.path));
	} else if (is_address(c->url.host)) {
		text_copy(c->addresses[0], sizeof(c->addresses[0]), c->url.host);
		c->address_count = 1;
		try_next_address(c);
	} else {
		resolve(c);
	}
}

/* ---- life ---- */

struct redis_conn *
redis_conn_open(const struct redis_conn_options *options)
{
	struct redis_conn *c = mem_alloc(sizeof(*c));
	const char *fault = redis_url_parse(config()->redis_url, &c->url);

	assert(fault == NULL);          /* config_load() has looked */
	(void)fault;
	c->options = *options;
	text_copy(c->why, sizeof(c->why), "not connected yet");
	uv_timer_init(loop_get(), &c->timer);
	uv_unref((uv_handle_t *)&c->timer);
	c->timer.data = c;
	if (options->pattern != NULL)
		connect_now(c);
	return c;
}

static void
free_conn_cb(uv_handle_t *timer)
{
	struct redis_conn *c = timer->data;

	redis_url_free(&c->url);
	free(c);
}

void
redis_conn_close(struct redis_conn **c_p)
{
	struct redis_conn *c = *c_p;

	if (c == NULL)
		return;
	*c_p = NULL;
	c->told = true;
	c->address_next = c->address_count;
	drop(c, "closed");
	if (c->lookup != NULL) {
		c->lookup->conn = NULL;
		uv_cancel((uv_req_t *)&c->lookup->request);
	}
	wake_waiters(c);
	uv_close((uv_handle_t *)&c->timer, free_conn_cb);
}

/* ---- commands ---- */

static void
take_reply(struct pending *p, const redisReply *reply)
{
	if (reply == NULL) {
		p->outcome = REDIS_LOST;
		text_copy(p->said, REDIS_SAID_BYTES, "the connection was lost");
	} else if (reply->type == REDIS_REPLY_ERROR) {
		p->outcome = REDIS_SAID_NO;
		log_scrub(p->said, REDIS_SAID_BYTES, reply->str);
	} else if (redis_value_copy(p->arena, reply, p->reply) == -1) {
		p->outcome = REDIS_TOO_LARGE;
		text_copy(p->said, REDIS_SAID_BYTES, "the reply does not fit into the request's memory");
	} else {
		p->outcome = REDIS_DONE;
	}
}

static void
reply_cb(redisAsyncContext *ac, void *reply, void *arg)
{
	struct pending *p = arg;

	(void)ac;
	p->conn->in_flight--;
	if (reply != NULL)
		p->conn->unanswered = 0;
	if (p->fiber == NULL) {
		free(p);
		return;
	}
	take_reply(p, reply);
	p->done = true;
	fiber_wake(p->fiber);
}

/* Wait until the connection is ready. */
static enum redis_outcome
await_connection(struct redis_conn *c, int64_t deadline_ms, bool now, char *said)
{
	struct waiter self = {.next = c->waiters, .fiber = fiber_self()};
	enum fiber_event event = FIBER_WOKEN;
	struct waiter **place;

	if (c->state == IDLE || (now && c->state == PAUSING))
		connect_now(c);
	/* cppcheck-suppress autoVariables ; out of the list again before we return */
	c->waiters = &self;
	while (c->state != READY && event == FIBER_WOKEN)
		event = fiber_wait(deadline_ms);
	for (place = &c->waiters; *place != &self; place = &(*place)->next)
		;
	*place = self.next;
	if (c->state == READY)
		return REDIS_DONE;
	if (event == FIBER_CANCELLED)
		return REDIS_CANCELLED;
	text_copy(said, REDIS_SAID_BYTES, c->why);
	return REDIS_LOST;
}

/* Hand the command to hiredis, which writes it out with all others of this round. */
static enum redis_outcome
send_command(struct redis_conn *c, struct pending *p, const struct redis_word *words, size_t count, char *said)
{
	const char **argv = arena_alloc(p->arena, count * sizeof(*argv));
	size_t *lens = arena_alloc(p->arena, count * sizeof(*lens));
	size_t bytes = 0;

	if (argv == NULL || lens == NULL) {
		text_copy(said, REDIS_SAID_BYTES, "the command does not fit into the request's memory");
		return REDIS_TOO_LARGE;
	}
	for (size_t i = 0; i < count; i++) {
		argv[i] = words[i].data;
		lens[i] = words[i].len;
		if (words[i].len > COMMAND_MAX_BYTES - bytes) {
			text_copy(said, REDIS_SAID_BYTES, "the command is too large");
			return REDIS_TOO_LARGE;
		}
		bytes += words[i].len;
	}
	if (c->in_flight >= IN_FLIGHT_MAX || redis_link_unsent(c->ac) > UNSENT_MAX_BYTES ||
	    redisAsyncCommandArgv(c->ac, reply_cb, p, (int)count, argv, lens) != REDIS_OK) {
		text_copy(said, REDIS_SAID_BYTES, "too many commands are waiting for Redis");
		return REDIS_BUSY;
	}
	c->in_flight++;
	return REDIS_DONE;
}

/* The fiber leaves before the reply: reply_cb() will free the record. */
static void
leave(struct redis_conn *c, struct pending *p, bool slow)
{
	p->fiber = NULL;
	if (slow)
		c->unanswered++;
	if (!c->options.shared || c->unanswered >= GIVE_UP_AFTER)
		drop(c, slow ? "Redis does not answer" : "a command was given up");
}

enum redis_outcome
redis_conn_run(struct redis_conn *c, struct arena *a, int64_t deadline_ms, bool now, struct redis_value *reply_r,
               char said_r[REDIS_SAID_BYTES], const struct redis_word *words, size_t count)
{
	enum redis_outcome outcome = await_connection(c, deadline_ms, now, said_r);
	enum fiber_event event = FIBER_WOKEN;
	struct pending *p;

	if (outcome != REDIS_DONE)
		return outcome;
	p = mem_alloc(sizeof(*p));
	*p = (struct pending){.conn = c, .fiber = fiber_self(), .arena = a, .reply = reply_r, .said = said_r};
	outcome = send_command(c, p, words, count, said_r);
	if (outcome != REDIS_DONE) {
		free(p);
		return outcome;
	}
	while (!p->done && event == FIBER_WOKEN)
		event = fiber_wait(deadline_ms);
	if (p->done) {
		outcome = p->outcome;
		free(p);
		return outcome;
	}
	text_copy(said_r, REDIS_SAID_BYTES, "no answer in time");
	leave(c, p, event == FIBER_TIMEOUT);
	return event == FIBER_CANCELLED ? REDIS_CANCELLED : REDIS_SLOW;
}
