/* fcgi.c - see http/fcgi.h */
#include "http/fcgi.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcgios.h>
#include <fastcgi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"

/* The front sends on what a client uploads: a phone may stall for a while. */
#define READ_TIMEOUT_MS 60000
/* A client that reads 1 KB/s needs minutes to make room in a socket's buffer. */
#define WRITE_TIMEOUT_MS 300000
/* A request that is being ended waits no longer than this for its client. */
#define LAST_WORDS_TIMEOUT_MS 5000
/* What is thrown away of a body that nobody read, so that the front can end. */
#define DISCARD_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define DISCARD_MAX_MS 30000

/* An output record is sent when it holds this much, at the latest.  A record can
   carry 65,535 bytes; a unix socket's buffer takes some 200 KiB. */
#define RECORD_FULL_BYTES ((size_t)16 * 1024)
#define RECORD_HEADER_BYTES ((size_t)8)

struct fcgi {
	struct fcgi_link link;
	const struct fcgi_events *events;
	FCGX_Request fcgx;
	uv_poll_t poll;
	int fd;
	struct buffer out;              /* one record in the making: its header, then the content */
	struct fiber *fiber;            /* of the running request */
	int watched;                    /* what `poll` watches for */
	int awaited;                    /* what the fiber waits for in OS_Read or OS_Write */
	int ready;                      /* what of it has come */
	bool gone;
	bool close_when_idle;
};

/* The connection of each descriptor: libfcgi only hands on the number. */
static struct fcgi **by_fd;
static int by_fd_size;

static void
remember(int fd, struct fcgi *c)
{
	if (fd >= by_fd_size) {
		int size = by_fd_size > 0 ? by_fd_size : 64;

		while (size <= fd)
			size *= 2;
		by_fd = mem_resize(by_fd, (size_t)size * sizeof(*by_fd));
		memset(by_fd + by_fd_size, 0, (size_t)(size - by_fd_size) * sizeof(*by_fd));
		by_fd_size = size;
	}
	by_fd[fd] = c;
}

/* ---- watching the socket ---- */

static void poll_cb(uv_poll_t *poll, int status, int events);

static void
watch(struct fcgi *c, int events)
{
	if (c->watched == events)
		return;
	c->watched = events;
	if (events == 0)
		uv_poll_stop(&c->poll);
	else
		uv_poll_start(&c->poll, events, poll_cb);
}

static void
client_left(struct fcgi *c)
{
	c->gone = true;
	watch(c, 0);
	fiber_cancel(c->fiber, FIBER_CLIENT_GONE);
}

static bool
at_eof(const struct fcgi *c)
{
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR);
}

static void conn_close(struct fcgi *c);
static void request_main(void *arg);

static void
begin_request(struct fcgi *c)
{
	c->fiber = fiber_spawn(request_main, c);
}

static void
poll_cb(uv_poll_t *poll, int status, int events)
{
	struct fcgi *c = poll->data;

	if (status < 0) {
		c->watched = 0;         /* libuv has stopped the handle */
		events = UV_READABLE | UV_WRITABLE | UV_DISCONNECT;
	}
	if (c->fiber == NULL) {
		if (at_eof(c))
			conn_close(c);
		else
			begin_request(c);
	} else if (c->awaited != 0) {
		c->ready |= events;
		fiber_wake(c->fiber);
	} else if ((events & UV_DISCONNECT) || status < 0 || at_eof(c)) {
		client_left(c);
	} else {
		/* More input while the handler is busy: it stays in the socket, but
		   must not wake us over and over. */
		watch(c, UV_DISCONNECT);
	}
}

/* Let the fiber wait until the socket is ready; -1 with errno if it is not to be. */
static int
await_socket(struct fcgi *c, int events, int64_t timeout_ms)
{
	bool ending = fiber_cancelled(c->fiber) != FIBER_GO_ON;
	int64_t deadline = loop_now_ms() + (ending ? LAST_WORDS_TIMEOUT_MS : timeout_ms);
	enum fiber_event event = FIBER_WOKEN;

	c->awaited = events;
	c->ready = 0;
	watch(c, events | UV_DISCONNECT);
	while (c->ready == 0 && event == FIBER_WOKEN)
		event = fiber_wait(deadline);
	c->awaited = 0;
	if (!c->gone)
		watch(c, UV_READABLE | UV_DISCONNECT);
	/* a front that has closed its side goes on being reported, however full the socket is */
	if (event == FIBER_WOKEN && events == UV_WRITABLE && (c->ready & UV_DISCONNECT)) {
		errno = EPIPE;
		return -1;
	}
	if (event == FIBER_WOKEN)
		return 0;
	errno = event == FIBER_TIMEOUT ? ETIMEDOUT : ECANCELED;
	return -1;
}

static int
send_all(struct fcgi *c, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(c->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || await_socket(c, UV_WRITABLE, WRITE_TIMEOUT_MS) == -1) {
			client_left(c);
			return -1;
		}
	}
	return 0;
}

/* ---- libfcgi's way to the socket ---- */

