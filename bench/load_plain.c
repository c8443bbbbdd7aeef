/*
 * load_plain.c - one GET after the other on each of some kept connections.
 */
#define _GNU_SOURCE 1

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "histogram.h"
#include "load.h"
#include "reader.h"

#define EVENTS 256

struct visitor {
	int fd;
	int64_t asked_us;
	struct reader reader;
};

static struct measures {
	struct histogram delay; /* from asking to the reply's end */
	long replies, errors;
} * shared; /* one for each process */

static char request[REQUEST_ROOM];
static size_t request_length;

static void
unused_chunk(void *arg, long sequence, int64_t sent_us)
{
	(void)arg;
	(void)sequence;
	(void)sent_us;
}

/* A connection that fails is not opened again: one error, and its rate is missed. */
static void
visitor_fail(struct visitor *visitor, struct measures *measures)
{
	measures->errors++;
	close(visitor->fd);
}

static void
visitor_ask(struct visitor *visitor, struct measures *measures)
{
	reader_reset(&visitor->reader);
	visitor->asked_us = now_us();
	if (send(visitor->fd, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length)
		visitor_fail(visitor, measures);
}

static void
visitor_read(struct visitor *visitor, struct measures *measures)
{
	static char input[16 * 1024];
	ssize_t got = recv(visitor->fd, input, sizeof(input), MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got > 0)
		reader_feed(&visitor->reader, input, (size_t)got, unused_chunk, NULL);
	if (got <= 0 || visitor->reader.malformed) {
		visitor_fail(visitor, measures);
	} else if (visitor->reader.complete) {
		if (visitor->reader.status == 200)
			measures->replies++;
		else
			measures->errors++;
		histogram_add(&measures->delay, now_us() - visitor->asked_us);
		visitor_ask(visitor, measures);
	}
}

static void
run_process(int index)
{
	struct epoll_event events[EVENTS];
	struct measures *measures = &shared[index];
	int64_t end_us = now_us() + settings.seconds * 1000000;
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	for (long i = index; i < settings.connections; i += settings.processes) {
		struct visitor *visitor = calloc(1, sizeof(*visitor));
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = visitor};

		if (visitor == NULL)
			die("out of memory");
		visitor->fd =
		    connect_begin(&settings.addresses.list[(size_t)i % settings.addresses.count], true);
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, visitor->fd, &event) < 0)
			die("epoll_ctl: %s", strerror(errno));
		visitor_ask(visitor, measures);
	}
	while (now_us() < end_us) {
		int count = epoll_wait(epoll_fd, events, EVENTS, 100);

		for (int i = 0; i < count; i++)
			visitor_read(events[i].data.ptr, measures);
	}
}

void
load_plain(void)
{
	int pids[PROCESSES_MAX];
	long replies = 0, errors = 0;

	request_length = (size_t)snprintf(request, sizeof(request),
					  "GET %.200s HTTP/1.1\r\nHost: bench\r\n\r\n", settings.path);
	shared = shared_alloc((size_t)settings.processes * sizeof(*shared));
	fork_processes(settings.processes, run_process, pids);
	for (int i = 0; i < settings.processes; i++)
		waitpid(pids[i], NULL, 0);
	for (int i = 0; i < settings.processes; i++) {
		replies += shared[i].replies;
		errors += shared[i].errors;
		if (i > 0)
			histogram_merge(&shared[0].delay, &shared[i].delay);
	}
	printf("{\"replies\":%ld,\"errors\":%ld,\"a_second\":%.1f,\"delay_us\":", replies, errors,
	       (double)replies / (double)settings.seconds);
	histogram_print(&shared[0].delay, stdout);
	printf("}\n");
}
