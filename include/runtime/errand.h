/*
 * errand.h - for programs that do one thing that waits, and end.
 */
#ifndef RUNTIME_ERRAND_H
#define RUNTIME_ERRAND_H

/* Run fn(arg) in a fiber on the loop, until it returns; its result.  The loop can be used again after. */
int errand_run(int (*fn)(void *arg), void *arg);

/* After the last one, and once what waits has been stopped: frees fibers and loop. */
void errand_end(void);

#endif
