/*
 * timers.h - many timers in one binary heap.
 *
 * A struct timer is embedded in its owner.  Times are now_us() microseconds.
 */
#ifndef BENCH_TIMERS_H
#define BENCH_TIMERS_H

#include <stddef.h>
#include <stdint.h>

struct timer {
	int64_t due_us;
	size_t place; /* in the heap, counted from 1; 0 while not set */
};

struct timers {
	struct timer **heap;
	size_t count, room;
};

/* Sets `timer`, or moves it if it was set. */
void timer_set(struct timers *timers, struct timer *timer, int64_t due_us);

/* Harmless if `timer` is not set. */
void timer_cancel(struct timers *timers, struct timer *timer);

/* Takes out the earliest timer that is due at `now`; NULL if none is. */
struct timer *timers_take_due(struct timers *timers, int64_t now);

/* How long epoll_wait() may sleep: milliseconds rounded up, at most `max_ms`.
   The rounding gathers what falls due within one millisecond. */
int timers_wait_ms(const struct timers *timers, int64_t now, int max_ms);

#endif
