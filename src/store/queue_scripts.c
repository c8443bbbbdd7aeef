/* queue_scripts.c - see store/queue_scripts.h; the keys are told in store/queue.h */
#include "store/queue_scripts.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define TAG "{bakame:queue}:"

/* A number in Lua. */
#define TEXT_OF(macro) TEXT_OF_(macro)
#define TEXT_OF_(macro) #macro

_Static_assert(QUEUE_TAKE_BYTES + QUEUE_PAYLOAD_MAX_BYTES + 65536 <= REDIS_REPLY_MAX_BYTES, "what a take may answer");

/* Times are Redis' own, and no age is negative though its clock be put back.  `ready` lets a job run; `step_aside` lets
   go of a job's place in its group, and the next run; `let_go` takes an entry out of the stream, and says whether it was
   this consumer's still. */
#define PRELUDE                                                                                                        \
	"local READY, DELAYED, JOBS, DEAD = KEYS[1], KEYS[2], KEYS[3], KEYS[4]\n"                                      \
	"local time = redis.call('TIME')\n"                                                                            \
	"local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"                                                    \
	"local function secs_since(ms) return math.max(0, math.floor((now - (tonumber(ms) or now)) / 1000)) end\n"     \
	"local function job_of(id) return '" TAG "job:' .. id end\n"                                                   \
	"local function list_of(group) return '" TAG "group:' .. group end\n"                                          \
	"local function is_there(id) return redis.call('TYPE', job_of(id)).ok == 'hash' end\n"                         \
	"local function ready(id)\n"                                                                                   \
	"  redis.call('XADD', READY, '*', 'j', id)\n"                                                                  \
	"  redis.call('HSET', job_of(id), 'state', 'waiting')\n"                                                       \
	"  redis.call('PUBLISH', '" QUEUE_CHANNEL "', '')\n"                                                           \
	"end\n"                                                                                                        \
	"local function line_up(id, group)\n"                                                                          \
	"  if group == '' or redis.call('RPUSH', list_of(group), id) == 1 then ready(id)\n"                            \
	"  else redis.call('HSET', job_of(id), 'state', 'waiting') end\n"                                              \
	"end\n"                                                                                                        \
	"local function step_aside(id)\n"                                                                              \
	"  local group = redis.call('HGET', job_of(id), 'group')\n"                                                    \
	"  if not group or group == '' then return end\n"                                                              \
	"  local list = list_of(group)\n"                                                                              \
	"  if redis.call('LINDEX', list, 0) ~= id then\n"                                                              \
	"    redis.call('LREM', list, 1, id)\n"                                                                        \
	"    return\n"                                                                                                 \
	"  end\n"                                                                                                      \
	"  redis.call('LPOP', list)\n"                                                                                 \
	"  local following = redis.call('LINDEX', list, 0)\n"                                                          \
	"  while following and not is_there(following) do\n"                                                           \
	"    redis.call('LPOP', list)\n"                                                                               \
	"    following = redis.call('LINDEX', list, 0)\n"                                                              \
	"  end\n"                                                                                                      \
	"  if following then ready(following) end\n"                                                                   \
	"end\n"                                                                                                        \
	"local function let_go(entry)\n"                                                                               \
	"  redis.pcall('XACK', READY, 'jobs', entry)\n"                                                                \
	"  redis.pcall('XDEL', READY, entry)\n"                                                                        \
	"end\n"                                                                                                        \
	"local function is_own(entry, consumer)\n"                                                                     \
	"  local found = redis.pcall('XPENDING', READY, 'jobs', entry, entry, 1, consumer)\n"                          \
	"  return not found.err and #found > 0\n"                                                                      \
	"end\n"                                                                                                        \
	"local function die(id, most)\n"                                                                               \
	"  step_aside(id)\n"                                                                                           \
	"  redis.call('ZREM', JOBS, id)\n"                                                                             \
	"  redis.call('ZADD', DEAD, now, id)\n"                                                                        \
	"  redis.call('HSET', job_of(id), 'state', 'dead')\n"                                                          \
	"  local lost = 0\n"                                                                                           \
	"  while redis.call('ZCARD', DEAD) > tonumber(most) do\n"                                                      \
	"    redis.call('DEL', job_of(redis.call('ZPOPMIN', DEAD)[1]))\n"                                              \
	"    lost = lost + 1\n"                                                                                        \
	"  end\n"                                                                                                      \
	"  return lost\n"                                                                                              \
	"end\n"

/* id, kind, key, payload, group or "", most jobs: 1; 0 there or done already; -1 full.  It reads
   everything before it writes anything: what is of another type stops it while nothing has changed. */
