/* program.c - see program/program.h */
#include "program/program.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "config/config.h"
#include "net/breaker.h"
#include "net/http_client.h"
#include "net/otlp_sender.h"
#include "net/pg.h"
#include "net/redis.h"
#include "net/sentry_sender.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/notify.h"
#include "runtime/shm.h"
#include "runtime/vitals.h"
#include "telemetry/crash.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "telemetry/sentry.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define TICK_MS 1000
#define LAST_EVENTS_MS 2000
/* What streams that were ended still store, and the last events. */
#define AFTER_DRAIN_SECS 15

static uv_timer_t timer;
static uv_signal_t signals[3];
static void (*tick)(void);
static void (*drain)(int number);
static bool draining;
static bool ending;

void
program_start_log(const char *name)
{
	log_init(name, (enum log_level)config()->log_level,
	         config()->log_format == CONFIG_FORMAT_JSON ? LOG_FORMAT_JSON : LOG_FORMAT_PRETTY,
	         (enum log_target)config()->log_target);
}

void
program_start_shared_memory(const char *name)
{
	struct err err;

	if (shm_start(config()->shm_name, &err) == -1)
		LOG_WARN(&log_root, "no shared memory: this process does not see its peers",
		         LOG_STR("reason", err.message));
	metrics_use(shm_section(METRICS_SECTION, metrics_size()));
	metrics_join(name);
	crash_install(shm_section("crash.1", crash_size()), name);
	breakers_start();
}

static void
start_sentry(const char *name)
{
	if (!config_has(FEATURE_SENTRY))
		return;
	sentry_start(&(struct sentry_options){
	    .program = name,
	    .release = "bakame@" PACKAGE_VERSION,
	    .environment = config_environment(),
	});
	sentry_sender_use(config()->sentry_dsn, config()->sentry_ca_file);
	sentry_sender_start();
}

void
program_start_tracking(const char *name)
{
	start_sentry(name);
	if (config_has(FEATURE_TRACES))
		otlp_sender_start(config()->otlp_endpoint, config()->otlp_service, PACKAGE_VERSION);
}

void
program_use_all_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void
program_leave_no_core(void)
{
	/* 0 would still go to a program that collects them; the kernel takes 1 for "to nobody" (core(5)) */
	const struct rlimit none = {1, 1};

	if (config()->env == CONFIG_ENV_PRODUCTION)
		(void)setrlimit(RLIMIT_CORE, &none);
}

static void
signal_cb(uv_signal_t *handle, int number)
{
	(void)handle;
	if (draining)
		return;
	draining = true;
	notify_stopping(config()->drain_secs + AFTER_DRAIN_SECS);
	drain(number);
}

/* multiwatch turns TERM, INT and HUP into USR1; Ctrl-C in a terminal is INT. */
void
program_handle_signals(void (*drain_cb)(int number))
{
	static const int numbers[] = {SIGTERM, SIGUSR1, SIGINT};

	drain = drain_cb;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);       /* a file that may not grow is an error of its write() */
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uv_signal_init(loop_get(), &signals[i]);
		uv_signal_start(&signals[i], signal_cb, numbers[i]);
		uv_unref((uv_handle_t *)&signals[i]);
	}
}

static void
gauge_database(void)
{
	struct pg_view view;

	pg_view(&view);
	metric_set(GAUGE_DATABASE_CONNECTIONS, view.open);
	metric_set(GAUGE_DATABASE_WAITING, view.waiting);
}

static void
tick_cb(uv_timer_t *handle)
{
	(void)handle;
	if (tick != NULL)
		tick();
	metric_set(GAUGE_UPSTREAM_CALLS, http_open_calls());
	metric_set(GAUGE_REDIS_PENDING, redis_pending());
	gauge_database();
	vitals_tick(TICK_MS);
	crash_report();
	notify_alive();
	log_flush();
}

void
program_start_ticking(void (*tick_fn)(void))
{
	tick = tick_fn;
	uv_timer_init(loop_get(), &timer);
	uv_timer_start(&timer, tick_cb, 0, TICK_MS);
	uv_unref((uv_handle_t *)&timer);
}

static void
say_last_words(void *arg)
{
	(void)arg;
	otlp_sender_stop();
	sentry_sender_finish(loop_now_ms() + LAST_EVENTS_MS);
	sentry_sender_stop();
	loop_stop();
}

void
program_end(void)
{
	if (!ending)
		fiber_spawn(say_last_words, NULL);
	ending = true;
}

/* A supervisor may say it twice: what has ended well must not die of it when
   libuv has put the default handlers back. */
static void
block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
}

void
program_clean_up(void)
{
	block_signals();
	fiber_pool_free();
	loop_close();
	metrics_use(NULL);
	crash_remove();
	shm_stop();
	config_unload();
	log_close();
}
