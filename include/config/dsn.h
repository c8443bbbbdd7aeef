/*
 * dsn.h - the address that Sentry gives a project: https://KEY@HOST[/PATH]/PROJECT
 * (develop.sentry.dev/sdk/overview/#parsing-the-dsn).
 */
#ifndef CONFIG_DSN_H
#define CONFIG_DSN_H

#include "base/mem.h"

/* What is needed to send. */
struct dsn {
	char endpoint[1024];            /* the URL of envelopes */
	char key[128];                  /* the public one */
};

/* Read one.  -1 if it is none; *why_r then says what is wrong ("must ..."). */
int dsn_read(const char *text, struct dsn *dsn_r, const char **why_r) MUST_USE;

#endif
