/*
 * sentry_sender.h - brings the events of telemetry/sentry.h to their server, beside everything else.
 *
 * A fiber of its own takes one envelope after the other.  What the server asks for by 429,
 * Retry-After and X-Sentry-Rate-Limits is kept; events of that time are dropped, as the
 * protocol has it (develop.sentry.dev/sdk/foundations/transport/rate-limiting).  A server that is away is tried again after a growing pause, while the spool fills and then drops;
 * once the breaker "sentry" is open, by one of all workers of the host.
 */
#ifndef NET_SENTRY_SENDER_H
#define NET_SENTRY_SENDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The DSN, as the settings have checked it, and the certificates to trust ("": the system's). */
void sentry_sender_use(const char *dsn, const char *ca_file);

/* Begin to send what comes into the spool; after http_client_start(). */
void sentry_sender_start(void);

/* Wait until what is in the spool was sent, at most until then.  For the end of a program; in a fiber. */
void sentry_sender_finish(int64_t deadline_ms);

/* End it; what is left is lost.  In a fiber, if it was started: waits until the sending has stopped. */
void sentry_sender_stop(void);

/* Send one envelope now: the HTTP status of the answer, or -1 with *err.  Waits. */
long sentry_send(const char *envelope, size_t len, struct err *err);

/*
 * How long a server that answered so wants no more events, in seconds; 0 for not at all.
 * `limits` is the header X-Sentry-Rate-Limits or NULL: "60:error;default:organization, 10::key";
 * `retry_after_secs` that of Retry-After or -1.
 */
int64_t sentry_pause_secs(long status, const char *limits, int64_t retry_after_secs);

#endif
