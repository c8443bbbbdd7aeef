/*
 * services.h - the services that Bakame leans on, as the operator sees them.
 *
 * For GET /api/admin/services and POST /api/admin/services/{name}/reset.  Nothing here waits.
 */
#ifndef HANDLERS_SERVICES_H
#define HANDLERS_SERVICES_H

#include <json-c/json.h>
#include <stdbool.h>

/*
 * The breakers of the host, each
 *	{"name", "state": "closed" | "open" | "half_open", "failures", "failures_max", "reset_seconds",
 *	 "since_seconds": how long in this state, or null if it never changed, "opened": how often, ever}
 * json_object_put() it.
 */
struct json_object *services_breakers(void);

/* {"configured", "protocol": "resp" | "rest" | null, "usable"}; json_object_put() it. */
struct json_object *services_redis(void);

/* {"weather": {"hits", "misses", "stale"}, ...}: what the caches of tools were asked, over all workers of the host since
   its shared memory was made; json_object_put() it. */
struct json_object *services_caches(void);

/* Close the breaker of that name; false if there is none. */
bool services_reset(const char *name);

#endif
