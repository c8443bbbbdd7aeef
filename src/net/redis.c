/* redis.c - see net/redis.h */
#include "net/redis.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/text.h"
#include "config/config.h"
#include "net/breaker.h"
#include "net/redis_conn.h"
#include "net/redis_rest.h"
#include "net/redis_tls.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

#define SUBSCRIPTIONS_MAX 8
#define AWAY "A part of the service is unavailable at the moment; please try again."

struct redis {
	struct redis_conn *conn;        /* NULL over REST, or without Redis */
	bool shared;
};

static struct {
	struct redis shared;
	struct breaker *breaker;
	struct redis_conn *subscriptions[SUBSCRIPTIONS_MAX];
	struct metric_series *count_ok, *count_error, *count_timeout, *count_refused;
	struct metric_series *seconds;
	unsigned pending;
	bool rest;                      /* Upstash's protocol */
} client;

void
redis_start(void)
{
	client.shared.shared = true;
	if (!config_has(FEATURE_REDIS))
		return;
	/* hiredis writes without MSG_NOSIGNAL: whoever wrote to a Redis that just died would die with it, without a word */
	signal(SIGPIPE, SIG_IGN);
	client.breaker = breaker_of("redis");
	client.count_ok = metric_series(METRIC_REDIS_COMMANDS, "result=\"ok\"");
	client.count_error = metric_series(METRIC_REDIS_COMMANDS, "result=\"error\"");
	client.count_timeout = metric_series(METRIC_REDIS_COMMANDS, "result=\"timeout\"");
	client.count_refused = metric_series(METRIC_REDIS_COMMANDS, "result=\"refused\"");
	client.seconds = metric_series(METRIC_REDIS_SECONDS, "");
	client.rest = config()->redis_url[0] == '\0';
	if (client.rest)
		return;
	client.shared.conn = redis_conn_open(&(struct redis_conn_options){.breaker = client.breaker, .shared = true});
}

void
redis_stop(void)
{
	redis_rest_stop();
	redis_conn_close(&client.shared.conn);
	for (size_t i = 0; i < SUBSCRIPTIONS_MAX; i++)
		redis_conn_close(&client.subscriptions[i]);
	redis_tls_forget();
	client.breaker = NULL;
	client.rest = false;
}

struct redis *
redis_shared(void)
{
	return &client.shared;
}

struct redis *
redis_open(void)
{
	struct redis *r = mem_alloc(sizeof(*r));

	r->shared = client.rest;
	if (config_has(FEATURE_REDIS) && !client.rest)
		r->conn = redis_conn_open(&(struct redis_conn_options){.breaker = client.breaker});
	return r;
}

void
redis_close(struct redis **r)
{
	if (*r == NULL)
		return;
	redis_conn_close(&(*r)->conn);
	free(*r);
	*r = NULL;
}

bool
redis_usable(void)
{
	return (client.shared.conn != NULL || client.rest) && !breaker_is_open(client.breaker, loop_now_ms());
}

/* Is it Redis that is unwell, rather than the command wrong?  A script's error has
   that of the command that it ran inside: since Redis 7 in front, before that after a dash. */
static bool
says_away(const char *said)
{
	static const char *const words[] = {
	    "READONLY", "LOADING",     "OOM",        "NOAUTH", "WRONGPASS", "MASTERDOWN", "CLUSTERDOWN",
	    "MISCONF",  "NOREPLICAS",  "UNKILLABLE", "BUSY",   "TRYAGAIN",  "NOPERM",     NULL,
	};

	if (text_has_prefix_nocase(said, "ERR max number of clients") ||
	    text_has_prefix_nocase(said, "ERR max daily request limit"))
		return true;
	for (int i = 0; words[i] != NULL; i++) {
		size_t len = strlen(words[i]);
		const char *inside = strchr(said, '-');

		if (strncmp(said, words[i], len) == 0 && !isalnum((unsigned char)said[len]))
			return true;
		for (; inside != NULL; inside = strchr(inside + 1, '-'))
			if (strncmp(inside + 1, words[i], len) == 0 && inside[1 + len] == ' ')
				return true;
	}
	return false;
}

static int
fail_away(struct err *err, const char *cause)
{
	err_set(err, ERR_UNAVAILABLE, AWAY);
	if (err != NULL)
		err->retry_after_secs = 1;
	return err_cause(err, "Redis: %s", cause);
}

