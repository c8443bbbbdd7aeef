/* log_sink.c - see telemetry/log_sink.h */
#include "telemetry/log_sink.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

const char *log_sink_journal_path = "/run/systemd/journal/socket";

static unsigned long lost;
static int journal_fd = -1;

static struct {
	enum { ERROR_STREAM_FILE, ERROR_STREAM_PIPE, ERROR_STREAM_SOCKET } kind;
	bool to_journal;                /* the journal reads what we write */
	bool torn;                      /* the last line was taken only in part */
} error_stream;

/* systemd.exec(5): JOURNAL_STREAM names the device and inode of the stream. */
static bool
is_journal_stream(const struct stat *st)
{
	const char *named = getenv("JOURNAL_STREAM");
	char ours[64];

	snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st->st_dev, (uintmax_t)st->st_ino);
	return named != NULL && strcmp(named, ours) == 0;
}

void
log_sink_stderr_open(void)
{
	struct stat st;

	memset(&error_stream, 0, sizeof(error_stream));
	if (fstat(STDERR_FILENO, &st) == -1)
		return;
	if (S_ISFIFO(st.st_mode))
		error_stream.kind = ERROR_STREAM_PIPE;
	else if (S_ISSOCK(st.st_mode))
		error_stream.kind = ERROR_STREAM_SOCKET;
	error_stream.to_journal = is_journal_stream(&st);
}

bool
log_sink_stderr_has_colour(void)
{
	return getenv("NO_COLOR") == NULL && isatty(STDERR_FILENO);
}

static ssize_t
write_stderr(struct iovec *parts, int count)
{
	struct msghdr msg = {.msg_iov = parts, .msg_iovlen = (size_t)count};
	struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};

	switch (error_stream.kind) {
	case ERROR_STREAM_SOCKET:
		return sendmsg(STDERR_FILENO, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	case ERROR_STREAM_PIPE:
		/* a pipe that polls writable takes PIPE_BUF bytes without waiting */
		if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
			return -1;
		return writev(STDERR_FILENO, parts, count);
	case ERROR_STREAM_FILE:
		return writev(STDERR_FILENO, parts, count);
	}
	return -1;
}

void
log_sink_stderr(int priority, const char *line, size_t len)
{
	char before[8] = "";
	struct iovec parts[2];
	ssize_t written;
	size_t whole;

	snprintf(before, sizeof(before), error_stream.to_journal ? "%s<%d>" : "%s",
	         error_stream.torn ? "\n" : "", priority);
	parts[0] = (struct iovec){before, strlen(before)};
	parts[1] = (struct iovec){(void *)line, len};
	whole = parts[0].iov_len + len;
	written = write_stderr(parts, 2);
	if (written < 0 || (size_t)written < whole)
		lost++;
	if (written > 0)
		error_stream.torn = (size_t)written < whole;
}

void
log_sink_syslog_open(const char *ident)
{
	openlog(ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void
log_sink_syslog(int priority, const char *line, size_t len)
{
	/* syslog(3) ends its lines itself */
	while (len > 0 && line[len - 1] == '\n')
		len--;
	syslog(priority, "%.*s", (int)len, line);
}

bool
log_sink_journal(const char *data, size_t len)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	ssize_t sent;

	if (strlen(log_sink_journal_path) >= sizeof(to.sun_path))
		return false;
	memcpy(to.sun_path, log_sink_journal_path, strlen(log_sink_journal_path) + 1);
	if (journal_fd == -1)
		journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (journal_fd == -1)
		return false;
	/* by name each time, so that a journal that was restarted is found */
	sent = sendto(journal_fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to,
	              sizeof(to));
	if (sent == -1 && (errno == EAGAIN || errno == ENOBUFS)) {
		lost++;
		return true;
	}
	return sent != -1;
}

unsigned long
log_sink_lost(void)
{
	return lost;
}

void
log_sink_forget_lost(unsigned long count)
{
	lost -= count;
}

void
log_sink_close(void)
{
	if (journal_fd != -1)
		close(journal_fd);
	journal_fd = -1;
	closelog();
}