static const char add_source[] =
    PRELUDE "local id, group = ARGV[1], ARGV[5]\n"
            "local type = redis.call('TYPE', job_of(id)).ok\n"
            "if type == 'hash' or type == 'string' then return 0 end\n"
            "if type ~= 'none' then return redis.error_reply('WRONGTYPE of a job') end\n"
            "redis.call('XLEN', READY)\n"
            "if group ~= '' then redis.call('LLEN', list_of(group)) end\n"
            "if redis.call('ZCARD', JOBS) >= tonumber(ARGV[6]) then return -1 end\n"
            "redis.call('ZADD', JOBS, now, id)\n"
            "redis.call('HSET', job_of(id), 'kind', ARGV[2], 'key', ARGV[3], 'payload', ARGV[4], 'group', group,\n"
            "  'added', string.format('%.0f', now), 'tries', 0, 'postponed', 0, 'losses', 0, 'error', '')\n"
            "line_up(id, group)\n"
            "return 1\n";

/* group: how many of its jobs are there */
static const char busy_source[] = PRELUDE "return redis.call('LLEN', list_of(ARGV[1]))\n";

/* consumer, how many, claim what was idle for so many ms (0: do not), most losses, most dead letters:
   {{entry, id, kind, key, payload, tries, postponed, age in s}, ...}, number of jobs that died now, ms until one is to be tried again or -1.
   First come those whose time has come or, the clock having been put back, is further away than any is put off, and
   those of consumers that have not been heard of; a job that was lost with its consumer too often may have killed it. */
static const char take_source[] =
    PRELUDE "local consumer, most = ARGV[1], tonumber(ARGV[2])\n"
            "local due = redis.call('ZRANGEBYSCORE', DELAYED, '-inf', now, 'LIMIT', 0, 100)\n"
            "local too_far = now + " TEXT_OF(QUEUE_PAUSE_MAX_MS) "\n"
            "for _, id in ipairs(redis.call('ZRANGEBYSCORE', DELAYED, too_far, '+inf', 'LIMIT', 0, 100)) do\n"
            "  due[#due + 1] = id\n"
            "end\n"
            "for _, id in ipairs(due) do\n"
            "  redis.call('ZREM', DELAYED, id)\n"
            "  if is_there(id) then ready(id) end\n"
            "end\n"
            "local jobs, bytes, died = {}, 0, 0\n"
            "local function has_room() return #jobs < most and bytes < " TEXT_OF(QUEUE_TAKE_BYTES) " end\n"
            "local function hand_out(entry)\n"
            "  local id = entry[2][2]\n"
            "  if not is_there(id) then return let_go(entry[1]) end\n"
            "  local f = redis.call('HMGET', job_of(id), 'kind', 'key', 'payload', 'tries', 'postponed', 'added')\n"
            "  redis.call('HSET', job_of(id), 'state', 'running')\n"
            "  jobs[#jobs + 1] = {entry[1], id, f[1], f[2], f[3], tonumber(f[4]) or 0, tonumber(f[5]) or 0,\n"
            "    secs_since(f[6])}\n"
            "  bytes = bytes + #(f[3] or '')\n"
            "end\n"
            "local cursor = ARGV[3] ~= '0' and '0-0'\n"
            "for _ = 1, 100 do\n"
            "  local claimed = cursor and has_room() and\n"
            "    redis.pcall('XAUTOCLAIM', READY, 'jobs', consumer, ARGV[3], cursor, 'COUNT', 1)\n"
            "  if not claimed or claimed.err then break end\n"
            "  for _, entry in ipairs(claimed[2]) do\n"
            "    local id = entry and entry[2] and entry[2][2]\n"
            "    if id and is_there(id) and redis.call('HINCRBY', job_of(id), 'losses', 1) > tonumber(ARGV[4]) then\n"
            "      redis.call('HSET', job_of(id), 'error', 'its consumer ended or lost touch each time')\n"
            "      let_go(entry[1])\n"
            "      die(id, ARGV[5])\n"
            "      died = died + 1\n"
            "    elseif id then hand_out(entry) end\n"
            "  end\n"
            "  cursor = claimed[1] ~= '0-0' and claimed[1]\n"
            "end\n"
            "local function read()\n"
            "  return redis.pcall('XREADGROUP', 'GROUP', 'jobs', consumer, 'COUNT', 1, 'STREAMS', READY, '>')\n"
            "end\n"
            "for _ = 1, 100 do\n"             /* some that are read may be there no more */
            "  local new = has_room() and read()\n"
            "  if new and new.err then\n"
            "    redis.call('XGROUP', 'CREATE', READY, 'jobs', '0', 'MKSTREAM')\n"
            "    new = read()\n"
            "  end\n"
            "  if not new or not new[1] then break end\n"
            "  for _, entry in ipairs(new[1][2]) do hand_out(entry) end\n"
            "end\n"
            "local first = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')\n"
            "return {jobs, died, first[2] and math.max(0, first[2] - now) or -1}\n";

