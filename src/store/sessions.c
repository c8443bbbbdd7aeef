/* sessions.c - sessions and API keys; see store/people.h */
#include <inttypes.h>
#include <stdio.h>

#include "net/pg.h"
#include "store/cursor.h"
#include "store/people.h"
#include "store/person_rows.h"

static const struct pg_tx service = {.role = PG_SERVICE};
static const struct pg_tx service_reads = {.role = PG_SERVICE, .read_only = true};

/* Unix seconds, as to_timestamp() takes them. */
#define SECS_BYTES 24
static const char *
secs_text(char out[SECS_BYTES], int64_t secs)
{
	snprintf(out, SECS_BYTES, "%" PRId64, secs);
	return out;
}

int
people_add_session(struct arena *a, const char *user_id, const struct session *s, const char *version, struct err *err)
{
	char digest[PERSON_HEX_BYTES], expires[SECS_BYTES];
	const struct pg_rows *rows[2];
	const struct pg_statement statements[] = {
	    /* who changes the password meanwhile either waits for this and ends it, or is waited for and seen */
	    PG_STATEMENT("insert into sessions (id, user_id, token_hash, expires_at, remote_addr, user_agent)"
	                 " select $1::uuid, user_id, $3::bytea, to_timestamp($4::bigint), left($5, 64), left($6, 400)"
	                 " from passwords where user_id = $2::uuid"
	                 " and ($7::bigint is null or " CURSOR_AT_SQL("changed_at") " = $7::bigint) for share",
	                 s->id, user_id, person_hex(digest, s->digest), secs_text(expires, s->expires_at), s->remote_addr,
	                 s->user_agent, version),
	    /* nobody else takes away the old ones */
	    PG_STATEMENT("delete from sessions where user_id = $1 and expires_at < now()", user_id),
	};

	if (pg_run(&service, a, statements, 2, rows, err) == -1)
		return -1;
	if (pg_affected(rows[0]) == 0)
		return err_set(err, ERR_UNAUTHORIZED, "The password was changed meanwhile; sign in with the new one.");
	return 0;
}

int
people_rotate_session(struct arena *a, const char *session_id, const unsigned char *old_digest, const struct session *s,
                      struct person *p, struct err *err)
{
	char old[PERSON_HEX_BYTES], renewed[PERSON_HEX_BYTES], expires[SECS_BYTES];
	const struct pg_rows *rows[3];
	/* Whoever comes second with one token waits for the first at the row, and then sees that it is the old one. */
	const struct pg_statement statements[] = {
	    PG_STATEMENT("update sessions set token_hash = $3::bytea, previous_hash = token_hash, rotated_at = now(),"
	                 " expires_at = to_timestamp($4::bigint), remote_addr = left($5, 64), user_agent = left($6, 400)"
	                 " where id = $1 and token_hash = $2::bytea and revoked_at is null and expires_at > now()",
	                 session_id, person_hex(old, old_digest), person_hex(renewed, s->digest),
	                 secs_text(expires, s->expires_at), s->remote_addr, s->user_agent),
	    PG_STATEMENT("update sessions set revoked_at = now() where id = $1 and revoked_at is null"
	                 " and token_hash not in ($2::bytea, $3::bytea)",
	                 session_id, old, renewed),
	    PG_STATEMENT("select " PERSON_SQL " from users u join sessions s on s.user_id = u.id"
	                 " where s.id = $1 and s.token_hash = $2::bytea and s.revoked_at is null",
	                 session_id, renewed),
	};

	if (pg_run(&service, a, statements, 3, rows, err) == -1)
		return -1;
	return person_first(rows[2], p);
}

int
people_end_session(struct arena *a, const char *session_id, struct err *err)
{
	const struct pg_rows *rows;

	return pg_query(&service, a, &rows, err, "update sessions set revoked_at = now() where id = $1 and revoked_at is null",
	                PG_PARAMS(session_id));
}

int
people_of_session(struct arena *a, const char *user_id, const char *session_id, const unsigned char *digest,
                  struct person *p, struct err *err)
{
	char text[PERSON_HEX_BYTES];
	const struct pg_rows *rows;

