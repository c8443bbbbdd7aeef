/*
 * log_burst.h - holding back a message that repeats.  For the files of the log.
 *
 * A table of fixed size, looked up by level and text of the message.  Of one
 * message LOG_BURST lines pass in each window of LOG_WINDOW_SECS, which starts
 * with the first; the rest is counted.  A message that finds its part of the
 * table full takes the place of the one seen longest ago.
 */
#ifndef TELEMETRY_LOG_BURST_H
#define TELEMETRY_LOG_BURST_H

#include <stdbool.h>
#include <stdint.h>

#include "telemetry/log.h"

#define LOG_BURST_SETS 64
#define LOG_BURST_WAYS 4

struct log_burst {
	const char *message;            /* NULL: free */
	enum log_level level;
	uint32_t lines;                 /* in this window */
	uint32_t held;                  /* of them, not written */
	int64_t since_ms;
};

struct log_bursts {
	struct log_burst slots[LOG_BURST_SETS][LOG_BURST_WAYS];
};

/* May this line be written?  If a window ended with lines held back, or one
   had to make place, *ended_r is what to sum up first; else its `held` is 0. */
bool log_burst_admit(struct log_bursts *b, enum log_level level, const char *message,
                     int64_t now_ms, struct log_burst *ended_r);

/* Take the next window that had lines held back and ended before `now_ms`
   out of the table; false when there is none.  *at starts at 0. */
bool log_burst_next_ended(struct log_bursts *b, int64_t now_ms, unsigned *at,
                          struct log_burst *ended_r);

#endif
