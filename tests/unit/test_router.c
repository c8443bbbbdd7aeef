/* test_router.c - from the bytes of a FastCGI request to those of its answer */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/text.h"
#include "config/config.h"
#include "fcgi_client.h"
#include "http/fcgi.h"
#include "http/request.h"
#include "http/response.h"
#include "http/router.h"
#include "http/sse_writer.h"
#include "in_fiber.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"

#define BODY_MAX ((size_t)1000)
#define BUFFER_MAX ((size_t)1024 * 1024)
#define ANSWER_WAIT_MS 120000

/* ---- handlers ---- */

static int
say_hello(struct request *rq, struct err *err)
{
	const char *value = request_header(rq, "X-Test-Header");
	char text[256];

	(void)err;
	snprintf(text, sizeof(text), "%s %s ?%s %s %s", rq->method, rq->path, rq->query, rq->remote_addr,
	         value != NULL ? value : "-");
	response_header(rq, "X-Good", "yes");
	response_header(rq, "X-Bad", "a\r\nX-Forged: yes");
	return response_text(rq, 200, "text/plain", text, strlen(text));
}

static int
echo_body(struct request *rq, struct err *err)
{
	const char *data;
	size_t len;

	if (request_read_body(rq, rq->route->body_max, &data, &len, err) == -1)
		return -1;
	return response_text(rq, 200, "text/plain", data, len);
}

static int
echo_json(struct request *rq, struct err *err)
{
	struct json_object *body = request_read_json(rq, rq->route->body_max, err);

	return body != NULL ? response_json(rq, 200, body) : -1;
}

/* What the next call of it fails with. */
static struct err next_error;

static int
fail_as_told(struct request *rq, struct err *err)
{
	(void)rq;
	*err = next_error;
	return -1;
}

static int
fail_late(struct request *rq, struct err *err)
{
	if (response_begin(rq, 200, "text/plain") == -1 || response_write(rq, "begun", 5) == -1)
		return -1;
	return err_set(err, ERR_INTERNAL, "too late to tell");
}

/* By another way than the first. */
static int
succeed_after_all(struct request *rq, struct err *err)
{
	(void)err_set(err, ERR_INTERNAL, "the first way was closed");
	return response_text(rq, 200, "text/plain", "done", 4);
}

static bool asleep;
static enum err_code slept_until;

static int
sleep_long(struct request *rq, struct err *err)
{
	(void)rq;
	asleep = true;
	if (fiber_sleep(ANSWER_WAIT_MS, err) == 0)
		return err_set(err, ERR_INTERNAL, "nothing ended it");
	slept_until = err->code;
	return -1;
}

static int
refuse(struct request *rq, struct err *err)
{
	(void)rq;
	return err_set(err, ERR_FORBIDDEN, "not you");
}

static int
say_param(struct request *rq, struct err *err)
{
	(void)err;
	return response_text(rq, 200, "text/plain", rq->param, strlen(rq->param));
}

#define EVENT "12345678901234567890123"
#define EVENT_BYTES ((int)sizeof("data: " EVENT "\n\n") - 1)
#define EVENTS 4096

/* Events without a flush between them, after so many bytes as the path says. */
static int
send_many_events(struct request *rq, struct err *err)
{
	const char *pad = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	int64_t before;

	if (text_to_int64(rq->param, 0, (int64_t)strlen(pad), &before) == -1)
		return err_set(err, ERR_INVALID_REQUEST, "no such number");
	if (sse_begin(rq) == -1 || response_write(rq, pad, (size_t)before) == -1)
		return -1;
	for (int i = 0; i < EVENTS; i++)
		if (sse_event(rq, EVENT, sizeof(EVENT) - 1) == -1)
			return err_set(err, ERR_INTERNAL, "event %d was not taken", i);
	return response_flush(rq);
}

/* More than any socket takes of who does not read. */
static int
flood(struct request *rq, struct err *err)
{
	static const char piece[65536];

	(void)err;
	fiber_set_deadline(FIBER_NO_DEADLINE);
	if (response_begin(rq, 200, "text/plain") == -1)
		return -1;
	for (int i = 0; i < 1024; i++)
		if (response_write(rq, piece, sizeof(piece)) == -1)
			return -1;
	return 0;
}

