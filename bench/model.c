/*
 * model.c - the mock model of the bench: an OpenAI-compatible HTTP/1.1 server.
 *
 *   bench-model --listen 127.0.0.1-4:8000 [--processes 2] [--chunks 20]
 *               [--interval-us 50000] [--first-us 0]
 *
 *   POST /v1/chat/completions   an answer as the prompt scripts it (answer.h)
 *   GET  /v1/models
 *   POST /finish                ends the open streams that have no length of their own
 *   GET  /stats                 counters, of all processes
 *   GET  /streams?from=N&to=M   [id, address, state, ended_us] of streams N to M-1;
 *                               state: 1 open, 2 answered, 3 the client went away
 *
 * Each process has its own listening sockets on the same addresses (SO_REUSEPORT),
 * which spreads the connections and keeps each below the limit of open files.
 * Counters and records lie in memory that the processes share.
 */
#define _GNU_SOURCE 1 /* accept4 */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "answer.h"
#include "common.h"
#include "timers.h"

#define PROCESSES_MAX 16
#define STREAMS_MAX (1 << 17)
#define REQUEST_MAX (2 << 20)
#define EVENTS 256
#define SEND_BUFFER (64 << 10) /* so that not much of a long answer waits in the kernel */
#define BURST 16 /* chunks a turn of a stream that has no interval */

enum state { STATE_NONE, STATE_OPEN, STATE_ANSWERED, STATE_GONE };

/* What is known of the stream with a certain id. */
struct record {
	_Atomic int64_t ended_us;
	_Atomic uint8_t state;
	uint8_t address;
};

static struct shared {
	_Atomic long connections, requests, answered, gone, chunks, bytes;
	_Atomic long open[ADDRESSES_MAX]; /* by the address that was asked */
	_Atomic unsigned finish; /* times POST /finish was called */
	struct record records[STREAMS_MAX];
} * shared;

struct conn {
	struct timer timer; /* must come first: the timer is its connection */
	int fd;
	uint8_t address; /* index of the listening address */
	bool listening;
	bool answering; /* a chat is being answered */
	bool begun; /* its head has been sent */
	bool hold_up; /* out[] waits until the socket takes more */
	unsigned finish_seen;
	long sequence;
	struct plan plan;
	char *in; /* NUL-terminated */
	size_t in_length, in_room;
	char *out; /* what the socket did not take */
	size_t out_length, out_sent;
};

static struct addresses addresses;
static struct plan defaults = {.id = -1, .chunks = 20, .interval_us = 50000, .model = "bench"};
static struct timers timers;
static struct text reply; /* being composed */
static int epoll_fd;

static void
record_set(const struct conn *conn, enum state state)
{
	struct record *record;

	if (conn->plan.id < 0 || conn->plan.id >= STREAMS_MAX)
		return;
	record = &shared->records[conn->plan.id];
	record->address = conn->address;
	record->ended_us = state == STATE_OPEN ? 0 : now_us();
	record->state = (uint8_t)state;
}

static void
conn_watch(struct conn *conn, int operation, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = conn};

	if (epoll_ctl(epoll_fd, operation, conn->fd, &event) < 0)
		die("epoll_ctl: %s", strerror(errno));
}

static struct conn *
conn_new(int fd, uint8_t address, bool listening)
{
	struct conn *conn = must_realloc(NULL, sizeof(*conn));

	memset(conn, 0, sizeof(*conn));
	conn->fd = fd;
	conn->address = address;
	conn->listening = listening;
	conn_watch(conn, EPOLL_CTL_ADD, EPOLLIN);
	return conn;
}

static void
conn_free(struct conn *conn)
{
	if (conn->answering) {
		record_set(conn, STATE_GONE);
		shared->gone++;
		shared->open[conn->address]--;
	}
	timer_cancel(&timers, &conn->timer);
	close(conn->fd);
	shared->connections--;
	free(conn->in);
	free(conn->out);
	free(conn);
}

