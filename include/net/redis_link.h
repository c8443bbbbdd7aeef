/*
 * redis_link.h - hiredis' asynchronous contexts on the loop.
 *
 * Instead of hiredis' own adapter for libuv, which asks the kernel to say when the socket can be
 * written for each command: here the commands of a round of fibers go out in one write, and
 * the kernel is asked only when it took less.
 *
 * For the files of net/redis only.
 */
#ifndef NET_REDIS_LINK_H
#define NET_REDIS_LINK_H

#include <hiredis/async.h>

#include "base/mem.h"

/* Watch the context's socket, and its replies (see redis_value.h; `pattern` must live as long).
   lost_cb(arg, why) is called when hiredis frees the context.  -1 if the socket cannot be watched. */
int redis_link_attach(redisAsyncContext *ac, const char *pattern, void (*lost_cb)(void *arg, const char *why),
                      void *arg) MUST_USE;

/* Do not call lost_cb. */
void redis_link_disown(redisAsyncContext *ac);

/* Bytes that hiredis holds until they can be written. */
size_t redis_link_unsent(const redisAsyncContext *ac);

#endif