static const struct route table[] = {
    {"GET", "/hello", NULL, say_hello, 0, false},
    {"GET", "/both", NULL, say_hello, 0, false},
    {"POST", "/both", NULL, echo_body, BODY_MAX, false},
    {"POST", "/echo", NULL, echo_body, BODY_MAX, false},
    {"POST", "/json", NULL, echo_json, BODY_MAX, false},
    {"GET", "/fail", NULL, fail_as_told, 0, false},
    {"GET", "/late", NULL, fail_late, 0, false},
    {"GET", "/after-all", NULL, succeed_after_all, 0, false},
    {"GET", "/flood", NULL, flood, 0, false},
    {"GET", "/sleep", NULL, sleep_long, 0, false},
    {"GET", "/always", NULL, say_hello, 0, true},
    {"GET", "/guarded", refuse, say_hello, 0, false},
    {"GET", "/events/{id}", NULL, send_many_events, 0, false},
    {"GET", "/things/{id}", NULL, say_param, 0, false},
    {"GET", "/things/{id}/more", NULL, say_param, 0, false},
    {0},
};

/* ---- a connection and what goes over it ---- */

struct front {
	int fd;
	struct buffer in;               /* arrived, not yet taken apart */
	struct buffer answer;           /* of the last request: header lines, empty line, body */
	bool closed;                    /* by the other side */
	unsigned closed_before;         /* `closed_count` when it was opened */
};

/* Connections that the other side has closed, and requests that it has served. */
static unsigned closed_count, requests_served;

static void
on_request(struct fcgi *c)
{
	requests_served++;
	router_serve(c);
}

static void
on_closed(struct fcgi *c)
{
	(void)c;
	closed_count++;
}

static const struct fcgi_events events = {.request = on_request, .closed = on_closed};

static void
connect_front(struct front *f)
{
	int fds[2];

	*f = (struct front){.in.max = BUFFER_MAX, .answer.max = BUFFER_MAX, .closed_before = closed_count};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	f->fd = fds[0];
	fcgi_open(fds[1], &events);
}

/* Close, and wait until the other side has too. */
static void
disconnect(struct front *f)
{
	struct err err;

	close(f->fd);
	while (closed_count == f->closed_before)
		assert_int_equal(fiber_sleep(1, &err), 0);
	buffer_free(&f->in);
	buffer_free(&f->answer);
}

static void
send_all(struct front *f, struct buffer *b)
{
	struct err err;
	ssize_t n;

	while (b->len > 0) {
		n = send(f->fd, b->data, b->len, MSG_NOSIGNAL);
		if (n > 0)
			buffer_consume(b, (size_t)n);
		else if (errno == EAGAIN)
			assert_int_equal(fiber_sleep(1, &err), 0);
		else
			break;
	}
	buffer_free(b);
}

/* Read until the answer ends or the connection does. */
static void
read_answer(struct front *f)
{
	int64_t until = loop_now_ms() + ANSWER_WAIT_MS;
	int rc;

	buffer_free(&f->answer);
	while ((rc = fcgi_client_take(&f->in, &f->answer)) == 0 && !f->closed) {
		char piece[4096];
		struct err err;
		ssize_t n = recv(f->fd, piece, sizeof(piece), 0);

		if (n > 0)
			assert_int_equal(buffer_append(&f->in, piece, (size_t)n), 0);
		else if (n == 0)
			f->closed = true;
		else
			assert_int_equal(fiber_sleep(1, &err), 0);
		assert_true(loop_now_ms() < until);
	}
	assert_int_not_equal(rc, -1);
}

struct question {
	const char *method, *uri;
	const char *extra[8];           /* further parameters: name, value, ... */
	const char *body;
	bool keep;
};

static void
ask(struct front *f, const struct question *q)
{
	const char *params[16] = {"REQUEST_METHOD", q->method, "REQUEST_URI", q->uri, "REMOTE_ADDR", "192.0.2.1"};
	struct buffer b = BUFFER_INIT(BUFFER_MAX);

	memcpy(params + 6, q->extra, sizeof(q->extra));
	fcgi_client_begin(&b, q->keep);
	fcgi_client_params(&b, params);
	fcgi_client_body(&b, q->body != NULL ? q->body : "", q->body != NULL ? strlen(q->body) : 0, 7);
	send_all(f, &b);
	read_answer(f);
}

