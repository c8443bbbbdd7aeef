/*
 * person_rows.h - people as queries give them.  For the files of store/ that are about people.
 */
#ifndef STORE_PERSON_ROWS_H
#define STORE_PERSON_ROWS_H

#include "net/pg.h"
#include "store/people.h"

/* A timestamptz as RFC 3339. */
#define TIME_SQL(column) "to_char(" column " at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

/* The columns that person_read() wants first, of a table or alias `u`; then PERSON_COLUMNS is the next. */
#define PERSON_SQL                                                                                                     \
	"u.id, coalesce(u.email, ''), u.name, u.role, u.disabled, coalesce(u.rate_limit, 0), "                         \
	"coalesce(u.tokens_per_day, -1), " TIME_SQL("u.created_at")
#define PERSON_COLUMNS 8

void person_read(const struct pg_rows *rows, size_t row, struct person *p);

/* The first row's, if there is one: 1, or 0. */
int person_first(const struct pg_rows *rows, struct person *p);

/* A digest as PostgreSQL reads bytea. */
#define PERSON_HEX_BYTES (2 + 2 * PERSON_DIGEST_BYTES + 1)
const char *person_hex(char out[PERSON_HEX_BYTES], const unsigned char *digest);

#endif
