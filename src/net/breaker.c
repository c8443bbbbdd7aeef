/*
 * breaker.c - see net/breaker.h
 *
 * All that decides is one word: the state, who or how many (22 bits), and since when (40 bits of
 * milliseconds, 34 years).  The moment tells one time of being closed, or one probe, from
 * the next, so that who reports late changes nothing.
 */
#include "net/breaker.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "config/config.h"
#include "runtime/shm.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

#define WHO_BITS 22                     /* as many as Linux's pids may have */
#define WHO_MASK (((uint64_t)1 << WHO_BITS) - 1)
#define AT_BITS 40
#define AT_MASK (((uint64_t)1 << AT_BITS) - 1)
#define FAILURES_MAX 1000000
#define OTHERS_RATE ((struct config_rate){3, 60})

/* To those who come while a probe is on its way. */
#define PROBE_RETRY_MS 1000

struct breaker {
	_Atomic uint64_t id;            /* a hash of the name; 0: a free place */
	_Atomic uint64_t word;
	_Atomic int64_t reset_ms;
	_Atomic int64_t since_ms;
	_Atomic uint64_t opened;
	_Atomic int32_t failures_max;
	/* written by all who use the place, with the same bytes */
	_Atomic char name[BREAKER_NAME_BYTES];
};

/* Places are taken from the first on and never given back. */
struct table {
	struct breaker breakers[BREAKERS_MAX];
};

/* What stands in a word. */
struct fields {
	enum breaker_state state;
	uint32_t who;                   /* failures in a row; half-open: pid of the probe's worker, 0 for none */
	int64_t at_ms;                  /* since when; half-open: when the probe began */
};

struct service {
	const char *name;
	size_t rate_offset;             /* in struct config */
};

static const struct service services[] = {
    {"openai", offsetof(struct config, breaker_openai)},
    {"redis", offsetof(struct config, breaker_redis)},
    {"database", offsetof(struct config, breaker_database)},
    {"weather", offsetof(struct config, breaker_weather)},
    {"currency", offsetof(struct config, breaker_currency)},
    {"news", offsetof(struct config, breaker_news)},
    {"web_search", offsetof(struct config, breaker_web_search)},
    {"places", offsetof(struct config, breaker_places)},
    {"sentry", offsetof(struct config, breaker_sentry)},
};

static uint64_t
pack(enum breaker_state state, uint32_t who, int64_t at_ms)
{
	return (uint64_t)state << (WHO_BITS + AT_BITS) | (who & WHO_MASK) << AT_BITS | ((uint64_t)at_ms & AT_MASK);
}

static struct fields
unpack(uint64_t word)
{
	return (struct fields){
	    .state = (enum breaker_state)(word >> (WHO_BITS + AT_BITS)),
	    .who = (uint32_t)(word >> AT_BITS & WHO_MASK),
	    .at_ms = (int64_t)(word & AT_MASK),
	};
}

/* Workers read their clocks at different moments. */
static int64_t
elapsed_ms(const struct fields *f, int64_t now_ms)
{
	int64_t elapsed = (int64_t)((uint64_t)now_ms & AT_MASK) - f->at_ms;

	return elapsed > 0 ? elapsed : 0;
}

static struct table *
table_get(void)
{
	return shm_section("breakers.1", sizeof(struct table));
}

static uint64_t
hash_of(const char *name)
{
	uint64_t hash = 14695981039346656037U;  /* FNV-1a */

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 1099511628211U;
	return hash != 0 ? hash : 1;
}

static void
write_name(struct breaker *b, const char *name)
{
	for (size_t i = 0; i < BREAKER_NAME_BYTES - 1 && name[i] != '\0'; i++)
		atomic_store_explicit(&b->name[i], name[i], memory_order_relaxed);
}

static void
read_name(struct breaker *b, char *name_r)
{
	for (size_t i = 0; i < BREAKER_NAME_BYTES; i++)
		name_r[i] = atomic_load_explicit(&b->name[i], memory_order_relaxed);
	name_r[BREAKER_NAME_BYTES - 1] = '\0';
}

/* The place of `name`; a new one if `make`. */
static struct breaker *
find_place(const char *name, bool make)
{
	struct table *table = table_get();
	char cut[BREAKER_NAME_BYTES];
	uint64_t id;

	text_copy(cut, sizeof(cut), name);
	id = hash_of(cut);
	for (size_t i = 0; i < BREAKERS_MAX; i++) {
		struct breaker *b = &table->breakers[i];
		uint64_t holder = atomic_load_explicit(&b->id, memory_order_acquire);

		if (holder == 0 && !make)
			return NULL;
		if (holder == id || (holder == 0 && atomic_compare_exchange_strong(&b->id, &holder, id)) || holder == id) {
			if (make)
				write_name(b, cut);
			return b;
		}
	}
	return NULL;
}

