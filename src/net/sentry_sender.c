/* sentry_sender.c - see net/sentry_sender.h */
#include "net/sentry_sender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/dsn.h"
#include "net/breaker.h"
#include "net/http_client.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "telemetry/sentry.h"

#define CONNECT_TIMEOUT_MS 5000
#define ANSWER_TIMEOUT_MS 10000
#define ANSWER_MAX_BYTES ((size_t)16 * 1024)
/* Of one envelope; then it is dropped. */
#define TRIES_MAX 3
#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 60000
/* How often the end of a program looks whether all was sent. */
#define FINISH_LOOK_MS 10

#define CLIENT "bakame/1"

static struct {
	struct dsn dsn;
	char *ca_file;
	char auth[256];
	struct fiber *fiber;
	bool sending;
	bool stopping;
	bool away;                      /* told once */
	int64_t not_before_ms;          /* what the server asked for */
	int64_t pause_ms;               /* after it could not be reached */
} sender;

static void
note_answer(struct http_call *http)
{
	int64_t secs = sentry_pause_secs(http_status(http), http_header(http, "X-Sentry-Rate-Limits"),
	                                 http_retry_after_secs(http));

	if (secs > 0)
		sender.not_before_ms = loop_now_ms() + secs * 1000;
}

long
sentry_send(const char *envelope, size_t len, struct err *err)
{
	const char *const headers[] = {"Content-Type: application/x-sentry-envelope", sender.auth, NULL};
	const struct http_options o = {
	    .method = "POST",
	    .url = sender.dsn.endpoint,
	    .headers = headers,
	    .body = envelope,
	    .body_len = len,
	    .ca_file = sender.ca_file,
	    .connect_timeout_ms = CONNECT_TIMEOUT_MS,
	};
	int64_t deadline = loop_now_ms() + ANSWER_TIMEOUT_MS;
	struct http_call *http = http_open(&o, err);
	long status;
	char *text;

	if (http == NULL)
		return -1;
	status = http_wait_answer(http, deadline, "Error tracking", err);
	if (status != -1) {
		note_answer(http);
		/* read to its end, so that the connection can be used again */
		if (http_read_all(http, ANSWER_MAX_BYTES, deadline, &text, &len, err) == 0)
			free(text);
	}
	http_close(&http);
	return status;
}

static void
tell_away(long status, const struct err *err)
{
	if (!sender.away)
		LOG_WARN(&log_root, "error tracking does not take events", LOG_INT("status", status),
		         LOG_STR("reason", status == -1 ? err->message : "see status"));
	sender.away = true;
}

static void
tell_back(void)
{
	if (sender.away)
		LOG_INFO(&log_root, "error tracking takes events again");
	sender.away = false;
}

/* Wait until the breaker lets us try; -1 when the program ends before. */
static int
await_leave(struct breaker *breaker, struct breaker_pass *pass_r)
{
	int64_t retry_ms;

	while (!breaker_allow(breaker, loop_now_ms(), &retry_ms, pass_r))
		if (fiber_sleep(retry_ms, NULL) == -1)
			return -1;
	return 0;
}

static void
report(struct breaker *breaker, const struct breaker_pass *pass, long status, const struct err *err)
{
	if (status > 0 && status < 500)
		breaker_report(breaker, pass, loop_now_ms(), BREAKER_OK);
	else if (fiber_cancelled(fiber_self()) != FIBER_GO_ON)
		breaker_report(breaker, pass, loop_now_ms(), BREAKER_UNKNOWN);
	else
		breaker_report_failure(breaker, pass, loop_now_ms(), status == -1 ? err->message : NULL);
}

/* Sent, or given up. */
static const char *
deliver(const char *text, size_t len)
{
	struct breaker *breaker = breaker_of("sentry");

	for (int tries = 1;; tries++) {
		struct breaker_pass pass;
		struct err err = {0};
		long status;

		if (await_leave(breaker, &pass) == -1)
			return "result=\"failed\"";
		status = sentry_send(text, len, &err);
		report(breaker, &pass, status, &err);
		if (status >= 200 && status < 300) {
			tell_back();
			sender.pause_ms = 0;
			return "result=\"sent\"";
		}
		if (fiber_cancelled(fiber_self()) != FIBER_GO_ON)
			return "result=\"failed\"";
		tell_away(status, &err);
		/* what it does not take now it will not take later, but for errors of its own */
		if ((status > 0 && status < 500) || tries == TRIES_MAX)
			return "result=\"failed\"";
		sender.pause_ms = sender.pause_ms == 0 ? PAUSE_MIN_MS : sender.pause_ms * 2;
		if (sender.pause_ms > PAUSE_MAX_MS)
			sender.pause_ms = PAUSE_MAX_MS;
		if (fiber_sleep(sender.pause_ms, &err) == -1)
			return "result=\"failed\"";
	}
}

static void
sender_main(void *arg)
{
	char *text;
	size_t len;

	(void)arg;
	while (!sender.stopping) {
		if (!sentry_take(&text, &len)) {
			if (fiber_wait(FIBER_NO_DEADLINE) == FIBER_CANCELLED)
				break;
			continue;
		}
		sender.sending = true;
		metric_count(METRIC_SENTRY_EVENTS, loop_now_ms() < sender.not_before_ms ? "result=\"limited\""
		                                                                        : deliver(text, len));
		sender.sending = false;
		free(text);
	}
	sender.fiber = NULL;
}

static void
wake(void)
{
	if (sender.fiber != NULL)
		fiber_wake(sender.fiber);
}

void
sentry_sender_use(const char *dsn, const char *ca_file)
{
	const char *why;

	if (dsn_read(dsn, &sender.dsn, &why) == -1)
		return;
	sender.ca_file = mem_strdup(ca_file);
	snprintf(sender.auth, sizeof(sender.auth),
	         "X-Sentry-Auth: Sentry sentry_version=7, sentry_client=" CLIENT ", sentry_key=%s", sender.dsn.key);
}

void
sentry_sender_start(void)
{
	sender.stopping = false;
	sender.fiber = fiber_spawn(sender_main, NULL);
	sentry_notify(wake);
}

void
sentry_sender_finish(int64_t deadline_ms)
{
	struct err err;

	while (sender.fiber != NULL && (sender.sending || sentry_waiting() > 0) && loop_now_ms() < deadline_ms)
		if (fiber_sleep(FINISH_LOOK_MS, &err) == -1)
			return;
}

void
sentry_sender_stop(void)
{
	sentry_notify(NULL);
	sender.stopping = true;
	if (sender.fiber != NULL) {
		fiber_cancel(sender.fiber, FIBER_DRAINING);
		fiber_mask_begin();
		while (sender.fiber != NULL)
			(void)!fiber_sleep(1, NULL);
		fiber_mask_end();
	}
	free(sender.ca_file);
	sender.ca_file = NULL;
}
