/*
 * load.h - what the modes of the load client have in common.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common.h"

#define PROCESSES_MAX 16
#define REQUEST_ROOM 1024

/* When a client leaves its chat. */
enum leave {
	LEAVE_NEVER,
	LEAVE_SILENT, /* a while after asking, nothing having come */
	LEAVE_MIDDLE /* somewhere after the second chunk, between two chunks */
};

struct settings {
	struct addresses addresses;
	const char *path;
	int processes;
	int64_t limit_us; /* of the whole run */

	/* chats, slow */
	long count, rate; /* chats; opened a second */
	long first_id;
	long chunks, interval_us, first_us, pad; /* see answer.h */
	bool stream;
	enum leave leave;
	bool control; /* phases are told on stdin, see load.c */

	/* slow */
	long bytes_a_second, slow_seconds;

	/* plain */
	long connections, seconds;
};

extern struct settings settings;

/* A socket that connects to `address`; dies if there is none to have. */
int connect_begin(const struct sockaddr_in *address, bool blocking);

/* Writes the request that asks for chat `id`; returns its length. */
size_t chat_request(long id, char request[REQUEST_ROOM]);

/* The modes: each writes its report, one line of JSON, on stdout. */
void load_chats(void);
void load_plain(void);
void load_slow(void);

#endif
