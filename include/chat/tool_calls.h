/*
 * tool_calls.h - the calls of tools that a model asks for, put together from its answer.
 *
 * A stream brings them in deltas (platform.openai.com/docs/api-reference/chat-streaming): a call's id and name,
 * then its arguments in pieces, told apart by `index`.  Servers differ, and this is borne: no index; the
 * same index for calls with ids of their own; no id; the name again in each delta; arguments as an object
 * instead of text.  Nothing here waits.
 */
#ifndef CHAT_TOOL_CALLS_H
#define CHAT_TOOL_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/json.h"

/* Of one round; a model that asks for more is told so. */
#define TOOL_CALLS_MAX 16
#define TOOL_CALL_ID_BYTES 80
#define TOOL_CALL_NAME_BYTES 72
#define TOOL_CALL_ARGUMENTS_MAX_BYTES ((size_t)64 * 1024)

struct tool_ask {
	int64_t index;                  /* as the model numbers it; -1: it does not */
	char id[TOOL_CALL_ID_BYTES];    /* "" until known; see tool_calls_finish() */
	char name[TOOL_CALL_NAME_BYTES];
	struct buffer arguments;        /* JSON text, as the model wrote it */
	bool too_large;                 /* arguments past the maximum were dropped */
};

struct tool_calls {
	struct tool_ask asks[TOOL_CALLS_MAX];
	size_t count;
	unsigned too_many;              /* calls past the maximum, dropped */
};

struct tool_calls *tool_calls_new(void);
/* Sets *calls to NULL. */
void tool_calls_free(struct tool_calls **calls);

/* Take in `tool_calls` of a delta, or of a message that came whole.  What is no such array is left aside. */
void tool_calls_add(struct tool_calls *calls, struct json_object *tool_calls);

/* All is there: each call gets an id that no other has ("call_<number>", counted from `first`) where the
   model gave none or one twice. */
void tool_calls_finish(struct tool_calls *calls, unsigned first);

/* The calls as a message of the assistant has them; json_object_put() it. */
struct json_object *tool_calls_message(const struct tool_calls *calls, const char *text);

#endif
