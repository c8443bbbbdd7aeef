/*
 * fiber.c - see runtime/fiber.h
 *
 * glibc's fortified longjmp() takes a jump to another stack for an attack.
 */
#undef _FORTIFY_SOURCE

#include "runtime/fiber.h"

#include <assert.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "runtime/loop.h"
#include "runtime/pace.h"
#include "telemetry/trace.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
/* gcc's way to tell that ASan is on, then clang's */
#ifdef __SANITIZE_ADDRESS__
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(HAVE_VALGRIND_VALGRIND_H) && !defined(NVALGRIND)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(start, end) 0U
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define FIBER_STACK_BYTES ((size_t)512 * 1024)  /* red zones need room */
#else
#define FIBER_STACK_BYTES ((size_t)64 * 1024)
#endif

#define POOL_MAX 512

#define LONG_WAIT_MS 2000
#define ROUND_MS 256

enum state { READY, RUNNING, WAITING, ENDED };

/* Lives at the top of its own stack. */
struct fiber {
	jmp_buf context;
	void (*fn)(void *arg);
	void *arg;
	struct fiber *next;             /* in the ready queue, or in the pool */
	char *mapping;                  /* guard page, then the stack, then this */
	enum state state;
	enum fiber_cancel cancel;
	unsigned masks;
	bool entered;
	int64_t deadline_ms;            /* of the whole request */
	int64_t wake_at_ms;             /* of this wait */
	int64_t timer_at_ms;            /* what the timer is armed for; 0: not armed */
	uv_timer_t timer;               /* may be armed for an earlier, outdated time */
	struct trace_context trace;
	unsigned valgrind_id;
	void *asan_fake_stack;
};

static struct {
	struct fiber *current;
	struct fiber *ready_head;
	struct fiber **ready_tail;
	struct fiber *pool;
	unsigned pooled;
	unsigned alive;
	jmp_buf context;                /* of the loop, while a fiber runs */
	ucontext_t entry;               /* used only for the first entry of each stack */
	const void *asan_stack;
	size_t asan_stack_size;
	void *asan_fake_stack;
	uv_prepare_t before_poll;
	uv_check_t after_poll;
	uv_idle_t stay_awake;
	bool started;
	void (*after_round[FIBER_HOOKS_MAX])(void);
} sched;

static size_t
page_size(void)
{
	static size_t size;

	if (size == 0)
		size = (size_t)sysconf(_SC_PAGESIZE);
	return size;
}

static char *
stack_bottom(const struct fiber *f)
{
	return f->mapping + page_size();
}

static size_t
stack_size(const struct fiber *f)
{
	return (size_t)((const char *)f - stack_bottom(f));
}

/* Tell ASan which stack comes next. */
static void
announce_switch(void **fake_stack_r, const void *bottom, size_t size)
{
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(fake_stack_r, bottom, size);
#else
	(void)fake_stack_r;
	(void)bottom;
	(void)size;
#endif
}

static void
announce_arrival(void *fake_stack, const void **left_bottom_r, size_t *left_size_r)
{
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(fake_stack, left_bottom_r, left_size_r);
#else
	(void)fake_stack;
	(void)left_bottom_r;
	(void)left_size_r;
#endif
}

/* Back to the loop from the running fiber. */
static void
switch_out(struct fiber *f)
{
	announce_switch(&f->asan_fake_stack, sched.asan_stack, sched.asan_stack_size);
	if (_setjmp(f->context) == 0)
		_longjmp(sched.context, 1);
	announce_arrival(f->asan_fake_stack, &sched.asan_stack, &sched.asan_stack_size);
}

static void
fiber_main(void)
{
	struct fiber *f = sched.current;

	announce_arrival(NULL, &sched.asan_stack, &sched.asan_stack_size);
	for (;;) {
		f->fn(f->arg);
		f->state = ENDED;
		switch_out(f);          /* comes back here when the stack is used again */
	}
}

static void
enter_first(struct fiber *f)
{
	getcontext(&sched.entry);
	sched.entry.uc_stack.ss_sp = stack_bottom(f);
	sched.entry.uc_stack.ss_size = stack_size(f);
	sched.entry.uc_link = NULL;
	makecontext(&sched.entry, fiber_main, 0);
	f->entered = true;
	setcontext(&sched.entry);
}

static void
switch_in(struct fiber *f)
{
	sched.current = f;
	f->state = RUNNING;
	announce_switch(&sched.asan_fake_stack, stack_bottom(f), stack_size(f));
	if (_setjmp(sched.context) == 0) {
		if (f->entered)
			_longjmp(f->context, 1);
		enter_first(f);
	}
	announce_arrival(sched.asan_fake_stack, NULL, NULL);
	sched.current = NULL;
}

