/* otlp_sender.c - see net/otlp_sender.h */
#include "net/otlp_sender.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "net/http_client.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "telemetry/trace.h"

#define EVERY_MS 2000
#define CONNECT_TIMEOUT_MS 2000
#define ANSWER_TIMEOUT_MS 5000
#define LAST_TIMEOUT_MS 1000
#define ANSWER_MAX_BYTES ((size_t)64 * 1024)
#define BATCH_MAX_BYTES ((size_t)1024 * 1024)

static struct {
	char url[1100];
	const char *service;
	const char *version;
	struct fiber *fiber;
	bool sending;
	bool stopping;
	bool away;                      /* told once */
} sender;

/* The status of the answer, or -1. */
static long
post(const struct buffer *batch, int64_t timeout_ms, struct err *err)
{
	static const char *const headers[] = {"Content-Type: application/json", NULL};
	const struct http_options o = {
	    .method = "POST",
	    .url = sender.url,
	    .headers = headers,
	    .body = batch->data,
	    .body_len = batch->len,
	    .connect_timeout_ms = CONNECT_TIMEOUT_MS,
	};
	int64_t deadline = loop_now_ms() + timeout_ms;
	struct http_call *http = http_open(&o, err);
	long status;
	char *text;
	size_t len;

	if (http == NULL)
		return -1;
	status = http_wait_answer(http, deadline, "The collector", err);
	if (status != -1 && http_read_all(http, ANSWER_MAX_BYTES, deadline, &text, &len, err) == 0)
		free(text);
	http_close(&http);
	return status;
}

static void
tell(bool away, long status, const struct err *err)
{
	if (away && !sender.away)
		LOG_WARN(&log_root, "the collector takes no spans", LOG_INT("status", status),
		         LOG_STR("reason", status == -1 ? err->message : "see status"));
	else if (!away && sender.away)
		LOG_INFO(&log_root, "the collector takes spans again");
	sender.away = away;
}

static void
send_waiting(int64_t timeout_ms)
{
	while (trace_waiting() > 0) {
		struct buffer batch = BUFFER_INIT(BATCH_MAX_BYTES);
		unsigned count = trace_take(&batch, sender.service, sender.version);
		struct err err = {0};
		long status = count > 0 ? post(&batch, timeout_ms, &err) : -1;
		bool taken = status >= 200 && status < 300;

		metric_add(metric_series(METRIC_SPANS, taken ? "result=\"sent\"" : "result=\"failed\""), count);
		tell(!taken, status, &err);
		buffer_free(&batch);
		if (!taken)
			return;
	}
}

static void
sender_main(void *arg)
{
	struct err err;

	(void)arg;
	while (!sender.stopping && fiber_sleep(EVERY_MS, &err) == 0) {
		sender.sending = true;
		send_waiting(ANSWER_TIMEOUT_MS);
		sender.sending = false;
	}
	sender.fiber = NULL;
}

void
otlp_sender_start(const char *endpoint, const char *service, const char *version)
{
	snprintf(sender.url, sizeof(sender.url), "%s/v1/traces", endpoint);
	sender.service = service;
	sender.version = version;
	sender.stopping = false;
	trace_record(true);
	sender.fiber = fiber_spawn(sender_main, NULL);
}

void
otlp_sender_stop(void)
{
	int64_t deadline = loop_now_ms() + LAST_TIMEOUT_MS;

	if (sender.fiber == NULL)
		return;
	sender.stopping = true;
	fiber_mask_begin();
	/* what is on its way has as long as what is left */
	while (sender.sending && loop_now_ms() < deadline)
		(void)!fiber_sleep(1, NULL);
	if (sender.fiber != NULL)
		fiber_cancel(sender.fiber, FIBER_DRAINING);
	while (sender.fiber != NULL)
		(void)!fiber_sleep(1, NULL);
	send_waiting(LAST_TIMEOUT_MS);
	fiber_mask_end();
	trace_forget();
}
