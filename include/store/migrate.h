/*
 * migrate.h - bringing the database's schema up to date: `bakamectl migrate`.
 *
 * Migrations are the files NNNN_name.sql of one directory, numbered from 0001 without gaps.  Each is applied in a
 * transaction of its own, under an advisory lock that ends with it (a transaction pooler may be between),
 * and recorded in bakame.migrations with the SHA-256 of its text.  Nothing is undone: a database that has what
 * the directory has not, or a file that was changed after it was applied, is refused.
 * Blocks: for bakamectl, not for workers.
 */
#ifndef STORE_MIGRATE_H
#define STORE_MIGRATE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

/* Apply what is missing of `directory` to the database at `url`, telling each on `out`.  -1 with *err; what was
   applied before stays. */
int migrate_run(const char *url, const char *directory, FILE *out, struct err *err) MUST_USE;

/* Tell on `out` what is applied and what is not; *pending_r: is something missing?  -1 with *err. */
int migrate_status(const char *url, const char *directory, FILE *out, bool *pending_r, struct err *err) MUST_USE;

#endif
