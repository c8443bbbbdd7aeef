/*
 * fuzz_fcgi.c - what a front may send over a FastCGI connection.
 *
 * Whatever it is: once the front is done the connection ends soon, with no request left
 * running; nothing is served whose parameters did not arrive whole; what is answered are
 * whole records, and each answer begins with its status and request id.  Parameters of the query
 * are text or refused, and a page of another site may not write.
 *
 * The input is a list of what the front does, an operation a byte:
 *   B flags role          begin a request          P name len value      add a parameter
 *   E                     end of the parameters    S len pad content     a piece of the body
 *   D len                 64 * len bytes of body   Z                     end of the body; wait for the answer
 *   Q len content         parameters as they are   O type id len content another record
 *   V                     a record of version 2    T                     half a record, and the end
 *   |                     wait until all is quiet
 *
 * Raw bytes would mostly find what libfcgi 2.4.2 does wrong and no front provokes: it
 * loses 48 bytes for each management record (request id 0) of a type that it does not know, does
 * not bound its answers to those that it knows, and allocates whatever length a parameter announces.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/text.h"
#include "config/config.h"
#include "fuzz.h"
#include "guard/auth.h"
#include "http/fcgi.h"
#include "http/query.h"
#include "http/request.h"
#include "http/response.h"
#include "http/router.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"

#define INPUT_MAX 4096
#define BODY_MAX 8192
/* Turns of the loop without an effect after which nothing more is to come. */
#define QUIET_TURNS 8
#define TURNS_MAX 10000
#define HEADER_BYTES 8
#define REQUEST_ID 1

/* Types of records: FastCGI 1.0, 8. */
enum { BEGIN_REQUEST = 1, END_REQUEST = 3, PARAMS = 4, STDIN = 5, STDOUT = 6 };

static unsigned running, served, closed;

/* ---- the application ---- */

static int
echo_body(struct request *rq, struct err *err)
{
	const char *data;
	size_t len;

	if (request_read_body(rq, BODY_MAX, &data, &len, err) == -1)
		return -1;
	return response_text(rq, 200, "application/octet-stream", data, len);
}

static int
echo_json(struct request *rq, struct err *err)
{
	struct json_object *body = request_read_json(rq, BODY_MAX, err);

	return body != NULL ? response_json(rq, 200, body) : -1;
}

/* A parameter of the query is text, or refused. */
static void
check_query(const struct request *rq)
{
	struct err err;
	const char *text = query_text(rq, "q", &err);
	int64_t number;

	REQUIRE(text == NULL ? err.code == ERR_INVALID_REQUEST : text_is_utf8(text, strlen(text)));
	if (query_int(rq, "limit", 1, 100, 20, &number, &err) == 0)
		REQUIRE(number >= 1 && number <= 100);
	else
		REQUIRE(err.code == ERR_INVALID_REQUEST);
}

/* With no site allowed but its own, a page of another one may look and not write. */
static void
check_origin(const struct request *rq)
{
	const char *origin = request_header(rq, "Origin");
	const char *host = request_header(rq, "Host");
	const char *site = request_header(rq, "Sec-Fetch-Site");
	const bool reads = strcmp(rq->method, "POST") != 0;
	struct err err;
	const bool may = auth_check_origin(rq, &err) == 0;

	if (reads)
		REQUIRE(may || strcmp(rq->method, "GET") != 0);
	else if (site != NULL)
		REQUIRE(may == (strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0));
	else if (origin == NULL)
		REQUIRE(may);
	else if (may)
		REQUIRE(host != NULL && *host != '\0' && strcasestr(origin, "://") != NULL);
	REQUIRE(may || err.code == ERR_FORBIDDEN);
}

static int
leave_body(struct request *rq, struct err *err)
{
	const char *value = request_header(rq, "X-Test");

	(void)err;
	check_query(rq);
	check_origin(rq);
	response_header(rq, "X-Test", "%s", value != NULL ? value : "");
	return response_text(rq, 200, "text/plain", rq->query, strlen(rq->query));
}

static const struct route table[] = {
    {"POST", "/echo", NULL, echo_body, BODY_MAX, false},
    {"POST", "/json", NULL, echo_json, BODY_MAX, false},
    {"GET", "/hello", NULL, leave_body, 0, false},
    {"POST", "/hello", NULL, leave_body, 0, false},
    {0},
};

static void
on_request(struct fcgi *c)
{
	running++;
	served++;
	router_serve(c);
	running--;
}

static void
on_closed(struct fcgi *c)
{
	(void)c;
	closed++;
}

