#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void
die(const char *format, ...)
{
	va_list args;

	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void
raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void *
shared_alloc(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("cannot share %zu bytes: %s", bytes, strerror(errno));
	return memory;
}

void *
must_realloc(void *memory, size_t bytes)
{
	memory = realloc(memory, bytes);
	if (memory == NULL)
		die("out of memory");
	return memory;
}

void
addresses_parse(const char *text, struct addresses *addresses)
{
	unsigned a, b, c, first, last, port;
	char rest;

	if (sscanf(text, "%u.%u.%u.%u-%u:%u%c", &a, &b, &c, &first, &last, &port, &rest) != 6) {
		if (sscanf(text, "%u.%u.%u.%u:%u%c", &a, &b, &c, &first, &port, &rest) != 5)
			die("not an address like 127.0.0.1-8:8000: %s", text);
		last = first;
	}
	if (a > 255 || b > 255 || c > 255 || last > 255 || port > 65535 || last < first ||
	    last - first >= ADDRESSES_MAX)
		die("address out of range: %s", text);

	addresses->count = 0;
	for (unsigned d = first; d <= last; d++) {
		struct sockaddr_in *address = &addresses->list[addresses->count++];

		memset(address, 0, sizeof(*address));
		address->sin_family = AF_INET;
		address->sin_port = htons((uint16_t)port);
		address->sin_addr.s_addr = htonl(a << 24 | b << 16 | c << 8 | d);
	}
}

long
number_parse(const char *option, const char *text, long min)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || number < min)
		die("--%s wants a number of at least %ld, not '%s'", option, min, text);
	return number;
}

const char *
json_value(const char *text, const char *key)
{
	size_t length = strlen(key);

	for (const char *at = text; (at = strstr(at, key)) != NULL; at += length) {
		const char *value = at + length;

		if (at == text || at[-1] != '"' || *value++ != '"')
			continue;
		value += strspn(value, " \t\r\n");
		if (*value++ == ':')
			return value + strspn(value, " \t\r\n");
	}
	return NULL;
}

void
fork_processes(int count, void (*child)(int index), int *pids)
{
	pid_t parent = getpid();

	for (int i = 0; i < count; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork: %s", strerror(errno));
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(1);
			child(i);
			_exit(0);
		}
	}
}
