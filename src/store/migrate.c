/* migrate.c - see store/migrate.h */
#include "store/migrate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/text.h"
#include "net/pg_conn.h"

#define MIGRATIONS_MAX 999
#define FILE_MAX_BYTES ((size_t)1 << 20)
#define SHA256_HEX_BYTES (crypto_hash_sha256_BYTES * 2 + 1)
#define NAME_MAX_BYTES 100

struct migration {
	char name[NAME_MAX_BYTES];      /* of the file */
	char sha256[SHA256_HEX_BYTES];
	char *sql;
};

struct migrator {
	PGconn *pg;
	struct migration *files;
	size_t count;
	FILE *out;
};

/* "bakame" in ASCII: whoever migrates this database waits for whoever does already. */
#define LOCK "select pg_advisory_xact_lock(108170655329637)"

static const char begin[] = "begin; set local lock_timeout = '120s'; set local statement_timeout = '3600s'; " LOCK;
static const char make_table[] =
    "set local client_min_messages = warning; create schema if not exists bakame; set local search_path = bakame;"
    "create table if not exists bakame.migrations ("
    " number integer primary key check (number > 0), name text not null, sha256 text not null,"
    " applied_at timestamptz not null default now());"
    "reset client_min_messages";

/* ---- the files ---- */

/* 0001_name.sql */
static bool
is_migration(const char *name)
{
	size_t len = strlen(name);

	return strspn(name, "0123456789") == 4 && name[4] == '_' && len > 9 && len < NAME_MAX_BYTES &&
	       strcmp(name + len - 4, ".sql") == 0;
}

static int
choose_cb(const struct dirent *entry)
{
	return is_migration(entry->d_name);
}

static int
read_whole(int directory, const char *name, struct buffer *text, struct err *err)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	char part[4096];
	ssize_t n = -1;

	while (fd != -1 && (n = read(fd, part, sizeof(part))) > 0)
		if (buffer_append(text, part, (size_t)n) == -1)
			break;
	if (n != 0)
		err_set(err, ERR_INTERNAL, "%s: %s", name, n > 0 ? "it has more than 1 MiB" : strerror(errno));
	if (fd != -1)
		close(fd);
	return n == 0 ? 0 : -1;
}

static int
read_migration(int directory, const char *name, size_t number, struct migration *m, struct err *err)
{
	struct buffer text = BUFFER_INIT(FILE_MAX_BYTES);
	unsigned char digest[crypto_hash_sha256_BYTES];
	char expected[24];

	snprintf(expected, sizeof(expected), "%04zu_", number);
	if (strncmp(name, expected, 5) != 0)
		return err_set(err, ERR_INTERNAL, "%s: the next migration must be %s...", name, expected);
	if (read_whole(directory, name, &text, err) == -1) {
		buffer_free(&text);
		return -1;
	}
	text_copy(m->name, sizeof(m->name), name);
	m->sql = mem_strdup(text.len > 0 ? text.data : "");
	crypto_hash_sha256(digest, (const unsigned char *)m->sql, text.len);
	sodium_bin2hex(m->sha256, sizeof(m->sha256), digest, sizeof(digest));
	buffer_free(&text);
	return 0;
}

static int
read_directory(struct migrator *m, const char *directory, struct err *err)
{
	struct dirent **entries = NULL;
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int found = fd == -1 ? -1 : scandir(directory, &entries, choose_cb, alphasort);
	int rc = found > 0 && found <= MIGRATIONS_MAX ? 0 : -1;

	if (rc == -1)
		err_set(err, ERR_INTERNAL, "%s: %s", directory, found == -1 ? strerror(errno) : "there are no migrations here");
	else
		m->files = mem_alloc((size_t)found * sizeof(*m->files));
	for (int i = 0; i < found; i++) {
		if (rc == 0 && (rc = read_migration(fd, entries[i]->d_name, (size_t)i + 1, &m->files[i], err)) == 0)
			m->count++;
		free(entries[i]);
	}
	free(entries);
	if (fd != -1)
		close(fd);
	return rc;
}

/* ---- the database ---- */

static void
notice_cb(void *arg, const char *message)
{
	(void)arg;
	fputs(message, stderr);
}

static int
connect_to(struct migrator *m, const char *url, struct err *err)
{
	char *clean = pg_url_clean(url);
	const char *const names[] = {"dbname", "client_encoding", "fallback_application_name", "connect_timeout", NULL};
	const char *const values[] = {clean, "UTF8", "bakamectl", "10", NULL};

	m->pg = PQconnectdbParams(names, values, 1);
	free(clean);
	PQsetNoticeProcessor(m->pg, notice_cb, NULL);
	if (PQstatus(m->pg) != CONNECTION_OK)
		return err_set(err, ERR_UNAVAILABLE, "No connection to the database: %s", PQerrorMessage(m->pg));
	if (PQserverVersion(m->pg) < 150000)
		return err_set(err, ERR_UNAVAILABLE, "The database is PostgreSQL %d; 15 or newer is needed.",
		               PQserverVersion(m->pg) / 10000);
	return 0;
}

