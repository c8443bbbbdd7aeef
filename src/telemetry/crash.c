/* crash.c - see telemetry/crash.h */
#include "telemetry/crash.h"

#include <errno.h>
#include <execinfo.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "telemetry/log.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

#define CRASHES_MAX 8
#define FRAMES_MAX 24
#define PROGRAM_BYTES 32
/* The unwinder needs some; SIGSTKSZ is too little for it. */
#define HANDLER_STACK_BYTES ((size_t)64 * 1024)
/* "+0x1234567890ab " for each */
#define FRAMES_TEXT_BYTES (FRAMES_MAX * 20)

/* FREE -> WRITING (the dying) -> WRITTEN -> READING (who tells) -> FREE.  Who crashes once more while he writes, since his
   stack cannot be walked, leaves it at WRITING: what he wrote before that is told when he is dead. */
enum { FREE, WRITING, WRITTEN, READING };

struct crash {
	_Atomic uint32_t state;
	_Atomic int32_t pid;            /* 0 until it is written */
	int32_t signal;
	int32_t frames;
	uint64_t address;
	uint64_t base;                  /* of the program: addresses less this are what addr2line wants */
	uint64_t end;                   /* of its code */
	uint64_t frame[FRAMES_MAX];
	char program[PROGRAM_BYTES];
};

struct table {
	struct crash crashes[CRASHES_MAX];
};

static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

static struct table *table;
static const char *own_program;
static void *handler_stack;

/* The linker's names for the program's first byte, and the one after its code. */
extern const char __executable_start[];
extern const char etext[];

size_t
crash_size(void)
{
	return sizeof(struct table);
}

#ifndef WITH_ASAN
/* Nothing here but what signal-safety(7) allows, and backtrace(), which is once its library is loaded. */
static void
write_crash(struct crash *c, int number, const siginfo_t *info)
{
	void *frames[FRAMES_MAX];

	c->signal = number;
	/* of a fault; what somebody sent, as abort() does, has the sender there: sigaction(2) */
	c->address = info->si_code > 0 ? (uint64_t)(uintptr_t)info->si_addr : 0;
	c->base = (uint64_t)(uintptr_t)__executable_start;
	c->end = (uint64_t)(uintptr_t)etext;
	for (size_t i = 0; i < PROGRAM_BYTES - 1 && own_program[i] != '\0'; i++)
		c->program[i] = own_program[i];
	atomic_store(&c->pid, (int32_t)getpid());
	c->frames = backtrace(frames, FRAMES_MAX);
	for (int i = 0; i < c->frames; i++)
		c->frame[i] = (uint64_t)(uintptr_t)frames[i];
}

static void
crash_handler(int number, siginfo_t *info, void *context)
{
	(void)context;
	for (size_t i = 0; i < CRASHES_MAX; i++) {
		struct crash *c = &table->crashes[i];
		uint32_t state = FREE;

		if (!atomic_compare_exchange_strong(&c->state, &state, WRITING))
			continue;
		write_crash(c, number, info);
		atomic_store(&c->state, WRITTEN);
		break;
	}
	/* SA_RESETHAND: as if there had been no handler */
	raise(number);
}

static void
install_handlers(void)
{
	stack_t stack = {.ss_size = HANDLER_STACK_BYTES};
	struct sigaction action = {.sa_sigaction = crash_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND};
	void *first[1];

	(void)backtrace(first, 1);      /* loads its library now, not in the handler */
	handler_stack = malloc(HANDLER_STACK_BYTES);
	if (handler_stack == NULL)
		return;
	stack.ss_sp = handler_stack;
	if (sigaltstack(&stack, NULL) != 0)
		return;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}
#endif

void
crash_install(void *memory, const char *program)
{
	table = memory;
	own_program = program;
#ifndef WITH_ASAN
	install_handlers();
#endif
}

void
crash_remove(void)
{
	stack_t none = {.ss_flags = SS_DISABLE};

	if (handler_stack != NULL) {
		for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
			signal(signals[i], SIG_DFL);
		sigaltstack(&none, NULL);
		free(handler_stack);
		handler_stack = NULL;
	}
	table = NULL;
}

/* Those in the program itself, for `addr2line -e`; a dash for each in a library. */
static void
write_frames(const struct crash *c, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (int i = 0; i < c->frames && i < FRAMES_MAX && used < size; i++) {
		if (c->frame[i] >= c->base && c->frame[i] < c->end)
			used += (size_t)snprintf(out + used, size - used, "0x%" PRIx64 " ", c->frame[i] - c->base);
		else
			used += (size_t)snprintf(out + used, size - used, "- ");
	}
}

static void
tell(const struct crash *c)
{
	char frames[FRAMES_TEXT_BYTES], address[24], program[PROGRAM_BYTES];

	write_frames(c, frames, sizeof(frames));
	snprintf(address, sizeof(address), "0x%" PRIx64, c->address);
	snprintf(program, sizeof(program), "%.*s", PROGRAM_BYTES - 1, c->program);
	LOG_ERROR(&log_root, "a process crashed", LOG_STR("program", program), LOG_INT("crashed_pid", c->pid),
	          LOG_STR("signal", strsignal(c->signal)), LOG_STR("address", address), LOG_STR("frames", frames));
}

static bool
is_dead(int32_t pid)
{
	return pid != 0 && kill(pid, 0) != 0 && errno == ESRCH;
}

/* Is there something to tell?  Then nobody else tells it. */
static bool
claim(struct crash *c)
{
	uint32_t state = WRITTEN;

	if (atomic_compare_exchange_strong(&c->state, &state, READING))
		return true;
	return state == WRITING && is_dead(atomic_load(&c->pid)) &&
	       atomic_compare_exchange_strong(&c->state, &state, READING);
}

void
crash_report(void)
{
	for (size_t i = 0; table != NULL && i < CRASHES_MAX; i++) {
		struct crash *c = &table->crashes[i];
		struct crash copy;

		if (!claim(c))
			continue;
		memcpy(&copy, c, sizeof(copy));
		memset(c->program, 0, sizeof(c->program));
		c->frames = 0;
		atomic_store(&c->pid, 0);
		atomic_store(&c->state, FREE);
		tell(&copy);
	}
}
