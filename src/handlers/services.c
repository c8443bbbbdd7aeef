/* services.c - see handlers/services.h */
#include "handlers/services.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "config/config.h"
#include "net/breaker.h"
#include "net/redis.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

#define EXPOSITION_MAX_BYTES ((size_t)2 * 1024 * 1024)
#define LOOKUPS "bakame_cache_lookups_total"

static struct json_object *
breaker_json(const struct breaker_view *view)
{
	struct json_object *b = json_object_new_object();
	int64_t age_ms = loop_now_ms() - view->since_ms;

	json_object_object_add(b, "name", json_object_new_string(view->name));
	json_object_object_add(b, "state", json_object_new_string(breaker_state_name(view->state)));
	json_object_object_add(b, "failures", json_object_new_int(view->failures));
	json_object_object_add(b, "failures_max", json_object_new_int(view->failures_max));
	json_object_object_add(b, "reset_seconds", json_object_new_int64(view->reset_ms / 1000));
	json_object_object_add(b, "since_seconds",
	                       view->since_ms != 0 ? json_object_new_int64(age_ms > 0 ? age_ms / 1000 : 0) : NULL);
	json_object_object_add(b, "opened", json_object_new_uint64(view->opened));
	return b;
}

struct json_object *
services_breakers(void)
{
	struct json_object *list = json_object_new_array();
	struct breaker_view view;

	for (unsigned i = 0; breaker_view(i, &view); i++)
		json_object_array_add(list, breaker_json(&view));
	return list;
}

struct json_object *
services_redis(void)
{
	struct json_object *redis = json_object_new_object();
	bool configured = config_has(FEATURE_REDIS);
	const char *protocol = config()->redis_url[0] != '\0' ? "resp" : "rest";

	json_object_object_add(redis, "configured", json_object_new_boolean(configured));
	json_object_object_add(redis, "protocol", configured ? json_object_new_string(protocol) : NULL);
	json_object_object_add(redis, "usable", json_object_new_boolean(redis_usable()));
	return redis;
}

/* Of `line`, a sample of the lookups: which cache, what came of it, how often. */
static bool
read_lookup(const char *line, char kind[32], char result[32], unsigned long long *count_r)
{
	return sscanf(line, LOOKUPS "{kind=\"%31[^\"]\",result=\"%31[^\"]\"} %llu", kind, result, count_r) == 3;
}

struct json_object *
services_caches(void)
{
	struct json_object *caches = json_object_new_object();
	struct buffer text = BUFFER_INIT(EXPOSITION_MAX_BYTES);
	const char *line = metrics_write(&text) == 0 ? text.data : NULL;

	for (; line != NULL; line = strchr(line, '\n')) {
		char kind[32], result[32];
		unsigned long long count;
		struct json_object *cache;

		line += *line == '\n';
		if (!read_lookup(line, kind, result, &count))
			continue;
		/* who waited for another's fetch was spared one */
		const char *name = strcmp(result, "coalesced") == 0 || strcmp(result, "negative") == 0 ? "hits"
		                   : strcmp(result, "hit") == 0                                       ? "hits"
		                   : strcmp(result, "miss") == 0                                      ? "misses"
		                                                                                      : "stale";

		if (!json_object_object_get_ex(caches, kind, &cache)) {
			cache = json_object_new_object();
			json_object_object_add(cache, "hits", json_object_new_int64(0));
			json_object_object_add(cache, "misses", json_object_new_int64(0));
			json_object_object_add(cache, "stale", json_object_new_int64(0));
			json_object_object_add(caches, kind, cache);
		}
		json_object_int_inc(json_object_object_get(cache, name), (int64_t)count);
	}
	buffer_free(&text);
	return caches;
}

bool
services_reset(const char *name)
{
	struct breaker *b = breaker_find(name);

	if (b == NULL)
		return false;
	breaker_reset(b, loop_now_ms());
	return true;
}
