/* cache_redis.c - see net/cache_redis.h */
#include "net/cache_redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "net/cache.h"
#include "net/cache_memory.h"
#include "net/redis.h"

/* In all scripts KEYS[1] is the record, KEYS[2] the lease, ARGV[1] the token.  A value of another type under
   our key is as good as none: it is removed.  A lease without an end is none of ours. */
#define PRELUDE                                                                                                        \
	"local time = redis.call('TIME')\n"                                                                            \
	"local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"                                                    \
	"local function get(key)\n"                                                                                    \
	"  local value = redis.pcall('GET', key)\n"                                                                    \
	"  if type(value) ~= 'table' then return value end\n"                                                          \
	"  redis.call('DEL', key)\n"                                                                                   \
	"  return false\n"                                                                                             \
	"end\n"                                                                                                        \
	"local function age_of(record)\n"                                                                              \
	"  if not record then return nil, false end\n"                                                                 \
	"  local at, ttl = string.match(record, '^BK1 (%d+) (%d+) ')\n"                                                \
	"  if not at or now < tonumber(at) then return nil, false end\n"                                               \
	"  return now - at, now - at < tonumber(ttl)\n"                                                                \
	"end\n"

static struct redis_script look_script = {
    .source = PRELUDE "if ARGV[3] == '1' then redis.call('DEL', KEYS[1]) end\n"
                      "local record = get(KEYS[1])\n"
                      "local age, fresh = age_of(record)\n"
                      "if fresh then return {'fresh', age, record} end\n"
                      "local holder = get(KEYS[2])\n"
                      "if holder and holder ~= ARGV[1] and redis.call('PTTL', KEYS[2]) >= 0 then\n"
                      "  if string.sub(holder, 1, 1) ~= '!' then return {'wait'} end\n"
                      "  return {'failed', age or -1, age and record or '', holder}\n"
                      "end\n"
                      "redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])\n"
                      "return {'lease'}\n"};

/* ARGV: token, ttl, how long to keep, form, length, data.  A lease that ran out, and nobody has fetched
   since: what comes late is welcome. */
static struct redis_script store_script = {
    .source = PRELUDE "local holder = get(KEYS[2])\n"
                      "if holder and holder ~= ARGV[1] then return 0 end\n"
                      "if not holder then\n"
                      "  local _, fresh = age_of(get(KEYS[1]))\n"
                      "  if fresh then return 0 end\n"
                      "end\n"
                      "redis.call('SET', KEYS[1], string.format('BK1 %.0f %s %s %s\\n', now, ARGV[2], ARGV[4], ARGV[5])"
                      " .. ARGV[6], 'PX', ARGV[3])\n"
                      "redis.call('DEL', KEYS[2])\n"
                      "redis.call('PUBLISH', KEYS[1], '')\n"
                      "return 1\n"};

/* ARGV: token, how it failed, for how long that counts */
static struct redis_script fail_script = {
    .source = PRELUDE "if get(KEYS[2]) == ARGV[1] then\n"
                      "  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])\n"
                      "  redis.call('PUBLISH', KEYS[1], '')\n"
                      "end\n"
                      "local record = get(KEYS[1])\n"
                      "local age = age_of(record)\n"
                      "return {age or -1, age and record or ''}\n"};

/* ARGV: token */
static struct redis_script release_script = {
    .source = PRELUDE "if get(KEYS[2]) ~= ARGV[1] then return 0 end\n"
                      "redis.call('DEL', KEYS[2])\n"
                      "redis.call('PUBLISH', KEYS[1], '')\n"
                      "return 1\n"};

#define NUMBER_BYTES 24

static const char *
number(char text[NUMBER_BYTES], int64_t n)
{
	snprintf(text, NUMBER_BYTES, "%" PRId64, n);
	return text;
}

static int
run(struct arena *a, struct redis_script *script, const char *id, const struct redis_word *args,
    size_t count, struct redis_value *reply_r, struct err *err)
{
	char record[CACHE_ID_BYTES + 24], lease[CACHE_ID_BYTES + 32];
	struct redis_word keys[2];

	snprintf(record, sizeof(record), CACHE_KEY_START "%s" CACHE_KEY_END, id);
	snprintf(lease, sizeof(lease), CACHE_KEY_START "%s" CACHE_KEY_END ":lease", id);
	keys[0] = REDIS_TEXT(record);
	keys[1] = REDIS_TEXT(lease);
	return redis_eval(redis_shared(), a, script, reply_r, err, keys, 2, args, count);
}

