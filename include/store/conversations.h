/*
 * conversations.h - somebody's conversations, as JSON.
 *
 * All as the person who asks, so that row-level security sees to it that they are theirs: another's are not there
 * (ERR_NOT_FOUND).  Texts live in the arena.  Each waits for the database; -1 with *err as pg_run() has it.
 */
#ifndef STORE_CONVERSATIONS_H
#define STORE_CONVERSATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/err.h"

#define CONVERSATIONS_PAGE_MAX 100
#define CONVERSATION_TITLE_MAX 200              /* characters */

struct conversations_page {
	const char *cursor;             /* where the page before ended; "" for the first */
	int64_t limit;
	const char *wanted;             /* words to look for in titles and messages; "" for all */
};

/* {"conversations":[...],"next_cursor":...}: pinned ones first, then by when they were last spoken in. */
int conversations_list(struct arena *a, const char *user_id, const struct conversations_page *page, struct buffer *out,
                       struct err *err) MUST_USE;

/* {"id":...,"messages":[...],"next_cursor":...}: the newest messages (500, and no more than a million characters), oldest
   first; those before them by the cursor. */
int conversations_get(struct arena *a, const char *user_id, const char *id, const char *cursor, struct buffer *out,
                      struct err *err) MUST_USE;

/* NULL and -1 leave it as it is.  The conversation as the list has it. */
int conversations_change(struct arena *a, const char *user_id, const char *id, const char *title, int pinned,
                         struct buffer *out, struct err *err) MUST_USE;

int conversations_delete(struct arena *a, const char *user_id, const char *id, struct err *err) MUST_USE;

#endif
