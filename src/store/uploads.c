/* uploads.c - see store/uploads.h */
#include "store/uploads.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/ident.h"
#include "config/config.h"
#include "net/pg.h"
#include "store/blob_s3.h"
#include "store/cursor.h"
#include "store/person_rows.h"
#include "store/upload_type.h"

#define ITEM_SQL                                                                                                       \
	"json_build_object('id', u.id, 'name', u.name, 'type', u.type, 'size', u.size, 'sha256', u.sha256, "                \
	"'text_chars', u.text_chars, 'text_status', u.text_status, 'text_error', u.text_error, "                            \
	"'created_at', " TIME_SQL("u.created_at") ")"
#define ROW_SQL "u.id, u.name, u.type, u.size, u.text_status, u.text_error, u.text_chars"
#define SEEN_SQL "u.stored_at is not null and u.deleted_at is null"
#define NUMBER_BYTES 24

static const char *
storage(void)
{
	return blob_s3_used() ? "s3" : "directory";
}

static int
no_upload(struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "There is no such file.");
}

static int
too_much(struct err *err)
{
	return err_set(err, ERR_INTERNAL, "The answer needs too much memory.");
}

static int
put_item(struct buffer *out, const struct pg_rows *rows, struct err *err)
{
	if (pg_count(rows) == 0)
		return no_upload(err);
	return buffer_append(out, pg_text(rows, 0, 0), pg_len(rows, 0, 0)) == 0 ? 0 : too_much(err);
}

static int
over_quota(struct err *err)
{
	return err_set(err, ERR_PAYLOAD_TOO_LARGE,
	               "Your files would take more than the %" PRId64 " MiB that you have; delete some first.",
	               config()->upload_quota_bytes >> 20);
}

int
uploads_add(struct arena *a, const char *user_id, const char *id, const char *name, const struct blob_facts *facts,
            struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id};
	const char *status = upload_type_has_text(facts->type) ? "pending" : "none";
	const struct pg_rows *rows[2];
	char size[NUMBER_BYTES], quota[NUMBER_BYTES];

	snprintf(size, sizeof(size), "%" PRId64, facts->size);
	snprintf(quota, sizeof(quota), "%" PRId64, config()->upload_quota_bytes);
	const struct pg_statement statements[] = {
	    /* of two at once the second has to see the first */
	    PG_STATEMENT("select pg_advisory_xact_lock(hashtextextended('uploads ' || $1, 0))", user_id),
	    PG_STATEMENT("insert into uploads (id, user_id, name, type, size, sha256, storage, storage_key, text_status)"
	                 " select $1::uuid, $2::uuid, $3, $4, $5::bigint, $6, $7, $1, $8 where $9::bigint = 0 or"
	                 " (select coalesce(sum(size), 0) from uploads where user_id = $2::uuid) + $5::bigint <= $9::bigint",
	                 id, user_id, name, facts->type, size, facts->sha256, storage(), status, quota),
	};

	if (pg_run(&tx, a, statements, 2, rows, err) == -1)
		return -1;
	return pg_affected(rows[1]) > 0 ? 0 : over_quota(err);
}

int
uploads_stored(struct arena *a, const char *user_id, const char *id, struct buffer *out, struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id};
	const struct pg_rows *rows;

	if (pg_query(&tx, a, &rows, err, "update uploads u set stored_at = now() where id = $1::uuid returning " ITEM_SQL,
	             PG_PARAMS(id)) == -1)
		return -1;
	return put_item(out, rows, err);
}

static void
read_upload(const struct pg_rows *rows, size_t row, struct upload *u)
{
	*u = (struct upload){
	    .id = pg_text(rows, row, 0),
	    .name = pg_text(rows, row, 1),
	    .type = pg_text(rows, row, 2),
	    .size = pg_int(rows, row, 3),
	    .text_status = pg_text(rows, row, 4),
	    .text_error = pg_text(rows, row, 5),
	    .text_chars = pg_int(rows, row, 6),
	};
}

int
uploads_get(struct arena *a, const char *user_id, const char *id, struct upload *u, struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id, .read_only = true};
	const struct pg_rows *rows;

	if (!ident_is_valid(id))
		return no_upload(err);
	if (pg_query(&tx, a, &rows, err, "select " ROW_SQL " from uploads u where u.id = $1::uuid and " SEEN_SQL,
	             PG_PARAMS(id)) == -1)
		return -1;
	if (pg_count(rows) == 0)
		return no_upload(err);
	read_upload(rows, 0, u);
	return 0;
}

