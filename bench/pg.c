/*
 * pg.c - what a transaction costs a worker: CPU of this process, which has the pool and nothing else.
 *
 *	bench-pg [SECONDS [FIBERS [PER_SECOND]]]
 *
 * The settings are the workers' (DATABASE_URL, DATABASE_POOL ...).  Each fiber runs one-row reads as a person, one after
 * the other; PER_SECOND of all of them together, 0: as many as go.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/text.h"
#include "config/config.h"
#include "net/pg.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"

#define NOBODY "00000000-0000-4000-8000-000000000000"
#define SAMPLES_MAX 1000000

static int64_t seconds = 5, fibers = 20, per_second;
static int64_t ended;
static int64_t done, failed;
static uint64_t began_ns;
static uv_timer_t alive;
static uint32_t *samples;               /* microseconds */

static void
one_read(struct arena *a)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = NOBODY, .read_only = true};
	const struct pg_rows *rows;
	uint64_t from = uv_hrtime();
	struct err err;

	if (pg_query(&tx, a, &rows, &err,
	             "select id, title, pinned, updated_at from conversations where user_id = $1"
	             " order by pinned desc, updated_at desc, id desc limit 20",
	             PG_PARAMS(NOBODY)) == -1) {
		if (failed++ == 0)
			fprintf(stderr, "%s (%s)\n", err.message, err.cause);
		return;
	}
	if (done < SAMPLES_MAX)
		samples[done] = (uint32_t)((uv_hrtime() - from) / 1000);
	done++;
}

static void
fiber_main(void *arg)
{
	int64_t turn = (int64_t)(intptr_t)arg;

	while (uv_hrtime() - began_ns < (uint64_t)seconds * 1000000000U) {
		struct arena *a = arena_new((size_t)1 << 20);
		struct err err;

		if (per_second > 0) {
			int64_t due = turn * 1000 / per_second - (int64_t)((uv_hrtime() - began_ns) / 1000000);

			turn += fibers;
			if (due > 0 && fiber_sleep(due, &err) == -1)
				return;
		}
		one_read(a);
		arena_free(&a);
	}
	if (++ended == fibers)
		loop_stop();
}

/* A loop without anything to wait for would end. */
static void
alive_cb(uv_timer_t *timer)
{
	(void)timer;
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void
report(void)
{
	struct rusage use;
	double cpu, wall = (double)(uv_hrtime() - began_ns) / 1e9;
	size_t count = (size_t)(done < SAMPLES_MAX ? done : SAMPLES_MAX);

	getrusage(RUSAGE_SELF, &use);
	cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
	      (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
	qsort(samples, count, sizeof(*samples), compare);
	printf("%" PRId64 " transactions, %" PRId64 " failed, %.0f/s, CPU %.1f us each", done, failed, (double)done / wall,
	       done > 0 ? cpu / (double)done : 0);
	if (count > 0)
		printf(", p50 %u us, p99 %u us", samples[count / 2], samples[count * 99 / 100]);
	putchar('\n');
}

int
main(int argc, char **argv)
{
	int64_t *const values[] = {&seconds, &fibers, &per_second};

	for (int i = 1; i < argc && i <= 3; i++)
		if (text_to_int64(argv[i], 0, 100000, values[i - 1]) == -1) {
			fputs("usage: bench-pg [SECONDS [FIBERS [PER_SECOND]]]\n", stderr);
			return 64;
		}
	if (config_load(stderr) == -1 || sodium_init() == -1)
		return 78;
	samples = mem_alloc(SAMPLES_MAX * sizeof(*samples));
	pg_start();
	began_ns = uv_hrtime();
	for (int64_t i = 0; i < fibers; i++)
		fiber_spawn(fiber_main, (void *)(intptr_t)i);
	uv_timer_init(loop_get(), &alive);
	uv_timer_start(&alive, alive_cb, 1000, 1000);
	loop_run();
	report();
	pg_stop();
	fiber_pool_free();
	loop_close();
	config_unload();
	free(samples);
	return failed > 0;
}