int
OS_Read(int fd, char *buf, size_t len)
{
	struct fcgi *c = by_fd[fd];

	for (;;) {
		ssize_t n = recv(fd, buf, len, MSG_DONTWAIT);

		if (n == 0)
			client_left(c);
		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			return (int)n;
		if (await_socket(c, UV_READABLE, READ_TIMEOUT_MS) == -1)
			return -1;
	}
}

/* libfcgi itself writes only when it turns down a request that is not one. */
int
OS_Write(int fd, char *buf, size_t len)
{
	return send_all(by_fd[fd], buf, len) == 0 ? (int)len : -1;
}

/* Connections are accepted by the server's own loop, never by libfcgi. */
int
OS_Accept(int listen_sock, int fail_on_intr, const char *web_server_addrs)
{
	(void)listen_sock;
	(void)fail_on_intr;
	(void)web_server_addrs;
	errno = ECONNABORTED;
	return -1;
}

/* The descriptor is ours to close.  (libfcgi would wait up to two seconds
   for the front to close first.) */
int
OS_IpcClose(int fd, int shutdown_first)
{
	(void)fd;
	(void)shutdown_first;
	return 0;
}

void
fcgi_init(void)
{
	FCGX_Init();
}

/* ---- a connection's life ---- */

static void
free_conn_cb(uv_handle_t *handle)
{
	free(handle->data);
}

static void
conn_close(struct fcgi *c)
{
	c->events->closed(c);
	watch(c, 0);
	by_fd[c->fd] = NULL;
	close(c->fd);
	uv_close((uv_handle_t *)&c->poll, free_conn_cb);
}

struct fcgi *
fcgi_open(int fd, const struct fcgi_events *events)
{
	struct fcgi *c = mem_alloc(sizeof(*c));

	c->fd = fd;
	c->events = events;
	c->out.max = RECORD_HEADER_BYTES + 2 * RECORD_FULL_BYTES;
	FCGX_InitRequest(&c->fcgx, -1, 0);
	c->poll.data = c;
	uv_poll_init(loop_get(), &c->poll, fd);
	remember(fd, c);
	/* fronts send the request along with the connection: look at once */
	begin_request(c);
	return c;
}

static int
accept_request(struct fcgi *c)
{
	c->fcgx.ipcFd = c->fd;
	c->fcgx.keepConnection = 1;     /* so that it is read from, not replaced */
	if (FCGX_Accept_r(&c->fcgx) != 0)
		return -1;
	/* parameters that break off are to libfcgi parameters that end */
	if (c->gone || FCGX_GetError(c->fcgx.in) != 0) {
		FCGX_Free(&c->fcgx, 1);
		return -1;
	}
	/* 8.5 KiB that each stream would hold: see below for what we do instead */
	FCGX_FreeStream(&c->fcgx.out);
	FCGX_FreeStream(&c->fcgx.err);
	return 0;
}

/* ---- records, as FastCGI 1.0 has them (3.3 and 5.5) ----
 *
 * libfcgi's output streams hold 8.5 KiB for as long as a request runs, a third of what
 * a stream costs; a record's header is eight bytes.
 */

static void
put_header(struct fcgi *c, char *at, unsigned char type, size_t content_len)
{
	const unsigned char header[RECORD_HEADER_BYTES] = {
	    1,                                              /* version */
	    type,
	    (unsigned char)(c->fcgx.requestId >> 8), (unsigned char)c->fcgx.requestId,
	    (unsigned char)(content_len >> 8),       (unsigned char)content_len,
	    0,                                              /* padding */
	    0,
	};

	memcpy(at, header, sizeof(header));
}

/* Leave room for the header, which is written when the length is known. */
static int
begin_record(struct fcgi *c)
{
	static const char room[RECORD_HEADER_BYTES];

	return c->out.len == 0 ? buffer_append(&c->out, room, sizeof(room)) : 0;
}

/* The record ends `after` bytes before the end of the buffer. */
static void
end_record(struct fcgi *c, size_t after)
{
	put_header(c, c->out.data, FCGI_STDOUT, c->out.len - after - RECORD_HEADER_BYTES);
}

/* FastCGI has no word for "close, please" that a front heeds; closing ourselves loses what it sends at
 * that moment.  But a front gives up a kept connection on which something comes unasked, and an empty STDERR record
 * means nothing to one that has just sent a request: it is the beginning of the answer.
 */
static void
put_farewell(struct fcgi *c, char *at)
{
	put_header(c, at, FCGI_STDERR, 0);
}

/* What is left of the output, its end, and the end of the request, all at once. */
static int
send_end(struct fcgi *c)
{
	char end[4 * RECORD_HEADER_BYTES] = {0};        /* appStatus 0, FCGI_REQUEST_COMPLETE */
	size_t len = 3 * RECORD_HEADER_BYTES;

	put_header(c, end, FCGI_STDOUT, 0);
	put_header(c, end + RECORD_HEADER_BYTES, FCGI_END_REQUEST, RECORD_HEADER_BYTES);
	if (c->close_when_idle && c->fcgx.keepConnection) {
		put_farewell(c, end + len);
		len += RECORD_HEADER_BYTES;
	}
	if (buffer_append(&c->out, end, len) == -1)
		return -1;
	if (c->out.len > len)
		end_record(c, len);
	return send_all(c, c->out.data, c->out.len);
}

