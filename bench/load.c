/*
 * load.c - the load client of the bench.
 *
 *   bench-load chats --to 127.0.0.1-8:8080 --path /api/chat --count 20000
 *       opens chats at a rate, checks the order and completeness of each answer
 *       and measures delays; with --leave it leaves them instead.
 *   bench-load plain --to … --path /api/health/live --connections 64
 *       asks over and over on kept connections.
 *   bench-load slow --to … --path /api/chat
 *       reads one answer slowly for a while, then its rest at once.
 *
 * With --control, "chats" prints a line "open" once every chat streams (or is over)
 * and takes the lines "begin" and "end" on stdin around the span in which delays
 * are to be counted; the end of stdin ends it.
 */
#define _GNU_SOURCE 1

#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct settings settings = {
    .path = "/api/chat",
    .processes = 2,
    .limit_us = 120 * 1000000L,
    .count = 100,
    .rate = 2000,
    .chunks = 20,
    .interval_us = 50000,
    .stream = true,
    .bytes_a_second = 1024,
    .slow_seconds = 20,
    .connections = 64,
    .seconds = 5,
};

int
connect_begin(const struct sockaddr_in *address, bool blocking)
{
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK), 0);

	if (fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno != EINPROGRESS)
		die("connect: %s", strerror(errno));
	return fd;
}

size_t
chat_request(long id, char request[REQUEST_ROOM])
{
	char body[512];
	int length;

	snprintf(body, sizeof(body),
		 "{\"messages\":[{\"role\":\"user\",\"content\":\"bench id=%ld chunks=%ld "
		 "interval_us=%ld first_us=%ld pad=%ld\"}],\"stream\":%s}",
		 id, settings.chunks, settings.interval_us, settings.first_us, settings.pad,
		 settings.stream ? "true" : "false");
	length = snprintf(request, REQUEST_ROOM,
			  "POST %.200s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
			  "Content-Length: %zu\r\n\r\n%s",
			  settings.path, strlen(body), body);
	return (size_t)length;
}

static enum leave
leave_parse(const char *text)
{
	if (strcmp(text, "silent") == 0)
		return LEAVE_SILENT;
	if (strcmp(text, "middle") == 0)
		return LEAVE_MIDDLE;
	die("--leave wants 'silent' or 'middle', not '%s'", text);
}

/* Options that take a number: name, least value, where it goes. */
static const struct number {
	const char *name;
	long min;
	long *value;
} numbers[] = {
    {"count", 1, &settings.count},
    {"rate", 1, &settings.rate},
    {"first-id", 0, &settings.first_id},
    {"chunks", 0, &settings.chunks},
    {"interval-us", 0, &settings.interval_us},
    {"first-us", 0, &settings.first_us},
    {"pad", 0, &settings.pad},
    {"bytes-a-second", 1, &settings.bytes_a_second},
    {"slow-seconds", 1, &settings.slow_seconds},
    {"connections", 1, &settings.connections},
    {"seconds", 1, &settings.seconds},
};
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))
#define OTHERS 7 /* options before those in the list given to getopt_long() */

static void
options_parse(int argc, char **argv)
{
	struct option options[OTHERS + NUMBERS + 1] = {
	    {"to", required_argument, NULL, 't'},        {"path", required_argument, NULL, 'p'},
	    {"processes", required_argument, NULL, 'n'}, {"limit", required_argument, NULL, 'l'},
	    {"leave", required_argument, NULL, 'v'},     {"no-stream", no_argument, NULL, 's'},
	    {"control", no_argument, NULL, 'c'},
	};
	int option, index = 0;

	for (size_t i = 0; i < NUMBERS; i++)
		options[OTHERS + i] = (struct option){numbers[i].name, required_argument, NULL, 0};
	while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
		switch (option) {
		case 0: {
			const struct number *number = &numbers[index - OTHERS];

			*number->value = number_parse(number->name, optarg, number->min);
			break;
		}
		case 't':
			addresses_parse(optarg, &settings.addresses);
			break;
		case 'p':
			settings.path = optarg;
			break;
		case 'n':
			settings.processes = (int)number_parse("processes", optarg, 1);
			break;
		case 'l':
			settings.limit_us = 1000000 * number_parse("limit", optarg, 1);
			break;
		case 'v':
			settings.leave = leave_parse(optarg);
			break;
		case 's':
			settings.stream = false;
			break;
		case 'c':
			settings.control = true;
			break;
		default:
			exit(64);
		}
	}
	if (settings.addresses.count == 0)
		die("--to is missing, like --to 127.0.0.1-8:8080");
	if (settings.processes > PROCESSES_MAX)
		settings.processes = PROCESSES_MAX;
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} modes[] = {{"chats", load_chats}, {"plain", load_plain}, {"slow", load_slow}};

	raise_fd_limit();
	for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(argv[1], modes[i].name) == 0) {
			options_parse(argc - 1, argv + 1);
			modes[i].run();
			return 0;
		}
	}
	die("usage: bench-load chats|plain|slow --to 127.0.0.1-8:8080 [options]");
}
