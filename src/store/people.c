/* people.c - see store/people.h */
#include "store/people.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <uuid/uuid.h>

#include "net/pg.h"
#include "store/cursor.h"
#include "store/person_rows.h"

_Static_assert(PERSON_ID_BYTES == UUID_STR_LEN, "the text of a UUID");

static const struct pg_tx service = {.role = PG_SERVICE};
static const struct pg_tx service_reads = {.role = PG_SERVICE, .read_only = true};

/* Years of conversations go with an account; at the time that others have, it could never be erased. */
#define ERASE_TIMEOUT_MS 60000

const char *
person_hex(char out[PERSON_HEX_BYTES], const unsigned char *digest)
{
	memcpy(out, "\\x", 2);
	sodium_bin2hex(out + 2, PERSON_HEX_BYTES - 2, digest, PERSON_DIGEST_BYTES);
	return out;
}

void
people_make_id(char id[PERSON_ID_BYTES])
{
	uuid_t uuid;

	uuid_generate_random(uuid);
	uuid_unparse_lower(uuid, id);
}

void
person_read(const struct pg_rows *rows, size_t row, struct person *p)
{
	*p = (struct person){
	    .id = pg_text(rows, row, 0),
	    .email = pg_text(rows, row, 1),
	    .name = pg_text(rows, row, 2),
	    .role = pg_text(rows, row, 3),
	    .disabled = pg_bool(rows, row, 4),
	    .rate_limit = pg_int(rows, row, 5),
	    .tokens_per_day = pg_int(rows, row, 6),
	    .created_at = pg_text(rows, row, 7),
	};
}

int
person_first(const struct pg_rows *rows, struct person *p)
{
	if (pg_count(rows) == 0)
		return 0;
	person_read(rows, 0, p);
	return 1;
}

int
people_add(struct arena *a, const char *email, const char *name, const char *role, const char *password_hash,
           struct person *p, struct err *err)
{
	char id[PERSON_ID_BYTES];
	const struct pg_rows *rows[2];

	people_make_id(id);
	const struct pg_statement statements[] = {
	    PG_STATEMENT("with u as (insert into users (id, email, name, role) values ($1, $2, $3, $4) returning *)"
	                 " select " PERSON_SQL " from u",
	                 id, email, name, role),
	    PG_STATEMENT("insert into passwords (user_id, hash) values ($1, $2)", id, password_hash),
	};

	if (pg_run(&service, a, statements, 2, rows, err) == -1) {
		if (err->code == ERR_CONFLICT)
			err_set(err, ERR_CONFLICT, "There is an account with this e-mail address already; sign in instead.");
		return -1;
	}
	person_read(rows[0], 0, p);
	return 0;
}

int
people_find(struct arena *a, const char *email, struct person *p, struct err *err)
{
	const struct pg_rows *rows;

	if (pg_query(&service_reads, a, &rows, err,
	             "select " PERSON_SQL ", w.hash, " CURSOR_AT_SQL("w.changed_at") " from users u left join passwords w on w.user_id = u.id"
	             " where lower(u.email) = lower($1)",
	             PG_PARAMS(email)) == -1)
		return -1;
	if (person_first(rows, p) == 0)
		return 0;
	p->password_hash = pg_text(rows, 0, PERSON_COLUMNS);
	p->password_version = pg_text(rows, 0, PERSON_COLUMNS + 1);
	return 1;
}

int
people_get(struct arena *a, const char *id, struct person *p, struct err *err)
{
	const struct pg_rows *rows;

	if (pg_query(&service_reads, a, &rows, err, "select " PERSON_SQL " from users u where u.id = $1", PG_PARAMS(id)) == -1)
		return -1;
	return person_first(rows, p);
}

int
people_get_password(struct arena *a, const char *id, const char **hash_r, const char **version_r, struct err *err)
{
	const struct pg_rows *rows;

	if (pg_query(&service_reads, a, &rows, err,
	             "select hash, " CURSOR_AT_SQL("changed_at") " from passwords where user_id = $1", PG_PARAMS(id)) == -1)
		return -1;
	*hash_r = pg_count(rows) > 0 ? pg_text(rows, 0, 0) : NULL;
	*version_r = pg_count(rows) > 0 ? pg_text(rows, 0, 1) : NULL;
	return 0;
}