static struct fiber *
stack_map(void)
{
	size_t guard = page_size();
	size_t size = guard + FIBER_STACK_BYTES;
	char *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE,
	                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	struct fiber *f;

	if (mapping == MAP_FAILED || mprotect(mapping, guard, PROT_NONE) != 0)
		abort();        /* as out of memory: the supervisor starts another worker */
	f = (struct fiber *)(mapping + size - (sizeof(*f) + 63) / 64 * 64);
	f->mapping = mapping;
	f->valgrind_id = VALGRIND_STACK_REGISTER(mapping + guard, (char *)f);
	uv_timer_init(loop_get(), &f->timer);
	f->timer.data = f;
	return f;
}

static void
stack_unmap_cb(uv_handle_t *timer)
{
	struct fiber *f = timer->data;
	char *mapping = f->mapping;

	VALGRIND_STACK_DEREGISTER(f->valgrind_id);
#ifdef WITH_ASAN
	__asan_unpoison_memory_region(mapping + page_size(), FIBER_STACK_BYTES);
#endif
	munmap(mapping, page_size() + FIBER_STACK_BYTES);
}

static void
recycle(struct fiber *f)
{
	sched.alive--;
	uv_timer_stop(&f->timer);
	f->timer_at_ms = 0;
#ifdef WITH_ASAN
	__asan_unpoison_memory_region(stack_bottom(f), stack_size(f));
#endif
	if (sched.pooled < POOL_MAX) {
		f->next = sched.pool;
		sched.pool = f;
		sched.pooled++;
	} else {
		uv_close((uv_handle_t *)&f->timer, stack_unmap_cb);
	}
}

/* Run those that are ready now; those that become ready meanwhile wait for
   the next round, so that the loop's other work is not kept waiting. */
static void
run_ready(void)
{
	struct fiber *f = sched.ready_head;

	sched.ready_head = NULL;
	sched.ready_tail = &sched.ready_head;
	while (f != NULL) {
		struct fiber *next = f->next;

		switch_in(f);
		if (f->state == ENDED)
			recycle(f);
		f = next;
	}
}

static void
do_nothing_cb(uv_idle_t *handle)
{
	(void)handle;
}

/* An active idle handle keeps the poll from blocking while some are ready. */
static void
run_round(void)
{
	run_ready();
	for (int i = 0; i < FIBER_HOOKS_MAX && sched.after_round[i] != NULL; i++)
		sched.after_round[i]();
	if (sched.ready_head != NULL)
		uv_idle_start(&sched.stay_awake, do_nothing_cb);
	else
		uv_idle_stop(&sched.stay_awake);
}

static void
before_poll_cb(uv_prepare_t *handle)
{
	(void)handle;
	run_round();
	if (sched.alive > PACE_FIBERS && sched.ready_head == NULL)
		pace_wait();
}

static void
after_poll_cb(uv_check_t *handle)
{
	(void)handle;
	run_round();
}

static void
start_scheduler(void)
{
	uv_loop_t *loop = loop_get();

	sched.ready_tail = &sched.ready_head;
	uv_prepare_init(loop, &sched.before_poll);
	uv_prepare_start(&sched.before_poll, before_poll_cb);
	uv_unref((uv_handle_t *)&sched.before_poll);
	uv_check_init(loop, &sched.after_poll);
	uv_check_start(&sched.after_poll, after_poll_cb);
	uv_unref((uv_handle_t *)&sched.after_poll);
	uv_idle_init(loop, &sched.stay_awake);
	sched.started = true;
}

static void
make_ready(struct fiber *f)
{
	f->state = READY;
	f->next = NULL;
	*sched.ready_tail = f;
	sched.ready_tail = &f->next;
}

struct fiber *
fiber_spawn(void (*fn)(void *arg), void *arg)
{
	struct fiber *f;

	if (!sched.started)
		start_scheduler();
	f = sched.pool;
	if (f != NULL) {
		sched.pool = f->next;
		sched.pooled--;
	} else {
		f = stack_map();
	}
	f->fn = fn;
	f->arg = arg;
	f->cancel = FIBER_GO_ON;
	f->masks = 0;
	f->deadline_ms = FIBER_NO_DEADLINE;
	f->trace = sched.current != NULL ? sched.current->trace : (struct trace_context){0};
	sched.alive++;
	make_ready(f);
	return f;
}

struct trace_context *
fiber_trace(void)
{
	return &sched.current->trace;
}

struct fiber *
fiber_self(void)
{
	return sched.current;
}

static void timer_cb(uv_timer_t *timer);

