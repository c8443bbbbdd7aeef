/*
 * admin.h - people as administrators see and change them; the log of what they changed.
 *
 * As the service role: whoever calls has seen to it that an administrator asks.  Each change and its entry in the
 * log are one transaction.  Each waits for the database; -1 with *err as pg_run() has it.
 */
#ifndef STORE_ADMIN_H
#define STORE_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/err.h"

#define ADMIN_PAGE_MAX 200

/* Who does it, from where. */
struct admin_actor {
	const char *user_id;
	const char *remote_addr;
	const char *request_id;
};

/* {"users":[...],"next_cursor":...}: newest first; `wanted` is part of an address or name. */
int admin_list_users(struct arena *a, const char *cursor, const char *wanted, int64_t limit, struct buffer *out,
                     struct err *err) MUST_USE;

/* What is to change. */
struct admin_change {
	const char *role;               /* NULL: as it is */
	int disabled;                   /* -1: as it is */
	int64_t rate_limit;             /* -1: as it is; 0: as all */
	int64_t tokens_per_day;         /* -2: as it is; -1: as all; 0: no limit */
};

/* The person as the list has them.  ERR_NOT_FOUND; ERR_CONFLICT for the last administrator, whoever else is changed at
   the same time. */
int admin_change_user(struct arena *a, const struct admin_actor *actor, const char *id, const struct admin_change *change,
                      struct buffer *out, struct err *err) MUST_USE;

/* Write to the log what was changed elsewhere. */
int admin_note(struct arena *a, const struct admin_actor *actor, const char *action, const char *target,
               struct err *err) MUST_USE;

/* {"entries":[...],"next_cursor":...}, newest first. */
int admin_list_log(struct arena *a, int64_t before, int64_t limit, struct buffer *out, struct err *err) MUST_USE;

#endif
