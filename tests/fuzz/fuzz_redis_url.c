/*
 * fuzz_redis_url.c - URLs of Redis.
 *
 * What is taken names a host or a socket, never both, with all numbers in their bounds; a reason is given
 * for what is not.
 */
#include <string.h>

#include "config/redis_url.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[300];
	struct redis_url url;
	const char *fault;

	if (size >= sizeof(text) || memchr(data, '\0', size) != NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	fault = redis_url_parse(text, &url);
	if (fault != NULL) {
		REQUIRE(strncmp(fault, "must ", 5) == 0);
	} else {
		REQUIRE((url.host != NULL) != (url.path != NULL));
		REQUIRE(url.host == NULL || (url.host[0] != '\0' && url.port >= 1 && url.port <= 65535));
		REQUIRE(url.path == NULL || url.path[0] == '/');
		REQUIRE(url.db >= 0 && url.db <= REDIS_DB_MAX);
		REQUIRE(url.user == NULL || url.password != NULL);
	}
	redis_url_free(&url);
	return 0;
}
