/*
 * metrics.h - what is counted, for Prometheus (text exposition 0.0.4).
 *
 * Every metric is a row of the table in metrics.c: name, type, help.  A series is a metric with
 * its labels; it is made at first use, in memory that all workers of the host share (so sums need no
 * collecting, and what a worker counted outlives it), in a table of fixed size: past it, series of a
 * metric fall together into one labelled overflow="true".  Counting is one atomic addition; finding a series
 * one look into a hash table.  Gauges are each process' own, and summed over those that live.
 * Nothing here waits or allocates.
 */
#ifndef TELEMETRY_METRICS_H
#define TELEMETRY_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/mem.h"

enum metric {
	METRIC_REQUESTS,                /* route, status */
	METRIC_REQUEST_SECONDS,         /* route */
	METRIC_FIRST_TOKEN_SECONDS,
	METRIC_TOKENS,                  /* kind: prompt, completion */
	METRIC_MODEL_CALLS,             /* result: ok, failed, cancelled, refused */
	METRIC_TOOL_CALLS,              /* tool, result: ok, failed, invalid, refused */
	METRIC_TOOL_SECONDS,            /* tool */
	METRIC_CACHE_LOOKUPS,           /* kind, result: hit, miss, stale, coalesced, negative */
	METRIC_BREAKER_TRANSITIONS,     /* service, to */
	METRIC_LIMITER_DECISIONS,       /* decided_by: redis, host; result: admitted, refused */
	METRIC_REDIS_COMMANDS,          /* result: ok, error, timeout, refused */
	METRIC_REDIS_SECONDS,
	METRIC_QUEUE_JOBS,              /* kind, result: added, duplicate, done, retried, dead, refused */
	METRIC_DATABASE_QUERIES,        /* result: ok, error, timeout, refused */
	METRIC_DATABASE_SECONDS,
	METRIC_LOG_LINES,               /* level */
	METRIC_SENTRY_EVENTS,           /* result: sent, dropped, failed */
	METRIC_SPANS,                   /* result: sent, dropped, failed */
	METRIC_UPLOADS,                 /* result */
	METRIC_SIGN_INS,                /* result */
	METRIC_COUNT,
};

struct metric_series;

/* The shared memory's section in which all count, and the bytes that metrics_use() wants of it. */
#define METRICS_SECTION "metrics.5"
size_t metrics_size(void);

/* Count in this memory (zeroed when new, shared by all workers) from now on; before it, and with NULL,
   in memory of this process. */
void metrics_use(void *memory);

/* The series of `metric` with `labels` as the exposition writes them: `tool="weather",result="ok"`, or "".  Label values
   must not come from outside.  Never NULL; stays until metrics_use(). */
struct metric_series *metric_series(enum metric metric, const char *labels);

void metric_add(struct metric_series *series, uint64_t count);

/* Of a histogram: one observation. */
void metric_observe(struct metric_series *series, double seconds);

/* In one step, for what is not counted thousands of times a second. */
void metric_count(enum metric metric, const char *labels);

/* All series of a metric together, or those whose labels contain `part`. */
#define METRIC_BUCKETS_MAX 12
struct metric_sum {
	uint64_t count;
	uint64_t sum_ns;
	uint64_t buckets[METRIC_BUCKETS_MAX];   /* of a histogram; not cumulative, the last is for all above */
	const double *bounds;                   /* their upper ends in seconds, ended by 0; NULL of a counter */
};
void metric_sum(enum metric metric, const char *part, struct metric_sum *sum_r);

/* What a process has at this moment; the row says whether the host has the sum or the largest. */
enum gauge {
	GAUGE_STREAMS,
	GAUGE_CONNECTIONS,
	GAUGE_REQUESTS,
	GAUGE_UPSTREAM_CALLS,
	GAUGE_OPEN_FDS,
	GAUGE_RESIDENT_BYTES,
	GAUGE_LOOP_LAG_US,
	GAUGE_DATABASE_CONNECTIONS,
	GAUGE_DATABASE_WAITING,
	GAUGE_REDIS_PENDING,
	GAUGE_COUNT,
};

/* Take part: `program` (a constant) is what this process is.  Without a free place it has no gauges. */
void metrics_join(const char *program);
void metrics_leave(void);

void metric_set(enum gauge gauge, int64_t value);

/* One process and its gauges. */
struct metric_process {
	char program[16];
	int32_t pid;
	int64_t values[GAUGE_COUNT];
};

/* The next living process from *index on, which starts at 0; false past the last. */
bool metrics_next_process(unsigned *index, struct metric_process *process_r);

/* Write all that was counted.  -1 when the buffer's maximum is reached. */
int metrics_write(struct buffer *out) MUST_USE;

#endif
