/*
 * jobs.h - the kinds of jobs that bakame-jobs does.
 */
#ifndef HANDLERS_JOBS_H
#define HANDLERS_JOBS_H

#include "store/queue.h"

/* Ended by one without a kind. */
extern const struct job_handler job_handlers[];

#endif
