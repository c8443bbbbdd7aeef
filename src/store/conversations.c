/* conversations.c - see store/conversations.h */
#include "store/conversations.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/ident.h"
#include "net/pg.h"
#include "store/cursor.h"
#include "store/person_rows.h"

/* An element of the list; then what its cursor is made of. */
#define ITEM_SQL                                                                                                       \
	"json_build_object('id', c.id, 'title', c.title, 'pinned', c.pinned, 'created_at', " TIME_SQL("c.created_at") ", " \
	"'updated_at', " TIME_SQL("c.updated_at") ")"
#define ROW_SQL ITEM_SQL ", c.pinned, " CURSOR_AT_SQL("c.updated_at") ", c.id"

/* Which list a cursor is of. */
#define PINNED 'p'
#define OTHERS 'o'
#define FOUND 'f'
#define MESSAGES 'm'

/* What comes of a conversation at once, as SQL has it. */
#define CONVERSATION_MESSAGES_MAX "500"
#define MESSAGES_MAX_CHARS "1000000"

static int
no_conversation(struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "There is no such conversation.");
}

static int
too_much(struct err *err)
{
	return err_set(err, ERR_INTERNAL, "The answer needs too much memory.");
}

/* The rows' JSON, joined by commas, from the last to the first if `backwards`. */
static int
put_rows(struct buffer *out, const struct pg_rows *rows, size_t count, bool backwards, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		size_t row = backwards ? count - 1 - i : i;

		if ((i > 0 && buffer_append(out, ",", 1) == -1) ||
		    buffer_append(out, pg_text(rows, row, 0), pg_len(rows, row, 0)) == -1)
			return too_much(err);
	}
	return 0;
}

static int
put_end(struct buffer *out, const char *cursor, struct err *err)
{
	int rc = cursor != NULL ? buffer_printf(out, "],\"next_cursor\":\"%s\"}", cursor)
	                        : buffer_append_text(out, "],\"next_cursor\":null}");

	return rc == 0 ? 0 : too_much(err);
}

static int
ask_for_page(const struct pg_tx *tx, struct arena *a, const struct cursor *c, const struct conversations_page *page,
             const struct pg_rows **rows, struct err *err)
{
	const char *at = c->list != '\0' ? c->at_text : NULL, *id = c->list != '\0' ? c->id : NULL;
	const char *pinned = c->list == PINNED ? "true" : "false";
	char limit[24];

	snprintf(limit, sizeof(limit), "%" PRId64, page->limit + 1);
	if (page->wanted[0] != '\0')
		return pg_query(tx, a, rows, err,
		                "select " ROW_SQL " from find_conversations($1, " CURSOR_TIME_SQL("$2") ", $3::uuid, $4::integer) f"
		                " join conversations c using (id) order by c.updated_at desc, c.id desc",
		                PG_PARAMS(page->wanted, at, id, limit));
	if (at == NULL)
		return pg_query(tx, a, rows, err,
		                "select " ROW_SQL " from conversations c where user_id = $1::uuid"
		                " order by c.pinned desc, c.updated_at desc, c.id desc limit $2::integer",
		                PG_PARAMS(tx->user_id, limit));
	return pg_query(tx, a, rows, err,
	                "select " ROW_SQL " from conversations c where user_id = $1::uuid"
	                " and (c.pinned, c.updated_at, c.id) < ($2::boolean, " CURSOR_TIME_SQL("$3") ", $4::uuid)"
	                " order by c.pinned desc, c.updated_at desc, c.id desc limit $5::integer",
	                PG_PARAMS(tx->user_id, pinned, at, id, limit));
}

int
conversations_list(struct arena *a, const char *user_id, const struct conversations_page *page, struct buffer *out,
                   struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id, .read_only = true};
	const char lists[] = {page->wanted[0] != '\0' ? FOUND : PINNED, page->wanted[0] != '\0' ? FOUND : OTHERS, '\0'};
	const struct pg_rows *rows;
	const char *next = NULL;
	struct cursor c;
	size_t count;

	if (cursor_read(page->cursor, lists, &c, err) == -1 || ask_for_page(&tx, a, &c, page, &rows, err) == -1)
		return -1;
	count = pg_count(rows);
	if (count > (size_t)page->limit) {
		count = (size_t)page->limit;
		next = cursor_write(a, page->wanted[0] != '\0' ? FOUND : pg_bool(rows, count - 1, 1) ? PINNED : OTHERS,
		                    pg_int(rows, count - 1, 2), pg_text(rows, count - 1, 3));
	}
	if (buffer_append_text(out, "{\"conversations\":[") == -1)
		return too_much(err);
	return put_rows(out, rows, count, false, err) == -1 ? -1 : put_end(out, next, err);
}

