/*
 * breaker.h - circuit breaker of one service, shared by all workers of the host.
 *
 * CLOSED until `failures` in a row, then OPEN for `reset_ms`, then HALF_OPEN:
 * exactly one probe passes; its end decides.  A probe whose worker died, or that took
 * longer than BREAKER_PROBE_MAX_MS, makes room for another.  State lives in shared memory
 * (one 64-bit word changed by compare-and-swap: sound wherever a worker is killed); the
 * worker that makes a transition logs it, so it is logged once per host.
 * Times are CLOCK_MONOTONIC milliseconds, as loop_now_ms() has them.  Nothing here waits.
 *
 * What counts as failure is the caller's to say: no connection, a time-out, a 5xx, 408 or 429, an
 * answer that is malformed.  Other 4xx mean that the service works.
 * The pattern: M. Nygard, "Release It!"; martinfowler.com/bliki/CircuitBreaker.html.
 */
#ifndef NET_BREAKER_H
#define NET_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

#define BREAKER_NAME_BYTES 32
#define BREAKERS_MAX 64
#define BREAKER_PROBE_MAX_MS 120000

struct breaker;                 /* in shared memory, never freed */

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

/* Leave to make one attempt; give it back with the outcome. */
struct breaker_pass {
	uint64_t word;                  /* the state that admitted it */
	bool probe;
};

enum breaker_outcome {
	BREAKER_OK,
	BREAKER_FAILED,
	BREAKER_UNKNOWN,                /* cancelled before it could be told: a probe's place is free again */
};

/* Find or make the breaker of `name` (copied, at most 31 bytes); thresholds are those of
   the first who makes it, until a worker with other settings comes.  NULL when the table is full. */
struct breaker *breaker_get(const char *name, int failures, int64_t reset_ms);

/* The breaker of a service by the table in breaker.c ("openai", "redis", "weather", ...) with the thresholds that
   its BREAKER_... setting gives; other names have those of a tool.  NULL when it is set to off. */
struct breaker *breaker_of(const char *service);

/* Make all of that table, so that the operator sees them before their first use; close those that are set to off now. */
void breakers_start(void);

/* May an attempt start?  False while open; *retry_ms_r then says for how long (at least 1).
   Each true is answered by exactly one breaker_report().  A NULL breaker admits. */
bool breaker_allow(struct breaker *b, int64_t now_ms, int64_t *retry_ms_r, struct breaker_pass *pass_r) MUST_USE;

void breaker_report(struct breaker *b, const struct breaker_pass *pass, int64_t now_ms, enum breaker_outcome outcome);

/* The same for a failure, with words for the log (NULL: none) should it open the breaker. */
void breaker_report_failure(struct breaker *b, const struct breaker_pass *pass, int64_t now_ms, const char *why);

/* As breaker_allow() would answer, without taking a probe's place. */
bool breaker_is_open(struct breaker *b, int64_t now_ms);

/* As it stands; CLOSED for NULL. */
enum breaker_state breaker_state(struct breaker *b);

/* By hand: closed, whatever was. */
void breaker_reset(struct breaker *b, int64_t now_ms);

/* What the operator sees of it. */
struct breaker_view {
	char name[BREAKER_NAME_BYTES];
	enum breaker_state state;
	int failures;                   /* in a row */
	int failures_max;
	int64_t reset_ms;
	int64_t since_ms;               /* in this state; 0 if it never changed */
	uint64_t opened;                /* how often, ever */
};

/* The breaker at `index`, from 0; false past the last. */
bool breaker_view(unsigned index, struct breaker_view *view_r);
struct breaker *breaker_find(const char *name);         /* NULL if there is none */
const char *breaker_state_name(enum breaker_state state);       /* "closed", "open", "half_open" */

#endif
