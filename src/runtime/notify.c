/* notify.c - see runtime/notify.h */
#include "runtime/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"

#define STATUS_MAX 256

bool
notify_wanted(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path != NULL && (*path == '/' || *path == '@');
}

static void
say(const char *text)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len;
	int fd;

	if (path == NULL || !notify_wanted() || (len = strlen(path)) >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, len);
	if (*path == '@')               /* not in the file system: unix(7) */
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address,
	             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

void
notify_ready(void)
{
	say("READY=1");
}

void
notify_stopping(int64_t at_most_secs)
{
	char text[64];

	snprintf(text, sizeof(text), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRId64 "000000", at_most_secs);
	say(text);
}

void
notify_status(const char *fmt, ...)
{
	char text[STATUS_MAX] = "STATUS=";
	size_t used = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text + used, sizeof(text) - used, fmt, ap);
	va_end(ap);
	say(text);
}

/* Is the watchdog meant for this process, and not for one that started it? */
static bool
is_watched(void)
{
	const char *pid = getenv("WATCHDOG_PID");
	int64_t number;

	if (getenv("WATCHDOG_USEC") == NULL)
		return false;
	return pid == NULL || text_to_int64(pid, getpid(), getpid(), &number) == 0;
}

void
notify_alive(void)
{
	if (is_watched())
		say("WATCHDOG=1");
}
