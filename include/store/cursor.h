/*
 * cursor.h - where a page of a list ended, as a text that only we can read.
 *
 * A place is a moment (microseconds since 1970) and an id, which together are unique, and a
 * letter that says of which list.  Whoever makes up a cursor gets to see nothing but his own list from there.
 */
#ifndef STORE_CURSOR_H
#define STORE_CURSOR_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/ident.h"

struct cursor {
	char list;                      /* '\0' for the beginning */
	int64_t at_us;
	char at_text[24];               /* the same as text */
	char id[IDENT_BYTES];
};

/* NULL when the arena is full. */
const char *cursor_write(struct arena *a, char list, int64_t at_us, const char *id) MUST_USE;

/* Read the text; "" is the beginning.  -1 with *err: ERR_INVALID_REQUEST if it is none of the lists named in `lists`. */
int cursor_read(const char *text, const char *lists, struct cursor *c, struct err *err) MUST_USE;

/* A moment in microseconds, and back: SQL. */
#define CURSOR_AT_SQL(column) "(extract(epoch from " column ") * 1000000)::bigint"
#define CURSOR_TIME_SQL(param) "(timestamptz 'epoch' + " param "::bigint * interval '1 microsecond')"

#endif
