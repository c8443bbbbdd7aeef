/* router.c - see http/router.h */
#include "http/router.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "http/request.h"
#include "http/response.h"
#include "http/server.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "telemetry/trace.h"

#define ALLOW_MAX 64

static const struct route *table;

void
router_init(const struct route *routes)
{
	table = routes;
}

static bool
method_fits(const struct route *route, const char *method)
{
	return strcmp(route->method, method) == 0 ||
	       (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

#define PARAM "{id}"

/* Does `path` fit the route's?  *param_r is then where its parameter starts, and how long it is. */
static bool
path_fits(const struct route *route, const char *path, const char **param_r, size_t *len_r)
{
	const char *place = strstr(route->path, PARAM);
	size_t before = place != NULL ? (size_t)(place - route->path) : 0;

	*len_r = 0;
	if (place == NULL)
		return strcmp(route->path, path) == 0;
	if (strncmp(route->path, path, before) != 0)
		return false;
	*param_r = path + before;
	*len_r = strcspn(*param_r, "/");
	return *len_r > 0 && strcmp(*param_r + *len_r, place + strlen(PARAM)) == 0;
}

/* The methods that `path` takes, as the header Allow wants them; "" when there is no such path. */
static void
list_methods(const char *path, char *out, size_t size)
{
	const char *param;
	size_t used = 0, len;

	out[0] = '\0';
	for (const struct route *r = table; r->path != NULL && used < size; r++)
		if (path_fits(r, path, &param, &len))
			used += (size_t)snprintf(out + used, size - used, "%s%s%s", used > 0 ? ", " : "", r->method,
			                         strcmp(r->method, "GET") == 0 ? ", HEAD" : "");
}

/* Find the route.  NULL with *err: ERR_NOT_FOUND, or ERR_METHOD_NOT_ALLOWED with the
   header Allow set. */
static const struct route *
find_route(struct request *rq, struct err *err)
{
	char allow[ALLOW_MAX];
	const char *param;
	size_t len;

	for (const struct route *r = table; r->path != NULL; r++) {
		if (!method_fits(r, rq->method) || !path_fits(r, rq->path, &param, &len))
			continue;
		if (len > 0 && (rq->param = arena_strndup(rq->arena, param, len)) == NULL) {
			err_set(err, ERR_INTERNAL, "The request needs too much memory.");
			return NULL;
		}
		return r;
	}
	list_methods(rq->path, allow, sizeof(allow));
	if (allow[0] == '\0') {
		err_set(err, ERR_NOT_FOUND, "There is nothing at this address.");
		return NULL;
	}
	response_header(rq, "Allow", "%s", allow);
	err_set(err, ERR_METHOD_NOT_ALLOWED, "This address takes %s.", allow);
	return NULL;
}

static int
answer(struct request *rq, struct err *err)
{
	rq->route = find_route(rq, err);
	if (rq->route == NULL)
		return -1;
	if (server_is_full() && !rq->route->always) {
		err_set(err, ERR_UNAVAILABLE, "All places are taken at the moment; please try again.");
		err->retry_after_secs = 2;
		return -1;
	}
	if (rq->route->guard != NULL && rq->route->guard(rq, err) == -1)
		return -1;
	return rq->route->handler(rq, err);
}

static enum log_level
level_of(const struct request *rq, const struct err *err)
{
	if (err->code == ERR_INTERNAL)
		return LOG_LEVEL_ERROR;
	/* health checks come every few seconds; their 503 is an answer, not a fault */
	if (rq->route != NULL && rq->route->always)
		return LOG_LEVEL_DEBUG;
	return rq->status >= 500 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO;
}

static void
log_request(const struct request *rq, const struct err *err)
{
	enum log_level level = level_of(rq, err);
	int64_t ms = loop_now_ms() - rq->started_ms;

	if (err->code == ERR_NONE)
		LOG_WRITE(&rq->log, level, "request", LOG_STR("method", rq->method), LOG_STR("path", rq->path),
		          LOG_INT("status", rq->status), LOG_INT("ms", ms), LOG_INT("bytes", rq->bytes_sent));
	else
		LOG_WRITE(&rq->log, level, "request", LOG_STR("method", rq->method), LOG_STR("path", rq->path),
		          LOG_INT("status", rq->status), LOG_INT("ms", ms), LOG_INT("bytes", rq->bytes_sent),
		          LOG_STR("error", err->message), LOG_STR("cause", err->cause));
}

/* By route and status: what does not fit a route falls together. */
static void
count_request(const struct request *rq)
{
	const char *path = rq->route != NULL ? rq->route->path : "none";
	char labels[128];

	snprintf(labels, sizeof(labels), "route=\"%s\",status=\"%d\"", path, rq->status);
	metric_count(METRIC_REQUESTS, labels);
	snprintf(labels, sizeof(labels), "route=\"%s\"", path);
	metric_observe(metric_series(METRIC_REQUEST_SECONDS, labels), (double)(loop_now_ms() - rq->started_ms) / 1000);
}

/* If the client has a trace or we make some. */
static void
begin_span(const struct request *rq, struct trace_span *span)
{
	const char *given = request_header(rq, "traceparent");
	struct trace_context context = {0};
	char name[sizeof(span->name)];

	if (!(given != NULL && trace_read(given, &context)) && !trace_recording())
		return;
	snprintf(name, sizeof(name), "%s %s", rq->method, rq->path);
	trace_begin(span, &context, true, name);
	*fiber_trace() = span->context;
}

void
router_serve(struct fcgi *c)
{
	struct request *rq = request_new(c);
	struct trace_span span = {0};
	struct err err = {0};

	begin_span(rq, &span);
	fiber_set_deadline(rq->started_ms + config()->request_deadline_secs * 1000);
	if (answer(rq, &err) == 0) {
		err = (struct err){0};  /* what was overcome on the way */
	} else if (!response_begun(rq)) {
		fiber_mask_begin();     /* a request past its deadline is still answered */
		response_error(rq, &err);
		fiber_mask_end();
	}
	log_request(rq, &err);
	count_request(rq);
	trace_end(&span, rq->status, rq->status >= 500);
	request_free(&rq);
}