int
people_set_password(struct arena *a, const char *id, const char *hash, const char *session_id, const char *version,
                    struct err *err)
{
	const struct pg_rows *rows[2];
	const struct pg_statement statements[] = {
	    PG_STATEMENT("insert into passwords (user_id, hash) values ($1, $2)"
	                 " on conflict (user_id) do update set hash = excluded.hash, changed_at = now()"
	                 " where $3::bigint is null or " CURSOR_AT_SQL("passwords.changed_at") " = $3::bigint",
	                 id, hash, version),
	    /* it sees the session of who signed in while this waited for them */
	    PG_STATEMENT("update sessions set revoked_at = now() where user_id = $1 and revoked_at is null"
	                 " and id is distinct from $2::uuid and exists (select from passwords where user_id = $1 and hash = $3)",
	                 id, session_id, hash),
	};

	if (pg_run(&service, a, statements, 2, rows, err) == -1)
		return -1;
	if (pg_affected(rows[0]) == 0)
		return err_set(err, ERR_CONFLICT, "The password was changed meanwhile.");
	return 0;
}

int
people_renew_hash(struct arena *a, const char *id, const char *hash, const char *version, struct err *err)
{
	const struct pg_rows *rows;

	return pg_query(&service, a, &rows, err,
	                "update passwords set hash = $2 where user_id = $1 and " CURSOR_AT_SQL("changed_at") " = $3::bigint",
	                PG_PARAMS(id, hash, version));
}

int
people_meet(struct arena *a, const char *id, const char *email, const char *name, struct person *p, struct err *err)
{
	const struct pg_rows *rows[2];
	/* most are there already and unchanged: then nothing is written */
	const struct pg_statement statements[] = {
	    PG_STATEMENT("insert into users (id, email, name) select $1::uuid, nullif($2, ''), left($3, 200)"
	                 " where not exists (select from users where id = $1::uuid and coalesce(email, '') = $2)"
	                 " on conflict (id) do update set email = excluded.email",
	                 id, email, name),
	    PG_STATEMENT("select " PERSON_SQL " from users u where u.id = $1", id),
	};

	if (pg_run(&service, a, statements, 2, rows, err) == -1) {
		if (err->code == ERR_CONFLICT)
			err_set(err, ERR_CONFLICT, "Another account has this e-mail address; ask an administrator.");
		return -1;
	}
	return person_first(rows[1], p);
}

static int
one_changed(int rc, const struct pg_rows *rows, struct err *err)
{
	if (rc == 0 && pg_affected(rows) == 0)
		return err_set(err, ERR_NOT_FOUND, "There is no such account.");
	return rc;
}

int
people_erase(struct arena *a, const char *id, const char *remote_addr, const char *request_id, struct err *err)
{
	const struct pg_tx tx = {.role = PG_SERVICE, .timeout_ms = ERASE_TIMEOUT_MS};
	const struct pg_rows *rows;
	int rc = pg_query(&tx, a, &rows, err,
	                  "with gone as (delete from users where id = $1 returning id)"
	                  " insert into audit_log (actor_id, action, target, remote_addr, request_id)"
	                  " select id, 'user.erased', id::text, left($2, 64), left($3, 128) from gone",
	                  PG_PARAMS(id, remote_addr, request_id));

	return one_changed(rc, rows, err);
}

int
people_change(struct arena *a, const char *id, const char *role, int disabled, struct err *err)
{
	const char *word = disabled < 0 ? NULL : disabled > 0 ? "true" : "false";
	const struct pg_rows *rows;
	int rc = pg_query(&service, a, &rows, err,
	                  "with changed as (update users set role = coalesce($2, role),"
	                  " disabled = coalesce($3::boolean, disabled) where id = $1 returning id)"
	                  " insert into audit_log (actor, action, target, details)"
	                  " select 'bakamectl', 'user.changed', id::text,"
	                  " jsonb_strip_nulls(jsonb_build_object('role', $2::text, 'disabled', $3::boolean)) from changed",
	                  PG_PARAMS(id, role, word));

	return one_changed(rc, rows, err);
}

int
people_note(struct arena *a, const char *id, const char *action, struct err *err)
{
	const struct pg_rows *rows;

	return pg_query(&service, a, &rows, err,
	                "insert into audit_log (actor, action, target) values ('bakamectl', $1, $2)", PG_PARAMS(action, id));
}

int
people_list(struct arena *a, const char *after, size_t max, struct person *people, struct err *err)
{
	const struct pg_rows *rows;
	char limit[24];

	snprintf(limit, sizeof(limit), "%zu", max);
	if (pg_query(&service_reads, a, &rows, err,
	             "select " PERSON_SQL " from users u where $1 = '' or (u.created_at, u.id) >"
	             " (select created_at, id from users where id = nullif($1, '')::uuid)"
	             " order by u.created_at, u.id limit $2::bigint",
	             PG_PARAMS(after, limit)) == -1)
		return -1;
	for (size_t i = 0; i < pg_count(rows); i++)
		person_read(rows, i, &people[i]);
	return (int)pg_count(rows);
}
