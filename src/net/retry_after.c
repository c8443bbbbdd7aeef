/* retry_after.c - see net/retry_after.h */
#include "net/retry_after.h"

#include <curl/curl.h>

#include "base/text.h"

int64_t
retry_after_secs(const char *value, time_t now)
{
	int64_t secs;
	time_t when;

	if (text_to_int64(value, 0, RETRY_AFTER_MAX_SECS, &secs) == 0)
		return secs;
	when = curl_getdate(value, NULL);
	if (when == -1)
		return -1;
	secs = (int64_t)when - (int64_t)now;
	if (secs < 0)
		return 0;
	return secs <= RETRY_AFTER_MAX_SECS ? secs : -1;
}
