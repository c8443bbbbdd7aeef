/*
 * sentry.h - errors for Sentry, or a server that speaks like it: made into envelopes, kept until sent.
 *
 * Each log line of level error becomes an event with its context: message, fields, user,
 * request, the request's breadcrumbs.  The log's own brake on repetition holds here too.  Events wait in
 * a spool of SENTRY_SPOOL_MAX for whoever delivers them (net/sentry_sender.h); past it they
 * are dropped and counted.  Without a DSN all this is nothing: the log has the line.
 *
 * Values are masked as in the log.  What people write to the model is in no log line, so in no event.
 * Formats: develop.sentry.dev/sdk/foundations/transport/envelopes and .../event-payloads.
 */
#ifndef TELEMETRY_SENTRY_H
#define TELEMETRY_SENTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"
#include "telemetry/log_line.h"

#define SENTRY_SPOOL_MAX 64
#define SENTRY_ENVELOPE_MAX_BYTES ((size_t)64 * 1024)

struct breadcrumbs;

struct sentry_options {
	const char *program;            /* a constant; also the logger's name */
	const char *release;
	const char *environment;
};

/* From now on error lines become events.  The texts are copied. */
void sentry_start(const struct sentry_options *options);

/* Forget what waits. */
void sentry_stop(void);

bool sentry_enabled(void);

/* Call fn() when an event has come into the spool. */
void sentry_notify(void (*fn)(void));

/* For the log: make an event of this one. */
void sentry_capture(const struct log_event *event, const struct breadcrumbs *crumbs);

/* Take the oldest envelope out of the spool: free() *text_r.  False when it is empty. */
bool sentry_take(char **text_r, size_t *len_r) MUST_USE;

/* Envelopes in the spool. */
unsigned sentry_waiting(void);

#endif
