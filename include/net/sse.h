/*
 * sse.h - reader of a stream of server-sent events.
 *
 * As the HTML standard has it (html.spec.whatwg.org, 9.2.6 "Interpreting an event
 * stream"): lines end with LF, CR LF or CR; a byte order mark at the start and comments
 * are skipped; several data lines of an event are joined by LF.  Only `data` is kept:
 * the model's stream uses nothing else.  Bytes may arrive split anywhere.
 */
#ifndef NET_SSE_H
#define NET_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* The most that one event's data may hold. */
#define SSE_EVENT_MAX_BYTES ((size_t)1024 * 1024)

struct sse {
	struct buffer line;             /* of a line that is not complete yet */
	struct buffer data;             /* of the event so far */
	bool has_data;
	const char *view;               /* the data while it still stands in the input; else NULL */
	size_t view_len;
	bool started;                   /* past the byte order mark */
	bool after_cr;                  /* a LF that comes next belongs to this CR */
	bool taken;                     /* `data` was given out and is to be emptied */
};

enum sse_result {
	SSE_MORE,                       /* all input is used up; no event is complete */
	SSE_EVENT,                      /* *data_r holds one */
	SSE_TOO_LARGE,                  /* an event passed the maximum; the stream is of no use */
};

void sse_init(struct sse *s);

/* Take in bytes until an event is complete or all are used; *used_r says how many.
   The data, not NUL-terminated, is valid until the next call on `s` and while the
   input is: an event that arrives in one piece is not copied. */
enum sse_result sse_feed(struct sse *s, const char *bytes, size_t len, size_t *used_r, const char **data_r,
                         size_t *data_len_r);

void sse_free(struct sse *s);

#endif