/* id, entry, for how many seconds to know it: 1; 0 when it was done or dropped before.  Whoever says that it is done is
   right, even if it was taken from him meanwhile: the effect is there. */
static const char done_source[] =
    PRELUDE "local id = ARGV[1]\n"
            "let_go(ARGV[2])\n"
            "if not is_there(id) then return 0 end\n"
            "step_aside(id)\n"
            "redis.call('ZREM', DELAYED, id)\n"
            "redis.call('ZREM', JOBS, id)\n"
            "redis.call('ZREM', DEAD, id)\n"
            "redis.call('SET', job_of(id), 'done', 'EX', ARGV[3])\n"
            "return 1\n";

/* id, entry, consumer, error, pause in ms, verdict (again, later, dead), most tries, most dead letters:
   {"again" or "dead" or "lost" (it is another's now) or "gone", dead letters that made room} */
static const char fail_source[] =
    PRELUDE "local id = ARGV[1]\n"
            "if not is_own(ARGV[2], ARGV[3]) then return {'lost', 0} end\n"
            "let_go(ARGV[2])\n"
            "if not is_there(id) then return {'gone', 0} end\n"
            "local tries = redis.call('HINCRBY', job_of(id), ARGV[6] == 'later' and 'postponed' or 'tries', 1)\n"
            "redis.call('HSET', job_of(id), 'error', ARGV[4])\n"
            "if ARGV[6] == 'dead' or (ARGV[6] == 'again' and tries >= tonumber(ARGV[7])) then\n"
            "  return {'dead', die(id, ARGV[8])}\n"
            "end\n"
            "redis.call('ZADD', DELAYED, now + tonumber(ARGV[5]), id)\n"
            "redis.call('HSET', job_of(id), 'state', 'delayed')\n"
            "return {'again', 0}\n";

/* id, entry, consumer: as if it had never been taken */
static const char give_back_source[] =
    PRELUDE "if not is_own(ARGV[2], ARGV[3]) then return 0 end\n"
            "let_go(ARGV[2])\n"
            "if is_there(ARGV[1]) then ready(ARGV[1]) end\n"
            "return 1\n";

/* consumer, entries: they are being worked on; {those that are not this consumer's any more} */
static const char beat_source[] =
    PRELUDE "local lost = {}\n"
            "for i = 2, #ARGV do\n"
            "  if is_own(ARGV[i], ARGV[1]) then\n"
            "    redis.call('XCLAIM', READY, 'jobs', ARGV[1], 0, ARGV[i], 'JUSTID')\n"
            "  else lost[#lost + 1] = ARGV[i] end\n"
            "end\n"
            "return lost\n";

/* consumer, ms: forget it, and those that have not been heard of for so long, if they have nothing in hand */
static const char leave_source[] =
    PRELUDE "local consumers = redis.pcall('XINFO', 'CONSUMERS', READY, 'jobs')\n"
            "for _, c in ipairs(consumers.err and {} or consumers) do\n"
            "  if c[4] == 0 and (c[2] == ARGV[1] or c[6] > tonumber(ARGV[2])) then\n"
            "    redis.call('XGROUP', 'DELCONSUMER', READY, 'jobs', c[2])\n"
            "  end\n"
            "end\n"
            "return 1\n";

/* {not dead, delayed, running, dead, age in s of the oldest that is not dead} */
static const char stats_source[] =
    PRELUDE "local pending = redis.pcall('XPENDING', READY, 'jobs')\n"
            "local oldest = redis.call('ZRANGE', JOBS, 0, 0, 'WITHSCORES')\n"
            "return {redis.call('ZCARD', JOBS), redis.call('ZCARD', DELAYED), pending.err and 0 or pending[1],\n"
            "  redis.call('ZCARD', DEAD), secs_since(oldest[2])}\n";

/* dead (1) or not (0), offset, count: {{id, state, kind, key, error, tries, age in s}, ...} */
static const char list_source[] =
    PRELUDE "local ids = redis.call('ZRANGE', ARGV[1] == '1' and DEAD or JOBS, ARGV[2], ARGV[2] + ARGV[3] - 1)\n"
            "local items = {}\n"
            "for _, id in ipairs(ids) do\n"
            "  local f = is_there(id) and\n"
            "    redis.call('HMGET', job_of(id), 'state', 'kind', 'key', 'error', 'tries', 'added') or {}\n"
            "  items[#items + 1] = {id, f[1] or '', f[2] or '', f[3] or '', f[4] or '', tonumber(f[5]) or 0,\n"
            "    secs_since(f[6])}\n"
            "end\n"
            "return items\n";

