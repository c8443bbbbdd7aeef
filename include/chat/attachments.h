/*
 * attachments.h - files that go with what is said: images for the model to look at, the text of others.
 */
#ifndef CHAT_ATTACHMENTS_H
#define CHAT_ATTACHMENTS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

#define ATTACHMENTS_MAX 10              /* with one message */

/* Check the member `attachments` of a request: an array of ids (or nothing) of files that are the person's.  Texts that
   are still being extracted are waited for a few seconds.  -1 with *err: ERR_INVALID_REQUEST, ERR_NOT_FOUND,
   ERR_UNPROCESSABLE.  Waits. */
int attachments_check(struct arena *a, const char *user_id, struct json_object *body, struct err *err) MUST_USE;

/* Make of each message of `messages` ([{"role","content","attachments"}]) one that a model understands, with its
   files as parts of the content.  Texts are cut to what a model can take; of images those with the newest message that has
   files are shown, of others it is said that they were.  What cannot be read is said so.  -1 with *err: ERR_UNPROCESSABLE,
   ERR_INTERNAL, or cancelled.  Waits. */
int attachments_expand(struct arena *a, const char *user_id, struct json_object *messages, struct err *err) MUST_USE;

#endif
