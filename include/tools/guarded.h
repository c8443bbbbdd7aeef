/*
 * guarded.h - a fetch for a tool out of the cache, or behind a breaker.
 */
#ifndef TOOLS_GUARDED_H
#define TOOLS_GUARDED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

struct tool_run;

struct guarded {
	const char *name;               /* of its kind in the cache, and of its breaker */
	const char *provider;           /* as people know it */
	int64_t ttl_secs;
	int64_t time_ms;                /* that a fetch may take */
	int (*fetch)(const struct tool_run *run, struct json_object **answer_r, struct err *err);      /* see struct tool_provider */
	const struct tool_run *run;
	bool refused;                   /* set: the breaker is open */
};

/* The provider's answer, from it or from where it was kept. */
struct guarded_answer {
	struct json_object *answer;
	bool cached;
	bool stale;
	int64_t age_secs;
};

/* What is kept under `key`, or what the provider says now.  json_object_put() f->answer.  -1 with *err.  Waits. */
int guarded_fetch(struct guarded *g, const char *key, struct guarded_answer *f, struct err *err) MUST_USE;

#endif
