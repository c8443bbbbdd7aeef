/* test_log.c - what telemetry/log.h and log_burst.h promise */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "base/text.h"
#include "telemetry/log.h"
#include "telemetry/log_burst.h"
#include "telemetry/log_line.h"
#include "telemetry/log_sink.h"

#define ELLIPSIS "\xE2\x80\xA6"

static int real_stderr = -1;
static int read_end = -1;               /* of what stands for standard error */
static char output[1 << 17];

static char syslog_line[LOG_LINE_MAX];
static int syslog_priority;

/* Stand-ins for libc's, since the system's log is not ours to write to. */
static void
keep_syslog(int priority, const char *fmt, va_list ap)
{
	syslog_priority = priority;
	vsnprintf(syslog_line, sizeof(syslog_line), fmt, ap);
}

void syslog(int priority, const char *fmt, ...);
void __syslog_chk(int priority, int flag, const char *fmt, ...);

void
syslog(int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	keep_syslog(priority, fmt, ap);
	va_end(ap);
}

void
__syslog_chk(int priority, int flag, const char *fmt, ...)
{
	va_list ap;

	(void)flag;
	va_start(ap, fmt);
	keep_syslog(priority, fmt, ap);
	va_end(ap);
}

static void
replace_stderr(int fd)
{
	real_stderr = dup(STDERR_FILENO);
	assert_true(real_stderr != -1);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
}

/* Standard error is a pipe from here to the end of the test. */
static int
begin(void **state)
{
	int ends[2];

	(void)state;
	unsetenv("JOURNAL_STREAM");
	if (pipe(ends) == -1)
		return -1;
	read_end = ends[0];
	fcntl(read_end, F_SETFL, O_NONBLOCK);
	replace_stderr(ends[1]);
	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
	return 0;
}

/* What came out since the last call. */
static const char *
read_output(void)
{
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(output) - 1 && (n = read(read_end, output + len, sizeof(output) - 1 - len)) > 0)
		len += (size_t)n;
	output[len] = '\0';
	return output;
}

static int
end(void **state)
{
	(void)state;
	log_close();
	read_output();
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(read_end);
	return 0;
}

static unsigned
count(const char *text, const char *part)
{
	unsigned found = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		found++;
	return found;
}

/* A line, which must be JSON as RFC 8259 has it. */
static struct json_object *
parse_line(const char *text, size_t len)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *obj;

	assert_int_equal(text[len - 1], '\n');
	assert_null(memchr(text, '\n', len - 1));
	assert_true(text_is_utf8(text, len));
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	obj = json_tokener_parse_ex(tok, text, (int)len);
	json_tokener_free(tok);
	if (obj == NULL)
		fail_msg("no JSON: %.*s", (int)len, text);
	return obj;
}

/* The one line that came out. */
static struct json_object *
read_json(void)
{
	const char *text = read_output();

	assert_true(strlen(text) > 0 && strlen(text) <= LOG_LINE_MAX);
	return parse_line(text, strlen(text));
}

static const char *
text_of(struct json_object *obj, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(obj, name, &value) ? json_object_get_string(value) : "(none)";
}

/* --- lines --- */

static void
a_json_line_has_time_level_message_pid_and_fields(void **state)
{
	struct json_object *obj;
	char pid[20];
	int y, mo, d, h, mi, s, ms, end_of_time = 0;

	(void)state;
	LOG_WARN(&log_root, "model failed", LOG_STR("model", "gpt"), LOG_INT("status", -503),
	         LOG_BOOL("retried", 7), LOG_STR("nothing", NULL));
	obj = read_json();
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	assert_string_equal(text_of(obj, "level"), "warn");
	assert_string_equal(text_of(obj, "message"), "model failed");
	assert_string_equal(text_of(obj, "pid"), pid);
	assert_string_equal(text_of(obj, "model"), "gpt");
	assert_int_equal(count(output, "\"status\":-503"), 1);
	assert_int_equal(count(output, "\"retried\":true"), 1);
	assert_int_equal(count(output, "\"nothing\":null"), 1);
	assert_int_equal(sscanf(text_of(obj, "time"), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &y, &mo, &d, &h,
	                        &mi, &s, &ms, &end_of_time), 7);
	assert_int_equal(end_of_time, 24);
	assert_true(strncmp(output, "{\"time\":\"", 9) == 0);
	json_object_put(obj);
}

