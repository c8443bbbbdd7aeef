/* tiny_server.c - see tiny_server.h */
#include "tiny_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define CLOSE_WAIT_MS 120000

struct connection {
	struct connection *next;
	struct tiny_server *server;
	pthread_t thread;
	int fd;
	bool ended;                     /* under the server's lock: fd is closed */
};

struct tiny_server {
	int listener;
	char url[32];
	void (*script)(int fd, void *arg);
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock;
	struct connection *connections;
	unsigned accepted;
};

static void *
connection_main(void *arg)
{
	struct connection *c = arg;

	c->server->script(c->fd, c->server->arg);
	pthread_mutex_lock(&c->server->lock);
	close(c->fd);
	c->ended = true;
	pthread_mutex_unlock(&c->server->lock);
	return NULL;
}

static void *
accept_main(void *arg)
{
	struct tiny_server *s = arg;
	int fd;

	while ((fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC)) != -1 || errno == EINTR || errno == ECONNABORTED) {
		struct connection *c;

		if (fd == -1)
			continue;
		c = mem_alloc(sizeof(*c));
		c->server = s;
		c->fd = fd;
		pthread_mutex_lock(&s->lock);
		c->next = s->connections;
		s->connections = c;
		s->accepted++;
		if (pthread_create(&c->thread, NULL, connection_main, c) != 0)
			abort();
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

struct tiny_server *
tiny_server_start(void (*script)(int fd, void *arg), void *arg)
{
	struct tiny_server *s = mem_alloc(sizeof(*s));
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	s->script = script;
	s->arg = arg;
	pthread_mutex_init(&s->lock, NULL);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(s->listener, (struct sockaddr *)&addr, len) != 0 || listen(s->listener, 1024) != 0 ||
	    getsockname(s->listener, (struct sockaddr *)&addr, &len) != 0)
		abort();
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", (unsigned)ntohs(addr.sin_port));
	if (pthread_create(&s->thread, NULL, accept_main, s) != 0)
		abort();
	return s;
}

const char *
tiny_server_url(const struct tiny_server *s)
{
	return s->url;
}

unsigned
tiny_server_connections(struct tiny_server *s)
{
	unsigned count;

	pthread_mutex_lock(&s->lock);
	count = s->accepted;
	pthread_mutex_unlock(&s->lock);
	return count;
}

void
tiny_server_stop(struct tiny_server **s_p)
{
	struct tiny_server *s = *s_p;

	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
	pthread_mutex_lock(&s->lock);
	for (struct connection *c = s->connections; c != NULL; c = c->next)
		if (!c->ended)
			shutdown(c->fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	while (s->connections != NULL) {
		struct connection *c = s->connections;

		s->connections = c->next;
		pthread_join(c->thread, NULL);
		free(c);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
	*s_p = NULL;
}

static size_t
declared_length(const char *headers)
{
	static const char name[] = "\r\nContent-Length:";

	for (const char *p = headers; *p != '\0'; p++)
		if (strncasecmp(p, name, sizeof(name) - 1) == 0)
			return strtoul(p + sizeof(name) - 1, NULL, 10);
	return 0;
}

bool
tiny_read_request(int fd, char *request, size_t size)
{
	size_t len = 0, want = 0;

	while (want == 0 || len < want) {
		ssize_t n = recv(fd, request + len, size - 1 - len, 0);
		const char *end;

		if (n <= 0)
			return false;
		len += (size_t)n;
		request[len] = '\0';
		end = strstr(request, "\r\n\r\n");
		if (want == 0 && end != NULL)
			want = (size_t)(end + 4 - request) + declared_length(request);
	}
	return true;
}

bool
tiny_send_bytes(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

bool
tiny_send(int fd, const char *text)
{
	return tiny_send_bytes(fd, text, strlen(text));
}

void
tiny_pause(int ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&pause, NULL);
}

int64_t
tiny_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool
tiny_await_close(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char trash[512];

	while (poll(&p, 1, CLOSE_WAIT_MS) == 1)
		if (recv(fd, trash, sizeof(trash), 0) <= 0)
			return true;
	return false;
}

void
tiny_reset(int fd)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}
