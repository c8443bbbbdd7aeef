/* export.c - see store/export.h */
#include "store/export.h"

#include <string.h>

#include "base/text.h"
#include "net/pg.h"
#include "store/person_rows.h"

#define PAGE_ARENA_BYTES ((size_t)1 << 20)
#define NO_ID "00000000-0000-0000-0000-000000000000"
#define KEYSET_BYTES 40

struct exporter {
	struct pg_tx tx;
	int (*put)(void *arg, const char *text, size_t len);
	void *arg;
};

/* A list of which a page is the rows after a key: $1 is the key, $2 what the list belongs to.  Each row is
   its key and its JSON. */
struct list {
	const char *sql;
	const char *first_key;
	const struct list *inner;       /* the list "messages" that each element has, or NULL */
};

/* Of rows that may be large a page has as many as these characters hold, and one at least. */
#define PAGE_CHARS "1000000"
#define FITTING_SQL(columns, chars, rows, key)                                                                         \
	"select " key ", " columns " from (select r.*, sum(" chars ") over w as chars, row_number() over w as place"        \
	" from (" rows ") r window w as (order by " key ")) n where place = 1 or chars <= " PAGE_CHARS " order by " key

static const struct list messages = {
    .sql = FITTING_SQL("to_jsonb(n) - array['user_id', 'conversation_id', 'search', 'chars', 'place']",
                       "length(content::text) + length(text) + coalesce(length(tools::text), 0)",
                       "select * from messages where conversation_id = $2::uuid and seq > $1::bigint order by seq limit 20",
                       "seq"),
    .first_key = "-1",
};
static const struct list conversations = {
    .sql = "select id, to_jsonb(c) - array['user_id', 'search'] from conversations c"
           " where user_id = $2::uuid and id > $1::uuid order by id limit 50",
    .first_key = NO_ID,
    .inner = &messages,
};
static const struct list uploads = {
    .sql = FITTING_SQL("to_jsonb(n) - array['user_id', 'storage', 'storage_key', 'chars', 'place']", "coalesce(length(text), 0)",
                       "select * from uploads where user_id = $2::uuid and id > $1::uuid order by id limit 10", "id"),
    .first_key = NO_ID,
};
static const struct list usage = {
    .sql = "select hour, to_jsonb(h) - 'user_id' from usage_hourly h"
           " where user_id = $2::uuid and hour > $1::timestamptz order by hour limit 500",
    .first_key = "-infinity",
};
static const struct list sessions = {
    .sql = "select id, jsonb_build_object('created_at', created_at, 'refreshed_at', rotated_at, 'expires_at', expires_at,"
           " 'revoked_at', revoked_at, 'remote_addr', remote_addr, 'user_agent', user_agent) from sessions"
           " where user_id = $2::uuid and id > $1::uuid order by id limit 500",
    .first_key = NO_ID,
};
static const struct list api_keys = {
    .sql = "select id, jsonb_build_object('id', id, 'name', name, 'prefix', prefix, 'created_at', created_at,"
           " 'last_used_at', last_used_at, 'revoked_at', revoked_at) from api_keys"
           " where user_id = $2::uuid and id > $1::uuid order by id limit 500",
    .first_key = NO_ID,
};

static int
put(struct exporter *e, const char *text, size_t len, struct err *err)
{
	if (e->put(e->arg, text, len) == -1)
		return err_set(err, ERR_CANCELLED, "The client went away.");
	return 0;
}

static int
put_text(struct exporter *e, const char *text, struct err *err)
{
	return put(e, text, strlen(text), err);
}

static int put_list(struct exporter *e, const struct list *l, const char *owner, struct err *err);

/* One element; with its inner list before its last brace. */
static int
put_element(struct exporter *e, const struct list *l, const struct pg_rows *rows, size_t row, struct err *err)
{
	size_t len = pg_len(rows, row, 1);

	if (l->inner == NULL)
		return put(e, pg_text(rows, row, 1), len, err);
	if (put(e, pg_text(rows, row, 1), len - 1, err) == -1 || put_text(e, ",\"messages\":", err) == -1 ||
	    put_list(e, l->inner, pg_text(rows, row, 0), err) == -1)
		return -1;
	return put_text(e, "}", err);
}

/* A page after `key`, which becomes that of its last row.  How many rows, or -1. */
static int
put_page(struct exporter *e, const struct list *l, const char *owner, char key[KEYSET_BYTES], bool first, struct err *err)
{
	struct arena *a = arena_new(PAGE_ARENA_BYTES);
	const struct pg_rows *rows;
	int rc = pg_query(&e->tx, a, &rows, err, l->sql, PG_PARAMS(key, owner));
	size_t count = rc == 0 ? pg_count(rows) : 0;

	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (!first)
			rc = put_text(e, ",", err);
		if (rc == 0)
			rc = put_element(e, l, rows, i, err);
		first = false;
	}
	if (rc == 0 && count > 0)
		text_copy(key, KEYSET_BYTES, pg_text(rows, count - 1, 0));
	arena_free(&a);
	return rc == 0 ? (int)count : -1;
}

static int
put_list(struct exporter *e, const struct list *l, const char *owner, struct err *err)
{
	char key[KEYSET_BYTES];
	bool first = true;
	int count;

	text_copy(key, sizeof(key), l->first_key);
	if (put_text(e, "[", err) == -1)
		return -1;
	while ((count = put_page(e, l, owner, key, first, err)) > 0)
		first = false;
	return count == 0 ? put_text(e, "]", err) : -1;
}

static int
put_person(struct exporter *e, struct err *err)
{
	struct arena *a = arena_new(PAGE_ARENA_BYTES);
	const struct pg_rows *rows;
	int rc = pg_query(&e->tx, a, &rows, err, "select to_jsonb(u) from users u where id = $1", PG_PARAMS(e->tx.user_id));

	if (rc == 0 && pg_count(rows) == 0)
		rc = err_set(err, ERR_NOT_FOUND, "There is no such account.");
	if (rc == 0)
		rc = put_text(e, "{\"user\":", err);
	if (rc == 0)
		rc = put(e, pg_text(rows, 0, 0), pg_len(rows, 0, 0), err);
	arena_free(&a);
	return rc;
}

int
export_person(const char *user_id, int (*put_cb)(void *arg, const char *text, size_t len), void *arg, struct err *err)
{
	static const struct {
		const char *name;
		const struct list *list;
	} parts[] = {
	    {",\"sessions\":", &sessions}, {",\"api_keys\":", &api_keys},           {",\"usage\":", &usage},
	    {",\"uploads\":", &uploads},   {",\"conversations\":", &conversations},
	};
	struct exporter e = {.tx = {.role = PG_USER, .user_id = user_id, .read_only = true}, .put = put_cb, .arg = arg};

	if (put_person(&e, err) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (put_text(&e, parts[i].name, err) == -1 || put_list(&e, parts[i].list, user_id, err) == -1)
			return -1;
	return put_text(&e, "}\n", err);
}