/* Sends what is in out[]; false if the connection is broken. */
static bool
conn_flush(struct conn *conn)
{
	while (conn->out_sent < conn->out_length) {
		ssize_t sent = send(conn->fd, conn->out + conn->out_sent, conn->out_length - conn->out_sent,
				    MSG_NOSIGNAL);

		if (sent < 0)
			return errno == EAGAIN;
		conn->out_sent += (size_t)sent;
		shared->bytes += sent;
	}
	free(conn->out);
	conn->out = NULL;
	conn->out_length = conn->out_sent = 0;
	conn->hold_up = false;
	conn_watch(conn, EPOLL_CTL_MOD, EPOLLIN);
	return true;
}

/* Sends the composed reply; false if the connection is broken.  Called only while
   nothing waits in out[]. */
static bool
conn_reply(struct conn *conn)
{
	ssize_t sent = send(conn->fd, reply.data, reply.length, MSG_NOSIGNAL);

	if (sent < 0) {
		if (errno != EAGAIN)
			return false;
		sent = 0;
	}
	shared->bytes += sent;
	if ((size_t)sent < reply.length) {
		conn->out_length = reply.length - (size_t)sent;
		conn->out = must_realloc(NULL, conn->out_length);
		memcpy(conn->out, reply.data + sent, conn->out_length);
		conn->hold_up = true;
		conn_watch(conn, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
	}
	return true;
}

static void
chat_begin(struct conn *conn, const char *body)
{
	int64_t now = now_us();

	plan_parse(body, &defaults, &conn->plan);
	conn->answering = true;
	conn->begun = false;
	conn->sequence = 0;
	conn->finish_seen = shared->finish;
	shared->open[conn->address]++;
	record_set(conn, STATE_OPEN);
	timer_set(&timers, &conn->timer, now + conn->plan.first_us);
}

/* After its first chunk a stream goes on in a phase of its own, so that the chunks
   of all streams are spread evenly over the interval, however they were opened. */
static int64_t
next_due_us(const struct conn *conn)
{
	double turns = (double)(conn->plan.id + 1) * 0.6180339887498949;

	if (conn->sequence > 1)
		return conn->timer.due_us + conn->plan.interval_us;
	return conn->timer.due_us +
	       (int64_t)((turns - (double)(int64_t)turns) * (double)conn->plan.interval_us);
}

/* Composes the next part of a streamed answer; true if it was the last. */
static bool
stream_part(struct conn *conn)
{
	int burst = conn->plan.interval_us > 0 ? 1 : BURST;
	bool last = false;

	if (!conn->begun)
		answer_begin(&reply, &conn->plan);
	conn->begun = true;
	while (!last && burst-- > 0) {
		last = conn->plan.chunks > 0 ? conn->sequence + 1 >= conn->plan.chunks
					     : conn->finish_seen != shared->finish;
		answer_chunk(&reply, &conn->plan, conn->sequence++, last);
		shared->chunks++;
	}
	if (last)
		answer_end(&reply, &conn->plan, conn->sequence);
	return last;
}

/* Sends what is due of a chat's answer; false if the connection is broken. */
static bool
chat_turn(struct conn *conn)
{
	bool last = true;

	reply.length = 0;
	if (conn->plan.stream)
		last = stream_part(conn);
	else
		answer_whole(&reply, &conn->plan);
	if (!conn_reply(conn))
		return false;
	if (last) {
		conn->answering = false;
		shared->answered++;
		shared->open[conn->address]--;
		record_set(conn, STATE_ANSWERED);
	} else if (!conn->hold_up) {
		timer_set(&timers, &conn->timer, next_due_us(conn));
	}
	return true;
}

static void
compose_stats(struct text *body)
{
	long open = 0;

	for (size_t i = 0; i < addresses.count; i++)
		open += shared->open[i];
	text_add(body,
		 "{\"now_us\":%" PRId64 ",\"connections\":%ld,\"requests\":%ld,\"open\":%ld,"
		 "\"answered\":%ld,\"gone\":%ld,\"chunks\":%ld,\"bytes\":%ld,\"open_by_address\":[",
		 now_us(), shared->connections, shared->requests, open, shared->answered, shared->gone,
		 shared->chunks, shared->bytes);
	for (size_t i = 0; i < addresses.count; i++)
		text_add(body, "%s%ld", i > 0 ? "," : "", shared->open[i]);
	text_add(body, "]}");
}

static void
compose_streams(struct text *body, const char *query)
{
	long from = 0, to = 0;

	if (sscanf(query, "?from=%ld&to=%ld", &from, &to) != 2 || from < 0 || to > STREAMS_MAX)
		from = to = 0;
	text_add(body, "[");
	for (long id = from; id < to; id++) {
		const struct record *record = &shared->records[id];

		text_add(body, "%s[%ld,%d,%d,%" PRId64 "]", id > from ? "," : "", id, record->address,
			 record->state, record->ended_us);
	}
	text_add(body, "]");
}

/* Answers everything that is not a chat. */
static void
compose_other(const char *target)
{
	static struct text body;

	body.length = 0;
	if (strcmp(target, "GET /stats") == 0) {
		compose_stats(&body);
	} else if (strncmp(target, "GET /streams", 12) == 0) {
		compose_streams(&body, target + 12);
	} else if (strcmp(target, "POST /finish") == 0) {
		text_add(&body, "{\"finish\":%u}", ++shared->finish);
	} else if (strcmp(target, "GET /v1/models") == 0) {
		text_add(&body, "{\"object\":\"list\",\"data\":[{\"id\":\"bench\",\"object\":\"model\","
				"\"created\":0,\"owned_by\":\"bench\"}]}");
	} else {
		answer_json(&reply, "404 Not Found", "{\"error\":{\"message\":\"no such page\"}}");
		return;
	}
	answer_json(&reply, "200 OK", body.data);
}

/* The value of Content-Length in a NUL-terminated head; 0 if there is none. */
static size_t
content_length(const char *head)
{
	const char *line = head;

	while ((line = strchr(line, '\n')) != NULL) {
		line++;
		if (strncasecmp(line, "content-length:", 15) == 0)
			return strtoul(line + 15, NULL, 10);
	}
	return 0;
}

/* Handles the first request in in[] if it is there as a whole: 1 if so, 0 if more
   bytes are needed, -1 if the connection must be closed. */
static int
conn_request(struct conn *conn)
{
	char *end = conn->in_length > 0 ? strstr(conn->in, "\r\n\r\n") : NULL;
	char *body;
	size_t length, body_length;
	char kept;
	int result = 1;

	if (end == NULL)
		return conn->in_length < REQUEST_MAX ? 0 : -1;
	body = end + 4;
	*end = '\0';
	body_length = content_length(conn->in);
	*end = '\r';
	if (body_length > REQUEST_MAX)
		return -1;
	length = (size_t)(body - conn->in) + body_length;
	if (conn->in_length < length)
		return 0;

	shared->requests++;
	kept = conn->in[length];
	conn->in[length] = '\0';
	if (strncmp(conn->in, "POST /v1/chat/completions ", 26) == 0) {
		chat_begin(conn, body);
	} else {
		char *version = strstr(conn->in, " HTTP/1.");

		if (version == NULL || version > end)
			return -1;
		*version = '\0';
		reply.length = 0;
		compose_other(conn->in);
		result = conn_reply(conn) ? 1 : -1;
	}
	conn->in[length] = kept;
	conn->in_length -= length;
	memmove(conn->in, conn->in + length, conn->in_length + 1);
	return result;
}

/* Handles the requests that came one after the other; false to close. */
static bool
conn_requests(struct conn *conn)
{
	int handled = 1;

	while (handled > 0 && !conn->answering && !conn->hold_up)
		handled = conn_request(conn);
	if (conn->in_length == 0) {
		free(conn->in);
		conn->in = NULL;
		conn->in_room = 0;
	}
	return handled >= 0;
}

/* Reads what has come; false if the client went away or sends too much. */
static bool
conn_read(struct conn *conn)
{
	ssize_t got;

	if (conn->in_room - conn->in_length < 2048) {
		conn->in_room += conn->in_room + 2048;
		if (conn->in_room > 2 * REQUEST_MAX)
			return false;
		conn->in = must_realloc(conn->in, conn->in_room);
	}
	got = recv(conn->fd, conn->in + conn->in_length, conn->in_room - conn->in_length - 1, 0);
	if (got <= 0)
		return got < 0 && errno == EAGAIN;
	conn->in_length += (size_t)got;
	conn->in[conn->in_length] = '\0';
	return conn_requests(conn);
}

static bool
conn_ready(struct conn *conn, uint32_t events)
{
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !conn_read(conn))
		return false;
	if ((events & EPOLLOUT) == 0 || !conn->hold_up)
		return true;
	if (!conn_flush(conn))
		return false;
	if (conn->hold_up)
		return true;
	if (conn->answering)
		timer_set(&timers, &conn->timer, next_due_us(conn));
	return conn_requests(conn);
}

