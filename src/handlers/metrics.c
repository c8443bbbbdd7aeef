/* metrics.c - GET /metrics, for Prometheus.  The fronts let only loopback reach it. */
#include "telemetry/metrics.h"

#include "base/buffer.h"
#include "handlers/routes.h"
#include "http/request.h"
#include "http/response.h"
#include "net/breaker.h"

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

int
handle_metrics(struct request *rq, struct err *err)
{
	struct buffer text = BUFFER_INIT(EXPOSITION_MAX_BYTES);
	int rc = -1;

	if (metrics_write(&text) == -1 || write_breakers(&text) == -1)
		err_set(err, ERR_INTERNAL, "There are too many metrics to write.");
	else
		rc = response_text(rq, 200, "text/plain; version=0.0.4; charset=utf-8", text.len > 0 ? text.data : "",
		                   text.len);
	buffer_free(&text);
	return rc;
}