/* See to it that the timer fires when the wait ends, or before.  Long waits end on
   the next round time: else thousands of streams, each with its own pings and
   time-outs, would wake the worker for each of them.  A timer armed for an
   earlier time is left alone and looks again when it fires: a stream that waits
   anew for each chunk touches no timer. */
static void
arm_timer(struct fiber *f)
{
	int64_t now = loop_now_ms();
	int64_t at = f->wake_at_ms;

	if (at == FIBER_NO_DEADLINE)
		return;
	if (at - now >= LONG_WAIT_MS)
		at = (at + ROUND_MS - 1) / ROUND_MS * ROUND_MS;
	else if (at < now)
		at = now;
	if (f->timer_at_ms != 0 && f->timer_at_ms <= at)
		return;
	f->timer_at_ms = at;
	uv_timer_start(&f->timer, timer_cb, (uint64_t)(at - now), 0);
}

static void
timer_cb(uv_timer_t *timer)
{
	struct fiber *f = timer->data;

	f->timer_at_ms = 0;
	if (f->state != WAITING)
		return;
	if (loop_now_ms() >= f->wake_at_ms)
		make_ready(f);
	else
		arm_timer(f);
}

static bool
is_cancelled(struct fiber *f)
{
	if (f->masks > 0)
		return false;
	if (f->cancel == FIBER_GO_ON && loop_now_ms() >= f->deadline_ms)
		f->cancel = FIBER_PAST_DEADLINE;
	return f->cancel != FIBER_GO_ON;
}

enum fiber_event
fiber_wait(int64_t deadline_ms)
{
	struct fiber *f = sched.current;

	assert(f != NULL);
	if (is_cancelled(f))
		return FIBER_CANCELLED;
	if (loop_now_ms() >= deadline_ms)
		return FIBER_TIMEOUT;
	f->wake_at_ms = deadline_ms;
	if (f->masks == 0 && f->deadline_ms < deadline_ms)
		f->wake_at_ms = f->deadline_ms;
	arm_timer(f);
	f->state = WAITING;
	switch_out(f);
	if (is_cancelled(f))
		return FIBER_CANCELLED;
	return loop_now_ms() >= deadline_ms ? FIBER_TIMEOUT : FIBER_WOKEN;
}

int
fiber_sleep(int64_t ms, struct err *err)
{
	int64_t until = loop_now_ms() + ms;

	for (;;) {
		switch (fiber_wait(until)) {
		case FIBER_TIMEOUT:
			return 0;
		case FIBER_CANCELLED:
			return fiber_cancel_err(err);
		case FIBER_WOKEN:
			break;
		}
	}
}

void
fiber_wake(struct fiber *f)
{
	if (f->state == WAITING)
		make_ready(f);
}

void
fiber_cancel(struct fiber *f, enum fiber_cancel why)
{
	if (f->cancel == FIBER_GO_ON)
		f->cancel = why;
	if (f->masks == 0)
		fiber_wake(f);
}

enum fiber_cancel
fiber_cancelled(const struct fiber *f)
{
	return f->cancel;
}

void
fiber_set_deadline(int64_t deadline_ms)
{
	sched.current->deadline_ms = deadline_ms;
}

int64_t
fiber_deadline(void)
{
	return sched.current->deadline_ms;
}

void
fiber_mask_begin(void)
{
	sched.current->masks++;
}

void
fiber_mask_end(void)
{
	assert(sched.current->masks > 0);
	sched.current->masks--;
}

int
fiber_cancel_err(struct err *err)
{
	switch (sched.current->cancel) {
	case FIBER_DRAINING:
		err_set(err, ERR_UNAVAILABLE, "The service is restarting; please try again.");
		if (err != NULL)
			err->retry_after_secs = 1;
		break;
	case FIBER_PAST_DEADLINE:
		err_set(err, ERR_UPSTREAM_TIMEOUT, "This took longer than a request may; it was ended.");
		break;
	case FIBER_CLIENT_GONE:
	case FIBER_GO_ON:
		err_set(err, ERR_CANCELLED, "The client went away.");
		break;
	}
	return -1;
}

void
fiber_after_round(void (*fn)(void))
{
	int i = 0;

	if (!sched.started)
		start_scheduler();
	while (i < FIBER_HOOKS_MAX && sched.after_round[i] != NULL && sched.after_round[i] != fn)
		i++;
	assert(i < FIBER_HOOKS_MAX);
	sched.after_round[i] = fn;
}

unsigned
fiber_count(void)
{
	return sched.alive;
}

void
fiber_pool_free(void)
{
	while (sched.pool != NULL) {
		struct fiber *f = sched.pool;

		sched.pool = f->next;
		uv_close((uv_handle_t *)&f->timer, stack_unmap_cb);
	}
	sched.pooled = 0;
}
