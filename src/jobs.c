/*
 * jobs.c - bakame-jobs: does what the queue holds, behind the replies.
 *
 * Any number may run, on any number of hosts.  What they can do stands in one table, handlers/jobs.c.
 */
#include <sodium.h>
#include <stdio.h>
#include <sysexits.h>

#include "config/config.h"
#include "handlers/jobs.h"
#include "net/cache.h"
#include "net/http_client.h"
#include "net/pg.h"
#include "net/redis.h"
#include "program/program.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/notify.h"
#include "runtime/shm.h"
#include "store/consumer.h"
#include "store/upload_type.h"
#include "store/uploads.h"
#include "telemetry/log.h"
#include "telemetry/sentry.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#define UPSTREAM_CONNS_KEPT 16L
#define PROGRAM "bakame-jobs"
/* What uploads left over is looked for so often; the first time soon. */
#define CLEAN_EVERY_SECS 600
#define CLEAN_FIRST_SECS 5
#define FINISH_POLL_MS 5

static struct fiber *cleaner;           /* while it runs */

static void
clean_uploads(void *arg)
{
	struct uploads_cleaned c;
	struct err err;

	(void)arg;
	if (uploads_clean(&c, &err) == -1)
		LOG_WARN(&log_root, "uploads were not cleaned up", LOG_STR("reason", err.message), LOG_STR("cause", err.cause));
	else if (c.temporary + c.not_stored + c.remains + c.texts > 0)
		LOG_INFO(&log_root, "uploads cleaned up", LOG_INT("temporary", c.temporary), LOG_INT("not_stored", c.not_stored),
		         LOG_INT("remains", c.remains), LOG_INT("texts", c.texts));
	cleaner = NULL;
}

static void
tick(void)
{
	static unsigned ticks;

	if (ticks++ % CLEAN_EVERY_SECS == CLEAN_FIRST_SECS && config_has(FEATURE_DATABASE) && cleaner == NULL)
		cleaner = fiber_spawn(clean_uploads, NULL);
}

static void
finish(void *arg)
{
	(void)arg;
	if (cleaner != NULL)
		fiber_cancel(cleaner, FIBER_DRAINING);
	while (cleaner != NULL)
		(void)!fiber_sleep(FINISH_POLL_MS, NULL);
	pg_finish();
	program_end();
}

static void
drained(void)
{
	fiber_spawn(finish, NULL);
}

static void
drain(int number)
{
	LOG_INFO(&log_root, "draining", LOG_INT("signal", number), LOG_INT("jobs", consumer_load()),
	         LOG_INT("at_most_secs", config()->drain_secs));
	consumer_drain(config()->drain_secs * 1000, drained);
}

static void
clean_up(void)
{
	redis_stop();
	sentry_stop();
	pg_stop();
	http_client_stop();
	upload_type_stop();
	program_clean_up();
}

int
main(void)
{
	if (config_load(stderr) == -1)
		return EX_CONFIG;
	program_start_log(PROGRAM);
	program_leave_no_core();
	if (!config_has(FEATURE_REDIS)) {
		/* no fault where its unit is started with the others; a status of its own, as the unit tries again after faults */
		LOG_WARN(&log_root, "nothing to do", LOG_STR("reason", "REDIS_URL is not set: the queue is in Redis"));
		return EX_UNAVAILABLE;
	}
	if (sodium_init() == -1)
		return EX_SOFTWARE;
	program_use_all_descriptors();
	program_start_shared_memory(PROGRAM);
	program_handle_signals(drain);
	http_client_start(UPSTREAM_CONNS_KEPT);
	program_start_tracking(PROGRAM);
	redis_start();
	pg_start();
	cache_start();
	consumer_start(&(struct consumer_options){
	    .handlers = job_handlers,
	    .concurrency = (unsigned)config()->jobs_concurrency,
	    .lease_ms = config()->jobs_lease_secs * 1000,
	    .retry_ms = config()->jobs_retry_ms,
	    .deadline_ms = config()->request_deadline_secs * 1000,
	});
	program_start_ticking(tick);
	LOG_INFO(&log_root, "jobs started", LOG_STR("version", PACKAGE_VERSION),
	         LOG_INT("at_a_time", config()->jobs_concurrency), LOG_BOOL("shared_memory", shm_is_shared()));
	notify_ready();
	loop_run();
	LOG_INFO(&log_root, "jobs ended");
	clean_up();
	return 0;
}
