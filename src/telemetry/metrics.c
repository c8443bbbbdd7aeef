/* metrics.c - see telemetry/metrics.h */
#include "telemetry/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define SERIES_MAX 1024                 /* a power of two */
#define LABELS_BYTES 128
#define PROCESSES_MAX 64
/* A worker that makes a series is waited for as long as it may be off the processor, once: it may have died. */
#define MAKING_MS 100
#define BUCKETS_MAX METRIC_BUCKETS_MAX
/* Kept for series that all metrics need past the end. */
#define SERIES_FULL (SERIES_MAX - METRIC_COUNT)
#define OVERFLOW_LABELS "overflow=\"true\""

enum kind { COUNTER, HISTOGRAM };

struct row {
	enum kind kind;
	const char *name;
	const char *help;
	const double *buckets;          /* of a histogram: upper bounds, ended by 0 */
};

static const double request_buckets[] = {.001, .005, .01, .05, .1, .5, 1, 5, 30, 120, 0};
static const double call_buckets[] = {.0005, .001, .002, .005, .01, .05, .1, .25, 1, 5, 0};

static const struct row rows[METRIC_COUNT] = {
    [METRIC_REQUESTS] = {COUNTER, "bakame_requests_total", "Requests answered.", NULL},
    [METRIC_REQUEST_SECONDS] = {HISTOGRAM, "bakame_request_seconds", "Time from a request to the end of its answer.",
                                request_buckets},
    [METRIC_FIRST_TOKEN_SECONDS] = {HISTOGRAM, "bakame_first_token_seconds",
                                    "Time from a request to the first chunk of its answer.", request_buckets},
    [METRIC_TOKENS] = {COUNTER, "bakame_tokens_total", "Tokens, as the model counts them.", NULL},
    [METRIC_MODEL_CALLS] = {COUNTER, "bakame_model_calls_total", "Calls of the model.", NULL},
    [METRIC_TOOL_CALLS] = {COUNTER, "bakame_tool_calls_total", "Calls of tools.", NULL},
    [METRIC_TOOL_SECONDS] = {HISTOGRAM, "bakame_tool_seconds", "Time that calls of tools took.", call_buckets},
    [METRIC_CACHE_LOOKUPS] = {COUNTER, "bakame_cache_lookups_total", "Look-ups in the cache.", NULL},
    [METRIC_BREAKER_TRANSITIONS] = {COUNTER, "bakame_breaker_transitions_total", "Changes of circuit breakers.", NULL},
    [METRIC_LIMITER_DECISIONS] = {COUNTER, "bakame_limiter_decisions_total", "Decisions of the rate limiter.", NULL},
    [METRIC_REDIS_COMMANDS] = {COUNTER, "bakame_redis_commands_total", "Commands for Redis.", NULL},
    [METRIC_REDIS_SECONDS] = {HISTOGRAM, "bakame_redis_seconds", "Time to Redis' answers.", call_buckets},
    [METRIC_QUEUE_JOBS] = {COUNTER, "bakame_queue_jobs_total", "Jobs of the queue.", NULL},
    [METRIC_DATABASE_QUERIES] = {COUNTER, "bakame_database_queries_total", "Transactions of the database.", NULL},
    [METRIC_DATABASE_SECONDS] = {HISTOGRAM, "bakame_database_seconds", "Time that transactions took.", call_buckets},
    [METRIC_LOG_LINES] = {COUNTER, "bakame_log_lines_total", "Lines of the log.", NULL},
    [METRIC_SENTRY_EVENTS] = {COUNTER, "bakame_sentry_events_total", "Events for error tracking.", NULL},
    [METRIC_SPANS] = {COUNTER, "bakame_spans_total", "Spans of traces.", NULL},
    [METRIC_UPLOADS] = {COUNTER, "bakame_uploads_total", "Files uploaded.", NULL},
    [METRIC_SIGN_INS] = {COUNTER, "bakame_sign_ins_total", "Attempts to sign in.", NULL},
};

