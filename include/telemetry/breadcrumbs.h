/*
 * breadcrumbs.h - the last log lines of a request, for the error report if there is to be one.
 *
 * A zeroed struct is an empty trail.  Lines are kept as text with secrets masked, the newest
 * BREADCRUMBS_MAX of them; nothing is allocated before the first.
 */
#ifndef TELEMETRY_BREADCRUMBS_H
#define TELEMETRY_BREADCRUMBS_H

#include <time.h>

#include "telemetry/log.h"

#define BREADCRUMBS_MAX 50
#define BREADCRUMB_BYTES 256

struct breadcrumb {
	struct breadcrumb *next;        /* the newer one */
	struct timespec when;
	enum log_level level;
	char text[];
};

struct breadcrumbs {
	struct breadcrumb *oldest;
	struct breadcrumb *newest;
	unsigned count;
};

/* Add a line, cut at BREADCRUMB_BYTES; the oldest makes place. */
void breadcrumbs_add(struct breadcrumbs *b, const struct timespec *when, enum log_level level, const char *text);

void breadcrumbs_free(struct breadcrumbs *b);

#endif
