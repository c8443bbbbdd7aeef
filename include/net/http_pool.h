/*
 * http_pool.h - a multi handle of libcurl on the loop: its connections, its sockets, its timer.
 *
 * libcurl's multi_socket interface, as https://curl.se/libcurl/c/libcurl-multi.html tells it.
 */
#ifndef NET_HTTP_POOL_H
#define NET_HTTP_POOL_H

#include <curl/curl.h>

#include "runtime/loop.h"

struct http_pool {
	CURLM *multi;                   /* NULL: not open */
	uv_timer_t timer;
	void (*ended)(CURL *easy, CURLcode result);
};

/* `ended` is called from the loop for each transfer that is over, well or not; it neither
   waits nor ends other transfers. */
void http_pool_open(struct http_pool *pool, void (*ended)(CURL *easy, CURLcode result));

/* Nothing if it is not open.  No transfer may be in it. */
void http_pool_close(struct http_pool *pool);

#endif
