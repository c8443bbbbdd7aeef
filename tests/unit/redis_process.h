/*
 * redis_process.h - a private redis-server for tests, on a unix socket and a free port.
 */
#ifndef TESTS_REDIS_PROCESS_H
#define TESTS_REDIS_PROCESS_H

#include <sys/types.h>

struct redis_process {
	pid_t pid;
	int port;                       /* stays over restarts */
	char directory[64];
	char path[96];                  /* of its socket */
	char url[128];                  /* redis://127.0.0.1:PORT */
	char unix_url[128];
	const char *const *options;     /* further ones, ended by NULL; or NULL */
};

/* Start it and wait until it answers; `options` may be set before.  Fails the test if it does not. */
void redis_process_start(struct redis_process *p);

/* Kill it; what it held is lost.  redis_process_start() starts it again on the same port. */
void redis_process_kill(struct redis_process *p);

/* A port of 127.0.0.1 that nobody listens on at the moment. */
int redis_process_free_port(void);

/* Kill it and remove its directory. */
void redis_process_end(struct redis_process *p);

#endif
