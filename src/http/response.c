/* response.c - see http/response.h */
#include "http/response.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "http/fcgi.h"
#include "http/request.h"

#define HEADER_VALUE_MAX 1280           /* that of a Content-Disposition */
/* When to come again after a 503 of which nothing better is known. */
#define RETRY_AFTER_SECS 5

void
response_header(struct request *rq, const char *name, const char *fmt, ...)
{
	char value[HEADER_VALUE_MAX];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(value))
		return;
	for (const char *p = value; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return;
	(void)!buffer_printf(&rq->headers, "%s: %s\r\n", name, value);
}

/* The reason phrases of RFC 9110, 15, for the statuses that are sent here. */
static const char *
reason(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} reasons[] = {
	    {200, "OK"},
	    {201, "Created"},
	    {204, "No Content"},
	    {400, "Bad Request"},
	    {401, "Unauthorized"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {409, "Conflict"},
	    {413, "Content Too Large"},
	    {415, "Unsupported Media Type"},
	    {422, "Unprocessable Content"},
	    {429, "Too Many Requests"},
	    {500, "Internal Server Error"},
	    {502, "Bad Gateway"},
	    {503, "Service Unavailable"},
	    {504, "Gateway Timeout"},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].phrase;
	return "";
}

static int
remember_result(struct request *rq, int rc)
{
	if (rc == -1)
		rq->broken = true;
	return rc;
}

int
response_begin(struct request *rq, int status, const char *content_type)
{
	rq->status = status;
	/* the front makes its status line of the first (RFC 3875, 6.3.3) */
	if (buffer_printf(&rq->headers, "Status: %d %s\r\nContent-Type: %s\r\nX-Request-Id: %s\r\n\r\n", status,
	                  reason(status), content_type, rq->id) == -1)
		return remember_result(rq, -1);
	if (fcgi_write(rq->fcgi, rq->headers.data, rq->headers.len) == -1)
		return remember_result(rq, -1);
	buffer_free(&rq->headers);
	return 0;
}

int
response_write(struct request *rq, const char *data, size_t len)
{
	rq->bytes_sent += len;
	return remember_result(rq, fcgi_write(rq->fcgi, data, len));
}

char *
response_room(struct request *rq, size_t len)
{
	char *room = fcgi_room(rq->fcgi, len);

	if (room != NULL)
		rq->bytes_sent += len;
	return room;
}

int
response_flush(struct request *rq)
{
	return remember_result(rq, fcgi_flush(rq->fcgi));
}

int
response_text(struct request *rq, int status, const char *content_type, const char *body, size_t len)
{
	response_header(rq, "Content-Length", "%zu", len);
	if (response_begin(rq, status, content_type) == -1)
		return -1;
	if (strcmp(rq->method, "HEAD") == 0)
		return 0;
	return response_write(rq, body, len);
}

int
response_json(struct request *rq, int status, struct json_object *obj)
{
	size_t len;
	const char *text = json_text(obj, &len);

	return response_text(rq, status, "application/json; charset=utf-8", text, len);
}

struct json_object *
response_error_body(const struct request *rq, const struct err *err)
{
	struct json_object *body = json_object_new_object();
	struct json_object *error = json_object_new_object();

	json_object_object_add(error, "type", json_object_new_string(err_type(err->code)));
	json_object_object_add(error, "message", json_object_new_string(err->message));
	json_object_object_add(error, "request_id", json_object_new_string(rq->id));
	json_object_object_add(body, "error", error);
	return body;
}

void
response_error(struct request *rq, const struct err *err)
{
	int retry_after_secs = err->retry_after_secs;
	struct json_object *body;

	if (err->code == ERR_CANCELLED) {
		rq->status = err_status(err->code);     /* for the log only */
		return;
	}
	body = response_error_body(rq, err);
	response_header(rq, "Cache-Control", "no-store");
	if (err->code == ERR_UNAVAILABLE && retry_after_secs <= 0)
		retry_after_secs = RETRY_AFTER_SECS;
	if (retry_after_secs > 0)
		response_header(rq, "Retry-After", "%d", retry_after_secs);
	response_json(rq, err_status(err->code), body);
	json_object_put(body);
}
