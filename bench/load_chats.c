/*
 * load_chats.c - many chats at once, over several processes.
 *
 * Chat i of the run is opened by process i modulo their number, at the moment that
 * the rate gives it, towards one of the addresses in turn.
 */
#define _GNU_SOURCE 1

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
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
#include "timers.h"

#define EVENTS 256
#define SILENT_US 200000 /* a client that leaves in silence waits this, up to twice */
#define LISTED_MAX 1000 /* incomplete chats that the report names */

enum outcome {
	OUTCOME_UNFINISHED, /* when the time was up */
	OUTCOME_COMPLETE,
	OUTCOME_CUT, /* the reply ended, the answer had not */
	OUTCOME_REFUSED, /* a status other than 200 */
	OUTCOME_FAILED, /* an error event */
	OUTCOME_BROKEN, /* the connection, or its HTTP */
	OUTCOME_DISORDERED,
	OUTCOME_LEFT, /* as was meant */
	OUTCOMES
};

static const char *const outcome_names[OUTCOMES] = {
    "unfinished", "complete", "cut", "refused", "failed", "broken", "out_of_order", "left",
};

struct result {
	int64_t left_us; /* when the client closed, if it left */
	uint8_t outcome;
	uint16_t status;
};

struct measures {
	struct histogram first_token; /* from connecting to the first content */
	struct histogram delay; /* of each chunk, from the model to us */
	struct histogram delay_window; /* the same between "begin" and "end" */
	long chunks;
};

static struct shared {
	_Atomic long streaming; /* chats with content come and more to come */
	_Atomic long over;
	_Atomic bool window;
	struct measures measures[PROCESSES_MAX];
	struct result results[];
} * shared;

struct chat {
	struct timer timer; /* must come first: the timer is its chat */
	int fd;
	long number; /* from 0, in this run */
	int64_t started_us;
	bool asked;
	struct reader reader;
};

/* Of this process. */
static struct timers timers;
static struct measures *measures;
static int epoll_fd;
static int64_t received_us; /* when what is being read was received */

static void
chat_over(struct chat *chat, enum outcome outcome)
{
	struct result *result = &shared->results[chat->number];

	if (outcome == OUTCOME_LEFT)
		result->left_us = now_us();
	close(chat->fd);
	timer_cancel(&timers, &chat->timer);
	result->status = (uint16_t)chat->reader.status;
	result->outcome = (uint8_t)outcome;
	if (chat->reader.chunks > 0)
		shared->streaming--;
	shared->over++;
	reader_reset(&chat->reader);
	free(chat);
}

static void
chat_open(long number, struct sockaddr_in *address)
{
	struct chat *chat = must_realloc(NULL, sizeof(*chat));
	struct epoll_event event = {.events = EPOLLOUT, .data.ptr = chat};

	memset(chat, 0, sizeof(*chat));
	chat->number = number;
	chat->started_us = now_us();
	chat->fd = connect_begin(address, false);
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, chat->fd, &event) < 0)
		die("epoll_ctl: %s", strerror(errno));
}

/* The connection stands, or failed.  The request is small enough to be sent whole. */
static void
chat_ask(struct chat *chat)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = chat};
	char request[REQUEST_ROOM];
	size_t length = chat_request(settings.first_id + chat->number, request);

	if (send(chat->fd, request, length, MSG_NOSIGNAL) != (ssize_t)length) {
		chat_over(chat, OUTCOME_BROKEN);
		return;
	}
	chat->asked = true;
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, chat->fd, &event);
	if (settings.leave == LEAVE_SILENT)
		timer_set(&timers, &chat->timer, now_us() + SILENT_US + rand() % SILENT_US);
}

static void
chat_chunk(void *arg, long sequence, int64_t sent_us)
{
	struct chat *chat = arg;

	measures->chunks++;
	histogram_add(&measures->delay, received_us - sent_us);
	if (shared->window)
		histogram_add(&measures->delay_window, received_us - sent_us);
	if (sequence == 0) {
		histogram_add(&measures->first_token, received_us - chat->started_us);
		shared->streaming++;
	}
	if (sequence == 1 && settings.leave == LEAVE_MIDDLE)
		timer_set(&timers, &chat->timer, received_us + rand() % (settings.interval_us + 1));
}

static enum outcome
outcome_of(const struct reader *reader)
{
	if (reader->malformed || !reader->complete)
		return OUTCOME_BROKEN;
	if (reader->status != 200)
		return OUTCOME_REFUSED;
	if (reader->failed)
		return OUTCOME_FAILED;
	if (reader->out_of_order)
		return OUTCOME_DISORDERED;
	return reader_answer_whole(reader) ? OUTCOME_COMPLETE : OUTCOME_CUT;
}