/* The value of a header of the answer, in memory that the next call overwrites; NULL if there is none. */
static const char *
header(const struct front *f, const char *name)
{
	static char value[512];
	const char *line = f->answer.data;
	const char *end = line != NULL ? strstr(line, "\r\n\r\n") : NULL;
	size_t len = strlen(name);

	for (; end != NULL && line < end; line = strstr(line, "\r\n") + 2) {
		if (strncmp(line, name, len) != 0 || line[len] != ':')
			continue;
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(line + len + 2, "\r"), line + len + 2);
		return value;
	}
	return NULL;
}

static const char *
body(const struct front *f)
{
	const char *end = f->answer.data != NULL ? strstr(f->answer.data, "\r\n\r\n") : NULL;

	return end != NULL ? end + 4 : "";
}

static long
status(const struct front *f)
{
	const char *value = header(f, "Status");

	return value != NULL ? strtol(value, NULL, 10) : 0;
}

/* Ask over a connection of its own and leave it open, for looking at the answer. */
static void
ask_once(struct front *f, const struct question *q)
{
	connect_front(f);
	ask(f, q);
}

/* A member of the answer's error. */
static void
expect_error(const struct front *f, long code, const char *type, const char *says)
{
	struct json_object *json = json_parse_trusted(body(f), strlen(body(f)));
	struct json_object *error = json_member(json, "error", json_type_object);
	char id[512];

	if (status(f) != code || error == NULL)
		fail_msg("not an error %ld but: %s", code, f->answer.data != NULL ? f->answer.data : "nothing");
	assert_string_equal(json_member_text(error, "type"), type);
	if (strstr(json_member_text(error, "message"), says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", json_member_text(error, "message"), says);
	snprintf(id, sizeof(id), "%s", header(f, "X-Request-Id"));
	assert_string_equal(json_member_text(error, "request_id"), id);
	assert_string_equal(header(f, "Content-Type"), "application/json; charset=utf-8");
	assert_string_equal(header(f, "Cache-Control"), "no-store");
	json_object_put(json);
}

static void
expect_failure(const struct question *q, long code, const char *type, const char *says)
{
	struct front f;

	ask_once(&f, q);
	expect_error(&f, code, type, says);
	disconnect(&f);
}

/* ---- routing ---- */

static void
check_found(void *arg)
{
	static const struct {
		struct question q;
		const char *says;
	} cases[] = {
	    {{.method = "GET", .uri = "/hello"}, "GET /hello ? 192.0.2.1 -"},
	    {{.method = "GET", .uri = "/hello?a=%20b&c"}, "GET /hello ?a=%20b&c 192.0.2.1 -"},
	    {{.method = "GET", .uri = "/hello?"}, "GET /hello ? 192.0.2.1 -"},
	    {{.method = "GET", .uri = "/h%65llo"}, "GET /hello ? 192.0.2.1 -"},
	    {{.method = "GET", .uri = "/hello#x?y"}, "GET /hello ? 192.0.2.1 -"},
	    {{.method = "GET", .uri = "/hello", .extra = {"HTTP_X_TEST_HEADER", "seen"}}, "GET /hello ? 192.0.2.1 seen"},
	    {{.method = "GET", .uri = "/both"}, "GET /both ? 192.0.2.1 -"},
	    {{.method = "POST", .uri = "/both", .body = "posted"}, "posted"},
	    {{.method = "GET", .uri = "/always"}, "GET /always ? 192.0.2.1 -"},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char length[32];
		struct front f;

		ask_once(&f, &cases[i].q);
		assert_int_equal(status(&f), 200);
		assert_string_equal(body(&f), cases[i].says);
		snprintf(length, sizeof(length), "%zu", strlen(cases[i].says));
		assert_string_equal(header(&f, "Content-Length"), length);
		disconnect(&f);
	}
}

static void
a_request_reaches_the_handler_of_its_method_and_path(void **state)
{
	(void)state;
	in_fiber(check_found, NULL);
}

/* Records end wherever it is in an event. */
static void
check_events(void *arg)
{
	(void)arg;
	for (int before = 0; before < EVENT_BYTES; before++) {
		char uri[32];
		struct front f;

		snprintf(uri, sizeof(uri), "/events/%d", before);
		ask_once(&f, &(struct question){.method = "GET", .uri = uri});
		assert_int_equal(status(&f), 200);
		assert_int_equal(strlen(body(&f)), before + EVENTS * EVENT_BYTES);
		for (const char *event = body(&f) + before; *event != '\0'; event += EVENT_BYTES)
			assert_memory_equal(event, "data: " EVENT "\n\n", EVENT_BYTES);
		disconnect(&f);
	}
}

static void
events_without_a_flush_arrive_whole(void **state)
{
	(void)state;
	in_fiber(check_events, NULL);
}

static void
check_not_found(void *arg)
{
	static const char *const uris[] = {
	    "/", "", "/hell", "/hello/", "/HELLO", "//hello", "/hello%00", "/hello%", "/hello%2", "/%zz", "hello",
	    "/hello%2F", "*", "http://host/hello",
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++)
		expect_failure(&(struct question){.method = "GET", .uri = uris[i]}, 404, "not_found",
		               "nothing at this address");
}

static void
other_paths_are_not_found(void **state)
{
	(void)state;
	in_fiber(check_not_found, NULL);
}

static void
check_allow(void *arg)
{
	static const struct {
		const char *method, *uri, *allow;
	} cases[] = {
	    {"POST", "/hello", "GET, HEAD"},
	    {"OPTIONS", "/hello", "GET, HEAD"},
	    {"get", "/hello", "GET, HEAD"},
	    {"", "/hello", "GET, HEAD"},
	    {"GET", "/echo", "POST"},
	    {"DELETE", "/both", "GET, HEAD, POST"},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct front f;

		ask_once(&f, &(struct question){.method = cases[i].method, .uri = cases[i].uri});
		expect_error(&f, 405, "method_not_allowed", cases[i].allow);
		assert_string_equal(header(&f, "Allow"), cases[i].allow);
		disconnect(&f);
	}
}

static void
other_methods_are_told_which_are_allowed(void **state)
{
	(void)state;
	in_fiber(check_allow, NULL);
}

static void
check_params(void *arg)
{
	static const struct {
		const char *uri, *param;
	} cases[] = {
	    {"/things/7", "7"},
	    {"/things/a%20b?c=/d", "a b"},
	    {"/things/7/more", "7"},
	    {"/things/", NULL},
	    {"/things//more", NULL},
	    {"/things/7/less", NULL},
	    {"/things/7/more/", NULL},
	    {"/things/{id}/", NULL},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct front f;

		ask_once(&f, &(struct question){.method = "GET", .uri = cases[i].uri});
		assert_int_equal(status(&f), cases[i].param != NULL ? 200 : 404);
		if (cases[i].param != NULL)
			assert_string_equal(body(&f), cases[i].param);
		disconnect(&f);
	}
}

static void
a_segment_of_the_path_can_be_a_parameter(void **state)
{
	(void)state;
	in_fiber(check_params, NULL);
}

static void
check_guard(void *arg)
{
	struct front f;

	(void)arg;
	ask_once(&f, &(struct question){.method = "GET", .uri = "/guarded"});
	expect_error(&f, 403, "forbidden", "not you");
	disconnect(&f);
}

static void
what_the_guard_refuses_does_not_reach_the_handler(void **state)
{
	(void)state;
	in_fiber(check_guard, NULL);
}

static void
check_head(void *arg)
{
	struct front f;

	(void)arg;
	ask_once(&f, &(struct question){.method = "HEAD", .uri = "/hello"});
	assert_int_equal(status(&f), 200);
	assert_string_equal(header(&f, "Content-Length"), "25");        /* of "HEAD /hello ? 192.0.2.1 -" */
	assert_string_equal(body(&f), "");
	disconnect(&f);
	ask_once(&f, &(struct question){.method = "HEAD", .uri = "/none"});
	assert_int_equal(status(&f), 404);
	assert_string_equal(body(&f), "");
	disconnect(&f);
	ask_once(&f, &(struct question){.method = "HEAD", .uri = "/echo"});
	assert_int_equal(status(&f), 405);
	assert_string_equal(header(&f, "Allow"), "POST");
	disconnect(&f);
}

static void
head_is_answered_like_get_without_the_body(void **state)
{
	(void)state;
	in_fiber(check_head, NULL);
}

/* ---- headers ---- */

static void
check_id(void *arg)
{
	char long_id[200], first[512];
	const char *const given[] = {"", "with blank", "a\nb", "a\xC3\xA9", long_id};
	struct front f;

	(void)arg;
	memset(long_id, 'x', sizeof(long_id) - 1);
	long_id[sizeof(long_id) - 1] = '\0';
	ask_once(&f, &(struct question){.method = "GET", .uri = "/hello", .extra = {"REQUEST_ID", "aB3-_.@9"}});
	assert_string_equal(header(&f, "X-Request-Id"), "aB3-_.@9");
	disconnect(&f);
	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		struct question q = {.method = "GET", .uri = "/hello", .extra = {"REQUEST_ID", given[i]}};

		ask_once(&f, &q);
		assert_int_equal(strlen(header(&f, "X-Request-Id")), 36);
		assert_int_equal(strspn(header(&f, "X-Request-Id"), "0123456789abcdef-"), 36);
		disconnect(&f);
	}
	ask_once(&f, &(struct question){.method = "GET", .uri = "/hello"});
	snprintf(first, sizeof(first), "%s", header(&f, "X-Request-Id"));
	disconnect(&f);
	ask_once(&f, &(struct question){.method = "GET", .uri = "/hello"});
	assert_string_not_equal(header(&f, "X-Request-Id"), first);
	disconnect(&f);
}

static void
the_fronts_request_id_is_kept_if_it_is_fit_for_a_header(void **state)
{
	(void)state;
	in_fiber(check_id, NULL);
}

static void
check_forged(void *arg)
{
	struct front f;

	(void)arg;
	ask_once(&f, &(struct question){.method = "GET", .uri = "/hello"});
	assert_string_equal(header(&f, "X-Good"), "yes");
	assert_null(header(&f, "X-Bad"));
	assert_null(header(&f, "X-Forged"));
	disconnect(&f);
}

static void
a_header_with_control_characters_is_left_out(void **state)
{
	(void)state;
	in_fiber(check_forged, NULL);
}

/* ---- errors ---- */

static void
check_errors(void *arg)
{
	(void)arg;
	for (int code = ERR_INVALID_REQUEST; code < ERR_CANCELLED; code++) {
		struct front f;

		err_set(&next_error, (enum err_code)code, "went wrong: \"%d\"", code);
		next_error.retry_after_secs = code % 2 == 0 ? 17 : 0;
		err_cause(&next_error, "for the operator");
		ask_once(&f, &(struct question){.method = "GET", .uri = "/fail"});
		expect_error(&f, err_status((enum err_code)code), err_type((enum err_code)code), "went wrong: \"");
		if (code % 2 == 0)
			assert_string_equal(header(&f, "Retry-After"), "17");
		else if (code == ERR_UNAVAILABLE)       /* each 503 says when */
			assert_non_null(header(&f, "Retry-After"));
		else
			assert_null(header(&f, "Retry-After"));
		assert_null(strstr(f.answer.data, "for the operator"));
		disconnect(&f);
	}
}

static void
a_handlers_error_is_sent_in_the_form_of_the_contract(void **state)
{
	(void)state;
	in_fiber(check_errors, NULL);
}

static void
check_late_error(void *arg)
{
	struct front f;

	(void)arg;
	ask_once(&f, &(struct question){.method = "GET", .uri = "/late"});
	assert_int_equal(status(&f), 200);
	assert_string_equal(body(&f), "begun");
	disconnect(&f);
}

static void
an_error_after_the_answer_began_adds_nothing(void **state)
{
	(void)state;
	in_fiber(check_late_error, NULL);
}

/* What is logged from now on, until log_seen(). */
static FILE *
log_watch(int *stderr_r)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	*stderr_r = dup(STDERR_FILENO);
	assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
	return file;
}

