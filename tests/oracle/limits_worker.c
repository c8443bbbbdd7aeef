/*
 * limits_worker.c - one of several processes that ask limiter_hit() for the oracle (limits.py) to judge.
 *
 *	limits-worker REQUESTS PER_SECOND SEED FILE
 *
 * Settings as for a worker.  Of 1,000 keys each has a limit and a window by its number (as limits.py has
 * them).  Some are asked steadily, some in bursts at any phase, some at random; and every 300 ms all
 * processes fall upon the same key.  FILE gets one record for each decision; the first line of standard output is by
 * how much CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, in microseconds.
 */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/config.h"
#include "guard/limit_table.h"
#include "guard/limiter.h"
#include "net/redis.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/shm.h"
#include "telemetry/crash.h"
#include "telemetry/log.h"

#define KEYS 1000
#define FIBERS 200
#define HOT_US 300000
#define BURST_MAX 40
#define LOOK_MS 1000

struct record {
	uint32_t key;
	uint8_t admitted;
	uint8_t by;
	uint16_t remaining;
	int64_t at_us;
	int64_t before_us, after_us;
};

static struct {
	uint64_t requests, done;
	double per_second;
	uint32_t seed;
	FILE *out;
	unsigned running;
} run;

static uint32_t
next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static struct limit
limit_of(uint32_t key)
{
	static const int64_t counts[] = {1, 2, 5, 10, 30, 100, 1000};

	return (struct limit){counts[key % 7], 1 + key % 2};
}

static void
ask(uint32_t key)
{
	struct record r = {.key = key};
	struct limit_decision d;
	char text[32];

	snprintf(text, sizeof(text), "u:oracle-%u", key);
	r.before_us = limit_table_now_us();
	limiter_hit(text, limit_of(key), &d);
	r.after_us = limit_table_now_us();
	r.admitted = d.admitted;
	r.by = (uint8_t)d.decided_by;
	r.remaining = (uint16_t)d.remaining;
	r.at_us = d.at_us;
	fwrite(&r, sizeof(r), 1, run.out);
	run.done++;
}

/* The key that all processes ask at this moment. */
static uint32_t
hot_key(void)
{
	uint32_t slice = (uint32_t)(limit_table_now_us() / HOT_US) * 2654435761U + 1;

	return next_random(&slice) % KEYS;
}

/* One thing that a client does; how many requests it was. */
static uint32_t
act(uint32_t own, uint32_t *random)
{
	uint32_t count = 1, what = next_random(random) % 16;

	if (what < 6) { /* steadily its own key */
		ask(own);
	} else if (what < 10) { /* any */
		ask(next_random(random) % KEYS);
	} else { /* a burst on what is hot, or on its own */
		uint32_t key = what < 15 ? hot_key() : own;

		count = 1 + next_random(random) % BURST_MAX;
		for (uint32_t i = 0; i < count; i++)
			ask(key);
	}
	return count;
}

static void
client(void *arg)
{
	const uint32_t number = (uint32_t)(uintptr_t)arg;
	uint32_t random = (run.seed * FIBERS + number) * 2654435761U + 1;
	const uint32_t own = next_random(&random) % KEYS;
	struct err err;

	while (run.done < run.requests) {
		double pause_ms = act(own, &random) * 1000.0 * FIBERS / run.per_second;

		(void)!fiber_sleep((int64_t)(pause_ms * (next_random(&random) % 2048) / 1024), &err);
	}
	if (--run.running == 0)
		loop_stop();
}

/* One of the others may have died. */
static void
look_around_cb(uv_timer_t *timer)
{
	(void)timer;
	crash_report();
}

static void
print_clocks(void)
{
	struct timespec real, mono;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &real);
	printf("%" PRId64 "\n",
	       (int64_t)(real.tv_sec - mono.tv_sec) * 1000000 + (real.tv_nsec - mono.tv_nsec) / 1000);
	fflush(stdout);
}

static void
run_clients(void)
{
	static uv_timer_t timer;

	uv_timer_init(loop_get(), &timer); /* also keeps the loop alive */
	uv_timer_start(&timer, look_around_cb, LOOK_MS, LOOK_MS);
	run.running = FIBERS;
	for (uintptr_t i = 0; i < FIBERS; i++)
		fiber_spawn(client, (void *)i);
	loop_run();
}

static int
complain(const char *what, const char *why)
{
	fprintf(stderr, "limits-worker: %s: %s\n", what, why);
	return 1;
}

/* 0, or -1 if not all decisions are there. */
static int
close_records(void)
{
	int failed = ferror(run.out);

	return fclose(run.out) != 0 || failed != 0 ? -1 : 0;
}

int
main(int argc, char **argv)
{
	struct err err;
	int status = 0;

	if (argc != 5)
		return complain("usage", "limits-worker REQUESTS PER_SECOND SEED FILE");
	if ((run.out = fopen(argv[4], "wb")) == NULL)
		return complain(argv[4], strerror(errno));
	run.requests = strtoull(argv[1], NULL, 10);
	run.per_second = strtod(argv[2], NULL);
	run.seed = (uint32_t)strtoul(argv[3], NULL, 10);
	if (config_load(stderr) == -1)
		return 78;
	if (sodium_init() == -1)
		return complain("libsodium", "no random numbers");
	log_init("limits-worker", LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
	if (shm_start(config()->shm_name, &err) == -1)
		return complain("shared memory", err.message);
	crash_install(shm_section("crash.1", crash_size()), "limits-worker");
	redis_start();
	limiter_start();
	print_clocks();
	run_clients();
	if (close_records() == -1)
		status = complain(argv[4], "not all decisions could be written");
	crash_report();
	redis_stop();
	fiber_pool_free();
	loop_close();
	crash_remove();
	shm_stop();
	config_unload();
	return status;
}
