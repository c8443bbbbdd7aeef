/*
 * redis_tls.h - TLS for connections to Redis, by hiredis (1.0 or newer) over OpenSSL.
 *
 * TLS 1.2 or newer.  The server's certificate must come from one whom REDIS_CA_FILE, or else the system, trusts, and
 * bear the name or address of REDIS_URL, which hiredis by itself would not look at.  Built with an older hiredis
 * there is none of this, and redis_url_parse() refuses rediss://.
 *
 * For the files of net/redis only.  Nothing here waits.
 */
#ifndef NET_REDIS_TLS_H
#define NET_REDIS_TLS_H

#include <hiredis/async.h>

#include "base/mem.h"

/* Speak TLS on a connection that has just been started, with the server `host`.  Takes ac->data.  NULL, or why it cannot be. */
const char *redis_tls_start(redisAsyncContext *ac, const char *host) MUST_USE;

/* Call before hiredis reads and writes: what others left in OpenSSL's queue of errors is not this connection's. */
void redis_tls_prepare(const redisAsyncContext *ac);

/* What TLS has against a connection that hiredis is about to free, or NULL. */
const char *redis_tls_fault(const redisAsyncContext *ac);

/* Read the trusted certificates anew for connections to come. */
void redis_tls_forget(void);

#endif