static const struct fcgi_events events = {.request = on_request, .closed = on_closed};

static void
do_nothing_cb(uv_timer_t *timer)
{
	(void)timer;
}

static void
start(void)
{
	static uv_timer_t keep_alive;   /* as the listening socket does: a loop without any handle does not run */
	static bool started;

	if (started)
		return;
	unsetenv("BAKAME_ENV_FILE");
	setenv("BAKAME_ENV", "development", 1);
	REQUIRE(config_load(stderr) == 0);
	log_init("fuzz_fcgi", LOG_LEVEL_ERROR, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	fcgi_init();
	router_init(table);
	uv_timer_init(loop_get(), &keep_alive);
	uv_timer_start(&keep_alive, do_nothing_cb, 1000, 1000);
	started = true;
}

/* ---- the front ---- */

struct front {
	const uint8_t *input, *end;     /* what is left to do */
	int fd;
	unsigned params_ended;
	bool plain_params;              /* from now on: bytes below 0x80, so that no length takes four */
	struct buffer answer;
};

static const char *const names[] = {
    "REQUEST_METHOD", "REQUEST_URI", "CONTENT_TYPE", "CONTENT_LENGTH", "REQUEST_ID", "REMOTE_ADDR",
    "HTTP_X_TEST",    "SCRIPT_NAME", "QUERY_STRING", "HTTP_COOKIE",    "",           "X=Y",
    "HTTP_HOST",      "HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_TRACEPARENT",
};

static bool
read_answer(struct front *f)
{
	char piece[4096];
	ssize_t n;
	bool any = false;

	while ((n = recv(f->fd, piece, sizeof(piece), MSG_DONTWAIT)) > 0) {
		REQUIRE(buffer_append(&f->answer, piece, (size_t)n) == 0);
		any = true;
	}
	return any;
}

static void
run_until_quiet(struct front *f)
{
	for (int quiet = 0; quiet < QUIET_TURNS; quiet++) {
		uv_run(loop_get(), UV_RUN_NOWAIT);
		if (read_answer(f))
			quiet = 0;
	}
}

static void
run_until_closed(struct front *f)
{
	for (int turns = 0; closed == 0; turns++) {
		REQUIRE(turns < TURNS_MAX);
		uv_run(loop_get(), UV_RUN_NOWAIT);
		(void)read_answer(f);
	}
	uv_run(loop_get(), UV_RUN_NOWAIT);      /* frees it */
	(void)read_answer(f);
}

/* Send all that the other side takes: it may have closed. */
static void
send_bytes(struct front *f, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = send(f->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n == -1 && errno == EAGAIN && closed == 0) {
			run_until_quiet(f);
			continue;
		}
		if (n == -1)
			return;
		p += n;
		len -= (size_t)n;
	}
}

static void
send_record(struct front *f, uint8_t type, uint8_t id, const void *content, size_t len, uint8_t padding)
{
	const uint8_t header[HEADER_BYTES] = {1, type, 0, id, (uint8_t)(len >> 8), (uint8_t)len, padding, 0};
	static const uint8_t pad[255];

	send_bytes(f, header, sizeof(header));
	send_bytes(f, content, len);
	send_bytes(f, pad, padding);
}

static uint8_t
take_byte(struct front *f)
{
	return f->input < f->end ? *f->input++ : 0;
}

/* A length, and so many bytes or as many as there are. */
static size_t
take_content(struct front *f, const uint8_t **content_r)
{
	size_t len = take_byte(f);

	if (len > (size_t)(f->end - f->input))
		len = (size_t)(f->end - f->input);
	*content_r = f->input;
	f->input += len;
	return len;
}

static void
begin(struct front *f)
{
	uint8_t body[8] = {0};

	body[2] = take_byte(f);
	body[1] = take_byte(f);
	send_record(f, BEGIN_REQUEST, REQUEST_ID, body, sizeof(body), 0);
}

static void
send_plain_params(struct front *f, const uint8_t *content, size_t len)
{
	uint8_t plain[512];

	for (size_t i = 0; i < len; i++)
		plain[i] = content[i] & 0x7F;
	send_record(f, PARAMS, REQUEST_ID, plain, len, 0);
}

static void
send_param(struct front *f)
{
	const char *name = names[take_byte(f) % (sizeof(names) / sizeof(names[0]))];
	size_t name_len = strlen(name), n = 0, len;
	const uint8_t *value;
	uint8_t content[512];

	len = take_content(f, &value);
	content[n++] = (uint8_t)name_len;
	if (len >= 0x80) {
		memcpy(content + n, "\x80\0\0", 3);
		n += 3;
	}
	content[n++] = (uint8_t)len;
	memcpy(content + n, name, name_len);
	memcpy(content + n + name_len, value, len);
	n += name_len + len;
	if (f->plain_params)
		send_plain_params(f, content, n);
	else
		send_record(f, PARAMS, REQUEST_ID, content, n, 0);
}

