/*
 * worker.c - bakame-fcgi, one worker: the order in which it starts, runs, ends.
 *
 * It never forks; whoever starts it (spawn-fcgi, systemd, mod_fcgid) hands it
 * a listening socket that it shares with its peers.
 */
#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>
#include <sysexits.h>

#include "config/config.h"
#include "guard/auth.h"
#include "guard/limiter.h"
#include "handlers/routes.h"
#include "http/fcgi.h"
#include "http/server.h"
#include "net/cache.h"
#include "net/http_client.h"
#include "net/pg.h"
#include "net/redis.h"
#include "program/program.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/notify.h"
#include "runtime/peers.h"
#include "runtime/shm.h"
#include "store/upload_type.h"
#include "store/uploads.h"
#include "store/usage.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "telemetry/sentry.h"
#include "tools/registry.h"
#include "worker_status.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#define UPSTREAM_CONNS_KEPT 256L
#define PROGRAM "bakame-fcgi"

static void
tick(void)
{
	peers_beat(loop_now_ms(), !server_is_draining());
	metric_set(GAUGE_STREAMS, server_load());
	metric_set(GAUGE_CONNECTIONS, server_connections());
	metric_set(GAUGE_REQUESTS, (int64_t)server_requests());
	usage_tick();
	worker_status_tell();
}

/* What runs besides requests ends, and the last sums are written. */
static void
finish(void *arg)
{
	(void)arg;
	uploads_finish();
	usage_finish();
	pg_finish();
	program_end();
}

static void
drained(void)
{
	static bool ending;

	if (!ending)
		fiber_spawn(finish, NULL);
	ending = true;
}

static void
drain(int number)
{
	LOG_INFO(&log_root, "draining", LOG_INT("signal", number), LOG_INT("streams", server_load()),
	         LOG_INT("at_most_secs", config()->drain_secs));
	peers_beat(loop_now_ms(), false);
	server_drain(config()->drain_secs * 1000, drained);
}

static void
clean_up(void)
{
	peers_leave();
	redis_stop();
	sentry_stop();
	auth_stop();
	pg_stop();
	http_client_stop();
	upload_type_stop();
	tools_stop();
	program_clean_up();
}

int
main(void)
{
	struct err err;
	int fd;

	if (config_load(stderr) == -1)
		return EX_CONFIG;
	program_start_log(PROGRAM);
	program_leave_no_core();
	fd = server_find_socket(&err);
	if (fd == -1) {
		LOG_ERROR(&log_root, "cannot start", LOG_STR("reason", err.message));
		return EX_USAGE;
	}
	if (sodium_init() == -1)
		return EX_SOFTWARE;
	program_use_all_descriptors();
	program_start_shared_memory(PROGRAM);
	peers_join((uint32_t)config()->max_streams);
	fcgi_init();
	program_handle_signals(drain);
	http_client_start(UPSTREAM_CONNS_KEPT);
	program_start_tracking(PROGRAM);
	redis_start();
	pg_start();
	auth_start();
	limiter_start();
	tools_start();
	cache_start();
	router_init(routes);
	server_start(fd, (uint32_t)config()->max_streams, config()->own_socket, router_serve);
	program_start_ticking(tick);
	LOG_INFO(&log_root, "worker started", LOG_STR("version", PACKAGE_VERSION),
	         LOG_INT("max_streams", config()->max_streams), LOG_BOOL("shared_memory", shm_is_shared()));
	notify_ready();
	loop_run();
	LOG_INFO(&log_root, "worker ended");
	clean_up();
	return 0;
}
