/* turns.c - see store/turns.h */
#include "store/turns.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "net/pg.h"
#include "net/redis.h"
#include "store/cursor.h"

/* What a model is told of what was said before. */
#define HISTORY_MESSAGES "60"
#define HISTORY_CHARS "200000"

#define BEGIN_SQL                                                                                                      \
	"select begin_turn($1::uuid, $2::boolean, $3, $4::boolean, $5::uuid, " CURSOR_TIME_SQL("$6") ", $7::jsonb)"
#define END_SQL "select end_turn($1::uuid, $2::uuid, " CURSOR_TIME_SQL("$3") ", $4::jsonb)"
#define HISTORY_SQL                                                                                                    \
	"select json_build_object('role', role, 'content', content, 'attachments', attachments) "                          \
	"from history($1::uuid, $2::boolean, $3::uuid, " HISTORY_MESSAGES ", " HISTORY_CHARS ")"

#define US_BYTES 24

static const char *
truth(bool value)
{
	return value ? "true" : "false";
}

/* Is it the database that is away, so that the queue will do? */
static bool
is_away(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE || err->code == ERR_UPSTREAM_TIMEOUT || err->code == ERR_INTERNAL;
}

static struct json_object *
read_history(const struct pg_rows *rows)
{
	struct json_object *history = json_object_new_array();

	for (size_t i = 0; i < pg_count(rows); i++)
		json_object_array_add(history, json_parse_trusted(pg_text(rows, i, 0), pg_len(rows, i, 0)));
	return history;
}

/* ---- in the database ---- */

static int
store_begin(struct arena *a, const struct turns_begin *t, struct json_object **history_r, struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = t->user_id};
	const struct pg_rows *rows[2];
	char at[US_BYTES];
	size_t len;

	snprintf(at, sizeof(at), "%" PRId64, t->at_us);
	const struct pg_statement statements[] = {
	    PG_STATEMENT(BEGIN_SQL, t->conversation_id, truth(t->starts), t->title, truth(t->follows), t->parent_id, at,
	                 json_text(t->messages, &len)),
	    PG_STATEMENT(HISTORY_SQL, t->conversation_id, truth(t->follows), t->parent_id),
	};
	const struct pg_statement reversed[] = {statements[1], statements[0]};

	if (history_r == NULL || t->starts)
		return pg_run(&tx, a, statements, 1, rows, err);
	if (pg_run(&tx, a, reversed, 2, rows, err) == -1)
		return -1;
	*history_r = read_history(rows[0]);
	return 0;
}

/* Only what was said before, while the turn itself has to wait behind others. */
static void
load_history(struct arena *a, const struct turns_begin *t, struct json_object **history_r)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = t->user_id, .read_only = true};
	const struct pg_rows *rows;
	struct err ignored;

	if (!t->starts && pg_query(&tx, a, &rows, &ignored, HISTORY_SQL,
	                           PG_PARAMS(t->conversation_id, truth(t->follows), t->parent_id)) == 0)
		*history_r = read_history(rows);
}

static int
store_end(struct arena *a, const struct turns_end *t, struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = t->user_id};
	const struct pg_rows *rows;
	char at[US_BYTES];
	size_t len;

	snprintf(at, sizeof(at), "%" PRId64, t->at_us);
	return pg_query(&tx, a, &rows, err, END_SQL,
	                PG_PARAMS(t->conversation_id, t->parent_id, at, json_text(t->answer, &len)));
}

/* ---- in the queue ---- */

static void
add_text(struct json_object *o, const char *name, const char *text)
{
	json_object_object_add(o, name, text != NULL ? json_object_new_string(text) : NULL);
}

static const char *
group_of(struct arena *a, const char *conversation_id)
{
	return arena_printf(a, "conversation:%s", conversation_id);
}

static int
add_job(struct arena *a, const char *kind, const char *conversation_id, const char *key, struct json_object *payload,
        struct err *err)
{
	const char *group = group_of(a, conversation_id), *text;
	size_t len;
	int rc;

