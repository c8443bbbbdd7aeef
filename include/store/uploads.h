/*
 * uploads.h - what is known of the files that people sent; their bytes are in store/blob.h.
 *
 * A file's row comes before its bytes are in their place, and is seen by its owner from when they are (`stored_at`); so there
 * is a row for all bytes that are kept, or a row in upload_remains.  As the person who asks, by row-level security:
 * another's are not there (ERR_NOT_FOUND).  Texts live in the arena.  Each waits for the database; -1 with *err as
 * pg_run() has it.
 */
#ifndef STORE_UPLOADS_H
#define STORE_UPLOADS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/err.h"
#include "store/blob.h"
#include "store/queue.h"

#define UPLOADS_PAGE_MAX 100

struct upload {
	const char *id;
	const char *name;
	const char *type;
	const char *text;               /* of uploads_texts(), or NULL */
	const char *text_status;        /* "none", "pending", "done", "failed" */
	const char *text_error;         /* what went wrong, for the person; or NULL */
	int64_t size;
	int64_t text_chars;             /* of the whole text */
};

/* A new file; ERR_PAYLOAD_TOO_LARGE when it is too much for the person's quota. */
int uploads_add(struct arena *a, const char *user_id, const char *id, const char *name, const struct blob_facts *facts,
                struct err *err) MUST_USE;

/* Its bytes are in their place: now it is there.  What API.md says of a file is added to `out`. */
int uploads_stored(struct arena *a, const char *user_id, const char *id, struct buffer *out, struct err *err) MUST_USE;

int uploads_get(struct arena *a, const char *user_id, const char *id, struct upload *upload_r, struct err *err) MUST_USE;
int uploads_describe(struct arena *a, const char *user_id, const char *id, struct buffer *out, struct err *err) MUST_USE;

/* {"files":[...],"next_cursor":...}, newest first. */
int uploads_list(struct arena *a, const char *user_id, const char *cursor, int64_t limit, struct buffer *out,
                 struct err *err) MUST_USE;

/* Forget it, and its bytes. */
int uploads_delete(struct arena *a, const char *user_id, const char *id, struct err *err) MUST_USE;

/* The same for one of uploads_add() that is not to be there after all: its bytes go, though its owner was erased meanwhile. */
void uploads_take_back(struct arena *a, const char *user_id, const char *id);

/* Those of `ids` (a PostgreSQL array of UUIDs) that are the person's, with at most `max_chars` of each text, into
   files_r[max].  How many, or -1. */
int uploads_texts(struct arena *a, const char *user_id, const char *ids, int64_t max_chars, struct upload *files_r,
                  size_t max, struct err *err) MUST_USE;

/* ---- text: had by a job ---- */

/* See to it that the text is extracted: by a job, or here and now in a fiber of its own where there is no queue. */
void uploads_extract_later(const char *id);

/* End what uploads_extract_later() has running here; the clean-up finds what was not done.  Waits. */
void uploads_finish(void);

/* The job "extract_text". */
int uploads_run_extract(const struct job *job, struct err *err) MUST_USE;

/* ---- cleaning up ---- */

struct uploads_cleaned {
	unsigned temporary;             /* files that did not arrive whole */
	unsigned not_stored;            /* rows whose bytes never came */
	unsigned remains;               /* bytes without a row */
	unsigned texts;                 /* texts that were waited for in vain, asked for again */
};

/* Take away what is left over, as far as it goes: -1 with the first error when something stays.  Safe to run
   anywhere at any time. */
int uploads_clean(struct uploads_cleaned *cleaned_r, struct err *err) MUST_USE;

#endif
