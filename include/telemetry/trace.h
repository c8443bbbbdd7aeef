/*
 * trace.h - where a request stands in a trace that may go through many servers, and its spans.
 *
 * The context comes in the header traceparent (w3.org/TR/trace-context, version 00) and goes out with
 * each call that is made for the request.  Each fiber has one, and gives it to the fibers that it
 * spawns (runtime/fiber.h).  Spans are kept only when somebody takes them (net/otlp_sender.h), at most
 * TRACE_SPANS_MAX of them: past it they are dropped and counted.
 */
#ifndef TELEMETRY_TRACE_H
#define TELEMETRY_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

#define TRACE_SPANS_MAX 1024
#define TRACEPARENT_BYTES 56            /* with its NUL */

/* All zero: there is none. */
struct trace_context {
	unsigned char trace_id[16];
	unsigned char span_id[8];       /* of the span that we are in */
	bool sampled;
};

/* Something that took time.  Zeroed: not begun. */
struct trace_span {
	struct trace_context context;
	unsigned char parent_id[8];     /* zero: none */
	int64_t started_ns;             /* Unix time */
	bool server;                    /* a request of ours; else a call to others */
	char name[64];
};

/* Read a traceparent.  False, and zeroed, if it is none: then a trace of one's own begins. */
bool trace_read(const char *text, struct trace_context *context_r);

/* Write one for the header. */
void trace_write(const struct trace_context *context, char out[TRACEPARENT_BYTES]);

bool trace_given(const struct trace_context *context);

/* Are spans wanted? */
void trace_record(bool on);
bool trace_recording(void);

/* Begin a span within `parent` (all zero: a new trace). */
void trace_begin(struct trace_span *span, const struct trace_context *parent, bool server, const char *name);

/* End it: kept if it is sampled and spans are wanted.  `status` is the HTTP status, 0 if there was none. */
void trace_end(struct trace_span *span, long status, bool failed);

/* Spans that wait; write the oldest ones as OTLP/JSON (opentelemetry.io/docs/specs/otlp, "JSON Protobuf
   Encoding"), as many as fit, and forget them.  0 when there are none. */
unsigned trace_waiting(void);
unsigned trace_take(struct buffer *out, const char *service, const char *version);

void trace_forget(void);

#endif