struct breaker *
breaker_get(const char *name, int failures, int64_t reset_ms)
{
	struct breaker *b = find_place(name, true);

	if (b == NULL)
		return NULL;
	if (failures < 1)
		failures = 1;
	if (failures > FAILURES_MAX)
		failures = FAILURES_MAX;
	atomic_store_explicit(&b->failures_max, failures, memory_order_relaxed);
	atomic_store_explicit(&b->reset_ms, reset_ms > 0 ? reset_ms : 1, memory_order_relaxed);
	return b;
}

struct breaker *
breaker_find(const char *name)
{
	return find_place(name, false);
}

struct breaker *
breaker_of(const char *service)
{
	struct config_rate rate = OTHERS_RATE;

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (strcmp(services[i].name, service) == 0)
			rate = *(const struct config_rate *)((const char *)config() + services[i].rate_offset);
	return rate.count > 0 ? breaker_get(service, (int)rate.count, rate.secs * 1000) : NULL;
}

void
breakers_start(void)
{
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		struct breaker *left;

		if (breaker_of(services[i].name) != NULL)
			continue;
		/* off: as it was before that nobody would close it, and all who look would see it open for ever */
		left = breaker_find(services[i].name);
		if (left != NULL)
			breaker_reset(left, clock_ms(CLOCK_MONOTONIC));
	}
}

/* Say, once per host, what the one who changed the word has done. */
COLD static void
tell(struct breaker *b, enum breaker_state from, enum breaker_state to, uint32_t failures, int64_t now_ms, const char *why)
{
	char name[BREAKER_NAME_BYTES];
	char labels[BREAKER_NAME_BYTES + 40];

	read_name(b, name);
	atomic_store_explicit(&b->since_ms, now_ms, memory_order_relaxed);
	if (to == BREAKER_OPEN)
		atomic_fetch_add_explicit(&b->opened, 1, memory_order_relaxed);
	snprintf(labels, sizeof(labels), "service=\"%s\",to=\"%s\"", name, breaker_state_name(to));
	metric_count(METRIC_BREAKER_TRANSITIONS, labels);
	LOG_WRITE(&log_root, to == BREAKER_OPEN ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "breaker changed",
	          LOG_STR("service", name), LOG_STR("from", breaker_state_name(from)),
	          LOG_STR("to", breaker_state_name(to)), LOG_INT("failures", failures),
	          LOG_INT("reset_ms", atomic_load_explicit(&b->reset_ms, memory_order_relaxed)), why != NULL ? LOG_STR("reason", why) : (struct log_field){0});
}

/* A worker that was killed reports nothing any more. */
static bool
is_probe_lost(const struct fields *f, int64_t now_ms)
{
	if (f->who == 0 || elapsed_ms(f, now_ms) > BREAKER_PROBE_MAX_MS)
		return true;
	return kill((pid_t)f->who, 0) != 0 && errno == ESRCH;
}

/* Would it refuse?  Then for how long (else 0). */
static int64_t
refusal_ms(struct breaker *b, const struct fields *f, int64_t now_ms)
{
	int64_t left;

	switch (f->state) {
	case BREAKER_OPEN:
		left = atomic_load_explicit(&b->reset_ms, memory_order_relaxed) - elapsed_ms(f, now_ms);
		return left > 0 ? left : 0;
	case BREAKER_HALF_OPEN:
		return is_probe_lost(f, now_ms) ? 0 : PROBE_RETRY_MS;
	case BREAKER_CLOSED:
		break;
	}
	return 0;
}

bool
breaker_allow(struct breaker *b, int64_t now_ms, int64_t *retry_ms_r, struct breaker_pass *pass_r)
{
	uint64_t word = b != NULL ? atomic_load_explicit(&b->word, memory_order_acquire) : 0;

	*pass_r = (struct breaker_pass){.word = word};
	*retry_ms_r = 0;
	while (b != NULL) {
		struct fields f = unpack(word);
		uint64_t probe;

		if (f.state == BREAKER_CLOSED) {
			pass_r->word = word;
			return true;
		}
		*retry_ms_r = refusal_ms(b, &f, now_ms);
		if (*retry_ms_r > 0)
			return false;
		probe = pack(BREAKER_HALF_OPEN, (uint32_t)getpid(), now_ms);
		if (atomic_compare_exchange_strong(&b->word, &word, probe)) {
			*pass_r = (struct breaker_pass){.word = probe, .probe = true};
			if (f.state == BREAKER_OPEN)
				tell(b, BREAKER_OPEN, BREAKER_HALF_OPEN, f.who, now_ms, NULL);
			return true;
		}
	}
	return true;
}

