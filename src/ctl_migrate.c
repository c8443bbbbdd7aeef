/* ctl_migrate.c - bakamectl migrate */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "config/config.h"
#include "ctl_database.h"
#include "store/migrate.h"

#ifndef SQL_DIR
#define SQL_DIR "sql"
#endif

static int
complain(const struct err *err)
{
	fprintf(stderr, "bakamectl: %s\n", err->message);
	switch (err->code) {
	case ERR_UNAVAILABLE:
		return EX_UNAVAILABLE;
	case ERR_CONFLICT:
		return EX_DATAERR;
	default:
		return EX_SOFTWARE;
	}
}

static const char *
owner_url(void)
{
	const struct config *c = config();

	if (c->database_owner_url[0] != '\0')
		return c->database_owner_url;
	return c->supabase_db_pooler_url[0] != '\0' ? c->supabase_db_pooler_url : c->database_url;
}

static int
migrate(const char *directory, bool status)
{
	bool pending = false;
	struct err err;
	int rc;

	if (config_load(stderr) == -1)
		return EX_CONFIG;
	if (*owner_url() == '\0') {
		fputs("bakamectl: no database is configured; set DATABASE_URL\n", stderr);
		return EX_CONFIG;
	}
	rc = status ? migrate_status(owner_url(), directory, stdout, &pending, &err)
	            : migrate_run(owner_url(), directory, stdout, &err);
	if (rc == -1)
		return complain(&err);
	return pending ? EX_TEMPFAIL : EX_OK;
}

int
ctl_migrate(int argc, char **argv)
{
	const char *directory = SQL_DIR;
	bool status = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--status") == 0) {
			status = true;
		} else if (strcmp(argv[i], "--from") == 0 && i + 1 < argc) {
			directory = argv[++i];
		} else {
			fprintf(stderr, "bakamectl: migrate does not know %s\n", argv[i]);
			return EX_USAGE;
		}
	}
	return migrate(directory, status);
}
