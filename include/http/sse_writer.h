/*
 * sse_writer.h - an answer that is a stream of server-sent events.
 */
#ifndef HTTP_SSE_WRITER_H
#define HTTP_SSE_WRITER_H

#include <stddef.h>

#include "base/mem.h"

struct request;

/* Begin: status 200 and the headers that keep every hop from buffering. */
int sse_begin(struct request *rq) MUST_USE;

/* Add one event whose data is one line of text; sent with the next flush. */
int sse_event(struct request *rq, const char *data, size_t len) MUST_USE;

/* The same for data in three parts. */
int sse_event_parts(struct request *rq, const char *a, size_t a_len, const char *b, size_t b_len, const char *c,
                    size_t c_len) MUST_USE;

/* Add a comment line, which clients skip: shows that we live, and makes fronts
   that look for their client only when writing look. */
int sse_ping(struct request *rq) MUST_USE;

#endif