enum over { SUM, LARGEST };

static const struct {
	const char *name;
	const char *help;
	double unit;                    /* what a value is multiplied by */
	enum over over;
} gauges[GAUGE_COUNT] = {
    [GAUGE_STREAMS] = {"bakame_streams", "Requests being answered.", 1, SUM},
    [GAUGE_CONNECTIONS] = {"bakame_connections", "FastCGI connections open.", 1, SUM},
    [GAUGE_REQUESTS] = {"bakame_requests_served", "Requests that the processes which live have had.", 1, SUM},
    [GAUGE_UPSTREAM_CALLS] = {"bakame_upstream_calls", "HTTP calls to the model and others that are open.", 1, SUM},
    [GAUGE_OPEN_FDS] = {"bakame_open_fds", "Open file descriptors.", 1, SUM},
    [GAUGE_RESIDENT_BYTES] = {"bakame_resident_bytes", "Resident memory of all processes; what they share counts for each.",
                              1, SUM},
    [GAUGE_LOOP_LAG_US] = {"bakame_loop_lag_seconds", "How late the event loop of the latest was.", 1e-6, LARGEST},
    [GAUGE_DATABASE_CONNECTIONS] = {"bakame_database_connections", "Connections to the database.", 1, SUM},
    [GAUGE_DATABASE_WAITING] = {"bakame_database_waiting", "Requests that wait for one.", 1, SUM},
    [GAUGE_REDIS_PENDING] = {"bakame_redis_pending", "Commands that Redis has not answered.", 1, SUM},
};

/* Made by one compare-and-swap on `state`; who died while making one leaves a place unused. */
enum { FREE, MAKING, READY };

struct metric_series {
	_Atomic uint32_t state;
	uint32_t metric;
	char labels[LABELS_BYTES];
	_Atomic uint64_t count;         /* of a counter */
	_Atomic uint64_t sum_ns;
	_Atomic uint64_t buckets[BUCKETS_MAX];  /* not cumulative; the last is +Inf */
};

struct process {
	_Atomic int32_t pid;            /* 0: free */
	char program[16];
	_Atomic int64_t values[GAUGE_COUNT];
};

struct table {
	_Atomic uint32_t used;
	struct metric_series series[SERIES_MAX];
	struct process processes[PROCESSES_MAX];
};

static struct table own;
static struct table *table = &own;

/* Places whose maker was waited for in vain: each look for a series may pass them. */
static bool given_up[SERIES_MAX];

size_t
metrics_size(void)
{
	return sizeof(struct table);
}

void
metrics_use(void *memory)
{
	metrics_leave();
	table = memory != NULL ? memory : &own;
	memset(given_up, 0, sizeof(given_up));
}

/* While another worker makes it: that takes him less than a microsecond, unless he is put off the processor, or died of
   it.  Whoever does not wait makes the same series a second time. */
static void
await_maker(const struct metric_series *s)
{
	bool *in_vain = &given_up[s - table->series];
	int64_t until_ms = 0;

	while (atomic_load_explicit(&s->state, memory_order_acquire) == MAKING && !*in_vain) {
		if (until_ms == 0)
			until_ms = clock_ms(CLOCK_MONOTONIC) + MAKING_MS;
		*in_vain = clock_ms(CLOCK_MONOTONIC) > until_ms;
		sched_yield();
	}
}

/* The series at this place, made if it is free; NULL if it is another's. */
static struct metric_series *
claim(struct metric_series *s, enum metric metric, const char *labels)
{
	uint32_t state = FREE;

	if (atomic_load_explicit(&s->state, memory_order_acquire) == FREE &&
	    atomic_compare_exchange_strong(&s->state, &state, MAKING)) {
		s->metric = metric;
		snprintf(s->labels, sizeof(s->labels), "%s", labels);
		atomic_fetch_add(&table->used, 1);
		atomic_store_explicit(&s->state, READY, memory_order_release);
		return s;
	}
	await_maker(s);
	if (atomic_load_explicit(&s->state, memory_order_acquire) == READY && s->metric == (uint32_t)metric &&
	    strcmp(s->labels, labels) == 0)
		return s;
	return NULL;
}