/* id of a dead letter: 1, or 0 when there is none */
static const char retry_source[] =
    PRELUDE "local id = ARGV[1]\n"
            "if redis.call('ZREM', DEAD, id) == 0 or not is_there(id) then return 0 end\n"
            "redis.call('ZADD', JOBS, now, id)\n"
            "redis.call('HSET', job_of(id), 'added', string.format('%.0f', now), 'tries', 0, 'postponed', 0, 'losses', 0)\n"
            "line_up(id, redis.call('HGET', job_of(id), 'group') or '')\n"
            "return 1\n";

/* id: 1; 0 when there is none; -1 when it runs */
static const char drop_source[] =
    PRELUDE "local id = ARGV[1]\n"
            "if not is_there(id) then return redis.call('ZREM', DEAD, id) + redis.call('ZREM', JOBS, id) > 0 and 1 or 0 end\n"
            "if redis.call('HGET', job_of(id), 'state') == 'running' then return -1 end\n"
            "step_aside(id)\n"
            "redis.call('ZREM', DELAYED, id)\n"
            "redis.call('ZREM', JOBS, id)\n"
            "redis.call('ZREM', DEAD, id)\n"
            "redis.call('DEL', job_of(id))\n"
            "return 1\n";

static struct redis_script scripts[] = {
    [QUEUE_ADD] = {.source = add_source},
    [QUEUE_BUSY] = {.source = busy_source},
    [QUEUE_TAKE] = {.source = take_source},
    [QUEUE_DONE] = {.source = done_source},
    [QUEUE_FAIL] = {.source = fail_source},
    [QUEUE_GIVE_BACK] = {.source = give_back_source},
    [QUEUE_BEAT] = {.source = beat_source},
    [QUEUE_LEAVE] = {.source = leave_source},
    [QUEUE_STATS] = {.source = stats_source},
    [QUEUE_LIST] = {.source = list_source},
    [QUEUE_RETRY] = {.source = retry_source},
    [QUEUE_DROP] = {.source = drop_source},
};

int
queue_eval(struct arena *a, enum queue_script script, struct redis_value *reply_r, struct err *err,
           const struct redis_word *args, size_t count)
{
	const struct redis_word keys[] = {REDIS_TEXT(TAG "ready"), REDIS_TEXT(TAG "delayed"), REDIS_TEXT(TAG "jobs"),
	                                  REDIS_TEXT(TAG "dead")};
	int rc = redis_eval(redis_shared(), a, &scripts[script], reply_r, err, keys, sizeof(keys) / sizeof(keys[0]),
	                    args, count);

	if (rc == -1 && err->code == ERR_INTERNAL)
		err->code = ERR_UNAVAILABLE;
	return rc;
}

void
queue_hash(char id[QUEUE_ID_BYTES], const char *const *parts, size_t count)
{
	unsigned char hash[(QUEUE_ID_BYTES - 1) / 2];
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, sizeof(hash));
	for (size_t i = 0; i < count; i++)      /* with their NULs, so that parts stay apart */
		crypto_generichash_update(&state, (const unsigned char *)parts[i], strlen(parts[i]) + 1);
	crypto_generichash_final(&state, hash, sizeof(hash));
	sodium_bin2hex(id, QUEUE_ID_BYTES, hash, sizeof(hash));
}

struct redis_word
queue_number(char text[QUEUE_NUMBER_BYTES], int64_t n)
{
	snprintf(text, QUEUE_NUMBER_BYTES, "%" PRId64, n);
	return REDIS_TEXT(text);
}

/* A text of 1 to `max` bytes without a NUL in it. */
static bool
is_text(const struct redis_value *v, size_t max)
{
	return v->type == REDIS_STRING && v->len > 0 && v->len <= max && memchr(v->text, '\0', v->len) == NULL;
}

static bool
is_count(const struct redis_value *v)
{
	return v->type == REDIS_INTEGER && v->integer >= 0 && v->integer < INT32_MAX;
}

int
queue_job_parse(const struct redis_value *v, struct job *job_r)
{
	const struct redis_value *items = v->items;

	if (v->type != REDIS_ARRAY || v->count != 8)
		return -1;
	if (!is_text(&items[0], 64) || !is_text(&items[1], QUEUE_ID_BYTES - 1) || !is_text(&items[2], 64) ||
	    !is_text(&items[3], 1024) || !is_count(&items[5]) || !is_count(&items[6]) || !is_count(&items[7]))
		return -1;
	if (items[4].type != REDIS_STRING || items[4].len > QUEUE_PAYLOAD_MAX_BYTES)
		return -1;
	*job_r = (struct job){.entry = items[0].text,
	                      .id = items[1].text,
	                      .kind = items[2].text,
	                      .key = items[3].text,
	                      .payload = items[4].text,
	                      .payload_len = items[4].len,
	                      .tries = (int)items[5].integer + 1,
	                      .postponed = (int)items[6].integer,
	                      .age_secs = items[7].integer};
	return 0;
}
