/* metrics.c - GET /metrics, for Prometheus.  The fronts let only loopback reach it. */
#include "telemetry/metrics.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "config/config.h"
#include "handlers/routes.h"
#include "http/request.h"
#include "http/response.h"
#include "net/breaker.h"
#include "store/queue.h"

/* All series that there is room for, with their longest lines. */
#define EXPOSITION_MAX_BYTES ((size_t)2 * 1024 * 1024)

/* Of the host, as they stand. */
static int
write_breakers(struct buffer *out)
{
	struct breaker_view view;

	if (buffer_printf(out, "# HELP bakame_breaker_state 0 closed, 1 open, 2 half-open.\n"
	                       "# TYPE bakame_breaker_state gauge\n") == -1)
		return -1;
	for (unsigned i = 0; breaker_view(i, &view); i++)
		if (buffer_printf(out, "bakame_breaker_state{service=\"%s\"} %d\n", view.name, (int)view.state) == -1)
			return -1;
	return 0;
}

static int
write_gauge(struct buffer *out, const char *name, const char *help, int64_t value)
{
	return buffer_printf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %" PRId64 "\n", name, help, name, name, value);
}

/* Of all hosts, as Redis has it.  Asked here, and not told by bakame-jobs: that none runs is what has to be seen. */
static int
write_queue(struct buffer *out)
{
	struct queue_stats stats;
	struct err err;

	if (!config_has(FEATURE_REDIS) || queue_stats(&stats, &err) == -1)
		return 0;
	if (write_gauge(out, "bakame_queue_length", "Jobs in the queue.", stats.waiting + stats.running + stats.delayed) == -1 ||
	    write_gauge(out, "bakame_queue_oldest_seconds", "Age of the oldest of them.", stats.oldest_secs) == -1)
		return -1;
	return write_gauge(out, "bakame_queue_dead_letters", "Jobs that were given up.", stats.dead);
}

int
handle_metrics(struct request *rq, struct err *err)
{
	struct buffer text = BUFFER_INIT(EXPOSITION_MAX_BYTES);
	int rc = -1;

	if (metrics_write(&text) == -1 || write_breakers(&text) == -1 || write_queue(&text) == -1)
		err_set(err, ERR_INTERNAL, "There are too many metrics to write.");
	else
		rc = response_text(rq, 200, "text/plain; version=0.0.4; charset=utf-8", text.len > 0 ? text.data : "",
		                   text.len);
	buffer_free(&text);
	return rc;
}
