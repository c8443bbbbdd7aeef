/* arena.c - see base/arena.h */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A plain request fits the first block; a request that waits for minutes
   should not hold more than it uses. */
#define BLOCK_BYTES 1024

struct block {
	struct block *next;
	size_t used;
	size_t size;
	alignas(max_align_t) char data[];
};

struct deferred {
	struct deferred *next;
	void (*fn)(void *ptr);
	void *ptr;
};

struct arena {
	struct block *blocks;           /* newest first */
	struct deferred *deferred;      /* newest first */
	size_t left;                    /* of the cap */
};

struct arena *
arena_new(size_t cap)
{
	struct arena *a = mem_alloc(sizeof(*a));

	a->left = cap;
	return a;
}

void
arena_free(struct arena **arena)
{
	struct arena *a = *arena;

	if (a == NULL)
		return;
	for (struct deferred *d = a->deferred; d != NULL; d = d->next)
		d->fn(d->ptr);
	while (a->blocks != NULL) {
		struct block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
	free(a);
	*arena = NULL;
}

static struct block *
block_add(struct arena *a, size_t size)
{
	size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
	struct block *b = mem_alloc(sizeof(*b) + room);

	b->size = room;
	b->next = a->blocks;
	a->blocks = b;
	return b;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct block *b = a->blocks;
	void *ptr;

	if (size > SIZE_MAX - align)
		return NULL;
	size = (size + align - 1) / align * align;
	if (size > a->left)
		return NULL;
	if (b == NULL || b->size - b->used < size)
		b = block_add(a, size);
	a->left -= size;
	ptr = b->data + b->used;
	b->used += size;
	return ptr;
}

char *
arena_strndup(struct arena *a, const char *text, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	if (copy != NULL)
		memcpy(copy, text, len);        /* the NUL is there: memory is zeroed */
	return copy;
}

char *
arena_strdup(struct arena *a, const char *text)
{
	return arena_strndup(a, text, strlen(text));
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		return NULL;
	text = arena_alloc(a, (size_t)len + 1);
	if (text == NULL)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(text, (size_t)len + 1, fmt, ap);
	va_end(ap);
	return text;
}

int
arena_defer(struct arena *a, void (*fn)(void *ptr), void *ptr)
{
	struct deferred *d = arena_alloc(a, sizeof(*d));

	if (d == NULL) {
		fn(ptr);
		return -1;
	}
	d->fn = fn;
	d->ptr = ptr;
	d->next = a->deferred;
	a->deferred = d;
	return 0;
}