static void
accept_all(const struct conn *listener)
{
	for (;;) {
		int one = 1, narrow = SEND_BUFFER;
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
				return;
			die("accept: %s", strerror(errno));
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &narrow, sizeof(narrow));
		conn_new(fd, listener->address, false);
		shared->connections++;
	}
}

static void
listen_all(void)
{
	for (size_t i = 0; i < addresses.count; i++) {
		int one = 1;
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
		if (bind(fd, (struct sockaddr *)&addresses.list[i], sizeof(addresses.list[i])) < 0 ||
		    listen(fd, 4096) < 0)
			die("cannot listen on port %d: %s", ntohs(addresses.list[i].sin_port),
			    strerror(errno));
		conn_new(fd, (uint8_t)i, true);
	}
}

static void
serve(int index)
{
	struct epoll_event events[EVENTS];

	(void)index;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	listen_all();
	for (;;) {
		int count = epoll_wait(epoll_fd, events, EVENTS, timers_wait_ms(&timers, now_us(), 1000));
		int64_t now;
		struct timer *timer;

		for (int i = 0; i < count; i++) {
			struct conn *conn = events[i].data.ptr;

			if (conn->listening)
				accept_all(conn);
			else if (!conn_ready(conn, events[i].events))
				conn_free(conn);
		}
		now = now_us();
		while ((timer = timers_take_due(&timers, now)) != NULL) {
			struct conn *conn = (struct conn *)timer;

			if (!chat_turn(conn) || (!conn->answering && !conn_requests(conn)))
				conn_free(conn);
		}
	}
}

