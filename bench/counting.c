/*
 * counting.c - what counting costs: the metrics of one signed-in chat with a tool, in memory that all processes share.
 *
 *	bench-metrics SECONDS PROCESSES
 *
 * PROCESSES of them count at the same time, in the same series.  Prints nanoseconds of CPU time for each chat,
 * and for writing all that was counted once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "telemetry/metrics.h"

#define AT_ONCE 1000
#define WRITES 200
#define TEXT_MAX_BYTES ((size_t)2 << 20)

static double
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Found once, at the start of a worker. */
static struct metric_series *admitted, *redis_ok, *redis_seconds;

static void
find_series(void)
{
	admitted = metric_series(METRIC_LIMITER_DECISIONS, "decided_by=\"redis\",result=\"admitted\"");
	redis_ok = metric_series(METRIC_REDIS_COMMANDS, "result=\"ok\"");
	redis_seconds = metric_series(METRIC_REDIS_SECONDS, "");
}

/* As the router, the limiter, the database's pool, the turn, the tools and the log do it. */
static void
count_chat(unsigned number)
{
	char labels[128];
	int status = number % 50 == 0 ? 429 : 200;

	metric_add(admitted, 1);
	metric_add(redis_ok, 1);
	metric_observe(redis_seconds, .0004);
	for (int i = 0; i < 2; i++) {   /* what was said, and the answer */
		metric_count(METRIC_DATABASE_QUERIES, "result=\"ok\"");
		metric_observe(metric_series(METRIC_DATABASE_SECONDS, ""), .0012);
	}
	for (int i = 0; i < 2; i++)     /* before the tool, and after */
		metric_count(METRIC_MODEL_CALLS, "result=\"ok\"");
	metric_count(METRIC_CACHE_LOOKUPS, "kind=\"weather\",result=\"hit\"");
	metric_count(METRIC_TOOL_CALLS, "tool=\"weather\",result=\"ok\"");
	metric_observe(metric_series(METRIC_TOOL_SECONDS, "tool=\"weather\""), .002);
	metric_observe(metric_series(METRIC_FIRST_TOKEN_SECONDS, ""), .3);
	metric_add(metric_series(METRIC_TOKENS, "kind=\"prompt\""), 200);
	metric_add(metric_series(METRIC_TOKENS, "kind=\"completion\""), 100);
	for (int i = 0; i < 2; i++)     /* "answer" and "request" */
		metric_count(METRIC_LOG_LINES, "level=\"info\"");
	snprintf(labels, sizeof(labels), "route=\"%s\",status=\"%d\"", "/api/chat", status);
	metric_count(METRIC_REQUESTS, labels);
	snprintf(labels, sizeof(labels), "route=\"%s\"", "/api/chat");
	metric_observe(metric_series(METRIC_REQUEST_SECONDS, labels), 3);
}

static double
count_for(double seconds)
{
	double began = cpu_ns(), used;
	unsigned chats = 0;

	do {
		for (unsigned i = 0; i < AT_ONCE; i++)
			count_chat(chats++);
		used = cpu_ns() - began;
	} while (used < seconds * 1e9);
	return used / chats;
}

static double
write_all(size_t *bytes_r)
{
	double began = cpu_ns();

	for (unsigned i = 0; i < WRITES; i++) {
		struct buffer text = BUFFER_INIT(TEXT_MAX_BYTES);

		if (metrics_write(&text) == -1)
			abort();
		*bytes_r = text.len;
		buffer_free(&text);
	}
	return (cpu_ns() - began) / WRITES;
}

/* As many series as a host has that has seen most of it, or all that there is room for. */
static void
fill(unsigned routes)
{
	static const int statuses[] = {200, 400, 401, 429, 500, 503};
	char labels[64];

	for (unsigned i = 0; i < routes; i++) {
		for (size_t s = 0; s < sizeof(statuses) / sizeof(statuses[0]); s++) {
			snprintf(labels, sizeof(labels), "route=\"/api/route/%u\",status=\"%d\"", i, statuses[s]);
			metric_count(METRIC_REQUESTS, labels);
		}
		snprintf(labels, sizeof(labels), "route=\"/api/route/%u\"", i);
		metric_observe(metric_series(METRIC_REQUEST_SECONDS, labels), .01);
	}
}

int
main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;
	long processes = argc > 2 ? strtol(argv[2], NULL, 10) : 1;
	void *memory = mmap(NULL, metrics_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	size_t bytes = 0;
	double ns;

	if (memory == MAP_FAILED)
		return 1;
	metrics_use(memory);
	find_series();
	fill(30);
	for (long i = 1; i < processes; i++)
		if (fork() == 0) {
			(void)count_for(seconds);
			_exit(0);
		}
	ns = count_for(seconds);
	printf("one chat's metrics, %ld at a time: %.0f ns\n", processes, ns);
	while (wait(NULL) > 0)
		continue;
	ns = write_all(&bytes);
	printf("writing %zu bytes: %.2f ms\n", bytes, ns / 1e6);
	fill(140);
	ns = write_all(&bytes);
	printf("writing %zu bytes, with all series in use: %.2f ms\n", bytes, ns / 1e6);
	return 0;
}
