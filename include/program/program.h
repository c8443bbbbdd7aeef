/*
 * program.h - what the programs that run for long do alike at their start and end: bakame-fcgi and
 * bakame-jobs.
 *
 * `name` is the program's, a constant.  After config_load().
 */
#ifndef PROGRAM_PROGRAM_H
#define PROGRAM_PROGRAM_H

void program_start_log(const char *name);

/* Shared memory and what lives in it for all programs: metrics, crashes, breakers. */
void program_start_shared_memory(const char *name);

/* Errors to Sentry and traces to a collector, where they are configured.  After http_client_start(). */
void program_start_tracking(const char *name);

void program_use_all_descriptors(void);

/* In production no image of this process is written when it dies: keys and what people say are in it. */
void program_leave_no_core(void);

/* Call drain(signal) from the loop, once, when the program is told to end. */
void program_handle_signals(void (*drain)(int number));

/* Do about once a second what each program has to do then, and call tick(), unless it is NULL. */
void program_start_ticking(void (*tick)(void));

/* All work has ended: send the last events, then stop the loop.  Further calls do nothing. */
void program_end(void);

/* Close what program_start_*() and the loop opened; after the rooms above have stopped. */
void program_clean_up(void);

#endif