struct metric_series *
metric_series(enum metric metric, const char *labels)
{
	uint32_t at;

	if (strlen(labels) >= LABELS_BYTES ||
	    (table->used >= SERIES_FULL && strcmp(labels, OVERFLOW_LABELS) != 0)) {
		/* those that are there are still found */
		at = text_hash(labels, (uint32_t)metric);
		for (uint32_t i = 0; i < SERIES_MAX; i++) {
			struct metric_series *s = &table->series[(at + i) % SERIES_MAX];

			if (s->state == FREE)
				break;
			if (s->state == READY && s->metric == (uint32_t)metric && strcmp(s->labels, labels) == 0)
				return s;
		}
		labels = OVERFLOW_LABELS;
	}
	at = text_hash(labels, (uint32_t)metric);
	for (uint32_t i = 0; i < SERIES_MAX; i++) {
		struct metric_series *s = claim(&table->series[(at + i) % SERIES_MAX], metric, labels);

		if (s != NULL)
			return s;
	}
	abort();        /* SERIES_FULL leaves a place for each metric */
}

void
metric_add(struct metric_series *series, uint64_t count)
{
	atomic_fetch_add_explicit(&series->count, count, memory_order_relaxed);
}

void
metric_observe(struct metric_series *series, double seconds)
{
	const double *bounds = rows[series->metric].buckets;
	unsigned i = 0;

	while (bounds[i] > 0 && seconds > bounds[i])
		i++;
	atomic_fetch_add_explicit(&series->buckets[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&series->sum_ns, (uint64_t)(seconds * 1e9), memory_order_relaxed);
}

void
metric_count(enum metric metric, const char *labels)
{
	metric_add(metric_series(metric, labels), 1);
}

/* Of a histogram: the observations.  A count of its own would differ from its buckets where a worker was killed
   between the two. */
static uint64_t
count_of(const struct metric_series *s)
{
	uint64_t count = 0;

	if (rows[s->metric].kind == COUNTER)
		return s->count;
	for (unsigned b = 0; b < BUCKETS_MAX; b++)
		count += s->buckets[b];
	return count;
}

void
metric_sum(enum metric metric, const char *part, struct metric_sum *sum_r)
{
	*sum_r = (struct metric_sum){.bounds = rows[metric].buckets};
	for (uint32_t i = 0; i < SERIES_MAX; i++) {
		struct metric_series *s = &table->series[i];

		if (s->state != READY || s->metric != (uint32_t)metric || strstr(s->labels, part) == NULL)
			continue;
		sum_r->count += count_of(s);
		sum_r->sum_ns += s->sum_ns;
		for (unsigned b = 0; b < BUCKETS_MAX; b++)
			sum_r->buckets[b] += s->buckets[b];
	}
}

static int
write_histogram(struct buffer *out, const struct row *row, const struct metric_series *s)
{
	const char *comma = s->labels[0] != '\0' ? "," : "";
	uint64_t so_far = 0;
	unsigned i = 0;

	for (; row->buckets[i] > 0; i++) {
		so_far += s->buckets[i];
		if (buffer_printf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", row->name, s->labels, comma,
		                  row->buckets[i], so_far) == -1)
			return -1;
	}
	so_far += s->buckets[i];
	if (buffer_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", row->name, s->labels, comma, so_far) == -1)
		return -1;
	if (s->labels[0] == '\0')
		return buffer_printf(out, "%s_sum %.9f\n%s_count %" PRIu64 "\n", row->name, (double)s->sum_ns / 1e9,
		                     row->name, so_far);
	return buffer_printf(out, "%s_sum{%s} %.9f\n%s_count{%s} %" PRIu64 "\n", row->name, s->labels,
	                     (double)s->sum_ns / 1e9, row->name, s->labels, so_far);
}

static int
write_series(struct buffer *out, const struct row *row, const struct metric_series *s)
{
	if (row->kind == HISTOGRAM)
		return write_histogram(out, row, s);
	if (s->labels[0] == '\0')
		return buffer_printf(out, "%s %" PRIu64 "\n", row->name, s->count);
	return buffer_printf(out, "%s{%s} %" PRIu64 "\n", row->name, s->labels, s->count);
}

static int
write_metric(struct buffer *out, uint32_t metric)
{
	const struct row *row = &rows[metric];
	bool told = false;

	for (uint32_t i = 0; i < SERIES_MAX; i++) {
		const struct metric_series *s = &table->series[i];

		if (s->state != READY || s->metric != metric)
			continue;
		if (!told && buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
		                           row->kind == COUNTER ? "counter" : "histogram") == -1)
			return -1;
		told = true;
		if (write_series(out, row, s) == -1)
			return -1;
	}
	return 0;
}

