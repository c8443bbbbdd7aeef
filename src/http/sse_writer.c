/* sse_writer.c - see http/sse_writer.h */
#include "http/sse_writer.h"

#include <string.h>

#include "http/request.h"
#include "http/response.h"

int
sse_begin(struct request *rq)
{
	response_header(rq, "Cache-Control", "no-cache, no-transform");
	response_header(rq, "X-Accel-Buffering", "no");
	return response_begin(rq, 200, "text/event-stream; charset=utf-8");
}

static char *
put(char *at, const char *data, size_t len)
{
	memcpy(at, data, len);
	return at + len;
}

int
sse_event_parts(struct request *rq, const char *a, size_t a_len, const char *b, size_t b_len, const char *c,
                size_t c_len)
{
	char *at = response_room(rq, 6 + a_len + b_len + c_len + 2);

	if (at != NULL) {               /* a chunk of a stream: one look for room, not five */
		at = put(put(at, "data: ", 6), a, a_len);
		at = put(put(at, b, b_len), c, c_len);
		put(at, "\n\n", 2);
		return 0;
	}
	if (response_write(rq, "data: ", 6) == -1 || response_write(rq, a, a_len) == -1 ||
	    response_write(rq, b, b_len) == -1 || response_write(rq, c, c_len) == -1)
		return -1;
	return response_write(rq, "\n\n", 2);
}

int
sse_event(struct request *rq, const char *data, size_t len)
{
	return sse_event_parts(rq, data, len, "", 0, "", 0);
}

int
sse_ping(struct request *rq)
{
	return response_write(rq, ": ping\n\n", 8);
}
