/*
 * arena.h - the memory of one request: allocated piece by piece, freed at once.
 *
 * An arena has a hard cap; past it, allocation answers NULL and the request
 * fails, not the worker.  Objects of other libraries are tied to an arena with
 * arena_defer() and are released with it, the last first.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/mem.h"

struct arena;

/* A new arena that hands out at most `cap` bytes.  Free with arena_free(). */
struct arena *arena_new(size_t cap);

/* Run what was deferred, newest first, then free all.  Sets *arena to NULL. */
void arena_free(struct arena **arena);

/* Zeroed, aligned for anything.  NULL when the cap is reached. */
void *arena_alloc(struct arena *a, size_t size) MUST_USE;
char *arena_strdup(struct arena *a, const char *text) MUST_USE;
char *arena_strndup(struct arena *a, const char *text, size_t len) MUST_USE;
char *arena_printf(struct arena *a, const char *fmt, ...) MUST_USE PRINTF_LIKE(2, 3);

/* Call fn(ptr) when the arena is freed.  When the cap leaves no room to
   remember it, fn(ptr) is called at once and -1 returned. */
int arena_defer(struct arena *a, void (*fn)(void *ptr), void *ptr) MUST_USE;

#endif