	if (pg_query(&service_reads, a, &rows, err,
	             "select " PERSON_SQL " from users u join sessions s on s.user_id = u.id"
	             " where u.id = $1 and s.id = $2 and s.revoked_at is null and s.expires_at > now()"
	             " and ($3::bytea is null or s.token_hash = $3::bytea"
	             " or (s.previous_hash = $3::bytea and s.rotated_at > now() - interval '60 seconds'))",
	             PG_PARAMS(user_id, session_id, digest != NULL ? person_hex(text, digest) : NULL)) == -1)
		return -1;
	return person_first(rows, p);
}

int
people_of_key(struct arena *a, const unsigned char *digest, struct person *p, struct err *err)
{
	char text[PERSON_HEX_BYTES];
	const struct pg_rows *rows[2];
	const struct pg_statement statements[] = {
	    PG_STATEMENT("select " PERSON_SQL " from users u join api_keys k on k.user_id = u.id"
	                 " where k.key_hash = $1::bytea and k.revoked_at is null",
	                 person_hex(text, digest)),
	    /* about when it was used will do */
	    PG_STATEMENT("update api_keys set last_used_at = now() where key_hash = $1::bytea and revoked_at is null"
	                 " and (last_used_at is null or last_used_at < now() - interval '10 minutes')",
	                 text),
	};

	if (pg_run(&service, a, statements, 2, rows, err) == -1)
		return -1;
	return person_first(rows[0], p);
}

#define KEY_SQL "id, name, prefix, " TIME_SQL("created_at") ", " TIME_SQL("last_used_at")

static void
read_key(const struct pg_rows *rows, size_t row, struct api_key *k)
{
	*k = (struct api_key){
	    .id = pg_text(rows, row, 0),
	    .name = pg_text(rows, row, 1),
	    .prefix = pg_text(rows, row, 2),
	    .created_at = pg_text(rows, row, 3),
	    .last_used_at = pg_text(rows, row, 4),
	};
}

/* With a number in SQL. */
#define TEXT_OF(macro) TEXT_OF_(macro)
#define TEXT_OF_(macro) #macro

int
people_add_key(struct arena *a, const char *user_id, const char *name, const char *prefix, const unsigned char *digest,
               struct api_key *k, struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id};
	char text[PERSON_HEX_BYTES], id[PERSON_ID_BYTES];
	const struct pg_rows *rows[3];

	people_make_id(id);
	const struct pg_statement statements[] = {
	    /* of two at once the second has to count the first */
	    PG_STATEMENT("select pg_advisory_xact_lock(hashtextextended('keys ' || $1, 0))", user_id),
	    PG_STATEMENT("insert into api_keys (id, user_id, name, prefix, key_hash) select $1::uuid, $2::uuid, $3, $4, $5::bytea"
	                 " where (select count(*) from api_keys where user_id = $2::uuid and revoked_at is null)"
	                 " < " TEXT_OF(PERSON_KEYS_MAX),
	                 id, user_id, name, prefix, person_hex(text, digest)),
	    PG_STATEMENT("select " KEY_SQL " from api_keys where id = $1", id),
	};

	if (pg_run(&tx, a, statements, 3, rows, err) == -1)
		return -1;
	if (pg_count(rows[2]) == 0)
		return err_set(err, ERR_CONFLICT, "There are %d keys already; revoke one first.", PERSON_KEYS_MAX);
	read_key(rows[2], 0, k);
	return 0;
}

int
people_list_keys(struct arena *a, const char *user_id, struct api_key *keys, struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id, .read_only = true};
	const struct pg_rows *rows;

	if (pg_query(&tx, a, &rows, err,
	             "select " KEY_SQL " from api_keys where user_id = $1 and revoked_at is null"
	             " order by created_at desc, id limit " TEXT_OF(PERSON_KEYS_MAX),
	             PG_PARAMS(user_id)) == -1)
		return -1;
	for (size_t i = 0; i < pg_count(rows); i++)
		read_key(rows, i, &keys[i]);
	return (int)pg_count(rows);
}

int
people_revoke_key(struct arena *a, const char *user_id, const char *key_id, struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id};
	const struct pg_rows *rows;

	if (pg_query(&tx, a, &rows, err,
	             "update api_keys set revoked_at = now() where id = $1 and user_id = $2 and revoked_at is null",
	             PG_PARAMS(key_id, user_id)) == -1)
		return -1;
	if (pg_affected(rows) == 0)
		return err_set(err, ERR_NOT_FOUND, "There is no such key.");
	return 0;
}
