/*
 * prompt.h - what a client asks of the model: checked, and as the model wants it.
 */
#ifndef CHAT_PROMPT_H
#define CHAT_PROMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "tools/registry.h"

#define PROMPT_MESSAGES_MAX 200

struct prompt {
	const char *model;              /* the one that will answer */
	bool stream;
	bool usage;                     /* the client wants the usage chunk of a stream */
	struct json_object *body;       /* for the model's /chat/completions */
	tool_set tools;                 /* ours, offered to the model and run here */
	struct record *record;          /* of who is signed in (chat/record.h), or NULL */
	const char *reservation;        /* of tokens (chat/budget.h), or NULL */
	int64_t estimate;               /* what was reserved */
	int64_t used;                   /* tokens, after turn_run() */
};

/* Read the body of POST /api/chat.  What lives in *prompt lives in the arena and
   in `body`.  -1 with *err: ERR_INVALID_REQUEST or ERR_UNPROCESSABLE with the
   field's path. */
int prompt_read(struct arena *a, struct json_object *body, struct prompt *prompt, struct err *err) MUST_USE;

/* A guest has no conversations and no uploads to refer to.  -1 with *err: ERR_UNAUTHORIZED, ERR_INVALID_REQUEST. */
int prompt_check_guest(struct json_object *body, struct err *err) MUST_USE;

/* Other messages than the request's: with what was said before.  Borrowed; they come after the operator's words. */
void prompt_use_messages(struct prompt *prompt, struct arena *a, struct json_object *messages);

/* The same for POST /v1/chat/completions: all that OpenAI's API takes is passed on. */
int prompt_read_openai(struct arena *a, struct json_object *body, struct prompt *prompt,
                       struct err *err) MUST_USE;

/* Bytes of text in messages: roughly what they take as JSON, without making it. */
size_t prompt_weight(struct json_object *messages);

/* Offer tools of ours to the model: their definitions go into the body.  Not when the body brings its own
   or asks for several choices at once. */
void prompt_offer_tools(struct prompt *prompt, tool_set tools);

/* May a client ask for this model? */
bool prompt_model_offered(const char *name);

#endif
