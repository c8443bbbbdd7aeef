/*
 * load_slow.c - a client that reads one long answer at some bytes a second, and
 * after a while the rest of it as fast as it comes, to see that nothing was lost.
 */
#define _GNU_SOURCE 1

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"
#include "reader.h"

#define TURN_US 250000

static void
count_chunk(void *arg, long sequence, int64_t sent_us)
{
	(void)sequence;
	(void)sent_us;
	++*(long *)arg;
}

/* Reads at most `most` bytes; false at the end of the answer or of the connection. */
static bool
read_some(int fd, struct reader *reader, size_t most, long *bytes)
{
	static char input[64 * 1024];
	long chunks = 0;
	ssize_t got = recv(fd, input, most < sizeof(input) ? most : sizeof(input), 0);

	if (got <= 0)
		return false;
	*bytes += got;
	reader_feed(reader, input, (size_t)got, count_chunk, &chunks);
	return !reader->complete && !reader->malformed;
}

/* Connects with a small receive buffer, so that what is not read stays with
   the server. */
static int
connect_narrow(void)
{
	struct timeval limit = {.tv_sec = settings.limit_us / 1000000};
	int narrow = 8192;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in *to = &settings.addresses.list[0];

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &narrow, sizeof(narrow));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		die("cannot connect");
	return fd;
}

void
load_slow(void)
{
	int most = 4 << 20;
	char request[REQUEST_ROOM];
	struct reader reader = {0};
	size_t length = chat_request(settings.first_id, request);
	size_t portion = (size_t)settings.bytes_a_second * TURN_US / 1000000;
	long slow_bytes = 0, bytes;
	int64_t end_us = now_us() + settings.slow_seconds * 1000000;
	int64_t limit_us = now_us() + settings.limit_us;
	int fd = connect_narrow();
	bool more = true;

	if (send(fd, request, length, MSG_NOSIGNAL) != (ssize_t)length)
		die("cannot ask");
	while (more && now_us() < end_us) {
		more = read_some(fd, &reader, portion, &slow_bytes);
		usleep(TURN_US);
	}
	printf("{\"slow_bytes\":%ld}\n", slow_bytes);
	fflush(stdout);

	bytes = slow_bytes;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &most, sizeof(most));
	while (more && now_us() < limit_us)
		more = read_some(fd, &reader, SIZE_MAX, &bytes);
	printf("{\"bytes\":%ld,\"chunks\":%ld,\"whole\":%s}\n", bytes, reader.chunks,
	       reader_answer_whole(&reader) ? "true" : "false");
	close(fd);
}
