/*
 * retry_after.h - how long a server asks to be left alone (Retry-After: RFC 9110, 10.2.3, seconds or a date).
 */
#ifndef NET_RETRY_AFTER_H
#define NET_RETRY_AFTER_H

#include <stdint.h>
#include <time.h>

/* More than a day makes no sense: nobody here waits for it. */
#define RETRY_AFTER_MAX_SECS 86400

/* Seconds from `now` that `value` asks for, 0 for a date that is over; -1 when it makes no sense. */
int64_t retry_after_secs(const char *value, time_t now);

#endif
