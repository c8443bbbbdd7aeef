/* log.c - see telemetry/log.h */
#include "telemetry/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "telemetry/breadcrumbs.h"
#include "base/clock.h"
#include "telemetry/log_burst.h"
#include "telemetry/log_line.h"
#include "telemetry/log_sink.h"
#include "telemetry/metrics.h"
#include "telemetry/scrub.h"
#include "telemetry/sentry.h"

/* Fields of a call and of all its loggers; what is further out is left out. */
#define FIELDS_MAX 32

const struct logger log_root;

static const char *const level_labels[] = {
    [LOG_LEVEL_DEBUG] = "level=\"debug\"",
    [LOG_LEVEL_INFO] = "level=\"info\"",
    [LOG_LEVEL_WARN] = "level=\"warn\"",
    [LOG_LEVEL_ERROR] = "level=\"error\"",
};

static struct {
	const char *ident;
	enum log_level level;
	enum log_format format;
	enum log_target target;
	bool colour;
	bool journal_missed;            /* its absence was told */
	struct log_bursts bursts;
} state = {.ident = "bakame", .level = LOG_LEVEL_INFO};

/* Nothing in here waits, so one buffer serves all fibers and spares their stacks. */
static char line[2 * LOG_LINE_MAX];

struct gathered {
	const struct log_field *fields[FIELDS_MAX];
	size_t count;
};

void
log_init(const char *ident, enum log_level level, enum log_format format, enum log_target target)
{
	state.ident = ident;
	state.level = level;
	state.format = format;
	state.target = target;
	state.journal_missed = false;
	log_sink_stderr_open();
	state.colour = log_sink_stderr_has_colour();
	if (target == LOG_TARGET_SYSLOG)
		log_sink_syslog_open(ident);
}

bool
log_enabled(enum log_level level)
{
	return level >= state.level;
}

static void
write_stderr(const struct log_event *ev)
{
	size_t len = state.format == LOG_FORMAT_JSON
	                 ? log_line_json(line, LOG_LINE_MAX, ev)
	                 : log_line_pretty(line, LOG_LINE_MAX, ev, false, state.colour);

	log_sink_stderr(log_level_priority(ev->level), line, len);
}

static void
write_syslog(const struct log_event *ev)
{
	size_t len = state.format == LOG_FORMAT_JSON ? log_line_json(line, LOG_LINE_MAX, ev)
	                                             : log_line_pretty(line, LOG_LINE_MAX, ev, true, false);

	log_sink_syslog(log_level_priority(ev->level), line, len);
}

static void
write_journal(const struct log_event *ev)
{
	struct log_event notice = {
		.ident = ev->ident, .level = LOG_LEVEL_WARN, .when = ev->when,
		.message = "the journal cannot be reached, the log goes to standard error",
	};

	if (log_sink_journal(line, log_line_journal(line, sizeof(line), ev))) {
		state.journal_missed = false;
		return;
	}
	if (!state.journal_missed)
		write_stderr(&notice);
	state.journal_missed = true;
	write_stderr(ev);
}

/* For error tracking: an error is reported, with the lines before it; all are kept for the next. */
static void
track(const struct log_event *ev, struct breadcrumbs *crumbs)
{
	size_t len;

	if (!sentry_enabled())
		return;
	if (ev->level == LOG_LEVEL_ERROR)
		sentry_capture(ev, crumbs);
	if (crumbs == NULL)
		return;
	len = log_line_pretty(line, BREADCRUMB_BYTES, ev, true, false);
	if (len > 0)
		line[len - 1] = '\0';   /* its newline */
	breadcrumbs_add(crumbs, &ev->when, ev->level, line);
}

static void
write_event(enum log_level level, const char *message, const struct gathered *g, struct breadcrumbs *crumbs)
{
	struct log_event ev = {
		.ident = state.ident, .level = level, .message = message,
		.fields = g->fields, .count = g->count,
	};

	clock_gettime(CLOCK_REALTIME, &ev.when);
	switch (state.target) {
	case LOG_TARGET_STDERR:
		write_stderr(&ev);
		break;
	case LOG_TARGET_SYSLOG:
		write_syslog(&ev);
		break;
	case LOG_TARGET_JOURNAL:
		write_journal(&ev);
		break;
	}
	track(&ev, crumbs);
	metric_count(METRIC_LOG_LINES, level_labels[level]);
}

/* The nearest of one name counts: JSON has no room for two. */
static void
gather(struct gathered *g, const struct log_field *f)
{
	for (size_t i = 0; i < g->count; i++)
		if (strcmp(g->fields[i]->name, f->name) == 0)
			return;
	if (g->count < FIELDS_MAX)
		g->fields[g->count++] = f;
}

static void
write_number(enum log_level level, const char *message, const char *name, unsigned long number)
{
	const struct log_field field = LOG_INT(name, number);
	struct gathered g = {.count = 0};

	gather(&g, &field);
	write_event(level, message, &g, NULL);
}

static void
write_sum(const struct log_burst *ended)
{
	write_number(ended->level, ended->message, "suppressed", ended->held);
}

/* Told once there is room again. */
static void
write_lost(void)
{
	unsigned long lost = log_sink_lost();

	if (lost == 0)
		return;
	write_number(LOG_LEVEL_WARN, "log lines were lost", "lost", lost);
	/* if this one was lost too, the others are still to be told */
	log_sink_forget_lost(log_sink_lost() == lost ? lost : 1);
}

void
log_write(const struct logger *lg, enum log_level level, const char *message,
          const struct log_field *fields)
{
	struct gathered g = {.count = 0};
	struct breadcrumbs *crumbs = NULL;
	struct log_burst ended;
	int saved_errno = errno;
	bool admitted = true;

	/* One line a request is what an operator asked for with level info; what
	   repeats itself when something is wrong is what fills disks. */
	ended.held = 0;
	if (level >= LOG_LEVEL_WARN)
		admitted = log_burst_admit(&state.bursts, level, message, clock_ms(CLOCK_MONOTONIC), &ended);
	if (ended.held > 0)
		write_sum(&ended);
	if (admitted) {
		for (; fields->type != LOG_TYPE_END; fields++)
			gather(&g, fields);
		for (; lg != NULL; lg = lg->parent) {
			if (crumbs == NULL)
				crumbs = lg->crumbs;
			for (size_t i = 0; i < LOG_CONTEXT_MAX && lg->fields[i].type != LOG_TYPE_END; i++)
				gather(&g, &lg->fields[i]);
		}
		write_lost();
		write_event(level, message, &g, crumbs);
	}
	errno = saved_errno;
}

void
log_scrub(char *out, size_t size, const char *text)
{
	scrub_text(out, size, text, strlen(text));
}

static void
flush_until(int64_t when_ms)
{
	struct log_burst ended;
	int saved_errno = errno;
	unsigned at = 0;

	while (log_burst_next_ended(&state.bursts, when_ms, &at, &ended))
		write_sum(&ended);
	write_lost();
	errno = saved_errno;
}

void
log_flush(void)
{
	flush_until(clock_ms(CLOCK_MONOTONIC));
}

void
log_close(void)
{
	flush_until(INT64_MAX);
	log_sink_close();
}
