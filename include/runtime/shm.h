/*
 * shm.h - memory that the workers of one host share.
 *
 * One POSIX shared memory object (SHM_NAME), made by whoever comes first and
 * divided into named sections.  A section starts as zeros; what lives in it must
 * be sound when a process dies at any instant: atomics, or robust locks.
 * When the object cannot be had, sections are private memory: each worker then
 * goes by what it sees itself, and the log says so once; likewise a section for which the object has no room.
 */
#ifndef RUNTIME_SHM_H
#define RUNTIME_SHM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Map the object `name` (as shm_open(3) wants it).  -1 with *err if it cannot be
   had; sections work all the same, privately. */
int shm_start(const char *name, struct err *err) MUST_USE;

/* The same, but only if some process has made the object: for those who look at it and may be another user. */
int shm_attach(const char *name, struct err *err) MUST_USE;

/* The section `name` (at most 31 bytes; put a version in it that changes with
   its layout) of `size` bytes, found or made; never NULL.  The same name and size
   give the same memory in every process.  It stays until shm_stop(). */
void *shm_section(const char *name, size_t size);

/* The same for what must not start as zeros: make(memory, arg) fills in a section that is new before anybody else
   can find it.  If it says -1 (no room in /dev/shm, say), a private section is made in the same way, whose
   maker's word does not count. */
void *shm_section_made(const char *name, size_t size, int (*make)(void *memory, void *arg), void *arg);

/* Have real memory for this part of a section from now on.  Without it a full /dev/shm shows as SIGBUS at the first
   touch; here it shows as -1.  0 for private memory. */
int shm_reserve(void *part, size_t size) MUST_USE;

/* Is it shared, or private to this process? */
bool shm_is_shared(void);

void shm_stop(void);

#endif
