/* ctl_services.c - bakamectl services: the breakers of this host, from the memory that its workers share */
#include "ctl_services.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "config/config.h"
#include "handlers/services.h"
#include "net/breaker.h"
#include "runtime/loop.h"
#include "runtime/shm.h"
#include "telemetry/log.h"

static int
list(void)
{
	struct breaker_view view;
	int64_t now = loop_now_ms();

	printf("%-16s %-10s %-10s %-8s %-10s %s\n", "service", "state", "failures", "reset", "since", "opened");
	for (unsigned i = 0; breaker_view(i, &view); i++) {
		char failures[32], reset[24], since[24] = "-";

		snprintf(failures, sizeof(failures), "%d of %d", view.failures, view.failures_max);
		snprintf(reset, sizeof(reset), "%" PRId64 " s", view.reset_ms / 1000);
		if (view.since_ms != 0)
			snprintf(since, sizeof(since), "%" PRId64 " s", now > view.since_ms ? (now - view.since_ms) / 1000 : 0);
		printf("%-16s %-10s %-10s %-8s %-10s %" PRIu64 "\n", view.name, breaker_state_name(view.state), failures, reset,
		       since, view.opened);
	}
	return EX_OK;
}

static int
reset(const char *name)
{
	if (services_reset(name)) {
		printf("%s: closed\n", name);
		return EX_OK;
	}
	fprintf(stderr, "bakamectl: there is no service \"%s\"; bakamectl services lists them\n", name);
	return EX_USAGE;
}

int
ctl_services(int argc, char **argv)
{
	struct err err;
	int status;

	if (argc != 1 && (argc != 3 || strcmp(argv[1], "reset") != 0)) {
		fputs("usage: bakamectl services [reset name]\n", stderr);
		return EX_USAGE;
	}
	if (config_load(stderr) == -1)
		return EX_CONFIG;
	log_init("bakamectl", LOG_LEVEL_WARN, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	if (shm_attach(config()->shm_name, &err) == -1) {
		fprintf(stderr, "bakamectl: %s  Does a worker run on this host?\n", err.message);
		return EX_UNAVAILABLE;
	}
	status = argc == 1 ? list() : reset(argv[2]);
	loop_close();
	shm_stop();
	return status;
}
