/*
 * fuzz_headers.c - headers that ask for a pause, and the one that names a trace.
 *
 * A pause is within its bounds, and several limits ask for the longest of what each asks for; a trace that is
 * taken is written as it was read, and of one that is not nothing is kept.
 */
#include <sodium.h>
#include <string.h>

#include "base/text.h"
#include "fuzz.h"
#include "net/retry_after.h"
#include "net/sentry_sender.h"
#include "telemetry/trace.h"

#define INPUT_MAX 1024
#define DAY_SECS 86400
/* Mon, 30 Nov 2026 22:13:20 GMT */
#define NOW 1796076800

static void
check_retry_after(const char *text)
{
	int64_t secs = retry_after_secs(text, NOW), number;

	REQUIRE(secs >= -1 && secs <= DAY_SECS);
	if (text_to_int64(text, 0, INT64_MAX, &number) == 0 && number <= DAY_SECS)
		REQUIRE(secs == number);
	/* a date is as far away as it is, whenever one looks */
	if (secs > 0 && text_to_int64(text, 0, DAY_SECS, &number) == -1)
		REQUIRE(retry_after_secs(text, NOW + 1) == secs - 1);
}

static int64_t
longest(const char *limits)
{
	int64_t secs = sentry_pause_secs(200, limits, -1);

	REQUIRE(secs >= 0 && secs <= DAY_SECS);
	return secs;
}

/* The whole asks for as much as what is before each comma, or what is behind it. */
static void
check_limits(char *text)
{
	const int64_t whole = longest(text);

	for (char *comma = strchr(text, ','); comma != NULL; comma = strchr(comma + 1, ',')) {
		int64_t before, after = longest(comma + 1);

		*comma = '\0';
		before = longest(text);
		*comma = ',';
		REQUIRE(whole == (before > after ? before : after));
	}
	/* with such a header neither the status nor Retry-After counts */
	REQUIRE(sentry_pause_secs(429, text, 17) == whole);
}

static void
check_trace(const char *text)
{
	struct trace_context read, again;
	char written[TRACEPARENT_BYTES];

	if (!trace_read(text, &read)) {
		REQUIRE(sodium_is_zero((const unsigned char *)&read, sizeof(read)));
		return;
	}
	REQUIRE(trace_given(&read));
	trace_write(&read, written);
	/* but for version and further flags */
	REQUIRE(strncmp(written + 2, text + 2, TRACEPARENT_BYTES - 1 - 2 - 2) == 0);
	REQUIRE(trace_read(written, &again));
	REQUIRE(sodium_memcmp(&read, &again, sizeof(read)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size > INPUT_MAX || memchr(data, '\0', size) != NULL)
		return 0;
	text = mem_alloc(size + 1);     /* of its own, so that reading past it is seen */
	memcpy(text, data, size);
	check_retry_after(text);
	check_limits(text);
	check_trace(text);
	free(text);
	return 0;
}
