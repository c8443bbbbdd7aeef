/* redis_process.c - see redis_process.h */
#include "redis_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork_tied.h"
#include "free_port.h"

#define OPTIONS_MAX 40
#define ATTEMPTS 5
#define PATIENCE_MS 120000
#define LOOK_MS 5

static void
exec_server(const struct redis_process *p, const char *port)
{
	const char *argv[OPTIONS_MAX] = {
	    "redis-server", "--bind", "127.0.0.1", "--port", port,           "--unixsocket", p->path,
	    "--dir",        p->directory, "--save", "",       "--appendonly", "no",
	};
	int n = 13;

	for (const char *const *o = p->options; o != NULL && *o != NULL && n < OPTIONS_MAX - 1; o++)
		argv[n++] = *o;
	dup2(open("/dev/null", O_RDWR), STDOUT_FILENO);
	execvp("redis-server", (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* Does it answer a PING (with whatever)?  Asked by its own socket: at the port it might be another's.  It listens at
   all its ports before it does there. */
static bool
answers(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char reply[16];
	bool ok;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	ok = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	     send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 && recv(fd, reply, sizeof(reply), 0) > 0;
	close(fd);
	return ok;
}

static bool
start_on(struct redis_process *p, int port)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", port);
	fflush(NULL);
	p->pid = fork_tied();
	if (p->pid == 0)
		exec_server(p, text);
	for (int waited = 0; waited < PATIENCE_MS; waited += LOOK_MS) {
		if (answers(p->path))
			return true;
		if (waitpid(p->pid, NULL, WNOHANG) == p->pid) {
			p->pid = 0;
			return false;
		}
		usleep(LOOK_MS * 1000);
	}
	redis_process_kill(p);
	return false;
}

void
redis_process_start(struct redis_process *p)
{
	if (p->directory[0] == '\0') {
		snprintf(p->directory, sizeof(p->directory), "/tmp/bakame-unit-redis-XXXXXX");
		assert_non_null(mkdtemp(p->directory));
		snprintf(p->path, sizeof(p->path), "%s/redis.sock", p->directory);
		snprintf(p->unix_url, sizeof(p->unix_url), "unix:%s", p->path);
	}
	for (int i = 0; i < ATTEMPTS; i++) {
		int port = p->port != 0 ? p->port : free_port();

		if (!start_on(p, port))
			continue;
		p->port = port;
		snprintf(p->url, sizeof(p->url), "redis://127.0.0.1:%d", port);
		return;
	}
	fail_msg("redis-server does not start");
}

void
redis_process_kill(struct redis_process *p)
{
	if (p->pid <= 0)
		return;
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	p->pid = 0;
}

void
redis_process_freeze(const struct redis_process *p)
{
	int status;

	kill(p->pid, SIGSTOP);
	assert_int_equal(waitpid(p->pid, &status, WUNTRACED), p->pid);
	assert_true(WIFSTOPPED(status));
}

void
redis_process_thaw(const struct redis_process *p)
{
	kill(p->pid, SIGCONT);
}

void
redis_process_end(struct redis_process *p)
{
	redis_process_kill(p);
	unlink(p->path);
	rmdir(p->directory);
}
