/* health_probe.c - see handlers/health_probe.h */
#include "handlers/health_probe.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "chat/model_server.h"
#include "config/config.h"
#include "net/breaker.h"
#include "net/pg.h"
#include "net/redis.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/shm.h"
#include "telemetry/log.h"

#define PROBE_MS 2000
/* An answer that took longer is one, but not as it should be. */
#define SLOW_MS 1000
/* Who looks has died if it takes him so long. */
#define LOOKING_MAX_MS 4000
/* How often those who wait for him look, and how old a result they take rather than wait. */
#define WAIT_LOOK_MS 20
#define OLD_MS 30000
#define ARENA_BYTES ((size_t)64 * 1024)

/* Of the host.  `version` is odd while it is written: a reader takes what he has read only if it has not
   changed.  Who dies writing is followed by another after LOOKING_MAX_MS, who makes it even again. */
struct shared {
	_Atomic int64_t looking_since_ms;       /* 0: nobody looks */
	_Atomic uint32_t version;
	_Atomic int64_t taken_ms;               /* 0: never */
	_Atomic uint64_t services[HEALTH_SERVICES];     /* status, latency */
};

struct probe {
	enum health_service service;
	bool failed;                            /* it was asked, and *err says why not */
	struct err err;
	struct health *health;
	struct fiber *waiter;
	unsigned *running;
};

static const struct {
	enum feature feature;
	const char *breaker;
} services[HEALTH_SERVICES] = {
    [HEALTH_DATABASE] = {FEATURE_DATABASE, "database"},
    [HEALTH_REDIS] = {FEATURE_REDIS, "redis"},
    [HEALTH_MODEL] = {FEATURE_MODEL, "openai"},
};

static int
ask(enum health_service service, struct arena *a, int64_t deadline_ms, struct err *err)
{
	const struct pg_tx tx = {.role = PG_ANON, .read_only = true, .probe = true, .timeout_ms = PROBE_MS};
	const struct pg_rows *rows;

	switch (service) {
	case HEALTH_DATABASE:
		return pg_query(&tx, a, &rows, err, "select 1", PG_NO_PARAMS);
	case HEALTH_REDIS:
		return redis_ping(redis_shared(), a, deadline_ms, err);
	case HEALTH_MODEL:
		return model_ping(deadline_ms, err);
	case HEALTH_SERVICES:
		break;
	}
	return -1;
}

static enum health_status
look_at(enum health_service service, int32_t *latency_ms_r, bool *failed_r, struct err *err)
{
	struct breaker *breaker = breaker_find(services[service].breaker);
	enum breaker_state state = breaker != NULL ? breaker_state(breaker) : BREAKER_CLOSED;
	int64_t began = loop_now_ms();
	struct arena *a;
	int rc;

	*latency_ms_r = 0;
	if (!config_has(services[service].feature))
		return HEALTH_DISABLED;
	if (state == BREAKER_OPEN && breaker_is_open(breaker, began))
		return HEALTH_UNHEALTHY;
	if (state == BREAKER_HALF_OPEN)
		return HEALTH_DEGRADED;
	a = arena_new(ARENA_BYTES);
	rc = ask(service, a, began + PROBE_MS, err);
	arena_free(&a);
	*latency_ms_r = (int32_t)(loop_now_ms() - began);
	*failed_r = rc == -1;
	if (rc == -1)
		return HEALTH_UNHEALTHY;
	/* open, but somebody may try: nobody has yet */
	return *latency_ms_r > SLOW_MS || state != BREAKER_CLOSED ? HEALTH_DEGRADED : HEALTH_HEALTHY;
}

static void
probe_main(void *arg)
{
	struct probe *p = arg;

	p->health->services[p->service].status =
	    look_at(p->service, &p->health->services[p->service].latency_ms, &p->failed, &p->err);
	if (--*p->running == 0)
		fiber_wake(p->waiter);
}

/* Once, and not at each look: nobody may have asked it for anything else. */
static void
tell_failure(const struct probe *p, const struct health *before)
{
	if (p->failed && (before == NULL || before->services[p->service].status != HEALTH_UNHEALTHY))
		LOG_WARN(&log_root, "a health check failed", LOG_STR("service", services[p->service].breaker),
		         LOG_STR("reason", p->err.message), LOG_STR("cause", p->err.cause));
}

/* Look at all of them, side by side.  To its end even if the client leaves: others wait for it, too.  `before` is the
   last result, or NULL. */
static void
look(struct health *h, const struct health *before)
{
	struct probe probes[HEALTH_SERVICES];
	unsigned running = HEALTH_SERVICES;

	fiber_mask_begin();
	for (unsigned i = 0; i < HEALTH_SERVICES; i++) {
		probes[i] = (struct probe){
		    .service = (enum health_service)i, .health = h, .waiter = fiber_self(), .running = &running};
		fiber_spawn(probe_main, &probes[i]);
	}
	while (running > 0)
		(void)!fiber_wait(FIBER_NO_DEADLINE);
	for (unsigned i = 0; i < HEALTH_SERVICES; i++)
		tell_failure(&probes[i], before);
	fiber_mask_end();
}

/* ---- what the workers share ---- */

static struct shared *
shared(void)
{
	static struct shared *s;

	if (s == NULL)
		s = shm_section("health.1", sizeof(*s));
	return s;
}

/* The last result, if it is at most `age_ms` old. */
static bool
read_result(struct shared *s, int64_t age_ms, struct health *h)
{
	uint32_t version = atomic_load(&s->version);
	int64_t taken = atomic_load(&s->taken_ms);

	for (unsigned i = 0; i < HEALTH_SERVICES; i++) {
		uint64_t packed = atomic_load(&s->services[i]);

		h->services[i].status = (enum health_status)(packed >> 32);
		h->services[i].latency_ms = (int32_t)(packed & UINT32_MAX);
	}
	return version % 2 == 0 && atomic_load(&s->version) == version && taken != 0 && loop_now_ms() - taken <= age_ms;
}

static void
write_result(struct shared *s, const struct health *h)
{
	uint32_t version = atomic_load(&s->version) | 1;

	atomic_store(&s->version, version);
	for (unsigned i = 0; i < HEALTH_SERVICES; i++)
		atomic_store(&s->services[i],
		             (uint64_t)h->services[i].status << 32 | (uint32_t)h->services[i].latency_ms);
	atomic_store(&s->taken_ms, loop_now_ms());
	atomic_store(&s->version, version + 1);
}

/* Shall this one look?  Exactly one of all workers at a time. */
static bool
take_turn(struct shared *s)
{
	int64_t since = atomic_load(&s->looking_since_ms);

	if (since != 0 && loop_now_ms() - since < LOOKING_MAX_MS)
		return false;
	return atomic_compare_exchange_strong(&s->looking_since_ms, &since, loop_now_ms());
}

void
health_look(struct health *h)
{
	struct shared *s = shared();
	struct health before;
	struct err err;

	while (!read_result(s, HEALTH_SHARED_MS, h)) {
		if (take_turn(s)) {
			look(h, read_result(s, INT64_MAX, &before) ? &before : NULL);
			write_result(s, h);
			atomic_store(&s->looking_since_ms, 0);
			return;
		}
		if (read_result(s, OLD_MS, h))
			return;
		if (fiber_sleep(WAIT_LOOK_MS, &err) == -1)
			return;
	}
}
