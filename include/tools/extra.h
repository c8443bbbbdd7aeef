/*
 * extra.h - what a result gets besides its provider's answer: struct tool_extra (tools/tool.h), asked side by side
 * with it in a fiber of its own.
 */
#ifndef TOOLS_EXTRA_H
#define TOOLS_EXTRA_H

#include <stdbool.h>

#include "base/json.h"

struct fiber;
struct tool;
struct tool_run;

struct extra_call {
	const struct tool *tool;
	const struct tool_run *run;
	bool directly;                  /* neither cache nor breaker */
	struct fiber *owner;
	struct fiber *fiber;            /* while it runs */
	struct json_object *answer;     /* NULL: none */
};

/* Start the tool's, if it has one and these arguments want it; `call` and `run` stay until extra_end(), which each
   extra_begin() is followed by. */
void extra_begin(struct extra_call *call, const struct tool *tool, const struct tool_run *run, bool directly);

/* Wait for it and add it to `result`; where it fails nothing is added, and the log knows.  NULL: it is not
   wanted any more.  Waits. */
void extra_end(struct extra_call *call, struct json_object *result);

#endif
