/*
 * tiny_server.h - a server on 127.0.0.1 for tests of clients, scripted in C.
 *
 * It accepts connections in a thread and runs a script for each in a thread of
 * its own, so scripts may block.  What they share with the test they must
 * share by atomics, or the test must look at it after tiny_server_stop().
 */
#ifndef TESTS_TINY_SERVER_H
#define TESTS_TINY_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tiny_server;

/* Serve each connection by script(fd, arg); the descriptor is closed after it. */
struct tiny_server *tiny_server_start(void (*script)(int fd, void *arg), void *arg);

/* "http://127.0.0.1:PORT"; lives as long as the server. */
const char *tiny_server_url(const struct tiny_server *s);

/* Connections accepted so far. */
unsigned tiny_server_connections(struct tiny_server *s);

/* Break off what still runs, wait for all scripts to end, and free.  Sets *s to NULL. */
void tiny_server_stop(struct tiny_server **s);

/* ---- for scripts ---- */

/* Read one request, headers and the body that Content-Length announces, into
   `request` (NUL-terminated).  False when the client closes first or it is too large. */
bool tiny_read_request(int fd, char *request, size_t size);

/* Send all; false when the client has gone. */
bool tiny_send(int fd, const char *text);
bool tiny_send_bytes(int fd, const char *data, size_t len);

void tiny_pause(int ms);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t tiny_now_ms(void);

/* Wait until the client closes; false when it has not within two minutes. */
bool tiny_await_close(int fd);

/* Let the end of the script reset the connection. */
void tiny_reset(int fd);

#endif
