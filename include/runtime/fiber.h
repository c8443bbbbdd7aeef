/*
 * fiber.h - a small stack per request, so that handlers read as if they blocked.
 *
 * A fiber runs until it waits; the event loop then runs the others.  Fibers
 * run only from the loop, never from inside another fiber or a callback of
 * a library, so nothing changes under a fiber's feet between two waits.
 * One thread: no locks.
 *
 * Stacks are FIBER_STACK_BYTES with a guard page below; only touched pages cost
 * memory, and finished stacks are kept for the next fiber (a bounded number).
 * The first entry is by ucontext, later switches by _setjmp/_longjmp, which,
 * unlike swapcontext(), make no system call; switches are announced to ASan and valgrind.
 */
#ifndef RUNTIME_FIBER_H
#define RUNTIME_FIBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct fiber;
struct trace_context;

#define FIBER_NO_DEADLINE INT64_MAX

/* Why a fiber is to give up what it does. */
enum fiber_cancel {
	FIBER_GO_ON,                    /* it is not */
	FIBER_CLIENT_GONE,
	FIBER_DRAINING,                 /* the worker ends and DRAIN_SECONDS have passed */
	FIBER_PAST_DEADLINE,            /* of the whole request */
};

/* What ended a wait. */
enum fiber_event {
	FIBER_WOKEN,                    /* by fiber_wake(), perhaps for another reason: look again */
	FIBER_TIMEOUT,                  /* the deadline of this wait passed */
	FIBER_CANCELLED,                /* see fiber_cancelled() */
};

/* Start a fiber; it first runs in the loop's next round. */
struct fiber *fiber_spawn(void (*fn)(void *arg), void *arg);

/* The running fiber, or NULL in the loop's own context. */
struct fiber *fiber_self(void);

/* Wait until woken, cancelled, or loop_now_ms() reaches `deadline_ms`.  Wakes
   may be spurious: call it in a loop around the condition. */
enum fiber_event fiber_wait(int64_t deadline_ms) MUST_USE;

/* Sleep at least `ms`.  -1 with *err when cancelled. */
int fiber_sleep(int64_t ms, struct err *err) MUST_USE;

/* Let a waiting fiber go on, in the loop's next round; else nothing. */
void fiber_wake(struct fiber *f);

/* Cancel: each wait of the fiber ends with FIBER_CANCELLED from now on, except
   while masked.  The first reason stays. */
void fiber_cancel(struct fiber *f, enum fiber_cancel why);
enum fiber_cancel fiber_cancelled(const struct fiber *f);

/* From this time on the running fiber counts as cancelled (FIBER_PAST_DEADLINE). */
void fiber_set_deadline(int64_t deadline_ms);
int64_t fiber_deadline(void);

/* While masked, waits of the running fiber heed only their own deadline: for
   clean-up that has to be done whatever happened.  Calls nest. */
void fiber_mask_begin(void);
void fiber_mask_end(void);

/* Fill in *err for a cancelled fiber: ERR_CANCELLED, ERR_UNAVAILABLE
   or ERR_UPSTREAM_TIMEOUT.  Returns -1. */
int fiber_cancel_err(struct err *err);

/* Call fn() after each round of fibers, before the loop waits: what they asked for in one round
   can then go out together.  For good; at most FIBER_HOOKS_MAX different ones. */
#define FIBER_HOOKS_MAX 4
void fiber_after_round(void (*fn)(void));

/* Fibers alive now. */
unsigned fiber_count(void);

/* Where the running fiber stands in a trace; a fiber that it spawns starts with a copy.  All zero where
   nobody has set it.  Not in the loop's own context. */
struct trace_context *fiber_trace(void);

/* Free the pooled stacks; for leak checkers at the end. */
void fiber_pool_free(void);

#endif
