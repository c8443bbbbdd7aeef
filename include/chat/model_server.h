/*
 * model_server.h - the model's server: a request to it, and whether it is there at all.
 *
 * A model that thinks, or loads, is silent for as long as it takes; a server that hangs is silent for ever, and the two
 * look alike.  So a server of which nothing has been heard for OPENAI_SILENCE_MS is asked for something that costs it
 * nothing (GET /models): any answer, even a refusal, shows that it is there, and so does any byte of another call.  One
 * question serves all silent calls of the worker.
 */
#ifndef CHAT_MODEL_SERVER_H
#define CHAT_MODEL_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct http_call;

/* Begin a request to OPENAI_BASE_URL + `path` with our key: POST with this JSON, which must live until http_close(),
   or GET where `body` is NULL.  NULL with *err if it is not to be had.  Does not wait. */
struct http_call *model_request(const char *path, const char *body, size_t len, struct err *err) MUST_USE;

/* Does the model's server answer (GET /models), and take our key?  Neither asks the breaker nor counts for it.  -1
   with *err if not.  Waits. */
int model_ping(int64_t deadline_ms, struct err *err) MUST_USE;

/* Bytes of the model have come: it is there. */
void model_heard(void);

/* A call has heard nothing since `since_ms`: when to look again (FIBER_NO_DEADLINE: never), or MODEL_IS_AWAY when the
   server has been asked and has not answered within OPENAI_SILENCE_MS either.  Does not wait. */
#define MODEL_IS_AWAY (-1)
int64_t model_look(int64_t since_ms);

#endif
