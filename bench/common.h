/*
 * common.h - what the mock model and the load client of the bench share.
 *
 * Times are CLOCK_MONOTONIC microseconds: one clock for all processes of the
 * host, so that a time stamp written by the model can be compared by the client.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESSES_MAX 32

/* Several loopback addresses on one port: towards a single address the kernel's
   search for a free local port becomes slow past about 15,000 connections. */
struct addresses {
	struct sockaddr_in list[ADDRESSES_MAX];
	size_t count;
};

int64_t now_us(void);

/* Prints the message and ends the program with status 1. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Raises the soft limit of open files to the hard one. */
void raise_fd_limit(void);

/* Zeroed memory that forked processes share; never NULL, never freed. */
void *shared_alloc(size_t bytes);

/* Like realloc(), but never NULL. */
void *must_realloc(void *memory, size_t bytes);

/* Reads "127.0.0.1:8000" or "127.0.0.1-8:8000" (a span of the last part). */
void addresses_parse(const char *text, struct addresses *addresses);

/* A decimal number of at least `min`; dies, naming `option`, if it is not one. */
long number_parse(const char *option, const char *text, long min);

/* Finds `"key"` followed by a colon in JSON text, whatever the white space, and
   returns where its value starts, or NULL.  Enough for messages of known shape. */
const char *json_value(const char *text, const char *key);

/* Forks `count` processes, each of which runs `child(index)` and exits 0, and
   which end with their parent.  The pids go to `pids`. */
void fork_processes(int count, void (*child)(int index), int *pids);

#endif