static void
report_probe(struct breaker *b, uint64_t word, int64_t now_ms, enum breaker_outcome outcome, const char *why)
{
	uint32_t failures = (uint32_t)atomic_load_explicit(&b->failures_max, memory_order_relaxed);
	enum breaker_state to = outcome == BREAKER_OK ? BREAKER_CLOSED : BREAKER_OPEN;
	uint64_t next = to == BREAKER_CLOSED ? pack(to, 0, now_ms) : pack(to, failures, now_ms);

	if (outcome == BREAKER_UNKNOWN)
		next = pack(BREAKER_HALF_OPEN, 0, now_ms);
	if (!atomic_compare_exchange_strong(&b->word, &word, next) || outcome == BREAKER_UNKNOWN)
		return;
	tell(b, BREAKER_HALF_OPEN, to, to == BREAKER_OPEN ? failures : 0, now_ms, why);
}

/* An attempt let in while closed counts only as long as that lasts. */
static void
report_closed(struct breaker *b, int64_t at_ms, int64_t now_ms, enum breaker_outcome outcome, const char *why)
{
	uint64_t word = atomic_load_explicit(&b->word, memory_order_acquire);

	for (;;) {
		struct fields f = unpack(word);
		int32_t max = atomic_load_explicit(&b->failures_max, memory_order_relaxed);
		bool opens = outcome == BREAKER_FAILED && (int64_t)f.who + 1 >= max;
		uint64_t next;

		if (f.state != BREAKER_CLOSED || f.at_ms != at_ms || (outcome == BREAKER_OK && f.who == 0))
			return;
		if (outcome == BREAKER_OK)
			next = pack(BREAKER_CLOSED, 0, at_ms);
		else
			next = opens ? pack(BREAKER_OPEN, f.who + 1, now_ms) : pack(BREAKER_CLOSED, f.who + 1, at_ms);
		if (atomic_compare_exchange_weak(&b->word, &word, next)) {
			if (opens)
				tell(b, BREAKER_CLOSED, BREAKER_OPEN, f.who + 1, now_ms, why);
			return;
		}
	}
}

static void
report(struct breaker *b, const struct breaker_pass *pass, int64_t now_ms, enum breaker_outcome outcome,
       const char *why)
{
	if (b == NULL)
		return;
	if (pass->probe)
		report_probe(b, pass->word, now_ms, outcome, why);
	else if (outcome != BREAKER_UNKNOWN)
		report_closed(b, unpack(pass->word).at_ms, now_ms, outcome, why);
}

void
breaker_report(struct breaker *b, const struct breaker_pass *pass, int64_t now_ms, enum breaker_outcome outcome)
{
	report(b, pass, now_ms, outcome, NULL);
}

void
breaker_report_failure(struct breaker *b, const struct breaker_pass *pass, int64_t now_ms, const char *why)
{
	report(b, pass, now_ms, BREAKER_FAILED, why);
}

bool
breaker_is_open(struct breaker *b, int64_t now_ms)
{
	struct fields f;

	if (b == NULL)
		return false;
	f = unpack(atomic_load_explicit(&b->word, memory_order_acquire));
	return refusal_ms(b, &f, now_ms) > 0;
}

enum breaker_state
breaker_state(struct breaker *b)
{
	return b != NULL ? unpack(atomic_load_explicit(&b->word, memory_order_acquire)).state : BREAKER_CLOSED;
}

void
breaker_reset(struct breaker *b, int64_t now_ms)
{
	struct fields f = unpack(atomic_exchange(&b->word, pack(BREAKER_CLOSED, 0, now_ms)));

	if (f.state != BREAKER_CLOSED)
		tell(b, f.state, BREAKER_CLOSED, 0, now_ms, "by hand");
}

bool
breaker_view(unsigned index, struct breaker_view *view_r)
{
	struct breaker *b;
	struct fields f;

	if (index >= BREAKERS_MAX)
		return false;
	b = &table_get()->breakers[index];
	if (atomic_load_explicit(&b->id, memory_order_acquire) == 0)
		return false;
	f = unpack(atomic_load_explicit(&b->word, memory_order_acquire));
	*view_r = (struct breaker_view){
	    .state = f.state,
	    .failures_max = atomic_load_explicit(&b->failures_max, memory_order_relaxed),
	    .reset_ms = atomic_load_explicit(&b->reset_ms, memory_order_relaxed),
	    .since_ms = atomic_load_explicit(&b->since_ms, memory_order_relaxed),
	    .opened = atomic_load_explicit(&b->opened, memory_order_relaxed),
	};
	view_r->failures = f.state == BREAKER_HALF_OPEN ? view_r->failures_max : (int)f.who;
	read_name(b, view_r->name);
	return true;
}

const char *
breaker_state_name(enum breaker_state state)
{
	switch (state) {
	case BREAKER_OPEN:
		return "open";
	case BREAKER_HALF_OPEN:
		return "half_open";
	case BREAKER_CLOSED:
		break;
	}
	return "closed";
}
