/*
 * turn_parts.h - what the files that make up a turn share: turn.c (its course), relay.c (what the client sees)
 * and tool_round.c (tools run).
 */
#ifndef CHAT_TURN_PARTS_H
#define CHAT_TURN_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/json.h"
#include "chat/model.h"
#include "chat/prompt.h"
#include "chat/tool_calls.h"

struct request;

/* Rounds of tools, and calls of all rounds; then the model answers without. */
#define TURN_ROUNDS_MAX 6
#define TURN_CALLS_MAX 16

/* Of what was said before a call of a tool, so much at most goes back to the model. */
#define TURN_SAID_MAX_BYTES ((size_t)2048)

struct usage {
	int64_t prompt_tokens;
	int64_t completion_tokens;
};

struct turn {
	struct request *rq;
	const struct prompt *prompt;
	struct model_call *model;
	struct buffer body;             /* the prompt as text, until the model has accepted it */
	size_t prompt_bytes;            /* of it */
	bool extras;
	const char *id;                 /* of the completion, the same in each chunk; in quotes */
	size_t id_len;
	int64_t first_chunk_ms;         /* 0: none yet */
	int64_t chunks;                 /* of the model, passed on or kept back */
	struct usage usage;             /* of rounds that are over */
	struct usage round_usage;       /* of this one, so far */
	/* tools */
	bool offers_tools;              /* in this round: their calls are taken in, not passed on */
	bool tools_over;                /* the model is to answer without from now on */
	unsigned rounds;                /* of tools, done */
	unsigned asked;                 /* calls in them */
	bool said_in_round;             /* this round has passed something on */
	int64_t chunks_before;          /* of the rounds before */
	bool told_waiting;              /* that this round's first chunk is waited for */
	struct buffer said;             /* this round's text as JSON writes it, without quotes */
	struct tool_calls *calls;       /* this round's; NULL while there are none */
	struct json_object *messages;   /* the prompt's and what tools have added; NULL before the first round */
	struct json_object *activity;   /* what tools did, where it is told at the end or kept; or NULL */
	struct json_object *answer;     /* of a model that does not stream */
};

/* ---- relay.c: what the client sees.  All may wait; -1: the client has gone ---- */

/* Begin the stream, if that was not done. */
int relay_begin(struct turn *t) MUST_USE;
int relay_ping(struct turn *t) MUST_USE;

/* Tell that the model has said nothing so far.  Sent with the next flush. */
int relay_waiting(struct turn *t) MUST_USE;

/* Pass a chunk of the model on, or keep back what is not for the client: calls of our tools, the end of a
   round that is not the last.  Sent with the next flush. */
int relay_chunk(struct turn *t, const struct model_chunk *chunk) MUST_USE;

/* Tell what a tool does; `tool` is borrowed.  Sent at once. */
int relay_tool(struct turn *t, struct json_object *tool) MUST_USE;

/* End the stream as it should end. */
int relay_end(struct turn *t) MUST_USE;

/* Tell what is ours besides, borrowed.  Sent with the next flush. */
int relay_news(struct turn *t, struct json_object *news) MUST_USE;

/* The whole answer of a model that did not stream; `news` as above, or NULL. */
void relay_answer(struct turn *t, struct json_object *news);

/* Tell the client, whose status line is long gone, that it ends here. */
void relay_failure(struct turn *t, const struct err *err);

void turn_note_usage(struct turn *t, struct json_object *answer);

/* ---- tool_round.c ---- */

/* Run the calls that the model asked for side by side, tell the client of each, and add the results to what
   the model is told next.  -1 with *err: the client has gone, or the turn was cancelled; what ran has ended then.  A
   tool that fails is no failure here.  Waits. */
int tool_round_run(struct turn *t, struct err *err) MUST_USE;

#endif