/* A message; its files are told by what is known of them. */
#define MESSAGE_SQL                                                                                                    \
	"json_build_object('id', m.id, 'parent_id', m.parent_id, 'role', m.role, 'content', m.content, "                    \
	"'status', m.status, 'model', m.model, 'tools', coalesce(m.tools, '[]'), 'attachments', "                           \
	"case when m.attachments = '{}' then '[]'::json else (select coalesce(json_agg(json_build_object("                  \
	"'id', u.id, 'name', u.name, 'type', u.type, 'size', u.size) order by array_position(m.attachments, u.id)), '[]') " \
	"from uploads u where u.id = any(m.attachments) and u.deleted_at is null) end, "                                    \
	"'created_at', " TIME_SQL("m.created_at") ")"

/* Messages of a page, newest first, while they are not too much together; then whether others are older. */
#define PAGE_SQL                                                                                                       \
	"with numbered as (select *, row_number() over w as place, "                                                        \
	"sum(length(content::text) + coalesce(length(tools::text), 0)) over w as chars from messages "                      \
	"where conversation_id = $1::uuid and ($2::bigint is null or seq < $2::bigint) "                                    \
	"window w as (order by seq desc) order by seq desc limit $3::integer + 1) "                                         \
	"select " MESSAGE_SQL ", m.seq, m.id, exists (select from numbered n where n.seq < m.seq) from numbered m "         \
	"where m.place = 1 or (m.place <= $3::integer and m.chars <= $4::bigint) order by m.seq desc"

int
conversations_get(struct arena *a, const char *user_id, const char *id, const char *cursor, struct buffer *out,
                  struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id, .read_only = true};
	const struct pg_rows *rows[2];
	const char *next = NULL, *leaf, *quote;
	struct cursor c;
	size_t count;

	if (!ident_is_valid(id))
		return no_conversation(err);
	if (cursor_read(cursor, "m", &c, err) == -1)
		return -1;
	const struct pg_statement statements[] = {
	    PG_STATEMENT("select " ITEM_SQL ", c.leaf_id from conversations c where c.id = $1::uuid", id),
	    PG_STATEMENT(PAGE_SQL, id, c.list != '\0' ? c.at_text : NULL, CONVERSATION_MESSAGES_MAX, MESSAGES_MAX_CHARS),
	};

	if (pg_run(&tx, a, statements, 2, rows, err) == -1)
		return -1;
	if (pg_count(rows[0]) == 0)
		return no_conversation(err);
	count = pg_count(rows[1]);
	if (count > 0 && pg_bool(rows[1], count - 1, 3)) {
		next = cursor_write(a, MESSAGES, pg_int(rows[1], count - 1, 1), pg_text(rows[1], count - 1, 2));
		if (next == NULL)
			return too_much(err);
	}
	leaf = pg_text(rows[0], 0, 1);
	quote = leaf != NULL ? "\"" : "";
	/* the conversation's own object goes on */
	if (buffer_append(out, pg_text(rows[0], 0, 0), pg_len(rows[0], 0, 0) - 1) == -1 ||
	    buffer_printf(out, ",\"leaf_id\":%s%s%s,\"messages\":[", quote, leaf != NULL ? leaf : "null", quote) == -1)
		return too_much(err);
	return put_rows(out, rows[1], count, true, err) == -1 ? -1 : put_end(out, next, err);
}

int
conversations_change(struct arena *a, const char *user_id, const char *id, const char *title, int pinned,
                     struct buffer *out, struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id};
	const char *pin = pinned < 0 ? NULL : pinned > 0 ? "true" : "false";
	const struct pg_rows *rows;

	if (!ident_is_valid(id))
		return no_conversation(err);
	if (pg_query(&tx, a, &rows, err,
	             "update conversations c set title = coalesce($2, title), titled = titled or $2 is not null,"
	             " pinned = coalesce($3::boolean, pinned) where c.id = $1::uuid returning " ITEM_SQL,
	             PG_PARAMS(id, title, pin)) == -1)
		return -1;
	if (pg_count(rows) == 0)
		return no_conversation(err);
	return put_rows(out, rows, 1, false, err);
}

int
conversations_delete(struct arena *a, const char *user_id, const char *id, struct err *err)
{
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id};
	const struct pg_rows *rows;

	if (!ident_is_valid(id))
		return no_conversation(err);
	if (pg_query(&tx, a, &rows, err, "delete from conversations where id = $1::uuid", PG_PARAMS(id)) == -1)
		return -1;
	return pg_affected(rows) > 0 ? 0 : no_conversation(err);
}
