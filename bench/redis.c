/*
 * redis.c - what a command of Redis costs a worker: CPU of this process, which has the client and nothing else.
 *
 *	REDIS_URL=... bench-redis [SECONDS [FIBERS]]
 *
 * The settings are the workers'.  Each fiber runs GETs of a key of 32 bytes, one after the other.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/text.h"
#include "config/config.h"
#include "net/redis.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"

#define ARENA_BYTES 4096
#define KEY REDIS_TEXT("{bench}:key")
#define VALUE REDIS_TEXT("0123456789abcdef0123456789abcdef")

static int64_t seconds = 5, fibers = 64;
static int64_t running, done, failed;
static int64_t until_ms;
static uv_timer_t alive;

static double
cpu_seconds(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void
ask(const struct redis_word *words, size_t count)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct redis_value reply;
	struct err err = {0};

	if (redis_command(redis_shared(), a, &reply, &err, words, count) == 0) {
		done++;
	} else if (failed++ == 0) {
		fprintf(stderr, "bench-redis: %s (%s)\n", err.message, err.cause);
	}
	arena_free(&a);
}

static void
fiber_main(void *arg)
{
	(void)arg;
	while (loop_now_ms() < until_ms && failed < 1000)
		ask(REDIS_WORDS(REDIS_TEXT("GET"), KEY));
	if (--running == 0)
		loop_stop();
}

static void
start_main(void *arg)
{
	(void)arg;
	ask(REDIS_WORDS(REDIS_TEXT("SET"), KEY, VALUE));
	until_ms = loop_now_ms() + seconds * 1000;
	running = fibers;
	for (int64_t i = 0; i < fibers; i++)
		fiber_spawn(fiber_main, NULL);
}

/* A loop with nothing to do ends. */
static void
alive_cb(uv_timer_t *timer)
{
	(void)timer;
}

int
main(int argc, char **argv)
{
	double cpu, wall;

	if ((argc > 1 && text_to_int64(argv[1], 1, 600, &seconds) == -1) ||
	    (argc > 2 && text_to_int64(argv[2], 1, 8000, &fibers) == -1) || argc > 3) {
		fputs("usage: REDIS_URL=... bench-redis [SECONDS [FIBERS]]\n", stderr);
		return 2;
	}
	setenv("BAKAME_ENV", "development", 0);
	if (config_load(stderr) == -1)
		return 1;
	redis_start();
	uv_timer_init(loop_get(), &alive);
	uv_timer_start(&alive, alive_cb, 1000, 1000);
	fiber_spawn(start_main, NULL);
	cpu = cpu_seconds();
	wall = (double)uv_hrtime() / 1e9;
	loop_run();
	cpu = cpu_seconds() - cpu;
	wall = (double)uv_hrtime() / 1e9 - wall;
	printf("%" PRId64 " fibers: %.0f commands/s, %.2f us of this process' CPU each (%.0f a second of CPU), %" PRId64 " failed\n",
	       fibers, (double)done / wall, cpu / (double)done * 1e6, (double)done / cpu, failed);
	redis_stop();
	fiber_pool_free();
	loop_close();
	config_unload();
	return failed > 0;
}