static void
a_line_without_fields_is_whole_too(void **state)
{
	(void)state;
	LOG_ERROR(&log_root, "plain");
	json_object_put(read_json());
	LOG_INFO(NULL, "without a logger");
	json_object_put(read_json());
}

static void
lines_below_the_level_are_not_written(void **state)
{
	(void)state;
	assert_false(log_enabled(LOG_LEVEL_DEBUG));
	assert_true(log_enabled(LOG_LEVEL_INFO));
	LOG_DEBUG(&log_root, "unseen");
	assert_string_equal(read_output(), "");
	log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
	LOG_WARN(&log_root, "unseen too");
	assert_string_equal(read_output(), "");
	log_init("test", LOG_LEVEL_DEBUG, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
	LOG_DEBUG(&log_root, "seen");
	json_object_put(read_json());
}

static void
control_characters_cannot_forge_lines(void **state)
{
	static const char hostile[] = "a\n{\"level\":\"error\"}\r\x1b[2J\x7f\"\\ \x01\t"
	                              "\xC2\x85\xC2\x9B\xE2\x80\xA8|";
	struct json_object *obj;

	(void)state;
	LOG_INFO(&log_root, "x", LOG_STR("text", hostile));
	obj = read_json();
	assert_string_equal(text_of(obj, "text"), hostile);
	for (const char *p = output; p[1] != '\0'; p++)
		assert_true((unsigned char)*p >= 0x20 && *p != 0x7F);
	assert_int_equal(count(output, "\\u0085\\u009b\\u2028|"), 1);
	json_object_put(obj);
	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	LOG_INFO(&log_root, "forged\nline", LOG_STR("text", hostile));
	read_output();
	assert_int_equal(count(output, "\n"), 1);
	assert_int_equal(count(output, "\x1b"), 0);
	assert_int_equal(count(output, "forged\\nline"), 1);
}

static void
bytes_that_are_no_utf8_become_replacement_characters(void **state)
{
	struct json_object *obj;

	(void)state;
	LOG_INFO(&log_root, "x", LOG_STR("text", "caf\xE9 \xC3\xA9 \xED\xA0\x80 \xF0\x9F\x98\x80 \xF0\x9F"));
	obj = read_json();
	assert_string_equal(text_of(obj, "text"),
	                    "caf\xEF\xBF\xBD \xC3\xA9 \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD "
	                    "\xF0\x9F\x98\x80 \xEF\xBF\xBD\xEF\xBF\xBD");
	json_object_put(obj);
}

static void
long_texts_are_cut_with_an_ellipsis(void **state)
{
	static char text[100000];
	struct json_object *obj;
	const char *shown;

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xC3\xA9", 2);
	LOG_INFO(&log_root, "x", LOG_STR("text", text), LOG_INT("after", 1));
	obj = read_json();
	shown = text_of(obj, "text");
	assert_true(strlen(shown) > LOG_TEXT_MAX - 8 && strlen(shown) < LOG_TEXT_MAX);
	assert_string_equal(shown + strlen(shown) - 5, "\xC3\xA9" ELLIPSIS);
	assert_string_equal(text_of(obj, "after"), "1");
	json_object_put(obj);
}

static void
a_line_that_is_too_long_stays_json(void **state)
{
	static const char fills[] = {'x', 1, '"', '\xFF'};
	static char text[2000], first[1300], out[LOG_LINE_MAX];

	(void)state;
	for (size_t fill = 0; fill < sizeof(fills); fill++) {
		memset(text, fills[fill], sizeof(text) - 1);
		for (size_t size = 0; size < 1200; size++) {
			const struct log_field f[] = {
				LOG_STR("a", first), LOG_STR("b", text), LOG_STR("c", text), LOG_STR("d",
				text),
				LOG_STR("e", text), LOG_STR("f", text), LOG_INT("g", INT64_MIN),
			};
			const struct log_field *const fields[] = {&f[1], &f[2], &f[3], &f[0], &f[6],
			        &f[4], &f[5]};
			const struct log_event ev = {.message = "x", .fields = fields, .count = 7};
			size_t len;

			memset(first, 'y', size);
			first[size] = '\0';
			len = log_line_json(out, sizeof(out), &ev);
			assert_true(len > LOG_LINE_MAX - 200 && len <= LOG_LINE_MAX);
			assert_non_null(memmem(out, len, ELLIPSIS, strlen(ELLIPSIS)));
			json_object_put(parse_line(out, len));
		}
	}
}

static void
pretty_lines_are_for_people(void **state)
{
	const char *line;

	(void)state;
	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	LOG_INFO(&log_root, "it is done", LOG_STR("name", "one"), LOG_STR("text", "two words"),
	         LOG_STR("empty", ""), LOG_INT("n", 3), LOG_BOOL("ok", false), LOG_STR("none", NULL));
	line = strstr(read_output(), "Z INFO  [");
	assert_non_null(line);
	line = strchr(line, ']');
	assert_non_null(line);
	assert_string_equal(line,
	                    "] it is done name=one text=\"two words\" empty=\"\" n=3 ok=false none=null\n");
}

static void
errno_is_left_alone(void **state)
{
	int full = open("/dev/full", O_WRONLY);

	(void)state;
	assert_true(full != -1);
	/* standard error is put back at the end of the test */
	assert_int_equal(dup2(full, STDERR_FILENO), STDERR_FILENO);
	close(full);
	log_sink_stderr_open();
	errno = ENOTTY;
	LOG_INFO(&log_root, "x");
	assert_int_equal(errno, ENOTTY);
	log_flush();
	assert_int_equal(errno, ENOTTY);
	log_sink_forget_lost(log_sink_lost());
}

/* --- context --- */

static void
derived_loggers_add_to_their_parents_context(void **state)
{
	const struct logger request = {.parent = &log_root, .fields = {LOG_STR("request_id", "r1"), LOG_STR("client", "::1")}};
	const struct logger user = {.parent = &request, .fields = {LOG_STR("user_id", "u1"), LOG_INT("a", 1), LOG_INT("b", 2),
	                                       LOG_INT("c", 3)}};
	struct json_object *obj;

	(void)state;
	LOG_INFO(&user, "x", LOG_INT("status", 200));
	obj = read_json();
	assert_string_equal(text_of(obj, "request_id"), "r1");
	assert_string_equal(text_of(obj, "client"), "::1");
	assert_string_equal(text_of(obj, "user_id"), "u1");
	assert_string_equal(text_of(obj, "c"), "3");
	assert_string_equal(text_of(obj, "status"), "200");
	json_object_put(obj);
	LOG_INFO(&request, "x");
	obj = read_json();
	assert_string_equal(text_of(obj, "user_id"), "(none)");
	json_object_put(obj);
}

static void
the_nearest_field_of_a_name_is_the_one_written(void **state)
{
	const struct logger outer = {.parent = NULL, .fields = {LOG_STR("who", "outer"), LOG_STR("where", "outer")}};
	const struct logger inner = {.parent = &outer, .fields = {LOG_STR("where", "inner")}};

	(void)state;
	LOG_INFO(&inner, "x", LOG_STR("who", "call"));
	json_object_put(read_json());
	assert_int_equal(count(output, "\"who\":\"call\""), 1);
	assert_int_equal(count(output, "\"who\""), 1);
	assert_int_equal(count(output, "\"where\":\"inner\""), 1);
	assert_int_equal(count(output, "\"where\""), 1);
}

static void
a_field_cannot_pass_for_a_member_of_the_line(void **state)
{
	(void)state;
	LOG_INFO(&log_root, "x", LOG_STR("level", "error"), LOG_STR("message", "y"));
	json_object_put(read_json());
	assert_int_equal(count(output, "\"level\":\"info\""), 1);
	assert_int_equal(count(output, "\"level\":"), 1);
	assert_int_equal(count(output, "\"level_\":\"error\""), 1);
	assert_int_equal(count(output, "\"message\":"), 1);
}

/* --- secrets --- */

static void
secrets_never_reach_the_log(void **state)
{
	const struct logger lg = {.parent = &log_root, .fields = {LOG_STR("session", "hunter2"), LOG_STR("auth_header",
	                                              "Bearer hunter2")}};

	(void)state;
	for (int format = LOG_FORMAT_PRETTY; format <= LOG_FORMAT_JSON; format++) {
		log_init("test", LOG_LEVEL_INFO, (enum log_format)format, LOG_TARGET_STDERR);
		LOG_INFO(&lg, "refused with key=hunter2", LOG_STR("api_key", "hunter2"),
		         LOG_INT("pin_token", 4711),
		         LOG_STR("url", "postgres://bob:hunter2@db/x"), LOG_STR("note", "sk-hunter2hunter2"),
		         LOG_STR("body", "{\"password\":\"hunter2\"}"), LOG_INT("prompt_tokens", 12),
		         LOG_BOOL("has_key", true));
		read_output();
		assert_int_equal(count(output, "hunter2"), 0);
		assert_int_equal(count(output, "4711"), 0);
		assert_int_equal(count(output, "postgres://***@db/x"), 1);
		assert_int_equal(count(output,
		                 format == LOG_FORMAT_JSON ? "\"prompt_tokens\":12" : "prompt_tokens=12"), 1);
		assert_int_equal(count(output,
		                 format == LOG_FORMAT_JSON ? "\"has_key\":true" : "has_key=true"), 1);
	}
}

static void
text_can_be_scrubbed_alone(void **state)
{
	char out[64];

	(void)state;
	log_scrub(out, sizeof(out), "asked http://a:b@c with Bearer xyz");
	assert_string_equal(out, "asked http://***@c with Bearer ***");
}

/* --- repetition --- */

static int64_t
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void
a_repeated_message_is_held_back_and_summed_up(void **state)
{
	int64_t began;

	(void)state;
	do {    /* within one window, for all that the machine may do meanwhile */
		log_close();
		read_output();
		began = seconds();
		for (int i = 0; i < LOG_BURST + 15; i++)
			LOG_WARN(&log_root, "again and again", LOG_INT("i", i));
		LOG_ERROR(&log_root, "again and again");
		LOG_WARN(&log_root, "another");
		log_flush();
	} while (seconds() - began >= LOG_WINDOW_SECS - 1);
	read_output();
	assert_int_equal(count(output, "\"level\":\"warn\",\"message\":\"again and again\""), LOG_BURST);
	assert_int_equal(count(output, "\"level\":\"error\",\"message\":\"again and again\""), 1);
	assert_int_equal(count(output, "another"), 1);
	assert_int_equal(count(output, "suppressed"), 0);
	log_close();
	read_output();
	assert_int_equal(count(output, "\n"), 1);
	assert_int_equal(count(output, "\"level\":\"warn\",\"message\":\"again and again\""), 1);
	assert_int_equal(count(output, "\"suppressed\":15"), 1);
	log_close();
	assert_string_equal(read_output(), "");
}

static void
a_window_ends_after_its_time(void **state)
{
	static struct log_bursts b;
	struct log_burst ended;
	unsigned at = 0;
	const int64_t t = 1000, window = LOG_WINDOW_SECS * 1000;

	(void)state;
	for (int i = 0; i < LOG_BURST; i++)
		assert_true(log_burst_admit(&b, LOG_LEVEL_INFO, "m", t + i, &ended));
	assert_false(log_burst_admit(&b, LOG_LEVEL_INFO, "m", t + window - 1, &ended));
	assert_int_equal(ended.held, 0);
	assert_false(log_burst_next_ended(&b, t + window - 1, &at, &ended));
	/* the next line after the window brings the sum itself */
	assert_true(log_burst_admit(&b, LOG_LEVEL_INFO, "m", t + window, &ended));
	assert_int_equal(ended.held, 1);
	assert_string_equal(ended.message, "m");
	at = 0;
	assert_false(log_burst_next_ended(&b, t + 2 * window, &at, &ended));
}

static void
windows_that_ended_are_found_once(void **state)
{
	static struct log_bursts b;
	struct log_burst ended;
	unsigned at = 0;

	(void)state;
	for (int i = 0; i < LOG_BURST + 3; i++) {
		bool first = log_burst_admit(&b, LOG_LEVEL_INFO, "one", 0, &ended);
		bool second = log_burst_admit(&b, LOG_LEVEL_WARN, "one", 5000, &ended);

		assert_int_equal(first, i < LOG_BURST);
		assert_int_equal(second, i < LOG_BURST);
	}
	assert_true(log_burst_next_ended(&b, LOG_WINDOW_SECS * 1000, &at, &ended));
	assert_int_equal(ended.level, LOG_LEVEL_INFO);
	assert_int_equal(ended.held, 3);
	assert_false(log_burst_next_ended(&b, LOG_WINDOW_SECS * 1000, &at, &ended));
}

static void
equal_texts_are_one_message_wherever_they_stand(void **state)
{
	static struct log_bursts b;
	struct log_burst ended;
	char copy[] = "the same";

	(void)state;
	for (int i = 0; i < LOG_BURST; i++)
		assert_true(log_burst_admit(&b, LOG_LEVEL_INFO, i % 2 ? copy : "the same", 0, &ended));
	assert_false(log_burst_admit(&b, LOG_LEVEL_INFO, copy, 0, &ended));
}

static void
levels_of_one_message_are_counted_apart(void **state)
{
	static struct log_bursts b;
	struct log_burst ended;

	(void)state;
	for (int m = 0; m < 1000; m++) {
		char message[24];

		snprintf(message, sizeof(message), "message %d", m);
		for (int i = 0; i < LOG_BURST; i++) {
			assert_true(log_burst_admit(&b, LOG_LEVEL_DEBUG, message, m, &ended));
			assert_true(log_burst_admit(&b, LOG_LEVEL_ERROR, message, m, &ended));
		}
		/* a message is a constant and stays; this one does not */
		memset(&b, 0, sizeof(b));
	}
}

static void
no_held_line_is_forgotten_when_the_table_is_full(void **state)
{
	enum { MESSAGES = 4 * LOG_BURST_SETS * LOG_BURST_WAYS, LINES = LOG_BURST + 2 };
	static struct log_bursts b;
	static char messages[MESSAGES][24];
	struct log_burst ended;
	unsigned admitted = 0, held = 0, at = 0;

	(void)state;
	for (int m = 0; m < MESSAGES; m++) {
		snprintf(messages[m], sizeof(messages[m]), "message %d", m);
		for (int i = 0; i < LINES; i++) {
			admitted += log_burst_admit(&b, LOG_LEVEL_INFO, messages[m], m, &ended);
			held += ended.held;
		}
	}
	while (log_burst_next_ended(&b, INT64_MAX, &at, &ended))
		held += ended.held;
	assert_int_equal(admitted, MESSAGES * LOG_BURST);
	assert_int_equal(held, MESSAGES * (LINES - LOG_BURST));
}

/* --- where lines go --- */

static void
a_reader_that_stalls_costs_lines_but_no_time(void **state)
{
	static const char *const messages[] = {"m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"};
	static char text[900];
	unsigned written;
	const char *lost;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	alarm(120);     /* what waits is ended by this */
	for (unsigned i = 0; i < 190; i++)
		LOG_INFO(&log_root, messages[i % 10], LOG_STR("text", text));
	alarm(0);
	written = count(read_output(), "\n");
	assert_true(written > 0 && written < 190);      /* what a pipe holds is the system's business */
	assert_int_equal(count(output, "{\"time\""), written);
	log_flush();
	lost = strstr(read_output(), "\"lost\":");
	assert_non_null(lost);
	assert_int_equal(strtoul(lost + 7, NULL, 10), 190 - written);
	log_flush();
	assert_string_equal(read_output(), "");
}

static void
the_journals_stream_gets_priorities(void **state)
{
	struct stat st;
	char named[64];

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(named, sizeof(named), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", named, 1);
	log_init("test", LOG_LEVEL_DEBUG, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
	LOG_DEBUG(&log_root, "a");
	LOG_INFO(&log_root, "b");
	LOG_WARN(&log_root, "c");
	LOG_ERROR(&log_root, "d");
	read_output();
	assert_true(strncmp(output, "<7>{", 4) == 0);
	assert_int_equal(count(output, "\n<6>{"), 1);
	assert_int_equal(count(output, "\n<4>{"), 1);
	assert_int_equal(count(output, "\n<3>{"), 1);
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_init("test", LOG_LEVEL_DEBUG, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
	LOG_ERROR(&log_root, "e");
	json_object_put(read_json());
}

static void
syslog_gets_priority_and_line(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_PRETTY, LOG_TARGET_SYSLOG);
	LOG_WARN(&log_root, "100%s sure", LOG_INT("n", 1));
	assert_int_equal(syslog_priority, 4);
	assert_string_equal(syslog_line, "100%s sure n=1");
	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_SYSLOG);
	LOG_ERROR(&log_root, "x");
	assert_int_equal(syslog_priority, 3);
	assert_true(strncmp(syslog_line, "{\"time\":", 8) == 0);
	assert_int_equal(syslog_line[strlen(syslog_line) - 1], '}');
	assert_string_equal(read_output(), "");
}

static int
open_journal(char path[64])
{
	struct sockaddr_un here = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	snprintf(path, 64, "/tmp/bakame-test-journal-%d", (int)getpid());
	unlink(path);
	snprintf(here.sun_path, sizeof(here.sun_path), "%s", path);
	assert_true(fd != -1);
	assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	log_sink_journal_path = path;
	log_init("bakame-test", LOG_LEVEL_INFO, LOG_FORMAT_PRETTY, LOG_TARGET_JOURNAL);
	return fd;
}

static void
the_journal_gets_native_datagrams(void **state)
{
	static const char expected[] = "PRIORITY=4\nSYSLOG_IDENTIFIER=bakame-test\n"
	                               "MESSAGE=model failed status=503 two-words=\"a b\" "
	                               "text=\"x\\ny\" api_key=***\n"
	                               "BAKAME_STATUS=503\nBAKAME_TWO_WORDS=a b\nBAKAME_TEXT\n"
	                               "\3\0\0\0\0\0\0\0x\ny\nBAKAME_API_KEY=***\n";
	char path[64], got[2 * LOG_LINE_MAX];
	int fd = open_journal(path);
	ssize_t n;

	(void)state;
	LOG_WARN(&log_root, "model failed", LOG_INT("status", 503), LOG_STR("two-words", "a b"),
	         LOG_STR("text", "x\ny"), LOG_STR("api_key", "hunter2"));
	n = recv(fd, got, sizeof(got), 0);
	unlink(path);
	close(fd);
	assert_int_equal(n, sizeof(expected) - 1);
	assert_memory_equal(got, expected, sizeof(expected) - 1);
	assert_string_equal(read_output(), "");
}

static void
without_a_journal_lines_go_to_stderr_and_that_is_said_once(void **state)
{
	char path[64], got[2 * LOG_LINE_MAX];
	int fd = open_journal(path);

	(void)state;
	unlink(path);
	LOG_INFO(&log_root, "first");
	LOG_INFO(&log_root, "second");
	read_output();
	assert_int_equal(count(output, "\n"), 3);
	assert_int_equal(count(output, "the journal cannot be reached"), 1);
	assert_int_equal(count(output, "first"), 1);
	assert_int_equal(count(output, "second"), 1);
	close(fd);
	/* and back again by itself */
	fd = open_journal(path);
	LOG_INFO(&log_root, "third");
	assert_true(recv(fd, got, sizeof(got), 0) > 0);
	assert_string_equal(read_output(), "");
	unlink(path);
	close(fd);
}

static void
a_journal_that_stalls_costs_no_time(void **state)
{
	static const char *const messages[] = {"j0", "j1", "j2", "j3", "j4", "j5", "j6", "j7", "j8", "j9"};
	static char text[900];
	char path[64];
	int fd = open_journal(path);

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	alarm(120);
	for (unsigned i = 0; i < 190; i++)
		LOG_INFO(&log_root, messages[i % 10], LOG_STR("text", text));
	alarm(0);
	unlink(path);
	close(fd);
	assert_true(log_sink_lost() > 0);
	log_sink_forget_lost(log_sink_lost());
	assert_string_equal(read_output(), "");
}

#define WRITES(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WRITES(a_json_line_has_time_level_message_pid_and_fields),
		WRITES(a_line_without_fields_is_whole_too),
		WRITES(lines_below_the_level_are_not_written),
		WRITES(control_characters_cannot_forge_lines),
		WRITES(bytes_that_are_no_utf8_become_replacement_characters),
		WRITES(long_texts_are_cut_with_an_ellipsis),
		WRITES(a_line_that_is_too_long_stays_json),
		WRITES(pretty_lines_are_for_people),
		WRITES(errno_is_left_alone),
		WRITES(derived_loggers_add_to_their_parents_context),
		WRITES(the_nearest_field_of_a_name_is_the_one_written),
		WRITES(a_field_cannot_pass_for_a_member_of_the_line),
		WRITES(secrets_never_reach_the_log),
		WRITES(text_can_be_scrubbed_alone),
		WRITES(a_repeated_message_is_held_back_and_summed_up),
		cmocka_unit_test(a_window_ends_after_its_time),
		cmocka_unit_test(windows_that_ended_are_found_once),
		cmocka_unit_test(equal_texts_are_one_message_wherever_they_stand),
		cmocka_unit_test(levels_of_one_message_are_counted_apart),
		cmocka_unit_test(no_held_line_is_forgotten_when_the_table_is_full),
		WRITES(a_reader_that_stalls_costs_lines_but_no_time),
		WRITES(the_journals_stream_gets_priorities),
		WRITES(syslog_gets_priority_and_line),
		WRITES(the_journal_gets_native_datagrams),
		WRITES(without_a_journal_lines_go_to_stderr_and_that_is_said_once),
		WRITES(a_journal_that_stalls_costs_no_time),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
