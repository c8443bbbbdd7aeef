/* redis_link.c - see net/redis_link.h */
#include "net/redis_link.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdlib.h>

#include "net/redis_tls.h"
#include "net/redis_value.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"

/* A context's hooks; freed when libuv has let go of the socket. */
struct link {
	struct link *next_dirty;
	redisAsyncContext *ac;          /* NULL: freed */
	struct redis_guard guard;
	uv_poll_t poll;
	int events;                     /* that the poll is started for */
	bool dirty;                     /* has something to write at the end of this round */
	bool flushing;
	void (*lost_cb)(void *arg, const char *why);
	void *arg;
};

static struct link *dirty_links;

static void poll_cb(uv_poll_t *poll, int status, int events);

static void
watch(struct link *l, int events)
{
	if (events == l->events)
		return;
	l->events = events;
	if (events != 0)
		uv_poll_start(&l->poll, events, poll_cb);
	else
		uv_poll_stop(&l->poll);
}

/* What came in and is no whole reply yet. */
static bool
is_reply_too_large(const redisAsyncContext *ac)
{
	return ac->c.reader->len - ac->c.reader->pos > REDIS_REPLY_MAX_BYTES;
}

static void
poll_cb(uv_poll_t *poll, int status, int events)
{
	struct link *l = poll->data;

	redis_tls_prepare(l->ac);
	/* libuv no longer watches a socket with an error */
	if (status < 0)
		l->events = 0;
	/* reading finds out what is wrong; but first it may find half a reply, and the error only when called again */
	if (status < 0 || (events & UV_READABLE))
		redisAsyncHandleRead(l->ac);
	if (l->ac != NULL && status < 0)
		watch(l, l->events | UV_READABLE);
	if (l->ac != NULL && (events & UV_WRITABLE))
		redisAsyncHandleWrite(l->ac);
	if (l->ac != NULL && is_reply_too_large(l->ac))
		redisAsyncFree(l->ac);
}

static void
add_read(void *arg)
{
	struct link *l = arg;

	watch(l, l->events | UV_READABLE);
}

static void
del_read(void *arg)
{
	struct link *l = arg;

	watch(l, l->events & ~UV_READABLE);
}

static void
add_write(void *arg)
{
	struct link *l = arg;

	if (!(l->ac->c.flags & REDIS_CONNECTED) || l->flushing) {
		watch(l, l->events | UV_WRITABLE);
	} else if (!l->dirty && !(l->events & UV_WRITABLE)) {
		l->dirty = true;
		l->next_dirty = dirty_links;
		dirty_links = l;
	}
}

static void
del_write(void *arg)
{
	struct link *l = arg;

	watch(l, l->events & ~UV_WRITABLE);
}

static void
flush(void)
{
	while (dirty_links != NULL) {
		struct link *l = dirty_links;

		dirty_links = l->next_dirty;
		l->dirty = false;
		l->flushing = true;
		redis_tls_prepare(l->ac);
		redisAsyncHandleWrite(l->ac);   /* may free the context; the link lives until the loop's next turn */
		l->flushing = false;
	}
}

static void
free_link_cb(uv_handle_t *poll)
{
	free(poll->data);
}

static const char *
reason_of(const redisAsyncContext *ac)
{
	const char *fault = redis_tls_fault(ac);

	if (fault != NULL)
		return fault;
	return ac->err != 0 && ac->errstr[0] != '\0' ? ac->errstr : "the connection was closed";
}

/* hiredis is about to free the context. */
static void
cleanup(void *arg)
{
	struct link *l = arg;
	redisAsyncContext *ac = l->ac;

	if (ac == NULL)
		return;
	for (struct link **place = &dirty_links; *place != NULL; place = &(*place)->next_dirty) {
		if (*place == l) {
			*place = l->next_dirty;
			break;
		}
	}
	l->ac = NULL;
	ac->ev.data = NULL;
	ac->ev.cleanup = NULL;
	uv_poll_stop(&l->poll);
	uv_close((uv_handle_t *)&l->poll, free_link_cb);
	if (l->lost_cb != NULL)
		l->lost_cb(l->arg, reason_of(ac));
}

static void
connected_cb(const redisAsyncContext *ac, int status)
{
	(void)ac;
	(void)status;
}

int
redis_link_attach(redisAsyncContext *ac, const char *pattern, void (*lost_cb)(void *arg, const char *why), void *arg)
{
	struct link *l = mem_alloc(sizeof(*l));

	if (uv_poll_init(loop_get(), &l->poll, ac->c.fd) != 0) {
		free(l);
		return -1;
	}
	l->poll.data = l;
	l->ac = ac;
	l->lost_cb = lost_cb;
	l->arg = arg;
	redis_guard_attach(&l->guard, ac, pattern);
	ac->ev.data = l;
	ac->ev.addRead = add_read;
	ac->ev.delRead = del_read;
	ac->ev.addWrite = add_write;
	ac->ev.delWrite = del_write;
	ac->ev.cleanup = cleanup;
	if (ac->c.connection_type == REDIS_CONN_TCP)    /* on others it fails, and the context with it */
		(void)redisEnableKeepAlive(&ac->c);
	fiber_after_round(flush);
	/* lets hiredis look for the connection to be made */
	redisAsyncSetConnectCallback(ac, connected_cb);
	return 0;
}

void
redis_link_disown(redisAsyncContext *ac)
{
	struct link *l = ac->ev.data;

	if (l != NULL)
		l->lost_cb = NULL;
}

size_t
redis_link_unsent(const redisAsyncContext *ac)
{
	return sdslen(ac->c.obuf);
}
