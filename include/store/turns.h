/*
 * turns.h - what was said and answered in a conversation, on its way into the database.
 *
 * A message is stored once, whoever tries how often: its id is the worker's that took it.  While the
 * database is away it goes to the queue, in the group of its conversation, so that order holds; and while there are
 * such, what follows goes there too.  Where both are away the caller is told.
 */
#ifndef STORE_TURNS_H
#define STORE_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/ident.h"
#include "base/json.h"
#include "store/queue.h"

/* Where a message is. */
enum turns_saved {
	TURNS_STORED,
	TURNS_QUEUED,                   /* it will be stored */
	TURNS_LOST,                     /* it will not */
};

/* What somebody says. */
struct turns_begin {
	const char *user_id;
	const char *conversation_id;
	bool starts;                    /* the conversation */
	const char *title;              /* of one that starts */
	bool follows;                   /* below where the conversation ends, not below `parent_id` */
	const char *parent_id;          /* NULL: a beginning */
	int64_t at_us;                  /* when, in microseconds since 1970 */
	struct json_object *messages;   /* [{"id","role","content","text","attachments"}], borrowed; empty: answer anew */
};

/* What is answered. */
struct turns_end {
	const char *user_id;
	const char *conversation_id;
	const char *parent_id;          /* what it answers */
	int64_t at_us;
	struct json_object *answer;     /* {"id","content","status","model",...}, borrowed */
};

/* Load what was said before (as many messages and characters as a model is told; [{"role","content","attachments"}], which
   json_object_put() frees; NULL where it could not be had), and store what is said now.  -1 with *err when that is not to be:
   ERR_NOT_FOUND, there is no such conversation or parent; ERR_UNPROCESSABLE; or cancelled.  Waits. */
int turns_begin(struct arena *a, const struct turns_begin *t, struct json_object **history_r, enum turns_saved *saved_r,
                struct err *err) MUST_USE;

/* Store the answer; `begun` is what became of the question: without it the answer is lost too, for it would follow
   nothing.  `err` says why it was lost, if not so.  Waits. */
enum turns_saved turns_end(struct arena *a, const struct turns_end *t, enum turns_saved begun, struct err *err);

/* The jobs "store_turn" and "store_answer". */
int turns_run_begin(const struct job *job, struct err *err) MUST_USE;
int turns_run_end(const struct job *job, struct err *err) MUST_USE;

#endif