/* One command, and what came of it. */
struct command {
	struct redis *redis;
	struct arena *arena;
	int64_t deadline_ms;
	struct redis_value *reply;
	const struct redis_word *words;
	size_t count;
	char said[REDIS_SAID_BYTES];    /* Redis' error, or why there is no answer */
	struct breaker *breaker;        /* NULL for a look whether it is there */
};

static int
refuse(struct err *err, int64_t retry_ms)
{
	metric_add(client.count_refused, 1);
	fail_away(err, "its breaker is open");
	if (err != NULL)
		err->retry_after_secs = (int)((retry_ms + 999) / 1000);
	return -1;
}

/* Tell the breaker and the metrics how it ended. */
static int
settle(struct command *c, enum redis_outcome outcome, const struct breaker_pass *pass, struct err *err)
{
	int64_t now = loop_now_ms();

	switch (outcome) {
	case REDIS_DONE:
		metric_add(client.count_ok, 1);
		breaker_report(c->breaker, pass, now, BREAKER_OK);
		return 0;
	case REDIS_SAID_NO:
		metric_add(client.count_error, 1);
		if (!says_away(c->said)) {
			breaker_report(c->breaker, pass, now, BREAKER_OK);
			err_set(err, ERR_INTERNAL, "Something went wrong on our side.");
			return err_cause(err, "Redis: %s", c->said);
		}
		/* the name may lead elsewhere by now */
		if (strncmp(c->said, "READONLY", 8) == 0 && c->redis->conn != NULL)
			redis_conn_drop(c->redis->conn, c->said);
		breaker_report_failure(c->breaker, pass, now, c->said);
		return fail_away(err, c->said);
	case REDIS_LOST:
	case REDIS_SLOW:
		metric_add(client.count_timeout, 1);
		breaker_report_failure(c->breaker, pass, now, c->said);
		return fail_away(err, c->said);
	case REDIS_BUSY:
		metric_add(client.count_refused, 1);
		breaker_report(c->breaker, pass, now, BREAKER_UNKNOWN);
		return fail_away(err, c->said);
	case REDIS_TOO_LARGE:
		metric_add(client.count_error, 1);
		breaker_report(c->breaker, pass, now, BREAKER_UNKNOWN);
		err_set(err, ERR_INTERNAL, "The request needs too much memory.");
		return err_cause(err, "Redis: %s", c->said);
	case REDIS_CANCELLED:
		breaker_report(c->breaker, pass, now, BREAKER_UNKNOWN);
		break;
	}
	return fiber_cancel_err(err);
}

static int
run(struct command *c, struct err *err)
{
	struct breaker_pass pass;
	enum redis_outcome outcome;
	uint64_t started = uv_hrtime();
	int64_t retry_ms;

	if (c->redis->conn == NULL && !client.rest)
		return fail_away(err, "not configured");
	if (!breaker_allow(c->breaker, loop_now_ms(), &retry_ms, &pass))
		return refuse(err, retry_ms);
	c->said[0] = '\0';
	client.pending++;
	if (client.rest)
		outcome = redis_rest_run(c->arena, c->deadline_ms, c->reply, c->said, c->words, c->count);
	else
		outcome = redis_conn_run(c->redis->conn, c->arena, c->deadline_ms, pass.probe, c->reply, c->said, c->words,
		                         c->count);
	client.pending--;
	if (outcome == REDIS_DONE && c->redis->shared)
		metric_observe(client.seconds, (double)(uv_hrtime() - started) / 1e9);
	return settle(c, outcome, &pass, err);
}

unsigned
redis_pending(void)
{
	return client.pending;
}

int
redis_command(struct redis *r, struct arena *a, struct redis_value *reply_r, struct err *err,
              const struct redis_word *words, size_t count)
{
	return redis_command_until(r, a, loop_now_ms() + config()->redis_timeout_ms, reply_r, err, words, count);
}

int
redis_command_until(struct redis *r, struct arena *a, int64_t deadline_ms, struct redis_value *reply_r,
                    struct err *err, const struct redis_word *words, size_t count)
{
	struct command c = {r, a, deadline_ms, reply_r, words, count, "", client.breaker};
	struct redis_value pong = {0};

