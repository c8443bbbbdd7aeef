/*
 * record.h - a turn of who is signed in, as it is kept: history before the model is asked, the question stored before
 * that, the answer before the client is told that it is whole.
 *
 * What a request may say besides API.md: `parent_id`, the message that what is new follows (null: none; left out: where the
 * conversation ends), and `regenerate`: true, to answer the message `parent_id` anew.
 */
#ifndef CHAT_RECORD_H
#define CHAT_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/json_scan.h"

struct prompt;
struct record;
struct request;

/* What the answer took. */
struct record_facts {
	bool complete;
	const char *model;
	int64_t prompt_tokens;
	int64_t completion_tokens;
	struct json_object *tools;      /* what they did, or NULL.  Borrowed */
};

/* Begin: nothing for a guest or without a database (*record_r is NULL then).  Puts what was said before, and files,
   into the prompt.  -1 with *err: ERR_NOT_FOUND (conversation, parent or file), ERR_INVALID_REQUEST, ERR_UNPROCESSABLE, or
   cancelled.  Free with record_free().  Waits. */
int record_begin(struct request *rq, struct json_object *body, struct prompt *prompt, struct record **record_r,
                 struct err *err) MUST_USE;

/* Add to what the client is told first: which conversation, which messages, whether it is kept. */
void record_add_extras(const struct record *r, struct json_object *extras);

/* Text of the answer: a JSON string as it stands in a chunk, quotes included. */
void record_note(struct record *r, struct json_slice quoted);

/* Store the answer, once.  What the client should be told besides (an object to free), or NULL.  Waits, even
   when cancelled. */
struct json_object *record_end(struct record *r, const struct record_facts *facts);

void record_free(struct record **r);

#endif
