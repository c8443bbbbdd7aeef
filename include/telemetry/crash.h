/*
 * crash.h - what a process that dies of a signal leaves behind for the others to tell.
 *
 * The handler of SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT writes signal, address and call chain into memory that
 * all workers of the host share, and lets the process die as it would have.  Whoever of
 * them looks next logs it as an error, so it reaches error tracking, too.  On a stack of its own, for a
 * fiber that ran over its stack.  In an ASan build ASan does all this better: nothing is installed.
 */
#ifndef TELEMETRY_CRASH_H
#define TELEMETRY_CRASH_H

#include <stddef.h>

/* Bytes of shared memory that crash_install() wants; zeroed when new. */
size_t crash_size(void);

/* Install the handlers; `memory` stays until crash_remove().  `program` is a constant. */
void crash_install(void *memory, const char *program);
void crash_remove(void);

/* Log what was left behind, each crash once among all who look.  Call at the start and about once a second. */
void crash_report(void);

#endif
