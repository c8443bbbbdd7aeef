/*
 * notify.h - what a supervisor wants to know: systemd, or whoever else sets NOTIFY_SOCKET.
 *
 * One datagram of lines NAME=value each time, as sd_notify(3) has them.  Without the variable all of
 * this does nothing.  Nothing here waits: what the supervisor does not take at once is lost.
 */
#ifndef RUNTIME_NOTIFY_H
#define RUNTIME_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

/* Is there somebody who wants to know? */
bool notify_wanted(void);

/* Requests are taken from now on; no more are, and the end comes within so many seconds: a supervisor whose own time
   is shorter than that waits for it. */
void notify_ready(void);
void notify_stopping(int64_t at_most_secs);

/* One line for people. */
void notify_status(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* The loop turns.  To be said several times within the span of WATCHDOG_USEC. */
void notify_alive(void);

#endif
