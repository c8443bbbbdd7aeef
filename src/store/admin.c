/* admin.c - see store/admin.h */
#include "store/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/ident.h"
#include "config/config.h"
#include "net/pg.h"
#include "store/cursor.h"
#include "store/person_rows.h"

#define NUMBER_BYTES 24
/* A person; $1 is the window of RATE_LIMIT_USER, for limits are shown as settings write them. */
#define USER_SQL                                                                                                       \
	"json_build_object('id', u.id, 'email', coalesce(u.email, ''), 'name', u.name, 'role', u.role, "                    \
	"'disabled', u.disabled, 'rate_limit', u.rate_limit || '/' || $1::text, 'tokens_per_day', u.tokens_per_day, "       \
	"'created_at', " TIME_SQL("u.created_at") ")"

static const struct pg_tx service = {.role = PG_SERVICE};
static const struct pg_tx service_reads = {.role = PG_SERVICE, .read_only = true};

static int
too_much(struct err *err)
{
	return err_set(err, ERR_INTERNAL, "The answer needs too much memory.");
}

static int
put_page(struct buffer *out, const char *name, const struct pg_rows *rows, size_t count, const char *next, struct err *err)
{
	const char *quote = next != NULL ? "\"" : "";
	int rc = buffer_printf(out, "{\"%s\":[", name);

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = buffer_printf(out, "%s%s", i > 0 ? "," : "", pg_text(rows, i, 0));
	if (rc == 0)
		rc = buffer_printf(out, "],\"next_cursor\":%s%s%s}", quote, next != NULL ? next : "null", quote);
	return rc == 0 ? 0 : too_much(err);
}

static const char *
window_text(char out[NUMBER_BYTES])
{
	snprintf(out, NUMBER_BYTES, "%" PRId64, config_user_window_secs());
	return out;
}

int
admin_list_users(struct arena *a, const char *cursor, const char *wanted, int64_t limit, struct buffer *out,
                 struct err *err)
{
	char window[NUMBER_BYTES], more[NUMBER_BYTES];
	const struct pg_rows *rows;
	const char *next = NULL;
	struct cursor c;
	size_t count;

	snprintf(more, sizeof(more), "%" PRId64, limit + 1);
	/* strpos(), for in a pattern of LIKE some letters are none */
	if (cursor_read(cursor, "a", &c, err) == -1 ||
	    pg_query(&service_reads, a, &rows, err,
	             "select " USER_SQL ", " CURSOR_AT_SQL("u.created_at") ", u.id from users u where"
	             " ($2::bigint is null or (u.created_at, u.id) < (" CURSOR_TIME_SQL("$2") ", $3::uuid))"
	             " and ($4 = '' or strpos(lower(u.email), lower($4)) > 0 or strpos(lower(u.name), lower($4)) > 0)"
	             " order by u.created_at desc, u.id desc limit $5::integer",
	             PG_PARAMS(window_text(window), c.list != '\0' ? c.at_text : NULL, c.list != '\0' ? c.id : NULL, wanted,
	                       more)) == -1)
		return -1;
	count = pg_count(rows);
	if (count > (size_t)limit) {
		count = (size_t)limit;
		next = cursor_write(a, 'a', pg_int(rows, count - 1, 1), pg_text(rows, count - 1, 2));
	}
	return put_page(out, "users", rows, count, next, err);
}

int
admin_change_user(struct arena *a, const struct admin_actor *actor, const char *id, const struct admin_change *change,
                  struct buffer *out, struct err *err)
{
	const char *disabled = change->disabled < 0 ? NULL : change->disabled > 0 ? "true" : "false";
	char window[NUMBER_BYTES], limit[NUMBER_BYTES], tokens[NUMBER_BYTES];
	const struct pg_rows *rows;

	if (!ident_is_valid(id))
		return err_set(err, ERR_NOT_FOUND, "There is no such account.");
	snprintf(limit, sizeof(limit), "%" PRId64, change->rate_limit);
	snprintf(tokens, sizeof(tokens), "%" PRId64, change->tokens_per_day);
	if (pg_query(&service, a, &rows, err,
	             "with u as (update users set role = coalesce($3, role), disabled = coalesce($4::boolean, disabled),"
	             " rate_limit = case when $5::integer >= 0 then nullif($5::integer, 0) else rate_limit end,"
	             " tokens_per_day = case when $6::bigint = -2 then tokens_per_day else nullif($6::bigint, -1) end"
	             " where id = $2::uuid returning *),"
	             " noted as (insert into audit_log (actor_id, actor, action, target, details, remote_addr, request_id)"
	             " select $7::uuid, coalesce((select email from users where id = $7::uuid), ''), 'user.changed', $2,"
	             " jsonb_strip_nulls(jsonb_build_object('email', u.email, 'role', $3::text, 'disabled', $4::boolean))"
	             " || case when $5::integer >= 0 then jsonb_build_object('rate_limit', u.rate_limit) else '{}' end"
	             " || case when $6::bigint <> -2 then jsonb_build_object('tokens_per_day', u.tokens_per_day) else '{}' end,"
	             " left($8, 64), left($9, 128) from u)"
	             " select " USER_SQL " from u",
	             PG_PARAMS(window_text(window), id, change->role, disabled, limit, tokens, actor->user_id,
	                       actor->remote_addr, actor->request_id)) == -1)
		return -1;
	if (pg_count(rows) == 0)
		return err_set(err, ERR_NOT_FOUND, "There is no such account.");
	return buffer_append(out, pg_text(rows, 0, 0), pg_len(rows, 0, 0)) == 0 ? 0 : too_much(err);
}

int
admin_note(struct arena *a, const struct admin_actor *actor, const char *action, const char *target, struct err *err)
{
	const struct pg_rows *rows;

	return pg_query(&service, a, &rows, err,
	                "insert into audit_log (actor_id, actor, action, target, remote_addr, request_id)"
	                " select $1::uuid, coalesce((select email from users where id = $1::uuid), ''), $2, left($3, 200),"
	                " left($4, 64), left($5, 128)",
	                PG_PARAMS(actor->user_id, action, target, actor->remote_addr, actor->request_id));
}

int
admin_list_log(struct arena *a, int64_t before, int64_t limit, struct buffer *out, struct err *err)
{
	char from[NUMBER_BYTES], more[NUMBER_BYTES];
	const struct pg_rows *rows;
	const char *next = NULL;
	size_t count;

	snprintf(from, sizeof(from), "%" PRId64, before);
	snprintf(more, sizeof(more), "%" PRId64, limit + 1);
	if (pg_query(&service_reads, a, &rows, err,
	             "select json_build_object('id', l.id, 'at', " TIME_SQL("l.at") ", 'actor_id', l.actor_id, 'actor', l.actor,"
	             " 'action', l.action, 'target', l.target, 'details', l.details, 'remote_addr', l.remote_addr,"
	             " 'request_id', l.request_id), l.id from audit_log l where l.id < $1::bigint order by l.id desc"
	             " limit $2::integer",
	             PG_PARAMS(from, more)) == -1)
		return -1;
	count = pg_count(rows);
	if (count > (size_t)limit) {
		count = (size_t)limit;
		next = pg_text(rows, count - 1, 1);
	}
	return put_page(out, "entries", rows, count, next, err);
}