static void
chat_read(struct chat *chat)
{
	static char input[64 * 1024];
	ssize_t got = recv(chat->fd, input, sizeof(input), 0);

	if (got < 0 && errno == EAGAIN)
		return;
	received_us = now_us();
	if (got > 0)
		reader_feed(&chat->reader, input, (size_t)got, chat_chunk, chat);
	if (got <= 0 || chat->reader.complete || chat->reader.malformed)
		chat_over(chat, outcome_of(&chat->reader));
}

/* Opens the chats from `next` on whose time has come; returns the next one. */
static long
open_due(long next, int64_t start_us)
{
	double due = (double)(now_us() - start_us) * (double)settings.rate / 1e6;

	for (; next < settings.count && (double)next <= due; next += settings.processes)
		chat_open(next, &settings.addresses.list[(size_t)next % settings.addresses.count]);
	return next;
}

static void
run_process(int index)
{
	struct epoll_event events[EVENTS];
	int64_t start_us = now_us();
	long next = index;

	measures = &shared->measures[index];
	srand((unsigned)index + 1);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	while (shared->over < settings.count && now_us() - start_us < settings.limit_us) {
		int wait_ms, count;
		struct timer *timer;

		next = open_due(next, start_us);
		wait_ms = timers_wait_ms(&timers, now_us(), next < settings.count ? 1 : 100);
		count = epoll_wait(epoll_fd, events, EVENTS, wait_ms);
		for (int i = 0; i < count; i++) {
			struct chat *chat = events[i].data.ptr;

			if (chat->asked)
				chat_read(chat);
			else
				chat_ask(chat);
		}
		while ((timer = timers_take_due(&timers, now_us())) != NULL)
			chat_over((struct chat *)timer, OUTCOME_LEFT);
	}
}

/* Handles what the runner says on stdin, if it says anything within 20 ms. */
static void
listen_to_runner(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	char line[64];
	ssize_t got;

	if (poll(&input, 1, 20) <= 0)
		return;
	got = read(STDIN_FILENO, line, sizeof(line));
	if (got <= 0)
		die("stdin was closed");
	shared->window = line[0] == 'b';
}

/* Waits until all processes have ended. */
static void
oversee(void)
{
	bool told = false;
	int running = settings.processes;

	while (running > 0) {
		pid_t ended = waitpid(-1, NULL, settings.control ? WNOHANG : 0);

		if (ended > 0)
			running--;
		else if (settings.control)
			listen_to_runner();
		if (settings.control && !told && shared->streaming + shared->over >= settings.count) {
			told = true;
			printf("open\n");
			fflush(stdout);
		}
	}
}

/* Writes how many chats had each outcome, which were not complete and, for those
   that left, [id, when]. */
static void
print_results(void)
{
	long outcomes[OUTCOMES] = {0};
	long listed = 0;
	bool first = true;

	for (long i = 0; i < settings.count; i++)
		outcomes[shared->results[i].outcome]++;
	for (int i = 0; i < OUTCOMES; i++)
		printf(",\"%s\":%ld", outcome_names[i], outcomes[i]);
	printf(",\"incomplete\":[");
	for (long i = 0; i < settings.count && listed < LISTED_MAX; i++) {
		const struct result *result = &shared->results[i];

		if (result->outcome != OUTCOME_COMPLETE && result->outcome != OUTCOME_LEFT)
			printf("%s[%ld,\"%s\",%d]", listed++ > 0 ? "," : "", settings.first_id + i,
			       outcome_names[result->outcome], result->status);
	}
	printf("],\"left_at\":[");
	for (long i = 0; i < settings.count; i++) {
		if (shared->results[i].outcome == OUTCOME_LEFT) {
			printf("%s[%ld,%" PRId64 "]", first ? "" : ",", settings.first_id + i,
			       shared->results[i].left_us);
			first = false;
		}
	}
	printf("]");
}

static void
report(int64_t took_us)
{
	struct measures *all = &shared->measures[0];

	for (int i = 1; i < settings.processes; i++) {
		const struct measures *one = &shared->measures[i];

		histogram_merge(&all->first_token, &one->first_token);
		histogram_merge(&all->delay, &one->delay);
		histogram_merge(&all->delay_window, &one->delay_window);
		all->chunks += one->chunks;
	}
	printf("{\"chats\":%ld,\"took_us\":%" PRId64 ",\"chunks\":%ld,\"first_token_us\":", settings.count,
	       took_us, all->chunks);
	histogram_print(&all->first_token, stdout);
	printf(",\"delay_us\":");
	histogram_print(&all->delay, stdout);
	printf(",\"delay_window_us\":");
	histogram_print(&all->delay_window, stdout);
	print_results();
	printf("}\n");
}

void
load_chats(void)
{
	int64_t start_us = now_us();
	int pids[PROCESSES_MAX];

	shared = shared_alloc(sizeof(*shared) + (size_t)settings.count * sizeof(struct result));
	fork_processes(settings.processes, run_process, pids);
	oversee();
	report(now_us() - start_us);
}
