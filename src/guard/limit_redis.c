/* limit_redis.c - see guard/limit_redis.h */
#include "guard/limit_redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "config/config.h"
#include "net/redis.h"
#include "runtime/loop.h"

#define SECOND_US 1000000
#define REPLY_ARENA_BYTES ((size_t)64 * 1024)
#define REDIS_KEY_BYTES (LIMIT_KEY_BYTES + 32)

/*
 * KEYS[1]; ARGV: the limit; the window in microseconds; when it is too late by Redis's clock (0: never), since
 * a command that nobody waits for any more must not count; "look" not to count.
 * Reply: 1 admitted, 0 refused or looked, -1 too late, -2 something else was there and is gone; hits in the window;
 * microseconds until there is room for one more; Redis's time.
 *
 * Header: "BKL1", slots of the ring, the oldest hit's slot, how many there are, the oldest hit, the newest hit as a
 * whole, by how much the clock went back meanwhile.  A hit is its time modulo 2^32 microseconds, 71 minutes, and at most
 * an hour older than the newest.  What is over is found from the oldest on, in ever larger steps, then halved.
 */
static struct redis_script script = {
    .source =
	"local key, limit, window = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])\n"
	"local t = redis.call('TIME')\n"
	"local clock = t[1] * 1000000 + t[2]\n"
	"if ARGV[3] ~= '0' and clock > tonumber(ARGV[3]) then return {-1, 0, 0, clock} end\n"
	"local head = redis.pcall('GETRANGE', key, 0, 35)\n"
	"local slots, first, count, oldest, newest, back = 0, 0, 0, 0, 0, 0\n"
	"local function foreign()\n"
	"  redis.call('DEL', key)\n"
	"  return {-2, 0, 0, clock}\n"
	"end\n"
	"if type(head) ~= 'string' then return foreign() end\n"
	"if head ~= '' then\n"
	"  if #head < 36 or string.sub(head, 1, 4) ~= 'BKL1' then return foreign() end\n"
	"  slots, first, count, oldest, newest, back = struct.unpack('<I4I4I4I4dd', head, 5)\n"
	"  if slots < 1 or slots > 10000 or first >= slots or count > slots or\n"
	"     not (newest >= 0 and newest < 2^52 and back >= 0 and back < 2^52) then return foreign() end\n"
	"end\n"
	/* times of a key only grow, whatever the clock does */
	"local now = clock + back\n"
	"if now < newest then back = newest - clock; now = newest end\n"
	"local since = now - newest\n"
	"local broken = false\n"
	"local function hit(i)\n"
	"  local at = 36 + (first + i) % slots * 4\n"
	"  local bytes = redis.call('GETRANGE', key, at, at + 3)\n"
	"  if #bytes ~= 4 then broken = true; return 0 end\n"
	"  return (struct.unpack('<I4', bytes))\n"
	"end\n"
	"local function age(at) return since + (newest - at) % 4294967296 end\n"
	"if count > 0 and since >= window then\n"
	"  count = 0\n"
	"elseif count > 0 and age(oldest) >= window then\n"
	"  local over, live, live_at = 0, 1, nil\n"
	"  while true do\n"
	"    if live > count - 1 then live = count - 1 end\n"
	"    live_at = hit(live)\n"
	"    if age(live_at) < window or live == count - 1 then break end\n"
	"    over = live\n"
	"    live = live * 2\n"
	"  end\n"
	"  while live - over > 1 do\n"
	"    local middle = math.floor((over + live) / 2)\n"
	"    local at = hit(middle)\n"
	"    if age(at) >= window then over = middle else live = middle; live_at = at end\n"
	"  end\n"
	"  if broken then return foreign() end\n"
	"  first, count, oldest = (first + live) % slots, count - live, live_at\n"
	"end\n"
	"local admitted = 0\n"
	"if count < limit and ARGV[4] ~= 'look' then\n"
	"  admitted = 1\n"
	"  if count == 0 then\n"
	"    slots, first, now, back, oldest = limit, 0, clock, 0, clock % 4294967296\n"
	"  elseif count == slots then\n"
	"    local ring = redis.call('GETRANGE', key, 36, 35 + slots * 4)\n"
	"    if #ring ~= slots * 4 then return foreign() end\n"
	"    redis.call('SETRANGE', key, 36, string.sub(ring, first * 4 + 1) .. string.sub(ring, 1, first * 4))\n"
	"    slots, first = limit, 0\n"
	"  end\n"
	"  local at = 36 + (first + count) % slots * 4\n"
	"  local mine = struct.pack('<I4', now % 4294967296)\n"
	"  local keep = math.ceil(window / 1000) + 1\n"
	"  count, newest, since = count + 1, now, 0\n"
	"  head = struct.pack('<c4I4I4I4I4dd', 'BKL1', slots, first, count, oldest, newest, back)\n"
	"  if count == 1 then\n"
	"    redis.call('SET', key, head .. mine, 'PX', keep)\n"
	"  else\n"
	"    redis.call('SETRANGE', key, at, mine)\n"
	"    redis.call('SETRANGE', key, 0, head)\n"
	"    redis.call('PEXPIRE', key, keep)\n"
	"  end\n"
	"end\n"
	"local wait = 0\n"
	"if count > limit then\n"
	"  oldest = hit(count - limit)\n"
	"  if broken then return foreign() end\n"
	"end\n"
	"if count > 0 then wait = window - age(oldest) end\n"
	"return {admitted, count, wait, clock}\n",
};

