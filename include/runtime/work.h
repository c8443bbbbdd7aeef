/*
 * work.h - computing that takes more than about a millisecond, off the loop.
 */
#ifndef RUNTIME_WORK_H
#define RUNTIME_WORK_H

/* Run fn(arg) on libuv's thread pool while the calling fiber waits.  Returns
   when it has ended: it cannot be cancelled, so it must be bounded by itself
   and touch nothing but `arg`.  Waits. */
void work_run(void (*fn)(void *arg), void *arg);

#endif
