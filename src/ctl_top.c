/* ctl_top.c - see ctl_top.h */
#include "ctl_top.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "config/config.h"
#include "net/breaker.h"
#include "runtime/loop.h"
#include "runtime/shm.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

#define WORKERS_SHOWN 64
#define CLEAR "\033[H\033[J"
#define BOLD "\033[1m"
#define PLAIN "\033[0m"
#define MIB (1024 * 1024)

/* What is counted from look to look. */
struct look {
	int64_t ms;
	struct metric_sum requests, first_token, tokens, failed, refused;
	unsigned workers;
	struct metric_process worker[WORKERS_SHOWN];
};

static bool fancy;

static void
take_look(struct look *l)
{
	struct timespec now;
	unsigned index = 0;

	clock_gettime(CLOCK_MONOTONIC, &now);
	*l = (struct look){.ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000};
	metric_sum(METRIC_REQUEST_SECONDS, "", &l->requests);
	metric_sum(METRIC_FIRST_TOKEN_SECONDS, "", &l->first_token);
	metric_sum(METRIC_TOKENS, "kind=\"completion\"", &l->tokens);
	metric_sum(METRIC_REQUESTS, "status=\"5", &l->failed);
	metric_sum(METRIC_REQUESTS, "status=\"429\"", &l->refused);
	while (l->workers < WORKERS_SHOWN && metrics_next_process(&index, &l->worker[l->workers]))
		l->workers++;
}

static double
rate(uint64_t now, uint64_t then, double seconds)
{
	return now > then ? (double)(now - then) / seconds : 0;
}

/* The bound below which `share` of what came between the two lies, in words: "< 5 ms". */
static const char *
quantile(const struct metric_sum *now, const struct metric_sum *then, double share, char *out, size_t size)
{
	uint64_t count = now->count - then->count;
	uint64_t below = 0;

	if (now->bounds == NULL || now->count <= then->count) {
		snprintf(out, size, "-");
		return out;
	}
	for (unsigned i = 0; now->bounds[i] > 0; i++) {
		below += now->buckets[i] - then->buckets[i];
		if ((double)below >= share * (double)count) {
			double bound = now->bounds[i];

			(void)snprintf(out, size, "< %.3g %s", bound < 1 ? bound * 1000 : bound, bound < 1 ? "ms" : "s");
			return out;
		}
	}
	snprintf(out, size, "long");
	return out;
}

static void
show_host(const struct look *l, const struct look *before)
{
	double seconds = (double)(l->ms - before->ms) / 1000;
	char half[32], most[32], token_half[32], token_most[32];
	int64_t streams = 0;

	for (unsigned i = 0; i < l->workers; i++)
		streams += l->worker[i].values[GAUGE_STREAMS];
	printf("%sBakame%s   %" PRId64 " streams   %.1f requests/s   %.1f tokens/s   %.1f failed/s   %.1f refused/s\n", fancy ? BOLD : "",
	       fancy ? PLAIN : "", streams, rate(l->requests.count, before->requests.count, seconds),
	       rate(l->tokens.count, before->tokens.count, seconds), rate(l->failed.count, before->failed.count, seconds),
	       rate(l->refused.count, before->refused.count, seconds));
	printf("answers: half %s, 99 %% %s   first token: half %s, 99 %% %s\n\n",
	       quantile(&l->requests, &before->requests, 0.5, half, sizeof(half)),
	       quantile(&l->requests, &before->requests, 0.99, most, sizeof(most)),
	       quantile(&l->first_token, &before->first_token, 0.5, token_half, sizeof(token_half)),
	       quantile(&l->first_token, &before->first_token, 0.99, token_most, sizeof(token_most)));
}

/* What this process had at the look before, or NULL. */
static const struct metric_process *
find_process(const struct look *l, int32_t pid)
{
	for (unsigned i = 0; i < l->workers; i++)
		if (l->worker[i].pid == pid)
			return &l->worker[i];
	return NULL;
}

static void
show_processes(const struct look *l, const struct look *before)
{
	double seconds = (double)(l->ms - before->ms) / 1000;

	if (l->workers == 0) {
		puts("no worker runs on this host: systemctl status 'bakame@*'\n");
		return;
	}
	printf("%-12s %8s %8s %11s %12s %8s %10s %7s\n", "process", "pid", "streams", "connections", "requests/s", "MiB", "loop late", "files");
	for (unsigned i = 0; i < l->workers; i++) {
		const struct metric_process *p = &l->worker[i], *then = find_process(before, p->pid);

		printf("%-12s %8" PRId32 " %8" PRId64 " %11" PRId64 " %12.1f %8.1f %7.1f ms %7" PRId64 "\n", p->program, p->pid,
		       p->values[GAUGE_STREAMS], p->values[GAUGE_CONNECTIONS],
		       then != NULL ? (double)(p->values[GAUGE_REQUESTS] - then->values[GAUGE_REQUESTS]) / seconds : 0.0,
		       (double)p->values[GAUGE_RESIDENT_BYTES] / MIB, (double)p->values[GAUGE_LOOP_LAG_US] / 1000,
		       p->values[GAUGE_OPEN_FDS]);
	}
	putchar('\n');
}

/* Only what is not as it should be. */
static void
show_breakers(const struct look *l)
{
	struct breaker_view view;
	bool any = false;

	fputs("breakers: ", stdout);
	for (unsigned i = 0; breaker_view(i, &view); i++) {
		if (view.state == BREAKER_CLOSED)
			continue;
		printf("%s%s%s %s%s for %" PRId64 " s", any ? ", " : "", fancy ? BOLD : "", view.name, breaker_state_name(view.state),
		       fancy ? PLAIN : "", l->ms > view.since_ms ? (l->ms - view.since_ms) / 1000 : 0);
		any = true;
	}
	puts(any ? "; the others closed" : "all closed");
}

static void
watch(int64_t every_secs, int64_t times)
{
	static struct look looks[2];
	struct look *before = &looks[0], *now = &looks[1];

	take_look(before);
	for (int64_t i = 0; times == 0 || i < times; i++) {
		struct look *done = before;

		nanosleep(&(struct timespec){.tv_sec = every_secs}, NULL);
		take_look(now);
		if (fancy)
			fputs(CLEAR, stdout);
		else if (i > 0)
			putchar('\n');
		show_host(now, before);
		show_processes(now, before);
		show_breakers(now);
		if (fflush(stdout) != 0)
			return;         /* nobody looks any more */
		before = now;
		now = done;
	}
}

int
ctl_top(int argc, char **argv)
{
	struct err err;
	int64_t every_secs = 1, times = 0;

	if ((argc > 1 && text_to_int64(argv[1], 1, 3600, &every_secs) == -1) ||
	    (argc > 2 && text_to_int64(argv[2], 1, 1000000, &times) == -1)) {
		fputs("usage: bakamectl top [seconds [times]]\n", stderr);
		return EX_USAGE;
	}
	if (config_load(stderr) == -1)
		return EX_CONFIG;
	log_init("bakamectl", LOG_LEVEL_WARN, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	if (shm_attach(config()->shm_name, &err) == -1) {
		fprintf(stderr, "bakamectl: %s  Does a worker run on this host?\n", err.message);
		return EX_UNAVAILABLE;
	}
	metrics_use(shm_section(METRICS_SECTION, metrics_size()));
	fancy = isatty(STDOUT_FILENO) == 1;
	watch(every_secs, times);
	metrics_use(NULL);
	loop_close();
	shm_stop();
	return EX_OK;
}
