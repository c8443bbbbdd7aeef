/*
 * free_port.h - a port of 127.0.0.1 that nobody else gets.
 *
 * It stays bound for as long as this process lives, so the system gives it to no other, and nobody listens there: a
 * connection is refused.  Whoever is told the number and sets SO_REUSEADDR, as redis-server does, may listen all the
 * same, end, and listen again: socket(7).
 */
#ifndef TESTS_FREE_PORT_H
#define TESTS_FREE_PORT_H

int free_port(void);

#endif
