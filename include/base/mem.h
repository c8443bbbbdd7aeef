/*
 * mem.h - allocation that does not fail.
 *
 * Outside an arena, running out of memory is not something a request can
 * mend: the worker says so on stderr and ends, its supervisor starts another.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))
/* For what rarely runs and has large locals: kept out of the frames of fibers that wait. */
#define COLD __attribute__((cold, noinline))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* Zeroed memory of `size` bytes; never NULL.  Free with free(). */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));

/* Like realloc(3), but never NULL. */
void *mem_resize(void *ptr, size_t size) __attribute__((returns_nonnull));

/* A copy of `text`; never NULL.  Free with free(). */
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));

#endif
