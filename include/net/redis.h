/*
 * redis.h - Redis for fibers.
 *
 * REDIS_URL (redis://, unix:; rediss:// where hiredis has TLS, see redis_tls.h) speaks RESP by hiredis'
 * asynchronous API: all fibers of a process share one pipelined connection.
 * UPSTASH_REDIS_REST_URL speaks its REST protocol (upstash.com/docs/redis/features/restapi): commands as
 * JSON over HTTPS.  Same interface, but words must be UTF-8 (replies may be any bytes; let scripts pack), and no command
 * blocks.  Connections come back by themselves, after a pause that
 * grows and has jitter.  Behind a breaker of the host ("redis"): while it is open nothing is tried.
 *
 * Keys that one script touches carry the same hash tag, "{...}" (redis.io/docs/reference/cluster-spec).
 */
#ifndef NET_REDIS_H
#define NET_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum redis_type { REDIS_NIL, REDIS_INTEGER, REDIS_STRING, REDIS_ARRAY };

/* A reply that has more is none: the connection is dropped. */
#define REDIS_REPLY_MAX_BYTES ((size_t)2 * 1024 * 1024)

/* A reply; lives in the arena given. */
struct redis_value {
	enum redis_type type;
	int64_t integer;
	const char *text;               /* NUL-terminated after `len` bytes */
	size_t len;
	const struct redis_value *items;
	size_t count;
};

/* One word of a command. */
struct redis_word {
	const char *data;
	size_t len;
};
#define REDIS_TEXT(s) ((struct redis_word){(s), __builtin_strlen(s)})
#define REDIS_BYTES(p, n) ((struct redis_word){(p), (n)})
#define REDIS_WORDS(...)                                                                                               \
	((const struct redis_word[]){__VA_ARGS__}),                                                                    \
	    (sizeof((const struct redis_word[]){__VA_ARGS__}) / sizeof(struct redis_word))

struct redis;

/* By the configuration; does not wait: the first command does.  Without Redis configured
   each command fails at once.  The process ignores SIGPIPE from then on.  After http_client_start(). */
void redis_start(void);
void redis_stop(void);

/* The connection that all fibers share. */
struct redis *redis_shared(void);

/* One of one's own, for commands that block (XREADGROUP BLOCK): close with redis_close(). */
struct redis *redis_open(void);
void redis_close(struct redis **r);

/* Could a command be sent now: configured, and the breaker not open? */
bool redis_usable(void);

/* Commands of this process that are on their way, for the metrics. */
unsigned redis_pending(void);

/*
 * Run a command.  Waits at most REDIS_TIMEOUT_MS.  -1 with *err:
 *   ERR_UNAVAILABLE       Redis is away: not configured, breaker open, no connection, no answer in time,
 *                         READONLY, LOADING, OOM, a wrong password (all of which count for the breaker)
 *   ERR_INTERNAL          Redis says that the command is wrong (WRONGTYPE, a script's error)
 *   as fiber_cancel_err() the fiber was cancelled
 * e.g. redis_command(redis_shared(), a, &reply, err, REDIS_WORDS(REDIS_TEXT("GET"), REDIS_TEXT(key)))
 */
int redis_command(struct redis *r, struct arena *a, struct redis_value *reply_r, struct err *err,
                  const struct redis_word *words, size_t count) MUST_USE;

/* The same, with a deadline of one's own (for commands that block). */
int redis_command_until(struct redis *r, struct arena *a, int64_t deadline_ms, struct redis_value *reply_r,
                        struct err *err, const struct redis_word *words, size_t count) MUST_USE;

/* Only to see whether it is there (PING): neither asks the breaker nor counts for it. */
int redis_ping(struct redis *r, struct arena *a, int64_t deadline_ms, struct err *err) MUST_USE;

/* A Lua script, run by its digest (EVALSHA) and sent whole only when Redis does not know it (NOSCRIPT). */
struct redis_script {
	const char *source;             /* a constant */
	char sha1[41];                  /* made at the first call */
};

int redis_eval(struct redis *r, struct arena *a, struct redis_script *script, struct redis_value *reply_r,
               struct err *err, const struct redis_word *keys, size_t keys_count, const struct redis_word *args,
               size_t args_count) MUST_USE;

/* Call cb(arg, channel, text, len) from the loop for each message of the channels that match `pattern`
   (PSUBSCRIBE), over a connection of its own that comes back by itself.  -1 where that cannot be (REST):
   whoever waits has to look from time to time, as he must anyway while the connection is away. */
int redis_subscribe(const char *pattern,
                    void (*cb)(void *arg, const char *channel, const char *text, size_t len), void *arg);

#endif