/* ---- gauges ---- */

static struct process *self;

static bool
is_alive(int32_t pid)
{
	return pid != 0 && (kill(pid, 0) == 0 || errno != ESRCH);
}

void
metrics_join(const char *program)
{
	int32_t pid = (int32_t)getpid();

	self = NULL;    /* after fork() it would be the parent's */
	for (size_t i = 0; i < PROCESSES_MAX && self == NULL; i++) {
		struct process *p = &table->processes[i];
		int32_t holder = p->pid;

		if (holder != pid && is_alive(holder))
			continue;
		if (atomic_compare_exchange_strong(&p->pid, &holder, pid))
			self = p;
	}
	if (self == NULL)
		return;
	for (size_t i = 0; i < GAUGE_COUNT; i++)
		self->values[i] = 0;
	snprintf(self->program, sizeof(self->program), "%s", program);
}

void
metrics_leave(void)
{
	if (self != NULL)
		self->pid = 0;
	self = NULL;
}

void
metric_set(enum gauge gauge, int64_t value)
{
	if (self != NULL)
		atomic_store_explicit(&self->values[gauge], value, memory_order_relaxed);
}

bool
metrics_next_process(unsigned *index, struct metric_process *process_r)
{
	for (; *index < PROCESSES_MAX; (*index)++) {
		struct process *p = &table->processes[*index];

		if (!is_alive(p->pid))
			continue;
		process_r->pid = p->pid;
		memcpy(process_r->program, p->program, sizeof(process_r->program) - 1);
		process_r->program[sizeof(process_r->program) - 1] = '\0';
		for (size_t i = 0; i < GAUGE_COUNT; i++)
			process_r->values[i] = p->values[i];
		(*index)++;
		return true;
	}
	return false;
}

static int
write_gauges(struct buffer *out)
{
	int64_t totals[GAUGE_COUNT] = {0};
	struct metric_process process;
	unsigned index = 0, count = 0;

	for (; metrics_next_process(&index, &process); count++)
		for (size_t i = 0; i < GAUGE_COUNT; i++) {
			if (gauges[i].over == SUM)
				totals[i] += process.values[i];
			else if (process.values[i] > totals[i])
				totals[i] = process.values[i];
		}
	for (size_t i = 0; i < GAUGE_COUNT; i++)
		if (buffer_printf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %.9g\n", gauges[i].name, gauges[i].help,
		                  gauges[i].name, gauges[i].name, (double)totals[i] * gauges[i].unit) == -1)
			return -1;
	return buffer_printf(out, "# HELP bakame_processes Processes of this host that live.\n"
	                          "# TYPE bakame_processes gauge\nbakame_processes %u\n", count);
}

int
metrics_write(struct buffer *out)
{
	if (write_gauges(out) == -1)
		return -1;
	for (uint32_t metric = 0; metric < METRIC_COUNT; metric++)
		if (write_metric(out, metric) == -1)
			return -1;
	return 0;
}