int
uploads_describe(struct arena *a, const char *user_id, const char *id, struct buffer *out, struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id, .read_only = true};
	const struct pg_rows *rows;

	if (!ident_is_valid(id))
		return no_upload(err);
	if (pg_query(&tx, a, &rows, err, "select " ITEM_SQL " from uploads u where u.id = $1::uuid and " SEEN_SQL,
	             PG_PARAMS(id)) == -1)
		return -1;
	return put_item(out, rows, err);
}

int
uploads_list(struct arena *a, const char *user_id, const char *cursor, int64_t limit, struct buffer *out,
             struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id, .read_only = true};
	const struct pg_rows *rows;
	const char *next = NULL;
	char more[NUMBER_BYTES];
	struct cursor c;
	size_t count;

	snprintf(more, sizeof(more), "%" PRId64, limit + 1);
	if (cursor_read(cursor, "u", &c, err) == -1 ||
	    pg_query(&tx, a, &rows, err,
	             "select " ITEM_SQL ", " CURSOR_AT_SQL("u.created_at") ", u.id from uploads u where u.user_id = $1::uuid"
	             " and u.stored_at is not null and u.deleted_at is null"
	             " and ($2::bigint is null or (u.created_at, u.id) < (" CURSOR_TIME_SQL("$2") ", $3::uuid))"
	             " order by u.created_at desc, u.id desc limit $4::integer",
	             PG_PARAMS(user_id, c.list != '\0' ? c.at_text : NULL, c.list != '\0' ? c.id : NULL, more)) == -1)
		return -1;
	count = pg_count(rows);
	if (count > (size_t)limit) {
		count = (size_t)limit;
		next = cursor_write(a, 'u', pg_int(rows, count - 1, 1), pg_text(rows, count - 1, 2));
	}
	if (buffer_append_text(out, "{\"files\":[") == -1)
		return too_much(err);
	for (size_t i = 0; i < count; i++)
		if (buffer_printf(out, "%s%s", i > 0 ? "," : "", pg_text(rows, i, 0)) == -1)
			return too_much(err);
	if (next != NULL)
		return buffer_printf(out, "],\"next_cursor\":\"%s\"}", next) == 0 ? 0 : too_much(err);
	return buffer_append_text(out, "],\"next_cursor\":null}") == 0 ? 0 : too_much(err);
}

int
uploads_delete(struct arena *a, const char *user_id, const char *id, struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id}, service = {.role = PG_SERVICE};
	const struct pg_rows *rows;
	struct err later;

	if (!ident_is_valid(id))
		return no_upload(err);
	/* a trigger notes what remains */
	if (pg_query(&tx, a, &rows, err, "delete from uploads where id = $1::uuid", PG_PARAMS(id)) == -1)
		return -1;
	if (pg_affected(rows) == 0)
		return no_upload(err);
	if (blob_remove(id, &later) == 0)
		(void)!pg_query(&service, a, &rows, &later,
		                "delete from upload_remains where storage = $1 and storage_key = $2",
		                PG_PARAMS(storage(), id));
	return 0;
}

void
uploads_take_back(struct arena *a, const char *user_id, const char *id)
{
	const struct pg_tx service = {.role = PG_SERVICE};
	const struct pg_rows *rows;
	struct err err;

	/* what was noted when the row went may have been cleaned up before the bytes came */
	if (uploads_delete(a, user_id, id, &err) == 0 || err.code != ERR_NOT_FOUND || blob_remove(id, &err) == 0)
		return;
	(void)!pg_query(&service, a, &rows, &err,
	                "insert into upload_remains (storage, storage_key) values ($1, $2) on conflict do nothing",
	                PG_PARAMS(storage(), id));
}

int
uploads_texts(struct arena *a, const char *user_id, const char *ids, int64_t max_chars, struct upload *files, size_t max,
              struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id, .read_only = true};
	const struct pg_rows *rows;
	char chars[NUMBER_BYTES];
	size_t count;

	snprintf(chars, sizeof(chars), "%" PRId64, max_chars);
	if (pg_query(&tx, a, &rows, err,
	             "select " ROW_SQL ", left(u.text, $2::integer) from uploads u where u.id = any($1::uuid[]) and " SEEN_SQL
	             " order by array_position($1::uuid[], u.id)",
	             PG_PARAMS(ids, chars)) == -1)
		return -1;
	count = pg_count(rows) < max ? pg_count(rows) : max;
	for (size_t i = 0; i < count; i++) {
		read_upload(rows, i, &files[i]);
		files[i].text = pg_text(rows, i, 7);
	}
	return (int)count;
}
