/* uploads_jobs.c - what is done with uploads behind the replies; see store/uploads.h */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ident.h"
#include "net/pg.h"
#include "runtime/fiber.h"
#include "store/blob.h"
#include "store/blob_s3.h"
#include "store/upload_text.h"
#include "store/uploads.h"
#include "telemetry/log.h"

#define ARENA_BYTES ((size_t)4 * 1024 * 1024)
/* Texts that are extracted in a worker at a time; what is more waits for the clean-up. */
#define HERE_MAX 4
#define FINISH_POLL_MS 5
/* Files that arrive take no longer. */
#define ARRIVAL_SECS 3600
#define STUCK_MAX 5

static const struct pg_tx service = {.role = PG_SERVICE};
static struct fiber *here[HERE_MAX];    /* that extract in this process; NULL: none */

/* ---- text ---- */

static int
note_text(struct arena *a, const char *id, const struct buffer *text, int64_t chars, struct err *err)
{
	const struct pg_rows *rows;
	char count[24];

	snprintf(count, sizeof(count), "%" PRId64, chars);
	return pg_query(&service, a, &rows, err,
	                "update uploads set text = $2, text_chars = $3::integer, text_status = 'done', text_error = null"
	                " where id = $1::uuid",
	                PG_PARAMS(id, text->data != NULL ? text->data : "", count));
}

/* The file is at fault: that is the end of it. */
static int
note_failure(struct arena *a, const char *id, const char *why, struct err *err)
{
	const struct pg_rows *rows;

	return pg_query(&service, a, &rows, err,
	                "update uploads set text_status = 'failed', text_error = $2 where id = $1::uuid", PG_PARAMS(id, why));
}

static int
extract(struct arena *a, const char *id, struct err *err)
{
	const struct pg_rows *rows;
	struct buffer text = {0};
	int64_t chars;
	int fd, rc;

	if (pg_query(&service, a, &rows, err,
	             "select type from uploads where id = $1::uuid and text_status = 'pending' and stored_at is not null",
	             PG_PARAMS(id)) == -1)
		return -1;
	if (pg_count(rows) == 0)        /* deleted, or done by another */
		return 0;
	fd = blob_fetch(id, err);
	if (fd == -1)
		return err->code == ERR_NOT_FOUND ? note_failure(a, id, "The file is gone.", err) : -1;
	rc = upload_text_extract(fd, pg_text(rows, 0, 0), &text, &chars, err);
	close(fd);
	if (rc == 0)
		rc = note_text(a, id, &text, chars, err);
	else if (err->code == ERR_UNPROCESSABLE)
		rc = note_failure(a, id, err->message, err);
	buffer_free(&text);
	return rc;
}

int
uploads_run_extract(const struct job *job, struct err *err)
{
	return extract(job->arena, job->key, err);
}

struct errand {
	char id[IDENT_BYTES];
	struct fiber **place;
};

static void
extract_here(void *arg)
{
	struct errand *e = arg;
	struct arena *a = arena_new(ARENA_BYTES);
	struct err err;

	if (extract(a, e->id, &err) == -1)
		LOG_WARN(&log_root, "no text of an upload", LOG_STR("upload", e->id), LOG_STR("reason", err.message),
		         LOG_STR("cause", err.cause));
	arena_free(&a);
	*e->place = NULL;
	free(e);
}

static struct fiber **
free_place(void)
{
	for (size_t i = 0; i < HERE_MAX; i++)
		if (here[i] == NULL)
			return &here[i];
	return NULL;
}

void
uploads_extract_later(const char *id)
{
	struct fiber **place;
	struct errand *e;
	struct err err;

	if (queue_add("extract_text", id, "{}", 2, &err) != -1 || (place = free_place()) == NULL)
		return;
	e = mem_alloc(sizeof(*e));
	memcpy(e->id, id, sizeof(e->id));
	e->place = place;
	*place = fiber_spawn(extract_here, e);
}

void
uploads_finish(void)
{
	fiber_mask_begin();
	for (size_t i = 0; i < HERE_MAX; i++) {
		if (here[i] != NULL)
			fiber_cancel(here[i], FIBER_DRAINING);
		while (here[i] != NULL)
			(void)!fiber_sleep(FINISH_POLL_MS, NULL);
	}
	fiber_mask_end();
}

/* ---- cleaning up ---- */

/* Rows whose bytes never came: what may be there of them is then a remain. */
static int
clean_rows(struct arena *a, unsigned *count_r, struct err *err)
{
	const struct pg_rows *rows;
	char age[24];

	snprintf(age, sizeof(age), "%d", ARRIVAL_SECS);
	if (pg_query(&service, a, &rows, err,
	             "delete from uploads where (stored_at is null and created_at < now() - make_interval(secs => $1::integer))"
	             " or deleted_at is not null",
	             PG_PARAMS(age)) == -1)
		return -1;
	*count_r = (unsigned)pg_affected(rows);
	return 0;
}

/* A file that cannot go keeps no other from going; so many in a row, and the store is away. */
static int
clean_remains(struct arena *a, unsigned *count_r, struct err *err)
{
	const char *storage = blob_s3_used() ? "s3" : "directory";
	const struct pg_rows *rows, *done;
	unsigned in_a_row = 0;
	int rc = 0;

	if (pg_query(&service, a, &rows, err,
	             "select storage_key from upload_remains where storage = $1 order by since limit 500", PG_PARAMS(storage)) == -1)
		return -1;
	for (size_t i = 0; i < pg_count(rows) && in_a_row < STUCK_MAX; i++) {
		const char *key = pg_text(rows, i, 0);

		if (blob_remove(key, err) == -1) {
			rc = -1;
			in_a_row++;
			continue;
		}
		if (pg_query(&service, a, &done, err, "delete from upload_remains where storage = $1 and storage_key = $2",
		             PG_PARAMS(storage, key)) == -1)
			return -1;
		in_a_row = 0;
		(*count_r)++;
	}
	return rc;
}

/* Texts that nobody extracted: the queue was away, or a worker was killed. */
static int
ask_again(struct arena *a, unsigned *count_r, struct err *err)
{
	const struct pg_rows *rows;

	if (pg_query(&service, a, &rows, err,
	             "select id from uploads where text_status = 'pending' and stored_at < now() - interval '2 minutes'"
	             " and deleted_at is null order by created_at limit 500",
	             PG_NO_PARAMS) == -1)
		return -1;
	for (size_t i = 0; i < pg_count(rows); i++)
		if (extract(a, pg_text(rows, i, 0), err) == 0)
			(*count_r)++;
		else if (err->code != ERR_INTERNAL)
			return -1;
	return 0;
}

int
uploads_clean(struct uploads_cleaned *c, struct err *err)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct err also;
	int rc;

	memset(c, 0, sizeof(*c));
	c->temporary = blob_sweep(ARRIVAL_SECS);
	rc = clean_rows(a, &c->not_stored, err);
	if (clean_remains(a, &c->remains, rc == 0 ? err : &also) == -1)
		rc = -1;
	if (ask_again(a, &c->texts, rc == 0 ? err : &also) == -1)
		rc = -1;
	arena_free(&a);
	return rc;
}