/* Throw away the rest of the body, so that the next request on this connection
   begins where it begins, and a front that still sends is not cut off. */
COLD static bool
discard_input(struct fcgi *c)
{
	int64_t deadline = loop_now_ms() + DISCARD_MAX_MS;
	char trash[1024];
	size_t total = 0;
	int n;

	if (c->fcgx.in == NULL)
		return true;
	while ((n = FCGX_GetStr(trash, sizeof(trash), c->fcgx.in)) > 0 && total < DISCARD_MAX_BYTES &&
	       loop_now_ms() < deadline)
		total += (size_t)n;
	return n == 0 && FCGX_GetError(c->fcgx.in) == 0;
}

/* End the answer.  True when the connection can be used again. */
static bool
end_request(struct fcgi *c)
{
	bool reusable = false;

	fiber_mask_begin();
	if (!c->gone) {
		bool whole = discard_input(c);

		reusable = send_end(c) == 0 && whole && c->fcgx.keepConnection && !c->close_when_idle;
		/* at once: else a front that keeps connections may send on this one */
		if (!reusable)
			shutdown(c->fd, SHUT_WR);
	}
	fiber_mask_end();
	buffer_free(&c->out);
	FCGX_Free(&c->fcgx, 1);
	return reusable && !c->gone;
}

static void
request_main(void *arg)
{
	struct fcgi *c = arg;
	bool reusable = false;

	if (accept_request(c) == 0) {
		if (c->watched == 0 && !c->gone)
			watch(c, UV_READABLE | UV_DISCONNECT);
		c->events->request(c);
		reusable = end_request(c);
	}
	c->fiber = NULL;
	if (reusable)
		watch(c, UV_READABLE | UV_DISCONNECT);
	else
		conn_close(c);
}

void
fcgi_close_when_idle(struct fcgi *c)
{
	char farewell[RECORD_HEADER_BYTES];

	if (c->close_when_idle)
		return;
	c->close_when_idle = true;
	if (c->fiber != NULL)
		return;                 /* it is said at the request's end */
	put_farewell(c, farewell);
	(void)!send(c->fd, farewell, sizeof(farewell), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
fcgi_close_if_idle(struct fcgi *c)
{
	char byte;

	if (c->fiber == NULL && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
		conn_close(c);
}

/* ---- the request ---- */

const char *
fcgi_param(const struct fcgi *c, const char *name)
{
	return FCGX_GetParam(name, c->fcgx.envp);
}

int
fcgi_read(struct fcgi *c, char *data, size_t size, struct err *err)
{
	int n, problem;

	if (c->fcgx.in == NULL)
		return 0;
	n = FCGX_GetStr(data, (int)size, c->fcgx.in);
	problem = FCGX_GetError(c->fcgx.in);
	if (problem == 0) {
		if (FCGX_HasSeenEOF(c->fcgx.in))
			FCGX_FreeStream(&c->fcgx.in);   /* 8 KiB that a stream need not hold */
		return n;
	}
	if (problem == ECANCELED)
		return fiber_cancel_err(err);
	if (problem == ETIMEDOUT)
		return err_set(err, ERR_INVALID_REQUEST, "The body did not arrive in time.");
	return err_set(err, ERR_CANCELLED, "The body broke off before its end.");
}

int
fcgi_write(struct fcgi *c, const char *data, size_t len)
{
	while (len > 0) {
		size_t part = len < RECORD_FULL_BYTES ? len : RECORD_FULL_BYTES;

		if (begin_record(c) == -1 || buffer_append(&c->out, data, part) == -1)
			return -1;
		if (c->out.len >= RECORD_FULL_BYTES && fcgi_flush(c) == -1)
			return -1;
		data += part;
		len -= part;
	}
	return c->gone ? -1 : 0;
}

char *
fcgi_room(struct fcgi *c, size_t len)
{
	/* a record that this would make full is fcgi_write()'s to send */
	if (c->gone || c->out.len + RECORD_HEADER_BYTES + len >= RECORD_FULL_BYTES || begin_record(c) == -1 ||
	    buffer_reserve(&c->out, len) == -1)
		return NULL;
	c->out.len += len;
	return c->out.data + c->out.len - len;
}

int
fcgi_flush(struct fcgi *c)
{
	int rc;

	if (c->gone)
		return -1;
	if (c->out.len == 0)
		return 0;
	end_record(c, 0);
	rc = send_all(c, c->out.data, c->out.len);
	buffer_free(&c->out);   /* an idle stream holds no buffer */
	return rc;
}

bool
fcgi_client_gone(const struct fcgi *c)
{
	return c->gone;
}

struct fiber *
fcgi_fiber(const struct fcgi *c)
{
	return c->fiber;
}

struct fcgi_link *
fcgi_link(struct fcgi *c)
{
	return &c->link;
}