static int
options_parse(int argc, char **argv)
{
	static const struct option options[] = {
	    {"listen", required_argument, NULL, 'l'},   {"processes", required_argument, NULL, 'p'},
	    {"chunks", required_argument, NULL, 'c'},   {"interval-us", required_argument, NULL, 'i'},
	    {"first-us", required_argument, NULL, 'f'}, {NULL, 0, NULL, 0},
	};
	int processes = 2;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'l':
			addresses_parse(optarg, &addresses);
			break;
		case 'p':
			processes = (int)number_parse("processes", optarg, 1);
			break;
		case 'c':
			defaults.chunks = number_parse("chunks", optarg, 0);
			break;
		case 'i':
			defaults.interval_us = number_parse("interval-us", optarg, 0);
			break;
		case 'f':
			defaults.first_us = number_parse("first-us", optarg, 0);
			break;
		default:
			exit(64);
		}
	}
	if (addresses.count == 0 || optind < argc)
		die("usage: bench-model --listen 127.0.0.1-4:8000 [--processes N] [--chunks N] "
		    "[--interval-us N] [--first-us N]");
	return processes < PROCESSES_MAX ? processes : PROCESSES_MAX;
}

int
main(int argc, char **argv)
{
	int processes = options_parse(argc, argv);
	int pids[PROCESSES_MAX];

	raise_fd_limit();
	shared = shared_alloc(sizeof(*shared));
	fork_processes(processes, serve, pids);
	/* The processes end with this one; that one of them ends is a failure. */
	waitpid(-1, NULL, 0);
	die("a process of the model ended");
}
