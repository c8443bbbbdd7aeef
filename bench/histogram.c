#include "histogram.h"

#include <inttypes.h>

/* Values below HISTOGRAM_STEPS have a bucket each; above, every power of two is
   divided in HISTOGRAM_STEPS equal buckets. */
static size_t
bucket_of(int64_t us)
{
	uint64_t value = us > 0 ? (uint64_t)us : 0;
	unsigned shift = 0;
	size_t bucket;

	while (value >> shift >= 2 * HISTOGRAM_STEPS)
		shift++;
	bucket = (size_t)shift * HISTOGRAM_STEPS + (size_t)(value >> shift);
	return bucket < HISTOGRAM_SIZE ? bucket : HISTOGRAM_SIZE - 1;
}

/* The greatest value of a bucket. */
static int64_t
value_of(size_t bucket)
{
	size_t shift = bucket < 2 * HISTOGRAM_STEPS ? 0 : bucket / HISTOGRAM_STEPS - 1;

	return ((int64_t)(bucket - shift * HISTOGRAM_STEPS + 1) << shift) - 1;
}

void
histogram_add(struct histogram *histogram, int64_t us)
{
	histogram->counts[bucket_of(us)]++;
	histogram->total++;
	if (us > histogram->max_us)
		histogram->max_us = us;
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (size_t i = 0; i < HISTOGRAM_SIZE; i++)
		into->counts[i] += from->counts[i];
	into->total += from->total;
	if (from->max_us > into->max_us)
		into->max_us = from->max_us;
}

int64_t
histogram_percentile(const struct histogram *histogram, double share)
{
	double wanted = share * (double)histogram->total;
	uint64_t seen = 0;

	for (size_t i = 0; i < HISTOGRAM_SIZE; i++) {
		seen += histogram->counts[i];
		if (seen > 0 && (double)seen >= wanted)
			return value_of(i) < histogram->max_us ? value_of(i) : histogram->max_us;
	}
	return 0;
}

void
histogram_print(const struct histogram *histogram, FILE *out)
{
	fprintf(out,
		"{\"count\":%" PRIu64 ",\"p50\":%" PRId64 ",\"p90\":%" PRId64 ",\"p99\":%" PRId64
		",\"max\":%" PRId64 "}",
		histogram->total, histogram_percentile(histogram, 0.5), histogram_percentile(histogram, 0.9),
		histogram_percentile(histogram, 0.99), histogram->max_us);
}
