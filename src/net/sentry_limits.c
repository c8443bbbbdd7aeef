/* sentry_limits.c - what a server of Sentry's kind asks for; see net/sentry_sender.h */
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "net/sentry_sender.h"

/* When a server says "too many" and not for how long. */
#define PAUSE_DEFAULT_SECS 60
#define PAUSE_MAX_SECS 86400

/* Is the list of categories, separated by ";", empty (all) or does it name events? */
static bool
concerns_events(const char *categories, size_t len)
{
	static const char *const ours[] = {"error", "default"};

	if (len == 0)
		return true;
	while (len > 0) {
		const char *end = memchr(categories, ';', len);
		size_t part = end != NULL ? (size_t)(end - categories) : len;

		for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
			if (part == strlen(ours[i]) && strncmp(categories, ours[i], part) == 0)
				return true;
		if (end == NULL)
			return false;
		categories += part + 1;
		len -= part + 1;
	}
	return false;
}

/* One "SECONDS:CATEGORIES:SCOPE[:REASON...]"; 0 if it does not concern us or makes no sense. */
static int64_t
read_limit(const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len);
	const char *end;
	char number[12];
	size_t digits;
	int64_t secs;

	if (colon == NULL)
		return 0;
	digits = (size_t)(colon - text);
	if (digits == 0 || digits >= sizeof(number))
		return 0;
	memcpy(number, text, digits);
	number[digits] = '\0';
	number[strcspn(number, ".")] = '\0';
	if (text_to_int64(number, 0, INT64_MAX, &secs) == -1)
		return 0;
	if (secs > PAUSE_MAX_SECS)      /* a quota used up for the month: asked again after a day */
		secs = PAUSE_MAX_SECS;
	end = memchr(colon + 1, ':', len - digits - 1);
	if (end == NULL)
		end = text + len;
	return concerns_events(colon + 1, (size_t)(end - colon - 1)) ? secs : 0;
}

int64_t
sentry_pause_secs(long status, const char *limits, int64_t retry_after_secs)
{
	int64_t longest = 0;

	if (limits != NULL) {
		while (*(limits += strspn(limits, ", ")) != '\0') {
			size_t len = strcspn(limits, ",");
			int64_t secs = read_limit(limits, len);

			if (secs > longest)
				longest = secs;
			limits += len;
		}
		return longest;
	}
	if (status != 429)
		return 0;
	return retry_after_secs > 0 ? retry_after_secs : PAUSE_DEFAULT_SECS;
}