static int
run(struct migrator *m, const char *what, const char *sql, struct err *err)
{
	PGresult *result = PQexec(m->pg, sql);
	bool ok = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK ||
	          PQresultStatus(result) == PGRES_EMPTY_QUERY;

	PQclear(result);
	return ok ? 0 : err_set(err, ERR_INTERNAL, "%s: %s", what, PQerrorMessage(m->pg));
}

static PGresult *
applied(struct migrator *m, struct err *err)
{
	PGresult *rows = PQexec(m->pg, "select number, name, sha256, to_char(applied_at at time zone 'UTC',"
	                               " 'YYYY-MM-DD HH24:MI:SS') from bakame.migrations order by number");

	if (PQresultStatus(rows) == PGRES_TUPLES_OK)
		return rows;
	err_set(err, ERR_INTERNAL, "bakame.migrations: %s", PQerrorMessage(m->pg));
	PQclear(rows);
	return NULL;
}

/* Is what was applied what the first files say?  *count_r: of how many. */
static int
check_applied(struct migrator *m, size_t *count_r, struct err *err)
{
	PGresult *rows = applied(m, err);
	int rc = rows != NULL ? 0 : -1;

	*count_r = rows != NULL ? (size_t)PQntuples(rows) : 0;
	for (size_t i = 0; rc == 0 && i < *count_r; i++) {
		const char *name = PQgetvalue(rows, (int)i, 1);

		if (i >= m->count)
			rc = err_set(err, ERR_CONFLICT,
			             "The database is newer than this program: it has %s, which is not in the directory.",
			             name);
		else if (strcmp(PQgetvalue(rows, (int)i, 2), m->files[i].sha256) != 0)
			rc = err_set(err, ERR_CONFLICT,
			             "%s was changed after it was applied as %s; put it back, and add a new file instead.",
			             m->files[i].name, name);
	}
	PQclear(rows);
	return rc;
}

static int
record(struct migrator *m, size_t index, struct err *err)
{
	char number[8];
	const char *const params[] = {number, m->files[index].name, m->files[index].sha256};
	PGresult *result;
	bool ok;

	snprintf(number, sizeof(number), "%zu", index + 1);
	result = PQexecParams(m->pg, "insert into bakame.migrations (number, name, sha256) values ($1, $2, $3)", 3, NULL, params,
	                      NULL, NULL, 0);
	ok = PQresultStatus(result) == PGRES_COMMAND_OK;
	PQclear(result);
	return ok ? 0 : err_set(err, ERR_INTERNAL, "bakame.migrations: %s", PQerrorMessage(m->pg));
}

/* In one transaction: the next that is missing.  1 if there was one, 0 if not, -1 with *err. */
static int
apply_next(struct migrator *m, struct err *err)
{
	const struct migration *next;
	size_t done;

	if (run(m, "the lock", begin, err) == -1 || run(m, "bakame.migrations", make_table, err) == -1 ||
	    check_applied(m, &done, err) == -1)
		return -1;
	if (done == m->count)
		return run(m, "the end", "commit", err);
	next = &m->files[done];
	if (run(m, next->name, next->sql, err) == -1)
		return -1;
	if (PQtransactionStatus(m->pg) != PQTRANS_INTRANS)
		return err_set(err, ERR_INTERNAL, "%s: it ends the transaction that it runs in.", next->name);
	if (record(m, done, err) == -1 || run(m, next->name, "commit", err) == -1)
		return -1;
	fprintf(m->out, "%s: applied\n", next->name);
	return 1;
}

static void
release(struct migrator *m)
{
	PQfinish(m->pg);                /* which undoes what was not committed */
	for (size_t i = 0; i < m->count; i++)
		free(m->files[i].sql);
	free(m->files);
}

int
migrate_run(const char *url, const char *directory, FILE *out, struct err *err)
{
	struct migrator m = {.out = out};
	int rc = read_directory(&m, directory, err) == 0 && connect_to(&m, url, err) == 0 ? 1 : -1;

	while (rc == 1)
		rc = apply_next(&m, err);
	release(&m);
	return rc;
}

static int
tell_status(struct migrator *m, bool *pending_r, struct err *err)
{
	PGresult *there = PQexec(m->pg, "select from pg_class where oid = to_regclass('bakame.migrations')");
	PGresult *rows = NULL;
	size_t done = 0;
	int rc = 0;

	if (PQntuples(there) > 0)
		rc = (rows = applied(m, err)) != NULL ? check_applied(m, &done, err) : -1;
	for (size_t i = 0; rc == 0 && i < m->count; i++) {
		if (i < done)
			fprintf(m->out, "%s: applied %s UTC\n", m->files[i].name, PQgetvalue(rows, (int)i, 3));
		else
			fprintf(m->out, "%s: missing\n", m->files[i].name);
	}
	*pending_r = done < m->count;
	PQclear(rows);
	PQclear(there);
	return rc;
}

int
migrate_status(const char *url, const char *directory, FILE *out, bool *pending_r, struct err *err)
{
	struct migrator m = {.out = out};
	int rc = read_directory(&m, directory, err) == 0 && connect_to(&m, url, err) == 0
	             ? tell_status(&m, pending_r, err)
	             : -1;

	release(&m);
	return rc;
}
