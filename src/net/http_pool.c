/* http_pool.c - see net/http_pool.h */
#include "net/http_pool.h"

#include <stdlib.h>

#include "base/mem.h"

/* A socket that libcurl watches. */
struct watch {
	uv_poll_t poll;
	struct http_pool *pool;
	curl_socket_t socket;
};

static void
collect_finished(struct http_pool *pool)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(pool->multi, &left)) != NULL)
		if (msg->msg == CURLMSG_DONE)
			pool->ended(msg->easy_handle, msg->data.result);
}

static void
act(struct http_pool *pool, curl_socket_t socket, int events)
{
	int running;

	curl_multi_socket_action(pool->multi, socket, events, &running);
	collect_finished(pool);
}

static void
timer_cb(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int
want_timer_cb(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_pool *pool = arg;

	(void)multi;
	if (timeout_ms < 0)
		uv_timer_stop(&pool->timer);
	else
		uv_timer_start(&pool->timer, timer_cb, (uint64_t)timeout_ms, 0);
	return 0;
}

static void
socket_cb(uv_poll_t *poll, int status, int events)
{
	const struct watch *w = poll->data;
	int flags = status < 0 ? CURL_CSELECT_ERR : 0;

	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	act(w->pool, w->socket, flags);
}

static void
free_watch_cb(uv_handle_t *handle)
{
	free(handle->data);
}

static struct watch *
watch_new(struct http_pool *pool, curl_socket_t socket)
{
	struct watch *w = mem_alloc(sizeof(*w));

	w->socket = socket;
	w->pool = pool;
	w->poll.data = w;
	if (uv_poll_init_socket(loop_get(), &w->poll, socket) != 0) {
		free(w);
		return NULL;
	}
	curl_multi_assign(pool->multi, socket, w);
	return w;
}

static int
want_socket_cb(CURL *easy, curl_socket_t socket, int what, void *arg, void *socket_arg)
{
	struct http_pool *pool = arg;
	struct watch *w = socket_arg;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w == NULL)
			return 0;
		curl_multi_assign(pool->multi, socket, NULL);
		uv_poll_stop(&w->poll);
		uv_close((uv_handle_t *)&w->poll, free_watch_cb);
		return 0;
	}
	if (w == NULL && (w = watch_new(pool, socket)) == NULL)
		return -1;
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&w->poll, events, socket_cb) == 0 ? 0 : -1;
}

void
http_pool_open(struct http_pool *pool, void (*ended)(CURL *easy, CURLcode result))
{
	pool->ended = ended;
	pool->multi = curl_multi_init();
	if (pool->multi == NULL)
		abort();        /* as out of memory */
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, want_socket_cb);
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, want_timer_cb);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
	uv_timer_init(loop_get(), &pool->timer);
	uv_unref((uv_handle_t *)&pool->timer);
	pool->timer.data = pool;
}

void
http_pool_close(struct http_pool *pool)
{
	if (pool->multi == NULL)
		return;
	curl_multi_cleanup(pool->multi);
	pool->multi = NULL;
	uv_close((uv_handle_t *)&pool->timer, NULL);
}