static void
log_seen(FILE *file, int stderr_fd, char *text, size_t size)
{
	assert_int_equal(dup2(stderr_fd, STDERR_FILENO), STDERR_FILENO);
	close(stderr_fd);
	rewind(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
}

static void
check_after_all(void *arg)
{
	char text[2000];
	int stderr_fd;
	FILE *file = log_watch(&stderr_fd);
	struct front f;

	(void)arg;
	ask_once(&f, &(struct question){.method = "GET", .uri = "/after-all"});
	assert_int_equal(status(&f), 200);
	disconnect(&f);
	log_seen(file, stderr_fd, text, sizeof(text));
	assert_string_equal(text, "");          /* errors only: see main() */
}

static void
what_went_well_in_the_end_is_logged_as_no_error(void **state)
{
	(void)state;
	in_fiber(check_after_all, NULL);
}

static void
check_deadline(void *arg)
{
	(void)arg;
	slept_until = ERR_NONE;
	expect_failure(&(struct question){.method = "GET", .uri = "/sleep"}, 504, "upstream_timeout", "longer than");
	assert_int_equal(slept_until, ERR_UPSTREAM_TIMEOUT);
}

static void
a_request_past_its_deadline_is_ended_and_answered(void **state)
{
	(void)state;
	/* for this one only: the others have all the time they need */
	setenv("REQUEST_DEADLINE_SECONDS", "1", 1);
	assert_int_equal(config_load(stderr), 0);
	in_fiber(check_deadline, NULL);
	unsetenv("REQUEST_DEADLINE_SECONDS");
	assert_int_equal(config_load(stderr), 0);
}

static void
check_client_leaves(void *arg)
{
	const char *const params[] = {"REQUEST_METHOD", "GET", "REQUEST_URI", "/sleep", NULL};
	struct buffer b = BUFFER_INIT(BUFFER_MAX);
	int64_t left_ms;
	struct front f;
	struct err err;

	(void)arg;
	slept_until = ERR_NONE;
	asleep = false;
	connect_front(&f);
	fcgi_client_begin(&b, true);
	fcgi_client_params(&b, params);
	fcgi_client_body(&b, "", 0, 1);
	send_all(&f, &b);
	while (!asleep)
		assert_int_equal(fiber_sleep(1, &err), 0);
	assert_int_equal(slept_until, ERR_NONE);
	left_ms = loop_now_ms();
	disconnect(&f);
	assert_int_equal(slept_until, ERR_CANCELLED);
	assert_in_range(loop_now_ms() - left_ms, 0, ANSWER_WAIT_MS / 2);
}

/* Until the other side waits for us to read. */
static void
await_full_socket(int fd)
{
	int before = -1, now = 0;
	struct err err;

	while (now == 0 || now != before) {
		before = now;
		assert_int_equal(fiber_sleep(50, &err), 0);
		assert_int_equal(ioctl(fd, FIONREAD, &now), 0);
	}
}

/* A front that ends its side and reads no more has left, as one that closes has. */
static void
check_half_closed(void *arg)
{
	const char *const params[] = {"REQUEST_METHOD", "GET", "REQUEST_URI", "/flood", NULL};
	struct buffer b = BUFFER_INIT(BUFFER_MAX);
	struct front f;
	struct err err;

	(void)arg;
	connect_front(&f);
	fcgi_client_begin(&b, true);
	fcgi_client_params(&b, params);
	fcgi_client_body(&b, "", 0, 1);
	send_all(&f, &b);
	await_full_socket(f.fd);
	assert_int_equal(closed_count, f.closed_before);
	assert_int_equal(shutdown(f.fd, SHUT_WR), 0);
	while (closed_count == f.closed_before)
		assert_int_equal(fiber_sleep(1, &err), 0);
	disconnect(&f);
}

static void
who_half_closes_while_we_write_has_left(void **state)
{
	(void)state;
	in_fiber(check_half_closed, NULL);
}

static void
a_handler_is_cancelled_when_its_client_leaves(void **state)
{
	(void)state;
	in_fiber(check_client_leaves, NULL);
}

/* ---- bodies ---- */

static void
check_bodies(void *arg)
{
	char most[BODY_MAX + 1], too_long[BODY_MAX + 2];
	struct front f;

	(void)arg;
	memset(most, 'x', BODY_MAX);
	most[BODY_MAX] = '\0';
	memset(too_long, 'x', BODY_MAX + 1);
	too_long[BODY_MAX + 1] = '\0';

	ask_once(&f, &(struct question){.method = "POST", .uri = "/echo", .body = most, .extra = {"CONTENT_LENGTH", "1000"}});
	assert_string_equal(body(&f), most);
	disconnect(&f);
	/* as Apache passes on chunked bodies */
	ask_once(&f, &(struct question){.method = "POST", .uri = "/echo", .body = "abc", .extra = {"CONTENT_LENGTH", ""}});
	assert_string_equal(body(&f), "abc");
	disconnect(&f);
	ask_once(&f, &(struct question){.method = "POST", .uri = "/echo"});
	assert_int_equal(status(&f), 200);
	assert_string_equal(body(&f), "");
	disconnect(&f);

	expect_failure(&(struct question){.method = "POST", .uri = "/echo", .body = too_long}, 413, "payload_too_large",
	               "1000 bytes");
	expect_failure(&(struct question){.method = "POST", .uri = "/echo", .body = "x", .extra = {"CONTENT_LENGTH", "1001"}},
	               413, "payload_too_large", "1000 bytes");
	expect_failure(&(struct question){.method = "POST", .uri = "/echo", .body = "abc", .extra = {"CONTENT_LENGTH", "4"}},
	               400, "invalid_request", "has 3 bytes, not the 4");
	expect_failure(&(struct question){.method = "POST", .uri = "/echo", .body = "abc", .extra = {"CONTENT_LENGTH", "-1"}},
	               400, "invalid_request", "Content-Length");
	expect_failure(&(struct question){.method = "POST", .uri = "/echo", .body = "abc", .extra = {"CONTENT_LENGTH", "3x"}},
	               400, "invalid_request", "Content-Length");
}

static void
bodies_are_read_whole_and_bounded(void **state)
{
	(void)state;
	in_fiber(check_bodies, NULL);
}

static void
check_json(void *arg)
{
	static const char *const types[] = {"application/json", "application/json; charset=utf-8", "Application/JSON",
	                                    "application/json ;x"};
	static const char *const other_types[] = {"", "text/plain", "application/jsonp", "application", "application/json,x"};
	static const struct {
		const char *body, *says;
	} bad[] = {
	    {"", "not JSON"},
	    {"{\"a\":1,}", "byte 7"},
	    {"{\"a\":1} x", "byte 8"},
	    {"[1]", "not an object"},
	    {"7", "not an object"},
	    {"{\"a\":1,\"a\":2}", "twice"},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct front f;

		ask_once(&f, &(struct question){.method = "POST", .uri = "/json", .body = "{ \"a\": [1] }",
		                                .extra = {"CONTENT_TYPE", types[i]}});
		assert_string_equal(body(&f), "{\"a\":[1]}");
		disconnect(&f);
	}
	for (size_t i = 0; i < sizeof(other_types) / sizeof(other_types[0]); i++)
		expect_failure(&(struct question){.method = "POST", .uri = "/json", .body = "{}",
		                                  .extra = {"CONTENT_TYPE", other_types[i]}},
		               415, "unsupported_media_type", "application/json");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_failure(&(struct question){.method = "POST", .uri = "/json", .body = bad[i].body,
		                                  .extra = {"CONTENT_TYPE", "application/json"}},
		               400, "invalid_request", bad[i].says);
}

static void
json_bodies_are_checked_and_faults_located(void **state)
{
	(void)state;
	in_fiber(check_json, NULL);
}

/* ---- connections ---- */

static void
check_kept(void *arg)
{
	struct front f;

	(void)arg;
	connect_front(&f);
	for (int i = 0; i < 3; i++) {
		/* the body that this handler does not read must not stand in the way of the next request */
		ask(&f, &(struct question){.method = "GET", .uri = "/hello", .body = "unread", .keep = true});
		assert_string_equal(body(&f), "GET /hello ? 192.0.2.1 -");
		ask(&f, &(struct question){.method = "POST", .uri = "/echo", .body = "read", .keep = true});
		assert_string_equal(body(&f), "read");
		assert_false(f.closed);
	}
	ask(&f, &(struct question){.method = "GET", .uri = "/hello", .keep = false});
	assert_int_equal(status(&f), 200);
	read_answer(&f);
	assert_true(f.closed);
	disconnect(&f);
}

static void
a_connection_serves_requests_until_the_front_says_last(void **state)
{
	(void)state;
	in_fiber(check_kept, NULL);
}

static void
check_bytewise(void *arg)
{
	const char *const params[] = {"REQUEST_METHOD", "POST", "REQUEST_URI", "/echo", NULL};
	struct buffer b = BUFFER_INIT(BUFFER_MAX), one;
	struct front f;

	(void)arg;
	connect_front(&f);
	fcgi_client_begin(&b, false);
	fcgi_client_params(&b, params);
	fcgi_client_body(&b, "slowly", 6, 2);
	while (b.len > 0) {
		struct err err;

		one = BUFFER_INIT(1);
		assert_int_equal(buffer_append(&one, b.data, 1), 0);
		send_all(&f, &one);
		buffer_consume(&b, 1);
		if (b.len % 8 == 0)
			assert_int_equal(fiber_sleep(1, &err), 0);
	}
	buffer_free(&b);
	read_answer(&f);
	assert_string_equal(body(&f), "slowly");
	disconnect(&f);
}

static void
a_request_that_arrives_byte_by_byte_is_served(void **state)
{
	(void)state;
	in_fiber(check_bytewise, NULL);
}

static void
check_params_cut_off(void *arg)
{
	const char *const params[] = {"REQUEST_METHOD", "GET", "REQUEST_URI", "/late", NULL};
	struct buffer all = BUFFER_INIT(BUFFER_MAX);
	struct front f;

	(void)arg;
	connect_front(&f);
	fcgi_client_begin(&all, true);
	fcgi_client_params(&all, params);
	all.len -= 8;           /* the empty record that ends them: more were to come */
	send_all(&f, &all);
	shutdown(f.fd, SHUT_WR);
	read_answer(&f);
	assert_int_equal(f.answer.len, 0);
	disconnect(&f);
	assert_int_equal(requests_served, 0);
}

static void
a_request_whose_parameters_break_off_is_not_served(void **state)
{
	(void)state;
	requests_served = 0;
	in_fiber(check_params_cut_off, NULL);
}

static int
set_up(void **state)
{
	(void)state;
	log_init("test_router", LOG_LEVEL_ERROR, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	unsetenv("BAKAME_ENV_FILE");
	setenv("BAKAME_ENV", "development", 1);
	fcgi_init();
	router_init(table);
	return config_load(stderr);
}

static int
tear_down(void **state)
{
	config_unload();
	return in_fiber_teardown(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_request_reaches_the_handler_of_its_method_and_path),
	    cmocka_unit_test(events_without_a_flush_arrive_whole),
	    cmocka_unit_test(other_paths_are_not_found),
	    cmocka_unit_test(other_methods_are_told_which_are_allowed),
	    cmocka_unit_test(head_is_answered_like_get_without_the_body),
	    cmocka_unit_test(a_segment_of_the_path_can_be_a_parameter),
	    cmocka_unit_test(what_the_guard_refuses_does_not_reach_the_handler),
	    cmocka_unit_test(the_fronts_request_id_is_kept_if_it_is_fit_for_a_header),
	    cmocka_unit_test(a_header_with_control_characters_is_left_out),
	    cmocka_unit_test(a_handlers_error_is_sent_in_the_form_of_the_contract),
	    cmocka_unit_test(an_error_after_the_answer_began_adds_nothing),
	    cmocka_unit_test(what_went_well_in_the_end_is_logged_as_no_error),
	    cmocka_unit_test(a_request_past_its_deadline_is_ended_and_answered),
	    cmocka_unit_test(who_half_closes_while_we_write_has_left),
	    cmocka_unit_test(a_handler_is_cancelled_when_its_client_leaves),
	    cmocka_unit_test(bodies_are_read_whole_and_bounded),
	    cmocka_unit_test(json_bodies_are_checked_and_faults_located),
	    cmocka_unit_test(a_connection_serves_requests_until_the_front_says_last),
	    cmocka_unit_test(a_request_that_arrives_byte_by_byte_is_served),
	    cmocka_unit_test(a_request_whose_parameters_break_off_is_not_served),
	};

	return cmocka_run_group_tests_name("router", tests, set_up, tear_down);
}