static int
bad_reply(struct err *err)
{
	return err_set(err, ERR_INTERNAL, "The cache's script answered something else than expected.");
}

static bool
is_word(const struct redis_value *v, const char *word)
{
	return v->type == REDIS_STRING && strcmp(v->text, word) == 0;
}

/* What is there past its time; none is fine. */
static void
read_stale(const struct redis_value *v, int64_t age_ms, struct cache_record *record_r)
{
	if (age_ms < 0 || v->type != REDIS_STRING || cache_record_parse(v->text, v->len, record_r) == -1 ||
	    record_r->form == CACHE_NEGATIVE)
		*record_r = (struct cache_record){0};
}

int
cache_redis_look(struct arena *a, const char *id, const char *token, int64_t lease_ms, bool drop,
                 struct cache_answer *answer_r, struct err *err)
{
	char ms[NUMBER_BYTES];
	const struct redis_word args[] = {REDIS_TEXT(token), REDIS_TEXT(number(ms, lease_ms)), REDIS_TEXT(drop ? "1" : "0")};
	struct redis_value reply;
	const struct redis_value *items;

	if (run(a, &look_script, id, args, 3, &reply, err) == -1)
		return -1;
	if (reply.type != REDIS_ARRAY || reply.count < 1)
		return bad_reply(err);
	items = reply.items;
	answer_r->record = (struct cache_record){0};
	if (is_word(&items[0], "lease")) {
		answer_r->look = CACHE_LOOK_LEASE;
	} else if (is_word(&items[0], "wait")) {
		answer_r->look = CACHE_LOOK_WAIT;
	} else if (is_word(&items[0], "fresh") && reply.count == 3 && items[2].type == REDIS_STRING) {
		answer_r->look = CACHE_LOOK_FRESH;
		answer_r->age_ms = items[1].integer;
		if (cache_record_parse(items[2].text, items[2].len, &answer_r->record) == -1)
			answer_r->record = (struct cache_record){0};
	} else if (is_word(&items[0], "failed") && reply.count == 4 && items[3].type == REDIS_STRING) {
		answer_r->look = CACHE_LOOK_FAILED;
		answer_r->age_ms = items[1].integer;
		read_stale(&items[2], items[1].integer, &answer_r->record);
		cache_failure_parse(items[3].text, items[3].len, &answer_r->failure);
	} else {
		return bad_reply(err);
	}
	return 0;
}

int
cache_redis_store(struct arena *a, const char *id, const char *token, const struct cache_record *record,
                  int64_t ttl_ms, int64_t keep_ms, struct err *err)
{
	char ttl[NUMBER_BYTES], keep[NUMBER_BYTES], len[NUMBER_BYTES];
	const char form[] = {(char)record->form, '\0'};
	const struct redis_word args[] = {
	    REDIS_TEXT(token), REDIS_TEXT(number(ttl, ttl_ms)), REDIS_TEXT(number(keep, keep_ms)),
	    REDIS_TEXT(form), REDIS_TEXT(number(len, (int64_t)record->raw_len)), REDIS_BYTES(record->data, record->len)};
	struct redis_value reply;

	return run(a, &store_script, id, args, 6, &reply, err);
}

int
cache_redis_fail(struct arena *a, const char *id, const char *token, const struct err *failure,
                 struct cache_record *stale_r, int64_t *age_ms_r, struct err *err)
{
	char *text = arena_alloc(a, CACHE_FAILURE_BYTES), ms[NUMBER_BYTES];
	struct redis_value reply;

	*stale_r = (struct cache_record){0};
	if (text == NULL)
		return bad_reply(err);
	cache_failure_print(failure, text, CACHE_FAILURE_BYTES);

	const struct redis_word args[] = {REDIS_TEXT(token), REDIS_TEXT(text), REDIS_TEXT(number(ms, CACHE_FAILED_MS))};

	if (run(a, &fail_script, id, args, 3, &reply, err) == -1)
		return -1;
	if (reply.type != REDIS_ARRAY || reply.count != 2)
		return bad_reply(err);
	*age_ms_r = reply.items[0].integer;
	read_stale(&reply.items[1], *age_ms_r, stale_r);
	return 0;
}

int
cache_redis_release(struct arena *a, const char *id, const char *token, struct err *err)
{
	const struct redis_word args[] = {REDIS_TEXT(token)};
	struct redis_value reply;

	return run(a, &release_script, id, args, 1, &reply, err);
}