	if (group == NULL)
		return err_set(err, ERR_INTERNAL, "The request needs too much memory.");
	text = json_text(payload, &len);
	rc = queue_add_in_order(group, kind, key, text, len, err);
	return rc == -1 ? -1 : 0;
}

/* The same, each without its text where that is the content: else a large one would be too large. */
static struct json_object *
without_texts(struct json_object *messages)
{
	struct json_object *all = json_object_new_array();

	for (size_t i = 0; i < json_object_array_length(messages); i++) {
		struct json_object *message = json_object_array_get_idx(messages, i), *one = json_object_new_object();
		bool twice = json_object_is_type(json_object_object_get(message, "content"), json_type_string);

		json_object_object_foreach(message, name, value)
			if (!twice || strcmp(name, "text") != 0)
				json_object_object_add(one, name, json_object_get(value));
		json_object_array_add(all, one);
	}
	return all;
}

static void
add_texts(struct json_object *messages)
{
	for (size_t i = 0; messages != NULL && i < json_object_array_length(messages); i++) {
		struct json_object *message = json_object_array_get_idx(messages, i);

		if (!json_object_object_get_ex(message, "text", NULL))
			json_object_object_add(message, "text", json_object_get(json_object_object_get(message, "content")));
	}
}

static int
queue_begin(struct arena *a, const struct turns_begin *t, struct err *err)
{
	struct json_object *payload = json_object_new_object();
	struct json_object *first = json_object_array_get_idx(t->messages, 0);
	int rc;

	add_text(payload, "user_id", t->user_id);
	add_text(payload, "conversation_id", t->conversation_id);
	json_object_object_add(payload, "starts", json_object_new_boolean(t->starts));
	add_text(payload, "title", t->title);
	json_object_object_add(payload, "follows", json_object_new_boolean(t->follows));
	add_text(payload, "parent_id", t->parent_id);
	json_object_object_add(payload, "at_us", json_object_new_int64(t->at_us));
	json_object_object_add(payload, "messages", without_texts(t->messages));
	/* to answer anew there is nothing to store */
	rc = first == NULL ? 0 : add_job(a, "store_turn", t->conversation_id, json_member_text(first, "id"), payload, err);
	json_object_put(payload);
	return rc;
}

static int
queue_end(struct arena *a, const struct turns_end *t, struct err *err)
{
	struct json_object *payload = json_object_new_object();
	int rc;

	add_text(payload, "user_id", t->user_id);
	add_text(payload, "conversation_id", t->conversation_id);
	add_text(payload, "parent_id", t->parent_id);
	json_object_object_add(payload, "at_us", json_object_new_int64(t->at_us));
	json_object_object_add(payload, "answer", json_object_get(t->answer));
	rc = add_job(a, "store_answer", t->conversation_id, json_member_text(t->answer, "id"), payload, err);
	json_object_put(payload);
	return rc;
}

/* Do turns of this conversation still wait in the queue? */
static bool
waits_behind(struct arena *a, const char *conversation_id)
{
	const char *group = group_of(a, conversation_id);
	struct err ignored;

	return group != NULL && redis_usable() && queue_group_is_busy(group, &ignored) == 1;
}

int
turns_begin(struct arena *a, const struct turns_begin *t, struct json_object **history_r, enum turns_saved *saved_r,
            struct err *err)
{
	bool waits = !t->starts && waits_behind(a, t->conversation_id);

	*history_r = NULL;
	*saved_r = TURNS_STORED;
	if (!waits) {
		if (store_begin(a, t, history_r, err) == 0)
			return 0;
		if (!is_away(err))
			return -1;
	} else {
		load_history(a, t, history_r);
	}
	*saved_r = queue_begin(a, t, err) == 0 ? TURNS_QUEUED : TURNS_LOST;
	return err->code == ERR_CANCELLED ? -1 : 0;
}

