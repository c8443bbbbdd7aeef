/* server.c - see http/server.h */
#include "http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/text.h"
#include "http/fcgi.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/peers.h"
#include "telemetry/log.h"

#define SYSTEMD_FIRST_FD 3
/* Taken per wake-up, so that peers woken by the same connections get some. */
#define ACCEPT_BATCH 4
/* Leave a connection to a lighter peer for so long ... */
#define GIVE_WAY_MS 2
/* ... and take it all the same when nobody did so many times in a row. */
#define GIVE_WAY_MAX 10
/* ... or, by a full worker, which can only refuse: about a second. */
#define GIVE_WAY_FULL_MAX 500
/* When this much heavier than the lightest: 1/16 and a few. */
#define SLACK 4
/* A front is given so long to close what it keeps, before a worker that ends does. */
#define CLOSE_IDLE_MS 2000
/* Should somebody make the listening socket a blocking one: see accept_one(). */
#define ACCEPT_MAX_US 1000
/* After running out of descriptors. */
#define EXHAUSTED_PAUSE_MS 100

static struct {
	int fd;
	uint32_t max_streams;
	int64_t started_ms;
	void (*serve)(struct fcgi *c);
	uv_poll_t poll;
	uv_timer_t pause;
	uv_timer_t drain_timer;
	uv_timer_t idle_timer;
	struct fcgi *connections;
	uint32_t open;                  /* connections */
	uint32_t running;               /* requests */
	uint64_t requests;              /* that ever ran */
	unsigned gave_way;
	bool draining;
	bool own;                       /* the socket is nobody else's */
	void (*ended)(void);
} server;

int
server_find_socket(struct err *err)
{
	const char *pid = getenv("LISTEN_PID");
	const char *fds = getenv("LISTEN_FDS");
	int64_t number;
	int fd = STDIN_FILENO;
	int listening = 0;
	socklen_t len = sizeof(listening);

	if (pid != NULL && fds != NULL && text_to_int64(pid, getpid(), getpid(), &number) == 0 &&
	    text_to_int64(fds, 1, INT32_MAX, &number) == 0)
		fd = SYSTEMD_FIRST_FD;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening)
		return err_set(err, ERR_INTERNAL,
		               "No listening socket on descriptor %d: start this by spawn-fcgi, systemd "
		               "socket activation or mod_fcgid.",
		               fd);
	return fd;
}

static void listen_cb(uv_poll_t *poll, int status, int events);

static void
listen_on(void)
{
	if (!server.draining)
		uv_poll_start(&server.poll, UV_READABLE, listen_cb);
}

static void
pause_over_cb(uv_timer_t *timer)
{
	(void)timer;
	listen_on();
}

static void
pause_listening(uint64_t ms)
{
	uv_poll_stop(&server.poll);
	uv_timer_start(&server.pause, pause_over_cb, ms, 0);
}

static void
unlink_connection(struct fcgi *c)
{
	struct fcgi_link *l = fcgi_link(c);

	if (l->prev != NULL)
		fcgi_link(l->prev)->next = l->next;
	else if (server.connections == c)
		server.connections = l->next;
	if (l->next != NULL)
		fcgi_link(l->next)->prev = l->prev;
}

static void
link_connection(struct fcgi *c)
{
	fcgi_link(c)->next = server.connections;
	if (server.connections != NULL)
		fcgi_link(server.connections)->prev = c;
	server.connections = c;
}

static void
end_if_drained(void)
{
	if (server.draining && server.open == 0 && server.ended != NULL) {
		uv_timer_stop(&server.drain_timer);
		uv_timer_stop(&server.idle_timer);
		server.ended();
	}
}

static void
on_request(struct fcgi *c)
{
	server.running++;
	server.requests++;
	server.serve(c);
	server.running--;
}

static void
on_closed(struct fcgi *c)
{
	unlink_connection(c);
	server.open--;
	peers_set_load(server.open);
	end_if_drained();
}

static const struct fcgi_events events = {.request = on_request, .closed = on_closed};

/* All that share the socket share whether it blocks, and systemd makes it block whenever it starts another of us
   (systemd.exec(5), StandardInput=socket).  Who then loses the race for a connection would wait in accept() for the next
   one, however long that takes, and all its streams with it; so accept() has a time-out, and it is put right. */
