/* health.c - is this worker alive, can it take chats, and how is what it depends on? */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <string.h>
#include <time.h>

#include "config/config.h"
#include "handlers/health_probe.h"
#include "handlers/routes.h"
#include "http/request.h"
#include "http/response.h"
#include "http/server.h"
#include "runtime/loop.h"

int
handle_health_live(struct request *rq, struct err *err)
{
	static const char alive[] = "{\"status\":\"alive\"}";

	(void)err;
	response_header(rq, "Cache-Control", "no-store");
	return response_text(rq, 200, "application/json; charset=utf-8", alive, sizeof(alive) - 1);
}

static int
not_ready(struct err *err, const char *why)
{
	err_set(err, ERR_UNAVAILABLE, "Not ready: %s.", why);
	err->retry_after_secs = 5;
	return -1;
}

int
handle_health_ready(struct request *rq, struct err *err)
{
	static const char ready[] = "{\"status\":\"ready\"}";

	if (server_is_draining())
		return not_ready(err, "this worker is ending");
	if (!config_has(FEATURE_MODEL))
		return not_ready(err, "no model is configured");
	if (server_is_full())
		return not_ready(err, "all places are taken");
	response_header(rq, "Cache-Control", "no-store");
	return response_text(rq, 200, "application/json; charset=utf-8", ready, sizeof(ready) - 1);
}

static const char *const statuses[] = {
    [HEALTH_HEALTHY] = "healthy",
    [HEALTH_DEGRADED] = "degraded",
    [HEALTH_UNHEALTHY] = "unhealthy",
    [HEALTH_DISABLED] = "disabled",
};

static const char *const names[] = {
    [HEALTH_DATABASE] = "database",
    [HEALTH_REDIS] = "redis",
    [HEALTH_MODEL] = "openai",
};

/* Without a model there are no chats; without the rest they are not what they could be. */
static enum health_status
overall(const struct health *h)
{
	enum health_status model = h->services[HEALTH_MODEL].status;

	if (model == HEALTH_UNHEALTHY || model == HEALTH_DISABLED)
		return HEALTH_UNHEALTHY;
	for (int i = 0; i < HEALTH_SERVICES; i++)
		if (h->services[i].status == HEALTH_DEGRADED || h->services[i].status == HEALTH_UNHEALTHY)
			return HEALTH_DEGRADED;
	return HEALTH_HEALTHY;
}

static struct json_object *
services_json(const struct health *h)
{
	struct json_object *services = json_object_new_object();

	for (int i = 0; i < HEALTH_SERVICES; i++) {
		struct json_object *service = json_object_new_object();

		json_object_object_add(service, "status", json_object_new_string(statuses[h->services[i].status]));
		json_object_object_add(service, "latency", json_object_new_int(h->services[i].latency_ms));
		json_object_object_add(services, names[i], service);
	}
	return services;
}

/* RFC 3339 */
static void
write_now(char *out, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm) == NULL || strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}

int
handle_health(struct request *rq, struct err *err)
{
	struct json_object *body = json_object_new_object();
	struct health health;
	enum health_status status;
	char now[32];

	(void)err;
	health_look(&health);
	status = overall(&health);
	write_now(now, sizeof(now));
	json_object_object_add(body, "status", json_object_new_string(statuses[status]));
	json_object_object_add(body, "version", json_object_new_string(PACKAGE_VERSION));
	json_object_object_add(body, "uptime", json_object_new_int64((loop_now_ms() - server_started_ms()) / 1000));
	json_object_object_add(body, "timestamp", json_object_new_string(now));
	json_object_object_add(body, "services", services_json(&health));
	response_header(rq, "Cache-Control", "no-store");
	response_json(rq, status == HEALTH_UNHEALTHY ? 503 : 200, body);
	json_object_put(body);
	return 0;
}
