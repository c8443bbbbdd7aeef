/*
 * limiter.c - what decisions of the limiter cost.
 *
 *	bench-limiter redis|host KEYS SECONDS FIBERS COUNT/WINDOW
 *
 * Settings come from the environment as for a worker (REDIS_URL, SHM_NAME).  Prints one JSON object: decisions
 * in all and by whom, seconds, CPU seconds of this process, percentiles of a decision's time.
 * `host` calls the table in shared memory itself, without a loop.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "config/config.h"
#include "guard/limit_table.h"
#include "guard/limiter.h"
#include "net/redis.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/shm.h"
#include "telemetry/log.h"

#define KEY_BYTES 48
#define SAMPLES_MAX 4000000

static struct {
	unsigned keys;
	double seconds;
	unsigned fibers;
	struct limit limit;
} plan;

static struct {
	uint64_t by[LIMIT_BY_BOTH + 1], admitted;
	uint32_t *took_us;
	char (*keys)[KEY_BYTES];
	size_t samples;
	unsigned running;
	int64_t until_us;
} run;

static double
cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static uint32_t
next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void
make_keys(void)
{
	run.keys = mem_alloc(plan.keys * sizeof(run.keys[0]));
	for (unsigned i = 0; i < plan.keys; i++)
		snprintf(run.keys[i], KEY_BYTES, "u:%08x-0000-4000-8000-000000000000", i);
}

static const char *
pick_key(uint32_t *random)
{
	return run.keys[next_random(random) % plan.keys];
}

static void
ask_redis(void *arg)
{
	uint32_t random = (uint32_t)(uintptr_t)arg * 2654435761U + 1;
	struct limit_decision d;

	for (;;) {
		int64_t began = limit_table_now_us(), took;

		if (began >= run.until_us)
			break;
		limiter_hit(pick_key(&random), plan.limit, &d);
		took = limit_table_now_us() - began;
		run.by[d.decided_by]++;
		run.admitted += d.admitted;
		if (run.samples < SAMPLES_MAX)
			run.took_us[run.samples++] = (uint32_t)took;
		if (d.decided_by == LIMIT_BY_HOST && took < 100) {      /* else it would never wait */
			struct err err;

			(void)!fiber_sleep(0, &err);
		}
	}
	if (--run.running == 0)
		loop_stop();
}

static void
nothing_cb(uv_timer_t *timer)
{
	(void)timer;
}

static void
run_redis(void)
{
	static uv_timer_t timer;        /* keeps the loop alive */

	uv_timer_init(loop_get(), &timer);
	uv_timer_start(&timer, nothing_cb, 1000, 1000);
	run.running = plan.fibers;
	for (unsigned i = 0; i < plan.fibers; i++)
		fiber_spawn(ask_redis, (void *)(uintptr_t)(i + 1));
	loop_run();
}

static void
run_host(void)
{
	uint32_t random = 1;
	struct limit_count count;

	while (limit_table_now_us() < run.until_us) {
		for (int i = 0; i < 1000; i++) {
			run.admitted += limit_table_hit(pick_key(&random), plan.limit, &count) == 1;
		}
		run.by[LIMIT_BY_HOST] += 1000;
	}
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t
percentile(double p)
{
	return run.samples > 0 ? run.took_us[(size_t)((double)(run.samples - 1) * p)] : 0;
}

static void
print_result(double seconds, double cpu)
{
	uint64_t all = run.by[LIMIT_BY_REDIS] + run.by[LIMIT_BY_HOST] + run.by[LIMIT_BY_BOTH];

	qsort(run.took_us, run.samples, sizeof(run.took_us[0]), by_size);
	printf("{\"decisions\":%" PRIu64 ",\"admitted\":%" PRIu64 ",\"redis\":%" PRIu64 ",\"host\":%" PRIu64
	       ",\"both\":%" PRIu64 ",\"seconds\":%.3f,\"cpu\":%.3f,\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u}\n",
	       all, run.admitted, run.by[LIMIT_BY_REDIS], run.by[LIMIT_BY_HOST], run.by[LIMIT_BY_BOTH], seconds, cpu,
	       percentile(.5), percentile(.99), percentile(1));
}

static int
read_plan(int argc, char **argv)
{
	if (argc != 6 || sscanf(argv[5], "%" SCNd64 "/%" SCNd64, &plan.limit.count, &plan.limit.window_secs) != 2)
		return -1;
	plan.keys = (unsigned)strtoul(argv[2], NULL, 10);
	plan.seconds = strtod(argv[3], NULL);
	plan.fibers = (unsigned)strtoul(argv[4], NULL, 10);
	return plan.keys > 0 && plan.seconds > 0 && plan.fibers > 0 ? 0 : -1;
}

int
main(int argc, char **argv)
{
	struct err err;
	double cpu;
	int64_t began;

	if (read_plan(argc, argv) == -1) {
		fputs("usage: bench-limiter redis|host KEYS SECONDS FIBERS COUNT/WINDOW\n", stderr);
		return 64;
	}
	if (config_load(stderr) == -1 || sodium_init() == -1)
		return 78;
	log_init("bench-limiter", LOG_LEVEL_INFO, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	if (shm_start(config()->shm_name, &err) == -1)
		return 1;
	redis_start();
	limiter_start();
	run.took_us = mem_alloc(SAMPLES_MAX * sizeof(run.took_us[0]));
	make_keys();
	began = limit_table_now_us();
	run.until_us = began + (int64_t)(plan.seconds * 1e6);
	cpu = cpu_seconds();
	if (strcmp(argv[1], "host") == 0)
		run_host();
	else
		run_redis();
	print_result((double)(limit_table_now_us() - began) / 1e6, cpu_seconds() - cpu);
	free(run.keys);
	free(run.took_us);
	redis_stop();
	loop_close();
	shm_stop();
	config_unload();
	return 0;
}
