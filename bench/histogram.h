/*
 * histogram.h - counts of durations in microseconds, exact to about 3 %.
 *
 * A plain struct without pointers: it can live in shared memory and be merged.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_STEPS 32 /* per power of two */
#define HISTOGRAM_SIZE (40 * HISTOGRAM_STEPS)

struct histogram {
	uint64_t counts[HISTOGRAM_SIZE];
	uint64_t total;
	int64_t max_us;
};

void histogram_add(struct histogram *histogram, int64_t us);

void histogram_merge(struct histogram *into, const struct histogram *from);

/* The value that `share` (0 to 1) of all do not exceed; 0 if there are none. */
int64_t histogram_percentile(const struct histogram *histogram, double share);

/* Writes {"count":…,"p50":…,"p90":…,"p99":…,"max":…}. */
void histogram_print(const struct histogram *histogram, FILE *out);

#endif
