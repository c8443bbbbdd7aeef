/*
 * consumer.h - does the jobs of the queue: what bakame-jobs is made of.
 *
 * Each job runs in a fiber of its own, so many at a time.  While it runs, its consumer says
 * from time to time that it is being worked on; of a consumer that has not been heard of for
 * `lease_ms` others take the jobs over.  What was done is told to Redis until Redis has
 * heard it.  One per process.
 */
#ifndef STORE_CONSUMER_H
#define STORE_CONSUMER_H

#include <stdint.h>

#include "store/queue.h"

struct consumer_options {
	const struct job_handler *handlers;     /* ended by one without a kind */
	unsigned concurrency;                   /* jobs at a time */
	int64_t lease_ms;
	int64_t retry_ms;                       /* pause after the first failure; then 4, 16, 64 times as long */
	int64_t deadline_ms;                    /* longest that one try of a job may take */
};

void consumer_start(const struct consumer_options *options);

/* Take no more; call `done` when what runs has ended.  After `ms` what still runs is cancelled and
   given back to the queue.  For the loop's context. */
void consumer_drain(int64_t ms, void (*done)(void));

/* Jobs that run now. */
unsigned consumer_load(void);

#endif