static void
make_nonblocking(int fd)
{
	const struct timeval at_most = {.tv_usec = ACCEPT_MAX_US};

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &at_most, sizeof(at_most));
}

static int
accept_one(void)
{
	int fd = accept4(server.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd == -1) {
		int error = errno;

		if (error == EAGAIN)
			make_nonblocking(server.fd);
		errno = error;
		return -1;
	}
	link_connection(fcgi_open(fd, &events));
	server.open++;
	peers_set_load(server.open);
	return 0;
}

/* Should a lighter peer have what waits? */
static bool
give_way(void)
{
	uint32_t load = server.open;
	bool full = load >= server.max_streams;
	uint32_t lightest;

	if (server.own || server.gave_way >= (full ? GIVE_WAY_FULL_MAX : GIVE_WAY_MAX))
		return false;
	lightest = peers_lightest(loop_now_ms());
	if (lightest == UINT32_MAX)
		return false;
	return full || load > lightest + lightest / 16 + SLACK;
}

static void
listen_cb(uv_poll_t *poll, int status, int ready)
{
	(void)poll;
	(void)status;
	(void)ready;
	if (give_way()) {
		server.gave_way++;
		pause_listening(GIVE_WAY_MS);
		return;
	}
	server.gave_way = 0;
	for (int i = 0; i < ACCEPT_BATCH && !(i > 0 && give_way()); i++) {
		if (accept_one() == 0)
			continue;
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			LOG_ERROR(&log_root, "connections cannot be accepted",
			          LOG_STR("reason", strerror(errno)), LOG_INT("open", server.open));
			pause_listening(EXHAUSTED_PAUSE_MS);
		}
		break;
	}
}

void
server_start(int fd, uint32_t max_streams, bool own, void (*serve)(struct fcgi *c))
{
	server.fd = fd;
	server.own = own;
	server.max_streams = max_streams;
	server.started_ms = loop_now_ms();
	server.serve = serve;
	make_nonblocking(fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	uv_poll_init(loop_get(), &server.poll, fd);
	uv_timer_init(loop_get(), &server.pause);
	uv_timer_init(loop_get(), &server.drain_timer);
	uv_timer_init(loop_get(), &server.idle_timer);
	listen_on();
}

bool
server_is_full(void)
{
	return server.running > server.max_streams && peers_lightest(loop_now_ms()) == UINT32_MAX;
}

static void
drain_over_cb(uv_timer_t *timer)
{
	(void)timer;
	LOG_WARN(&log_root, "ending the streams that are left", LOG_INT("streams", server.running));
	for (struct fcgi *c = server.connections; c != NULL; c = fcgi_link(c)->next)
		if (fcgi_fiber(c) != NULL)
			fiber_cancel(fcgi_fiber(c), FIBER_DRAINING);
}

/* Idle ones that their front has not closed by now. */
static void
close_idle_cb(uv_timer_t *timer)
{
	struct fcgi *next;

	(void)timer;
	for (struct fcgi *c = server.connections; c != NULL; c = next) {
		next = fcgi_link(c)->next;
		fcgi_close_if_idle(c);
	}
}

/* On a socket of our own: a front that comes from now on is refused, and asks another worker; who has connected would be
   lost with us. */
static void
take_what_waits(void)
{
	(void)shutdown(server.fd, SHUT_RD);
	while (accept_one() == 0)
		;
}

void
server_drain(int64_t drain_ms, void (*ended)(void))
{
	if (server.draining)
		return;
	server.draining = true;
	server.ended = ended;
	uv_timer_stop(&server.pause);
	uv_poll_stop(&server.poll);
	uv_timer_start(&server.drain_timer, drain_over_cb, (uint64_t)drain_ms, 0);
	for (struct fcgi *c = server.connections; c != NULL; c = fcgi_link(c)->next)
		fcgi_close_when_idle(c);
	if (server.own)
		take_what_waits();
	uv_timer_start(&server.idle_timer, close_idle_cb, CLOSE_IDLE_MS, CLOSE_IDLE_MS);
	end_if_drained();
}

bool
server_is_draining(void)
{
	return server.draining;
}

uint32_t
server_load(void)
{
	return server.running;
}

uint32_t
server_connections(void)
{
	return server.open;
}

uint64_t
server_requests(void)
{
	return server.requests;
}

int64_t
server_started_ms(void)
{
	return server.started_ms;
}
