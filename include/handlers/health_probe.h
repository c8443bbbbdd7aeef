/*
 * health_probe.h - how what we depend on is: looked at side by side, at most 2 s, and shared by
 * all workers of the host for HEALTH_SHARED_MS, so that who polls cannot load it.
 *
 * A look never trips a breaker, but shows its state: open is unhealthy and half-open degraded, without a
 * further look.  Why a look failed is logged, when the one before it had not.
 */
#ifndef HANDLERS_HEALTH_PROBE_H
#define HANDLERS_HEALTH_PROBE_H

#include <stdint.h>

#define HEALTH_SHARED_MS 5000

enum health_status { HEALTH_HEALTHY, HEALTH_DEGRADED, HEALTH_UNHEALTHY, HEALTH_DISABLED };

enum health_service { HEALTH_DATABASE, HEALTH_REDIS, HEALTH_MODEL, HEALTH_SERVICES };

struct health {
	struct {
		enum health_status status;
		int32_t latency_ms;
	} services[HEALTH_SERVICES];
};

/* How it is, by a look of at most HEALTH_SHARED_MS ago, or a new one.  Waits. */
void health_look(struct health *health_r);

#endif
