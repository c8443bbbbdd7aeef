/* ctl_uploads.c - bakamectl uploads clean: take away what uploads left over */
#include "ctl_uploads.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "config/config.h"
#include "net/http_client.h"
#include "net/pg.h"
#include "runtime/errand.h"
#include "store/upload_type.h"
#include "store/uploads.h"

#define UPSTREAM_CONNS_KEPT 4L

static int
clean(void *arg)
{
	struct uploads_cleaned c;
	struct err err;

	(void)arg;
	if (uploads_clean(&c, &err) == -1) {
		fprintf(stderr, "bakamectl: %s (%s)\n", err.message, err.cause);
		return EX_UNAVAILABLE;
	}
	printf("%u temporary files, %u files that never arrived, %u files without an owner taken away; %u texts extracted.\n",
	       c.temporary, c.not_stored, c.remains, c.texts);
	return EX_OK;
}

int
ctl_uploads(int argc, char **argv)
{
	int status;

	if (argc != 2 || strcmp(argv[1], "clean") != 0) {
		fputs("usage: bakamectl uploads clean\n", stderr);
		return EX_USAGE;
	}
	if (config_load(stderr) == -1)
		return EX_CONFIG;
	if (!config_has(FEATURE_DATABASE)) {
		fputs("bakamectl: no database is configured: there are no uploads.\n", stderr);
		return EX_CONFIG;
	}
	if (sodium_init() == -1)
		return EX_SOFTWARE;
	http_client_start(UPSTREAM_CONNS_KEPT);
	pg_start();
	status = errand_run(clean, NULL);
	pg_stop();
	http_client_stop();
	upload_type_stop();
	errand_end();
	config_unload();
	return status;
}
