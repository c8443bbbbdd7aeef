/*
 * turn.h - one turn of a conversation: ask the model, pass its answer on.
 */
#ifndef CHAT_TURN_H
#define CHAT_TURN_H

#include <stdbool.h>

#include "base/err.h"

struct prompt;
struct request;

/* Answer the request with the model's answer to the prompt, streamed or whole as it
   asks.  With `extras`, what is ours rides along in members named `bakame`.
   -1 with *err: before the answer began it is the caller's to send; after, the
   client has been told and it is for the log.  What it took is counted (store/usage.h) and in prompt->used.  Waits. */
int turn_run(struct request *rq, struct prompt *prompt, bool extras, struct err *err) MUST_USE;

#endif