enum { SAID_LATE = -1, SAID_FOREIGN = -2 };

/* By how much Redis's clock is ahead of ours, as of its last answer; a little less, since
   an answer takes time: then a command counts as late a little early. */
static int64_t ahead_us;
static bool ahead_known;

static int64_t
too_late_us(void)
{
	return ahead_known ? loop_unix_us() + ahead_us + config()->redis_timeout_ms * 1000 : 0;
}

static const char *
write_key(char *out, const char *key)
{
	snprintf(out, REDIS_KEY_BYTES, "bakame:{limit:%s}", key);
	return out;
}

/* The script's four numbers.  -1 if they are none. */
static int
read_reply(const struct redis_value *reply, int64_t *said_r, struct limit_count *count_r, struct err *err)
{
	int64_t n[4];

	if (reply->type != REDIS_ARRAY || reply->count != 4)
		return err_set(err, ERR_UNAVAILABLE, "Redis does not know what a limit is.");
	for (size_t i = 0; i < 4; i++) {
		if (reply->items[i].type != REDIS_INTEGER)
			return err_set(err, ERR_UNAVAILABLE, "Redis does not know what a limit is.");
		n[i] = reply->items[i].integer;
	}
	if (n[1] < 0 || n[2] < 0 || n[2] > (int64_t)LIMIT_WINDOW_SECS_MAX * SECOND_US || n[3] < 0)
		return err_set(err, ERR_UNAVAILABLE, "Redis does not know what a limit is.");
	ahead_us = n[3] - loop_unix_us();
	ahead_known = true;
	*said_r = n[0];
	*count_r = (struct limit_count){.hits = n[1], .wait_us = n[2], .at_us = n[3]};
	return 0;
}

static int
judge(int64_t said, struct err *err)
{
	switch (said) {
	case 0:
	case 1:
		return (int)said;
	case SAID_LATE:
		return err_set(err, ERR_UNAVAILABLE, "Redis got the question too late.");
	case SAID_FOREIGN:
		return err_set(err, ERR_INTERNAL, "There was something else in Redis under the key of a limit.");
	default:
		return err_set(err, ERR_UNAVAILABLE, "Redis does not know what a limit is.");
	}
}

static int
run(const char *key, int64_t count, int64_t window_us, const char *mode, struct limit_count *count_r, struct err *err)
{
	char name[REDIS_KEY_BYTES], number[3][24];
	const struct redis_word keys[] = {REDIS_TEXT(write_key(name, key))};
	struct redis_word args[4];
	struct arena *arena = arena_new(REPLY_ARENA_BYTES);
	struct redis_value reply;
	int64_t said = 0;
	int rc;

	snprintf(number[0], sizeof(number[0]), "%" PRId64, count);
	snprintf(number[1], sizeof(number[1]), "%" PRId64, window_us);
	snprintf(number[2], sizeof(number[2]), "%" PRId64, too_late_us());
	for (size_t i = 0; i < 3; i++)
		args[i] = REDIS_TEXT(number[i]);
	args[3] = REDIS_TEXT(mode);
	rc = redis_eval(redis_shared(), arena, &script, &reply, err, keys, 1, args, 4);
	if (rc == 0)
		rc = read_reply(&reply, &said, count_r, err);
	arena_free(&arena);
	return rc == 0 ? judge(said, err) : -1;
}

int
limit_redis_hit_us(const char *key, int64_t count, int64_t window_us, struct limit_count *count_r, struct err *err)
{
	return run(key, count, window_us, "hit", count_r, err);
}

int
limit_redis_hit(const char *key, struct limit limit, struct limit_count *count_r, struct err *err)
{
	return run(key, limit.count, limit.window_secs * SECOND_US, "hit", count_r, err);
}

int
limit_redis_look(const char *key, struct limit limit, struct limit_count *count_r, struct err *err)
{
	return run(key, limit.count, limit.window_secs * SECOND_US, "look", count_r, err) == -1 ? -1 : 0;
}

int
limit_redis_forget(const char *key, struct err *err)
{
	struct arena *arena = arena_new(REPLY_ARENA_BYTES);
	char name[REDIS_KEY_BYTES];
	struct redis_value reply;
	int rc = redis_command(redis_shared(), arena, &reply, err,
	                       REDIS_WORDS(REDIS_TEXT("DEL"), REDIS_TEXT(write_key(name, key))));

	arena_free(&arena);
	return rc;
}
