/* log_burst.c - see telemetry/log_burst.h */
#include "telemetry/log_burst.h"

#include <string.h>

#include "base/text.h"

#define WINDOW_MS ((int64_t)LOG_WINDOW_SECS * 1000)

/* Messages are short, and nobody outside chooses them. */
static uint32_t
hash(enum log_level level, const char *message)
{
	uint32_t h = text_hash(message, (uint32_t)level);

	return h ^ h >> 16;
}

static bool
is_of(const struct log_burst *slot, enum log_level level, const char *message)
{
	return slot->message != NULL && slot->level == level &&
	       (slot->message == message || strcmp(slot->message, message) == 0);
}

/* The slot of this message, or else the one it should take. */
static struct log_burst *
find(struct log_bursts *b, enum log_level level, const char *message)
{
	struct log_burst *set = b->slots[hash(level, message) % LOG_BURST_SETS];
	struct log_burst *oldest = set;

	for (size_t i = 0; i < LOG_BURST_WAYS; i++) {
		if (is_of(&set[i], level, message))
			return &set[i];
		if (oldest->message != NULL &&
		    (set[i].message == NULL || set[i].since_ms < oldest->since_ms))
			oldest = &set[i];
	}
	return oldest;
}

bool
log_burst_admit(struct log_bursts *b, enum log_level level, const char *message, int64_t now_ms,
                struct log_burst *ended_r)
{
	struct log_burst *slot = find(b, level, message);

	*ended_r = (struct log_burst){0};
	if (!is_of(slot, level, message) || now_ms - slot->since_ms >= WINDOW_MS) {
		if (slot->held > 0)
			*ended_r = *slot;
		*slot = (struct log_burst){.message = message, .level = level, .since_ms = now_ms};
	}
	if (slot->lines < LOG_BURST) {
		slot->lines++;
		return true;
	}
	slot->held++;
	return false;
}

bool
log_burst_next_ended(struct log_bursts *b, int64_t now_ms, unsigned *at, struct log_burst *ended_r)
{
	struct log_burst *slots = &b->slots[0][0];

	for (; *at < LOG_BURST_SETS * LOG_BURST_WAYS; ++*at) {
		struct log_burst *slot = &slots[*at];

		if (slot->held > 0 && now_ms - slot->since_ms >= WINDOW_MS) {
			*ended_r = *slot;
			*slot = (struct log_burst){0};
			return true;
		}
	}
	return false;
}
