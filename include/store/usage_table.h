/*
 * usage_table.h - sums of usage that the processes of a host have together until they are in the database.
 *
 * Two tables in shared memory: one is added to; the other is sealed while it is written, part by part, each part under an
 * id that is the same whoever writes it.  So a process that is killed takes nothing along: what it counted stays, and what it
 * was writing is written again by another, with no effect where it was written already.  Atomics only; nothing waits.
 */
#ifndef STORE_USAGE_TABLE_H
#define STORE_USAGE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ident.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/usage.h"

/* People in one hour that are kept while the database is away; of more nothing is counted. */
#define USAGE_ENTRIES_MAX 12000
#define USAGE_PARTS 12

void usage_table_add(int64_t hour, const char *user_id, const struct usage_sums *sums);

/* Is anything there that is to be written? */
bool usage_table_is_used(void);

/* Seal what was added, unless a table is sealed already.  False when there is nothing; else the number of the sealed one. */
bool usage_table_seal(uint64_t *number_r);

/* Is somebody still adding to the sealed table?  For some microseconds; or for ever, if he was killed. */
bool usage_table_is_busy(uint64_t number);

/* A part of the sealed table: an array of objects as usage_hourly has columns (the caller's), NULL when the part is empty; and
   its id. */
struct json_object *usage_table_read(uint64_t number, size_t part, char id_r[IDENT_BYTES]);

/* It is written: make it empty, unless another has. */
void usage_table_clear(uint64_t number);

/* May this process write now?  One at a time does, for `ms` at most; -1 gives it back. */
bool usage_table_lease(int64_t ms);

#endif
