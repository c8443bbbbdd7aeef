/*
 * redis_process.h - a private redis-server for tests, on a unix socket and a free port.
 */
#ifndef TESTS_REDIS_PROCESS_H
#define TESTS_REDIS_PROCESS_H

#include <sys/types.h>

struct redis_process {
	pid_t pid;                      /* 0: it does not run */
	int port;                       /* stays over restarts, and ours meanwhile */
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

/* Stop it: from the return of this on it does nothing, until thawed. */
void redis_process_freeze(const struct redis_process *p);
void redis_process_thaw(const struct redis_process *p);

/* Kill it and remove its directory. */
void redis_process_end(struct redis_process *p);

#endif
