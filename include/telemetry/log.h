/*
 * log.h - structured log lines with their context, secrets masked.
 *
 *	LOG_WARN(&rq->log, "model failed", LOG_STR("model", name), LOG_INT("status", 503));
 *
 * Pretty in development, one JSON object a line in production; to stderr (with
 * the level prefix <N> that journald reads when stderr is its stream), syslog(3),
 * or the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL).
 * Members of a JSON line: time (RFC 3339 UTC with ms), level, message, pid, then the fields.
 *
 * A value is masked when its field's name says secret (key, token, secret,
 * password, passwd, authorization, cookie, dsn, credential ...; not counts such as
 * prompt_tokens) and, in any text including the message, where it has the shape of one
 * (Bearer ..., sk-..., bk_..., JWTs, URLs with user info, key=... in query strings).
 * Control characters never reach the output raw (no forged lines).
 *
 * The same warning or error more than LOG_BURST times in 10 s is held back, then summed up in one line with `suppressed`.  Nothing here waits: a line
 * for which standard error or the journal has no room is lost and counted in a
 * later one (syslog(3) itself may wait).  For the thread of the loop only.
 */
#ifndef TELEMETRY_LOG_H
#define TELEMETRY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct breadcrumbs;

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

enum log_type { LOG_TYPE_END, LOG_TYPE_STR, LOG_TYPE_INT, LOG_TYPE_BOOL };

struct log_field {
	const char *name;               /* a constant */
	enum log_type type;
	union {
		const char *text;       /* NULL is written as null */
		int64_t number;
	} value;
};

#define LOG_STR(n, v) ((struct log_field){.name = (n), .type = LOG_TYPE_STR, .value.text = (v)})
#define LOG_INT(n, v) ((struct log_field){.name = (n), .type = LOG_TYPE_INT, .value.number = (int64_t)(v)})
#define LOG_BOOL(n, v) ((struct log_field){.name = (n), .type = LOG_TYPE_BOOL, .value.number = (v) ? 1 : 0})

#define LOG_CONTEXT_MAX 4

/* A logger: the context that each of its lines carries.  Derived loggers point
   to their parent, which must live as long; field texts are borrowed likewise. */
struct logger {
	const struct logger *parent;
	struct log_field fields[LOG_CONTEXT_MAX];       /* ended by LOG_TYPE_END if fewer */
	struct breadcrumbs *crumbs;     /* where its lines are kept for error reports, or NULL: as the parent's */
};

/* More than this many of one message in LOG_WINDOW_SECS are held back. */
#define LOG_BURST 20
#define LOG_WINDOW_SECS 10

enum log_format { LOG_FORMAT_PRETTY, LOG_FORMAT_JSON };
enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG, LOG_TARGET_JOURNAL };

/* Set up; before it lines of level info and up go to stderr, pretty.  `ident`
   (a constant) is the program's name. */
void log_init(const char *ident, enum log_level level, enum log_format format, enum log_target target);

/* The program's own logger, without context. */
extern const struct logger log_root;

/* Would a line of this level be written?  To spare costly fields. */
bool log_enabled(enum log_level level);

/* Write a line.  `message` is a constant (lines are counted by it); fields end
   with LOG_TYPE_END.  Use the macros. */
void log_write(const struct logger *lg, enum log_level level, const char *message,
               const struct log_field *fields);

/* Copy `text` into `out` of `size` (at least 8) bytes with all that looks like a
   secret masked; see telemetry/scrub.h. */
void log_scrub(char *out, size_t size, const char *text);

/* Write the sums of lines held back whose window has passed; call about once a
   second. */
void log_flush(void);

/* Write all sums, whatever their window, and close what was opened.  At the
   end of a program; lines written after it go out still. */
void log_close(void);

/* The first element only makes a list of no fields possible. */
#define LOG_WRITE(lg, level, message, ...)                                                         \
	do {                                                                                       \
		if (log_enabled(level))                                                            \
			log_write((lg), (level), (message),                                        \
			          &((const struct log_field[]){{0}, ##__VA_ARGS__, {0}})[1]);      \
	} while (0)
#define LOG_DEBUG(lg, ...) LOG_WRITE(lg, LOG_LEVEL_DEBUG, __VA_ARGS__)
#define LOG_INFO(lg, ...) LOG_WRITE(lg, LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_WARN(lg, ...) LOG_WRITE(lg, LOG_LEVEL_WARN, __VA_ARGS__)
#define LOG_ERROR(lg, ...) LOG_WRITE(lg, LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
