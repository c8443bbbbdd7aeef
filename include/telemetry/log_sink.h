/*
 * log_sink.h - where lines go.  For the files of the log.
 *
 * Nothing here waits, except syslog(3) while its daemon does: a line for which
 * a pipe, socket or journal has no room is lost, and counted.
 */
#ifndef TELEMETRY_LOG_SINK_H
#define TELEMETRY_LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>

/* The journal's socket; tests put their own here. */
extern const char *log_sink_journal_path;

/* Look at what standard error is; again after it was replaced. */
void log_sink_stderr_open(void);

/* Is it a terminal that takes colours? */
bool log_sink_stderr_has_colour(void);

/* Write a line, with its priority in front where the journal reads standard
   error (sd-daemon(3)). */
void log_sink_stderr(int priority, const char *line, size_t len);

/* `ident` is kept. */
void log_sink_syslog_open(const char *ident);
void log_sink_syslog(int priority, const char *line, size_t len);

/* Send a datagram.  False when there is no journal that would take it. */
bool log_sink_journal(const char *data, size_t len);

/* How many lines were lost, and that so many of them were told. */
unsigned long log_sink_lost(void);
void log_sink_forget_lost(unsigned long count);

/* Close what was opened; standard error stays open. */
void log_sink_close(void);

#endif