enum turns_saved
turns_end(struct arena *a, const struct turns_end *t, enum turns_saved begun, struct err *err)
{
	if (begun == TURNS_LOST)
		return TURNS_LOST;
	if (begun == TURNS_STORED) {
		if (store_end(a, t, err) == 0)
			return TURNS_STORED;
		if (!is_away(err))
			return TURNS_LOST;
	}
	return queue_end(a, t, err) == 0 ? TURNS_QUEUED : TURNS_LOST;
}

/* ---- jobs ---- */

static struct json_object *
read_payload(const struct job *job, struct err *err)
{
	struct json_object *payload = json_parse_trusted(job->payload, job->payload_len);

	if (json_object_is_type(payload, json_type_object))
		return payload;
	json_object_put(payload);
	err_set(err, ERR_INVALID_REQUEST, "The job's payload is no JSON object.");
	return NULL;
}

/* Gone in the meantime, by the person's own wish: then there is nothing to do. */
static int
unless_gone(const struct job *job, int rc, const struct err *err)
{
	if (rc == 0 || err->code != ERR_NOT_FOUND)
		return rc;
	LOG_WARN(&job->log, "a turn has no conversation any more", LOG_STR("reason", err->message));
	return 0;
}

/* Was the account erased since?  Then what was said goes with it. */
static bool
is_erased(struct arena *a, const char *user_id, int64_t at_us)
{
	const struct pg_tx tx = {.role = PG_SERVICE, .read_only = true};
	const struct pg_rows *rows;
	struct err ignored;
	char at[US_BYTES];

	snprintf(at, sizeof(at), "%" PRId64, at_us);
	return pg_query(&tx, a, &rows, &ignored,
	                "select from audit_log where action = 'user.erased' and target = ($1::uuid)::text and at > " CURSOR_TIME_SQL("$2")
	                " limit 1",
	                PG_PARAMS(user_id, at)) == 0 &&
	       pg_count(rows) > 0;
}

int
turns_run_begin(const struct job *job, struct err *err)
{
	struct json_object *p = read_payload(job, err);
	bool starts = p != NULL && json_object_get_boolean(json_object_object_get(p, "starts"));
	bool unknown;
	int rc;

	if (p == NULL)
		return -1;
	add_texts(json_member(p, "messages", json_type_array));
	rc = store_begin(job->arena,
	                 &(struct turns_begin){
	                     .user_id = json_member_text(p, "user_id"),
	                     .conversation_id = json_member_text(p, "conversation_id"),
	                     .starts = starts,
	                     .title = json_member_text(p, "title"),
	                     .follows = json_object_get_boolean(json_object_object_get(p, "follows")),
	                     .parent_id = json_member_text(p, "parent_id"),
	                     .at_us = json_object_get_int64(json_object_object_get(p, "at_us")),
	                     .messages = json_object_object_get(p, "messages"),
	                 },
	                 NULL, err);
	unknown = rc == -1 && starts && err->code == ERR_NOT_FOUND &&
	          !is_erased(job->arena, json_member_text(p, "user_id"), json_object_get_int64(json_object_object_get(p, "at_us")));
	json_object_put(p);
	/* somebody of Supabase whom the database has not met yet: it will, when they come again */
	if (unknown)
		return err_set(err, ERR_UNAVAILABLE, "The person is not known yet.");
	return unless_gone(job, rc, err);
}

int
turns_run_end(const struct job *job, struct err *err)
{
	struct json_object *p = read_payload(job, err);
	int rc;

	if (p == NULL)
		return -1;
	rc = store_end(job->arena,
	               &(struct turns_end){
	                   .user_id = json_member_text(p, "user_id"),
	                   .conversation_id = json_member_text(p, "conversation_id"),
	                   .parent_id = json_member_text(p, "parent_id"),
	                   .at_us = json_object_get_int64(json_object_object_get(p, "at_us")),
	                   .answer = json_object_object_get(p, "answer"),
	               },
	               err);
	json_object_put(p);
	return unless_gone(job, rc, err);
}
