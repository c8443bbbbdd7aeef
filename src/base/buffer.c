/* buffer.c - see base/buffer.h */
#include "base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A chunk of a stream fits without growing. */
#define SMALLEST 512

int
buffer_reserve(struct buffer *b, size_t len)
{
	size_t cap = b->cap > 0 ? b->cap : SMALLEST;

	if (len > b->max || b->len > b->max - len)
		return -1;
	if (b->len + len + 1 <= b->cap)
		return 0;
	while (cap < b->len + len + 1)
		cap *= 2;
	b->data = mem_resize(b->data, cap);
	b->cap = cap;
	b->data[b->len] = '\0';
	return 0;
}

int
buffer_append(struct buffer *b, const void *data, size_t len)
{
	if (buffer_reserve(b, len) == -1)
		return -1;
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return 0;
}

int
buffer_append_text(struct buffer *b, const char *text)
{
	return buffer_append(b, text, strlen(text));
}

int
buffer_printf(struct buffer *b, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0 || buffer_reserve(b, (size_t)len) == -1)
		return -1;
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)len + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)len;
	return 0;
}

void
buffer_consume(struct buffer *b, size_t len)
{
	assert(len <= b->len);
	if (len == 0)
		return;
	b->len -= len;
	memmove(b->data, b->data + len, b->len + 1);
}

void
buffer_free(struct buffer *b)
{
	free(b->data);
	b->data = NULL;
	b->len = 0;
	b->cap = 0;
}
