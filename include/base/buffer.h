/*
 * buffer.h - bytes that grow up to a stated maximum.
 *
 * A zeroed struct with `max` set is an empty buffer that owns nothing; that
 * is also what buffer_free() leaves.  The bytes are always followed by a NUL
 * that is not counted, so text can be used in place.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stddef.h>

#include "base/mem.h"

struct buffer {
	char *data;                     /* NULL while nothing was added */
	size_t len;
	size_t cap;
	size_t max;                     /* most bytes it may hold */
};

#define BUFFER_INIT(max_bytes) ((struct buffer){.max = (max_bytes)})

/* Add `len` bytes.  -1, with nothing added, when the maximum would be passed. */
int buffer_append(struct buffer *b, const void *data, size_t len) MUST_USE;
int buffer_append_text(struct buffer *b, const char *text) MUST_USE;
int buffer_printf(struct buffer *b, const char *fmt, ...) MUST_USE PRINTF_LIKE(2, 3);

/* Make room for `len` more bytes; -1 when the maximum would be passed. */
int buffer_reserve(struct buffer *b, size_t len) MUST_USE;

/* Drop the first `len` bytes. */
void buffer_consume(struct buffer *b, size_t len);

/* Give the memory back; `max` stays. */
void buffer_free(struct buffer *b);

#endif
