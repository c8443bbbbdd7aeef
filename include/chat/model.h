/*
 * model.h - a call of the model: any server that speaks OpenAI's Chat
 * Completions API (platform.openai.com/docs/api-reference/chat).
 *
 * Each function that waits takes a moment until which it may: at that moment it
 * answers MODEL_SILENT, so that the caller can say to its own client that all is
 * well, and is simply called again.  The model's own time-outs are kept here; so is an eye on its server while it is
 * silent (chat/model_server.h).
 * Before the first byte one failed attempt is repeated, after a jittered pause or
 * as long as Retry-After asks, if that is short.  All calls pass the model's breaker (chat/model_guard.h): while it is
 * open, opening one fails at once with ERR_UNAVAILABLE.
 */
#ifndef CHAT_MODEL_H
#define CHAT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/json_scan.h"

struct logger;
struct model_call;

enum model_event {
	MODEL_READY,                    /* what was asked for is there */
	MODEL_END,                      /* the stream is complete */
	MODEL_SILENT,                   /* not yet */
	MODEL_FAILED,                   /* *err says why; ERR_CANCELLED if we were to stop */
};

/* Begin a call with this body, which must live until model_close().  Does not wait. */
struct model_call *model_open(const char *body, size_t len, bool stream, const struct logger *log,
                              struct err *err) MUST_USE;

/* Wait until the model has accepted the call (MODEL_READY). */
enum model_event model_wait(struct model_call *m, int64_t until_ms, struct err *err) MUST_USE;

/* A chunk of the stream: its text, valid until the next call on the model, and
   where in it stands what matters (len 0: not there). */
struct model_chunk {
	struct json_slice text;
	struct json_slice id;
	struct json_slice choices;
	struct json_slice usage;
	struct json_slice content;      /* of the delta, still in quotes */
	struct json_slice tool_calls;   /* of the delta */
	struct json_slice finish_reason;
};

/* The next chunk of the stream. */
enum model_event model_next_chunk(struct model_call *m, int64_t until_ms, struct model_chunk *chunk_r,
                                  struct err *err) MUST_USE;

/* The whole answer of a call that does not stream: an object with at least one choice; json_object_put() it. */
int model_read_answer(struct model_call *m, struct json_object **answer_r, struct err *err) MUST_USE;

/* Did the model refuse the call because it was offered tools?  After MODEL_FAILED. */
bool model_refused_tools(const struct model_call *m);

/* Cancel what still runs, and free. */
void model_close(struct model_call **m);

/* GET /models of the model's server; json_object_put() it.  Waits. */
int model_list(struct json_object **list_r, struct err *err) MUST_USE;

#endif