static void
send_raw_params(struct front *f)
{
	const uint8_t *content;
	size_t len = take_content(f, &content);

	f->plain_params = true;
	if (len > 0)                    /* an empty record is their end: that is E */
		send_plain_params(f, content, len);
}

static void
send_piece(struct front *f)
{
	const uint8_t *content;
	size_t len = take_content(f, &content);

	if (len > 0)
		send_record(f, STDIN, REQUEST_ID, content, len, take_byte(f));
}

static void
send_bulk(struct front *f)
{
	static const uint8_t bulk[255 * 64];

	send_record(f, STDIN, REQUEST_ID, bulk, take_byte(f) * (size_t)64, 0);
}

/* Any type, but parameters only of other requests: those of this one see above. */
static void
send_other(struct front *f)
{
	uint8_t type = take_byte(f);
	uint8_t id = (uint8_t)(REQUEST_ID + take_byte(f) % 3);
	const uint8_t *content;
	size_t len = take_content(f, &content);

	if (type != PARAMS || id != REQUEST_ID)
		send_record(f, type, id, content, len, 0);
}

/* Do the next thing of the input. */
static void
act(struct front *f)
{
	switch (take_byte(f)) {
	case 'B':
		begin(f);
		break;
	case 'P':
		send_param(f);
		break;
	case 'Q':
		send_raw_params(f);
		break;
	case 'E':
		send_record(f, PARAMS, REQUEST_ID, NULL, 0, 0);
		f->params_ended++;
		break;
	case 'S':
		send_piece(f);
		break;
	case 'D':
		send_bulk(f);
		break;
	case 'Z':
		send_record(f, STDIN, REQUEST_ID, NULL, 0, 0);
		run_until_quiet(f);
		break;
	case 'O':
		send_other(f);
		break;
	case 'V':
		send_bytes(f, "\2\5\0\1\0\0\0\0", HEADER_BYTES);
		break;
	case 'T':
		send_bytes(f, "\1\5\0\1\0\x10\0\0half", HEADER_BYTES + 4);
		f->input = f->end;
		break;
	case '|':
		run_until_quiet(f);
		break;
	default:
		break;
	}
}

/* ---- what came back ---- */

static void
check_output(const struct buffer *out)
{
	if (out->len == 0)
		return;                         /* the request was ended before its answer */
	REQUIRE(memmem(out->data, out->len, "\r\n\r\n", 4) != NULL);
	REQUIRE(memmem(out->data, out->len, "Status: ", 8) != NULL);
	REQUIRE(memmem(out->data, out->len, "\r\nX-Request-Id: ", 16) != NULL);
}

static void
check_answer(const struct buffer *answer)
{
	struct buffer out = BUFFER_INIT(SIZE_MAX / 2);
	size_t at = 0;

	while (at < answer->len) {
		const uint8_t *header = (const uint8_t *)answer->data + at;
		size_t len;

		REQUIRE(answer->len - at >= HEADER_BYTES);
		len = (size_t)header[4] << 8 | header[5];
		REQUIRE(header[0] == 1);
		REQUIRE(header[1] == END_REQUEST || header[1] == STDOUT);
		REQUIRE(answer->len - at >= HEADER_BYTES + len + header[6]);
		if (header[1] == STDOUT)
			REQUIRE(buffer_append(&out, header + HEADER_BYTES, len) == 0);
		if (header[1] == END_REQUEST) {
			check_output(&out);
			buffer_free(&out);
		}
		at += HEADER_BYTES + len + header[6];
	}
	buffer_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct front f = {.input = data, .end = data + size, .answer.max = SIZE_MAX / 2};
	int fds[2];

	if (size == 0 || size > INPUT_MAX)
		return 0;
	start();
	served = 0;
	closed = 0;
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	f.fd = fds[0];
	fcgi_open(fds[1], &events);
	while (f.input < f.end)
		act(&f);
	run_until_quiet(&f);
	shutdown(f.fd, SHUT_WR);
	run_until_closed(&f);
	REQUIRE(closed == 1 && running == 0 && fiber_count() == 0);
	REQUIRE(served <= f.params_ended);
	check_answer(&f.answer);
	close(f.fd);
	buffer_free(&f.answer);
	return 0;
}