	/* a command that blocks would be a long probe, and keep everybody else out */
	if (!r->shared && breaker_state(client.breaker) != BREAKER_CLOSED &&
	    redis_command(redis_shared(), a, &pong, err, REDIS_WORDS(REDIS_TEXT("PING"))) == -1)
		return -1;
	return run(&c, err);
}

int
redis_ping(struct redis *r, struct arena *a, int64_t deadline_ms, struct err *err)
{
	const struct redis_word ping = REDIS_TEXT("PING");
	struct redis_value pong;
	struct command c = {r, a, deadline_ms, &pong, &ping, 1, "", NULL};

	return run(&c, err);
}

/* ---- scripts ---- */

static bool
is_digest(const struct redis_value *v)
{
	return v->type == REDIS_STRING && v->len == 40 && strspn(v->text, "0123456789abcdef") == 40;
}

/* Redis computes the digest when it takes the script in. */
static int
load_script(struct redis *r, struct arena *a, struct redis_script *script, struct err *err)
{
	struct redis_value reply = {0};

	if (redis_command(r, a, &reply, err,
	                  REDIS_WORDS(REDIS_TEXT("SCRIPT"), REDIS_TEXT("LOAD"), REDIS_TEXT(script->source))) == -1)
		return -1;
	if (!is_digest(&reply))
		return fail_away(err, "its digest of a script is none");
	text_copy(script->sha1, sizeof(script->sha1), reply.text);
	return 0;
}

static int
run_script(struct command *c, const char *verb, const char *what, const struct redis_word *rest, size_t rest_count,
           struct err *err)
{
	struct redis_word *words = arena_alloc(c->arena, (rest_count + 2) * sizeof(*words));

	if (words == NULL)
		return err_set(err, ERR_INTERNAL, "The request needs too much memory.");
	words[0] = REDIS_TEXT(verb);
	words[1] = REDIS_TEXT(what);
	memcpy(words + 2, rest, rest_count * sizeof(*rest));
	c->words = words;
	c->count = rest_count + 2;
	return run(c, err);
}

int
redis_eval(struct redis *r, struct arena *a, struct redis_script *script, struct redis_value *reply_r,
           struct err *err, const struct redis_word *keys, size_t keys_count, const struct redis_word *args,
           size_t args_count)
{
	struct command c = {.redis = r, .arena = a, .reply = reply_r, .breaker = client.breaker};
	struct redis_word *rest = arena_alloc(a, (1 + keys_count + args_count) * sizeof(*rest));
	char *number = arena_printf(a, "%zu", keys_count);

	if (rest == NULL || number == NULL)
		return err_set(err, ERR_INTERNAL, "The request needs too much memory.");
	if (script->sha1[0] == '\0' && load_script(r, a, script, err) == -1)
		return -1;
	rest[0] = REDIS_TEXT(number);
	if (keys_count > 0)
		memcpy(rest + 1, keys, keys_count * sizeof(*keys));
	if (args_count > 0)
		memcpy(rest + 1 + keys_count, args, args_count * sizeof(*args));
	c.deadline_ms = loop_now_ms() + config()->redis_timeout_ms;
	if (run_script(&c, "EVALSHA", script->sha1, rest, 1 + keys_count + args_count, err) == 0)
		return 0;
	if (strncmp(c.said, "NOSCRIPT", 8) != 0)
		return -1;
	/* a Redis that was started anew; EVAL makes it remember, and nothing was wrong */
	if (err != NULL)
		*err = (struct err){0};
	return run_script(&c, "EVAL", script->source, rest, 1 + keys_count + args_count, err);
}

/* ---- subscriptions ---- */

int
redis_subscribe(const char *pattern, void (*cb)(void *arg, const char *channel, const char *text, size_t len),
                void *arg)
{
	if (client.shared.conn == NULL)
		return -1;
	for (size_t i = 0; i < SUBSCRIPTIONS_MAX; i++) {
		if (client.subscriptions[i] != NULL)
			continue;
		client.subscriptions[i] = redis_conn_open(&(struct redis_conn_options){
		    .breaker = client.breaker, .shared = true, .pattern = pattern, .message_cb = cb, .arg = arg});
		return 0;
	}
	return -1;
}
