/*
 * log_line.h - one event as the bytes of a line.  For the files of the log.
 *
 * Secrets are masked, control characters escaped, bytes that are no UTF-8 shown
 * as U+FFFD; a text that is too long is cut at a character and ends with an
 * ellipsis, and what finds no room at all is left out.  The result is always a
 * whole line (or datagram) of at most `size` bytes.
 */
#ifndef TELEMETRY_LOG_LINE_H
#define TELEMETRY_LOG_LINE_H

#include <stddef.h>
#include <time.h>

#include "telemetry/log.h"

/* A pipe takes this much at once or not at all (PIPE_BUF of Linux, pipe(7)), so
   that lines of workers that share one are not mixed up. */
#define LOG_LINE_MAX 4096

/* Longest text of a field, before escaping. */
#define LOG_TEXT_MAX 1024

struct log_event {
	const char *ident;
	enum log_level level;
	struct timespec when;
	const char *message;
	const struct log_field *const *fields;  /* no name twice */
	size_t count;
};

/* A JSON object and a newline.  Returns the length, like the others. */
size_t log_line_json(char *out, size_t size, const struct log_event *ev);

/* "message name=value ..." and a newline; before it time, level and pid unless
   `bare`, with the level coloured if `colour`. */
size_t log_line_pretty(char *out, size_t size, const struct log_event *ev, bool bare, bool colour);

/* A datagram of the journal: systemd.io/JOURNAL_NATIVE_PROTOCOL. */
size_t log_line_journal(char *out, size_t size, const struct log_event *ev);

/* "debug", "info", "warn", "error"; and its number in syslog(3). */
const char *log_level_name(enum log_level level);
int log_level_priority(enum log_level level);

#endif
