/* test_http_client.c - outgoing HTTP against a server that does as it is told */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "in_fiber.h"
#include "net/http_client.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/trace.h"
#include "tiny_server.h"

/* Far longer than anything here takes. */
#define PLENTY_MS 120000
#define CONNECT_MS PLENTY_MS

/* What server and test tell each other: each goes on when the other has got so far. */
struct cue {
	const char *text;               /* what is said */
	_Atomic bool go;                /* the server may */
	_Atomic bool said;              /* it has */
};

static void
await_cue(const _Atomic bool *flag)
{
	for (int64_t until = tiny_now_ms() + PLENTY_MS; !*flag && tiny_now_ms() < until;)
		tiny_pause(1);
}

static void
sleep_until_set(const _Atomic bool *flag)
{
	struct err err;

	while (!*flag)
		assert_int_equal(fiber_sleep(1, &err), 0);
}

/* What a test of one server knows. */
struct trial {
	struct tiny_server *server;
	const char *url;
	void *data;                     /* the same that the script got */
};

static void
with_server(void (*script)(int fd, void *arg), void (*check)(void *arg), void *data)
{
	struct trial t = {.data = data};

	t.server = tiny_server_start(script, data);
	t.url = tiny_server_url(t.server);
	in_fiber(check, &t);
	assert_int_equal(http_open_calls(), 0);
	tiny_server_stop(&t.server);
}

static int64_t
in_ms(int64_t ms)
{
	return loop_now_ms() + ms;
}

static struct http_call *
get(const char *url)
{
	const struct http_options o = {.method = "GET", .url = url, .connect_timeout_ms = CONNECT_MS};
	struct err err;
	struct http_call *call = http_open(&o, &err);

	assert_non_null(call);
	return call;
}

/* Call, expect this status and this body. */
static void
expect_answer(const char *url, long status, const char *body)
{
	struct http_call *call = get(url);
	struct err err = {0};
	char *text;
	size_t len;

	assert_int_equal(http_wait_status(call, in_ms(PLENTY_MS), &err), HTTP_READY);
	assert_int_equal(http_status(call), status);
	assert_int_equal(http_read_all(call, 1 << 20, in_ms(PLENTY_MS), &text, &len, &err), 0);
	assert_string_equal(text, body);
	assert_int_equal(len, strlen(body));
	assert_int_equal(http_call_failure(call), HTTP_FINE);
	free(text);
	http_close(&call);
	assert_null(call);
}

/* Call, expect it to fail like this, before or after the status. */
static void
expect_failure(const char *url, enum http_failure failure)
{
	struct http_call *call = get(url);
	struct err err = {0};
	const char *data;
	size_t len;
	enum http_event event = http_wait_status(call, in_ms(PLENTY_MS), &err);

	while (event == HTTP_READY) {
		event = http_read(call, in_ms(PLENTY_MS), &data, &len, &err);
		if (event == HTTP_READY)
			http_consume(call, len);
	}
	assert_int_equal(event, HTTP_FAILED);
	assert_int_equal(http_call_failure(call), failure);
	assert_int_equal(err.code, ERR_UPSTREAM);
	assert_true(err.message[0] != '\0' && err.cause[0] != '\0');
	http_close(&call);
}

/* A script: answer the first request with the text that is its argument, and close. */
static void
answer_text(int fd, void *arg)
{
	char request[4096];

	if (tiny_read_request(fd, request, sizeof(request)))
		tiny_send(fd, arg);
}

/* ---- answers ---- */

static void
check_status_and_headers(void *arg)
{
	const struct trial *t = arg;
	struct http_call *call = get(t->url);
	struct err err;
	const char *data;
	size_t len;

	assert_int_equal(http_open_calls(), 1);
	assert_int_equal(http_wait_status(call, in_ms(PLENTY_MS), &err), HTTP_READY);
	assert_int_equal(http_status(call), 418);
	assert_string_equal(http_header(call, "content-TYPE"), "text/plain");
	assert_null(http_header(call, "X-None"));
	assert_int_equal(http_wait_status(call, in_ms(PLENTY_MS), &err), HTTP_READY);
	assert_int_equal(http_read(call, in_ms(PLENTY_MS), &data, &len, &err), HTTP_READY);
	assert_int_equal(len, 4);
	assert_memory_equal(data, "body", 4);
	http_consume(call, 1);
	assert_int_equal(http_read(call, 0, &data, &len, &err), HTTP_READY);
	assert_memory_equal(data, "ody", 3);
	http_consume(call, 3);
	assert_int_equal(http_read(call, in_ms(PLENTY_MS), &data, &len, &err), HTTP_END);
	assert_int_equal(http_read(call, in_ms(PLENTY_MS), &data, &len, &err), HTTP_END);
	http_close(&call);
	http_close(&call);                      /* of none is nothing */
}

static void
status_headers_and_body_arrive(void **state)
{
	(void)state;
	with_server(answer_text, check_status_and_headers,
	            (void *)"HTTP/1.1 418 Teapot\r\nContent-Type: text/plain\r\n"
	                    "Content-Length: 4\r\n\r\nbody");
}

struct answer {
	const char *text;
	long status;
	const char *body;
};

static void
check_answer(void *arg)
{
	const struct trial *t = arg;
	const struct answer *a = t->data;

	expect_answer(t->url, a->status, a->body);
}

static void
send_answer(int fd, void *arg)
{
	const struct answer *a = arg;

	answer_text(fd, (void *)a->text);
}

static void
bodies_of_all_framings_are_read(void **state)
{
	static struct answer answers[] = {
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi"},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n4;x=y\r\n you\r\n0\r\n\r\n", 200,
	     "hi you"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n1\r\na\r\n0\r\nT: 1\r\n\r\n", 200,
	     "a"},
	    {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end", 200, "until the end"},
	    {"HTTP/1.0 200 OK\r\n\r\nold", 200, "old"},
	    {"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
	    {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx", 201,
	     "x"},
	    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nx", 500, "x"},
	    {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 5\r\n\r\nmoved", 302, "moved"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		with_server(send_answer, check_answer, &answers[i]);
}

static void
send_in_pieces(int fd, void *arg)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	                           "3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n";
	const size_t first = (size_t)(strstr(text, "3\r\ntwo") - text);
	struct cue *cue = arg;
	char request[4096];

	if (!tiny_read_request(fd, request, sizeof(request)))
		return;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		if (i == first)
			await_cue(&cue->go);
		tiny_send_bytes(fd, text + i, 1);
		tiny_pause(1);
	}
}

static void
check_pieces(void *arg)
{
	const struct trial *t = arg;
	struct http_call *call = get(t->url);
	struct buffer all = BUFFER_INIT(100);
	enum http_event event;
	struct cue *cue = t->data;
	const char *data;
	struct err err;
	size_t len;

	assert_int_equal(http_wait_status(call, in_ms(PLENTY_MS), &err), HTTP_READY);
	while ((event = http_read(call, in_ms(PLENTY_MS), &data, &len, &err)) == HTTP_READY) {
		assert_int_equal(buffer_append(&all, data, len), 0);
		http_consume(call, len);
		cue->go = true;         /* without which there is no more: nothing is held back until the end */
	}
	assert_int_equal(event, HTTP_END);
	assert_string_equal(all.data, "onetwothree");
	buffer_free(&all);
	http_close(&call);
}

static void
a_body_is_given_out_as_it_comes(void **state)
{
	struct cue cue = {0};

	(void)state;
	with_server(send_in_pieces, check_pieces, &cue);
}

/* What is shown must neither move nor change while its reader waits for something else: a
   slow client of ours, for one. */
#define MORE_BYTES 20000

static void
send_more_later(int fd, void *arg)
{
	static char more[MORE_BYTES];
	struct cue *cue = arg;
	char request[4096];

	if (!tiny_read_request(fd, request, sizeof(request)))
		return;
	tiny_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 20003\r\n\r\none");
	await_cue(&cue->go);
	memset(more, 'm', sizeof(more));
	for (size_t sent = 0; sent < sizeof(more); sent += 1000) {
		tiny_send_bytes(fd, more + sent, 1000);
		tiny_pause(2);
	}
	cue->said = true;
}

static void
check_shown_stays(void *arg)
{
	const struct trial *t = arg;
	struct http_call *call = get(t->url);
	struct cue *cue = t->data;
	enum http_event event;
	size_t len, total = 0;
	const char *data;
	struct err err;

	assert_int_equal(http_read(call, in_ms(PLENTY_MS), &data, &len, &err), HTTP_READY);
	cue->go = true;
	sleep_until_set(&cue->said);
	for (int i = 0; i < 10; i++)
		assert_int_equal(fiber_sleep(10, &err), 0);
	assert_memory_equal(data, "one", 3);    /* under ASan and valgrind this tells, if not here */
	assert_int_equal(len, 3);
	http_consume(call, 1);
	assert_int_equal(http_read(call, in_ms(PLENTY_MS), &data, &len, &err), HTTP_READY);
	assert_int_equal(len, 2);               /* what came meanwhile only after the rest of this */
	assert_memory_equal(data, "ne", 2);
	http_consume(call, 2);
	while ((event = http_read(call, in_ms(PLENTY_MS), &data, &len, &err)) == HTTP_READY) {
		for (size_t i = 0; i < len; i++)
			assert_int_equal(data[i], 'm');
		total += len;
		http_consume(call, len);
	}
	assert_int_equal(event, HTTP_END);
	assert_int_equal(total, MORE_BYTES);
	http_close(&call);
}

static void
what_is_shown_stays_while_more_arrives(void **state)
{
	struct cue cue = {0};

	(void)state;
	with_server(send_more_later, check_shown_stays, &cue);
}

/* ---- requests ---- */

static void
echo_request(int fd, void *arg)
{
	char request[8192], head[128];

	(void)arg;
	while (tiny_read_request(fd, request, sizeof(request))) {
		snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", strlen(request));
		tiny_send(fd, head);
		tiny_send(fd, request);
	}
}

static char *
echoed(const struct http_options *o)
{
	struct err err;
	struct http_call *call = http_open(o, &err);
	char *text;
	size_t len;

	assert_non_null(call);
	assert_int_equal(http_wait_status(call, in_ms(PLENTY_MS), &err), HTTP_READY);
	assert_int_equal(http_read_all(call, 1 << 20, in_ms(PLENTY_MS), &text, &len, &err), 0);
	http_close(&call);
	return text;
}

static void
check_request(void *arg)
{
	static const char *const headers[] = {"Content-Type: application/json", "Authorization: Bearer x", NULL};
	const struct trial *t = arg;
	char url[64], body[2000];
	struct http_options o = {.method = "POST", .headers = headers, .body = body, .connect_timeout_ms = CONNECT_MS};
	char *text;

	snprintf(url, sizeof(url), "%s/v1/x?y=z", t->url);
	memset(body, 'b', sizeof(body));        /* large enough for libcurl to ask "Expect: 100-continue" */
	o.url = url;
	o.body_len = sizeof(body);
	text = echoed(&o);
	assert_int_equal(strncmp(text, "POST /v1/x?y=z HTTP/1.1\r\n", 25), 0);
	assert_non_null(strstr(text, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(text, "\r\nAuthorization: Bearer x\r\n"));
	assert_non_null(strstr(text, "\r\nContent-Length: 2000\r\n"));
	assert_null(strstr(text, "Expect:"));
	assert_int_equal(strlen(strstr(text, "\r\n\r\n") + 4), sizeof(body));
	free(text);
	o = (struct http_options){.method = "GET", .url = url, .connect_timeout_ms = CONNECT_MS};
	text = echoed(&o);
	assert_int_equal(strncmp(text, "GET /v1/x?y=z HTTP/1.1\r\n", 24), 0);
	assert_null(strstr(text, "Content-Length"));
	free(text);
}

static void
method_headers_and_body_are_sent_as_given(void **state)
{
	(void)state;
	with_server(echo_request, check_request, NULL);
}

/* ---- failures ---- */

static void
check_refused(void *arg)
{
	expect_failure(arg, HTTP_NO_CONNECTION);
}

static void
a_refused_connection_is_told_as_such(void **state)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char url[64];

	(void)state;
	/* bound, so that nobody else gets the port, but not listening */
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", (unsigned)ntohs(addr.sin_port));
	in_fiber(check_refused, url);
	close(fd);
}

static void
check_protocol(void *arg)
{
	expect_failure(arg, HTTP_BROKEN);
}

static void
other_protocols_are_refused(void **state)
{
	(void)state;
	in_fiber(check_protocol, (void *)"file:///etc/passwd");
}

static void
check_connect_timeout(void *arg)
{
	const struct http_options o = {.method = "GET", .url = arg, .connect_timeout_ms = 200};
	int64_t start = loop_now_ms();
	struct err err = {0};
	struct http_call *call = http_open(&o, &err);

	assert_int_equal(http_wait_status(call, in_ms(PLENTY_MS), &err), HTTP_FAILED);
	assert_int_equal(http_call_failure(call), HTTP_NO_CONNECTION);
	assert_in_range(loop_now_ms() - start, 190, PLENTY_MS);
	http_close(&call);
}

static void
connecting_takes_no_longer_than_its_timeout(void **state)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int queued[4];
	char url[64];

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(listener, 0), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	/* nobody accepts: once the queue is full Linux drops what comes */
	for (size_t i = 0; i < 4; i++) {
		queued[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(queued[i], (struct sockaddr *)&addr, len);
	}
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", (unsigned)ntohs(addr.sin_port));
	in_fiber(check_connect_timeout, url);
	for (size_t i = 0; i < 4; i++)
		close(queued[i]);
	close(listener);
}

static void
check_broken(void *arg)
{
	const struct trial *t = arg;

	expect_failure(t->url, HTTP_BROKEN);
}

static void
answers_that_are_none_are_told_as_broken(void **state)
{
	static const char *const answers[] = {
	    "",
	    "hello\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nx",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		with_server(answer_text, check_broken, (void *)answers[i]);
}

static void
headers_that_break_off_are_told_as_broken(void **state)
{
	(void)state;
	with_server(answer_text, check_broken, (void *)"HTTP/1.1 200 OK\r\nContent-Le");
}

static void
reset_mid_body(int fd, void *arg)
{
	struct cue *cue = arg;

	answer_text(fd, (void *)(uintptr_t)cue->text);
	await_cue(&cue->go);            /* what it has not read by then is lost: tcp(7) */
	tiny_reset(fd);
}

static void
check_reset(void *arg)
{
	const struct trial *t = arg;
	struct http_call *call = get(t->url);
	struct cue *cue = t->data;
	struct err err = {0};
	const char *data;
	size_t len;

	assert_int_equal(http_wait_status(call, in_ms(PLENTY_MS), &err), HTTP_READY);
	assert_int_equal(http_read(call, in_ms(PLENTY_MS), &data, &len, &err), HTTP_READY);
	assert_memory_equal(data, "half", 4);
	http_consume(call, len);
	cue->go = true;
	assert_int_equal(http_read(call, in_ms(PLENTY_MS), &data, &len, &err), HTTP_FAILED);
	assert_int_equal(http_call_failure(call), HTTP_BROKEN);
	assert_int_equal(err.code, ERR_UPSTREAM);
	http_close(&call);
}

static void
what_came_before_a_reset_is_read_and_then_the_failure(void **state)
{
	struct cue cue = {.text = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"};

	(void)state;
	with_server(reset_mid_body, check_reset, &cue);
}

/* ---- floods ---- */

static void
endless_headers(int fd, void *arg)
{
	char request[4096], line[1024];

	if (!tiny_read_request(fd, request, sizeof(request)))
		return;
	tiny_send(fd, "HTTP/1.1 200 OK\r\n");
	memset(line, 'x', sizeof(line));
	memcpy(line, "X-Bomb: ", 8);
	if (arg != NULL)
		memcpy(line + sizeof(line) - 2, "\r\n", 2);
	for (size_t sent = 0; sent < (size_t)64 * 1024 * 1024; sent += sizeof(line))
		if (!tiny_send_bytes(fd, line, sizeof(line)))
			return;
	tiny_send(fd, "\r\nContent-Length: 0\r\n\r\n");
}

static void
an_endless_header_is_refused(void **state)
{
	(void)state;
	with_server(endless_headers, check_broken, NULL);
}

static void
endless_headers_are_refused(void **state)
{
	(void)state;
	with_server(endless_headers, check_broken, (void *)"many");
}

/* ---- a slow reader ---- */

#define FLOOD_BYTES ((size_t)32 * 1024 * 1024)
/* What the kernel's buffers of both sides may take: tcp(7), tcp_rmem and tcp_wmem. */
#define KERNEL_BYTES ((size_t)16 * 1024 * 1024)

static unsigned char
flood_byte(size_t at)
{
	return (unsigned char)(at * 31 + at / 1000);
}

static void
flood(int fd, void *arg)
{
	_Atomic size_t *sent = arg;
	char piece[4096];

	if (!tiny_read_request(fd, piece, sizeof(piece)))
		return;
	tiny_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n");
	while (*sent < FLOOD_BYTES) {
		for (size_t i = 0; i < sizeof(piece); i++)
			piece[i] = (char)flood_byte(*sent + i);
		if (!tiny_send_bytes(fd, piece, sizeof(piece)))
			return;
		*sent += sizeof(piece);
	}
}

static void
check_flood(void *arg)
{
	const struct trial *t = arg;
	_Atomic size_t *sent = t->data;
	struct http_call *call = get(t->url);
	size_t before, got = 0, len;
	enum http_event event;
	const char *data;
	struct err err;

	assert_int_equal(http_wait_status(call, in_ms(PLENTY_MS), &err), HTTP_READY);
	do {
		before = *sent;
		assert_int_equal(fiber_sleep(200, &err), 0);
	} while (*sent != before);
	assert_true(before < KERNEL_BYTES);
	while ((event = http_read(call, in_ms(PLENTY_MS), &data, &len, &err)) == HTTP_READY) {
		assert_true(len <= HTTP_BODY_HIGH_BYTES + (size_t)16 * 1024);
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)data[i] != flood_byte(got + i))
				fail_msg("byte %zu is wrong", got + i);
		got += len;
		http_consume(call, len);
	}
	assert_int_equal(event, HTTP_END);
	assert_int_equal(got, FLOOD_BYTES);
	http_close(&call);
}

static void
a_slow_reader_stops_its_sender_and_loses_nothing(void **state)
{
	_Atomic size_t sent = 0;

	(void)state;
	with_server(flood, check_flood, &sent);
}

static void
check_trickle(void *arg)
{
	const struct trial *t = arg;
	struct http_call *call = get(t->url);
	size_t got = 0, len;
	const char *data;
	struct err err;

	/* a byte at a time leaves the buffer nearly full all along */
	assert_int_equal(http_wait_status(call, in_ms(PLENTY_MS), &err), HTTP_READY);
	while (got < 20000) {
		assert_int_equal(http_read(call, in_ms(PLENTY_MS), &data, &len, &err), HTTP_READY);
		assert_int_equal((unsigned char)data[0], flood_byte(got));
		http_consume(call, 1);
		got++;
	}
	http_close(&call);
}

static void
a_reader_by_single_bytes_sees_them_in_order(void **state)
{
	_Atomic size_t sent = 0;

	(void)state;
	with_server(flood, check_trickle, &sent);
}

/* ---- cancelling ---- */

struct parting {
	const char *answer;             /* sent before the client leaves; NULL: nothing */
	_Atomic bool asked;
	_Atomic bool closed;            /* the server has seen the client go */
};

static void
await_parting(int fd, void *arg)
{
	struct parting *p = arg;
	char request[4096];

	if (!tiny_read_request(fd, request, sizeof(request)))
		return;
	if (p->answer != NULL)
		tiny_send(fd, p->answer);
	p->asked = true;
	p->closed = tiny_await_close(fd);
}

static void
check_close(void *arg)
{
	const struct trial *t = arg;
	struct parting *p = t->data;
	struct http_call *call = get(t->url);
	struct err err;

	if (p->answer != NULL)
		assert_int_equal(http_wait_status(call, in_ms(PLENTY_MS), &err), HTTP_READY);
	sleep_until_set(&p->asked);
	http_close(&call);
	await_cue(&p->closed);          /* without another turn of the loop */
	assert_true(p->closed);
}

static void
closing_early_closes_the_connection_at_once(void **state)
{
	struct parting before_headers = {0};
	struct parting mid_body = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"};
	struct parting mid_chunks = {.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"};

	(void)state;
	with_server(await_parting, check_close, &before_headers);
	with_server(await_parting, check_close, &mid_body);
	with_server(await_parting, check_close, &mid_chunks);
}

struct victim {
	const char *url;
	bool read_body;
	enum http_event event;
	struct err err;
};

static void
victim_main(void *arg)
{
	struct victim *v = arg;
	struct http_call *call = get(v->url);
	const char *data;
	size_t len;

	v->event = http_wait_status(call, in_ms(PLENTY_MS), &v->err);
	while (v->read_body && v->event == HTTP_READY) {
		v->event = http_read(call, in_ms(PLENTY_MS), &data, &len, &v->err);
		if (v->event == HTTP_READY)
			http_consume(call, len);
	}
	http_close(&call);
}

static void
check_cancel(void *arg)
{
	const struct trial *t = arg;
	struct parting *p = t->data;
	struct victim v = {.url = t->url, .read_body = p->answer != NULL};
	struct fiber *f = fiber_spawn(victim_main, &v);
	struct err err;

	sleep_until_set(&p->asked);
	assert_int_equal(fiber_sleep(20, &err), 0);
	fiber_cancel(f, FIBER_CLIENT_GONE);
	sleep_until_set(&p->closed);
	assert_int_equal(v.event, HTTP_CANCELLED);
	assert_int_equal(v.err.code, ERR_CANCELLED);
}

static void
a_cancelled_fiber_is_told_and_its_transfer_ends(void **state)
{
	struct parting before_headers = {0};
	struct parting mid_body = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"};

	(void)state;
	with_server(await_parting, check_cancel, &before_headers);
	with_server(await_parting, check_cancel, &mid_body);
}

/* ---- time ---- */

/* Headers and body, each when told. */
struct slow {
	_Atomic bool headers, body;
};

static void
answer_slowly(int fd, void *arg)
{
	struct slow *s = arg;
	char request[4096];

	if (!tiny_read_request(fd, request, sizeof(request)))
		return;
	await_cue(&s->headers);
	tiny_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
	await_cue(&s->body);
	tiny_send(fd, "body");
}

static void
check_timeouts(void *arg)
{
	const struct trial *t = arg;
	struct http_call *call = get(t->url);
	struct slow *s = t->data;
	unsigned timeouts = 0;
	enum http_event event;
	const char *data;
	struct err err;
	size_t len;

	while ((event = http_wait_status(call, in_ms(20), &err)) == HTTP_TIMEOUT)
		s->headers = ++timeouts >= 2;
	assert_int_equal(event, HTTP_READY);
	assert_true(timeouts >= 2);
	timeouts = 0;
	while ((event = http_read(call, in_ms(20), &data, &len, &err)) == HTTP_TIMEOUT)
		s->body = ++timeouts >= 2;
	assert_int_equal(event, HTTP_READY);
	assert_true(timeouts >= 2);
	assert_int_equal(http_call_failure(call), HTTP_FINE);
	http_close(&call);
}

static void
a_wait_that_times_out_leaves_the_call_going(void **state)
{
	struct slow s = {0};

	(void)state;
	with_server(answer_slowly, check_timeouts, &s);
}

static void
check_read_all_errors(void *arg)
{
	const struct trial *t = arg;
	struct http_call *call = get(t->url);
	struct slow *s = t->data;
	struct err err = {0};
	char *text;
	size_t len;

	assert_int_equal(http_wait_status(call, in_ms(PLENTY_MS), &err), HTTP_READY);
	assert_int_equal(http_read_all(call, 100, in_ms(10), &text, &len, &err), -1);
	assert_int_equal(err.code, ERR_UPSTREAM_TIMEOUT);
	s->body = true;
	assert_int_equal(http_read_all(call, 3, in_ms(PLENTY_MS), &text, &len, &err), -1);
	assert_int_equal(err.code, ERR_UPSTREAM);
	http_close(&call);
}

static void
read_all_has_bounds_of_time_and_size(void **state)
{
	struct slow s = {.headers = true};

	(void)state;
	with_server(answer_slowly, check_read_all_errors, &s);
}

/* ---- Retry-After ---- */

struct retry_after {
	const char *line;
	int64_t min, max;
};

static void
answer_retry_after(int fd, void *arg)
{
	const struct retry_after *r = arg;
	char text[512];

	snprintf(text, sizeof(text), "HTTP/1.1 503 No\r\n%sContent-Length: 0\r\n\r\n", r->line);
	answer_text(fd, text);
}

static void
check_retry_after(void *arg)
{
	const struct trial *t = arg;
	const struct retry_after *r = t->data;
	struct http_call *call = get(t->url);
	struct err err;
	int64_t secs;

	assert_int_equal(http_wait_status(call, in_ms(PLENTY_MS), &err), HTTP_READY);
	secs = http_retry_after_secs(call);
	if (secs < r->min || secs > r->max)
		fail_msg("%s gave %lld", r->line, (long long)secs);
	http_close(&call);
}

static void
try_retry_after(const char *value, int64_t min, int64_t max)
{
	char line[128];
	struct retry_after r = {.line = line, .min = min, .max = max};

	snprintf(line, sizeof(line), "Retry-After: %s\r\n", value);
	with_server(answer_retry_after, check_retry_after, &r);
}

/* RFC 9110, 5.6.7: an IMF-fixdate. */
static void
try_retry_at(time_t when, int64_t min, int64_t max)
{
	char date[64];
	struct tm tm;

	gmtime_r(&when, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	try_retry_after(date, min, max);
}

static void
retry_after_is_read_in_seconds_and_as_a_date(void **state)
{
	struct retry_after none = {.line = "", .min = -1, .max = -1};

	(void)state;
	with_server(answer_retry_after, check_retry_after, &none);
	try_retry_after("0", 0, 0);
	try_retry_after("120", 120, 120);
	try_retry_at(time(NULL) + 7200, 3600, 7200);
	try_retry_at(time(NULL) - 60, 0, 0);
}

static void
retry_after_without_sense_is_ignored(void **state)
{
	static const char *const values[] = {"-5", "soon", "1.5", "86401", "99999999999999999999", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		try_retry_after(values[i], -1, -1);
	try_retry_at(time(NULL) + 10 * 86400, -1, -1);
}

/* ---- connections ---- */

static void
check_reuse(void *arg)
{
	struct trial *t = arg;

	for (int i = 0; i < 10; i++) {
		const struct http_options o = {.method = "GET", .url = t->url, .connect_timeout_ms = CONNECT_MS};

		free(echoed(&o));
	}
	assert_int_equal(tiny_server_connections(t->server), 1);
}

static void
a_connection_is_used_again(void **state)
{
	(void)state;
	with_server(echo_request, check_reuse, NULL);
}

static void
check_stale(void *arg)
{
	struct trial *t = arg;
	struct err err;

	expect_answer(t->url, 200, "hi");
	assert_int_equal(fiber_sleep(50, &err), 0);     /* the server has closed meanwhile */
	expect_answer(t->url, 200, "hi");
	assert_int_equal(tiny_server_connections(t->server), 2);
}

static void
a_kept_connection_that_was_closed_is_replaced(void **state)
{
	(void)state;
	with_server(answer_text, check_stale, (void *)"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
}

/* Answer with the request's path. */
static void
answer_path(int fd, void *arg)
{
	char request[4096], text[256], path[64];

	(void)arg;
	while (tiny_read_request(fd, request, sizeof(request))) {
		if (sscanf(request, "GET %63s", path) != 1)
			return;
		snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(path), path);
		tiny_pause(5);
		tiny_send(fd, text);
	}
}

/* Above the number of calls up to which connections are used again. */
#define AT_ONCE 300

struct one_of_many {
	const char *url;
	unsigned number;
	unsigned *rightly;
};

static void
one_of_many_main(void *arg)
{
	struct one_of_many *o = arg;
	char path[32], url[80];

	snprintf(path, sizeof(path), "/call/%u", o->number);
	snprintf(url, sizeof(url), "%s%s", o->url, path);
	expect_answer(url, 200, path);
	(*o->rightly)++;
}

static void
check_many(void *arg)
{
	const struct trial *t = arg;
	struct one_of_many *calls = mem_alloc(AT_ONCE * sizeof(*calls));
	unsigned rightly = 0;
	struct err err;

	for (unsigned i = 0; i < AT_ONCE; i++) {
		calls[i] = (struct one_of_many){.url = t->url, .number = i, .rightly = &rightly};
		fiber_spawn(one_of_many_main, &calls[i]);
	}
	while (fiber_count() > 1)
		assert_int_equal(fiber_sleep(5, &err), 0);
	assert_int_equal(rightly, AT_ONCE);
	free(calls);
}

static void
hundreds_of_calls_at_once_get_their_own_answers(void **state)
{
	(void)state;
	with_server(answer_path, check_many, NULL);
}

static int
set_up(void **state)
{
	(void)state;
	http_client_start(64);
	return 0;
}

static int
tear_down(void **state)
{
	http_client_stop();
	return in_fiber_teardown(state);
}

/* ---- traces ---- */

static void
check_span(void *arg)
{
	const struct trial *t = arg;
	const char *host = strstr(t->url, "://") + 3;
	struct buffer spans = BUFFER_INIT((size_t)1 << 20);
	char url[128], name[128];

	trace_record(true);
	assert_true(trace_read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", fiber_trace()));
	snprintf(url, sizeof(url), "http://ada:word@%s", host);
	snprintf(name, sizeof(name), "\"name\":\"GET %.*s\"", (int)strcspn(host, "/"), host);
	expect_answer(url, 200, "hi");
	assert_int_equal(trace_take(&spans, "test", "1"), 1);
	if (strstr(spans.data, name) == NULL || strstr(spans.data, "word") != NULL)
		fail_msg("%s", spans.data);
	buffer_free(&spans);
	trace_forget();
}

static void
a_span_names_the_server_and_no_password(void **state)
{
	static struct answer answer = {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi"};

	(void)state;
	with_server(send_answer, check_span, &answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(status_headers_and_body_arrive),
	    cmocka_unit_test(bodies_of_all_framings_are_read),
	    cmocka_unit_test(a_span_names_the_server_and_no_password),
	    cmocka_unit_test(a_body_is_given_out_as_it_comes),
	    cmocka_unit_test(what_is_shown_stays_while_more_arrives),
	    cmocka_unit_test(method_headers_and_body_are_sent_as_given),
	    cmocka_unit_test(a_refused_connection_is_told_as_such),
	    cmocka_unit_test(other_protocols_are_refused),
	    cmocka_unit_test(connecting_takes_no_longer_than_its_timeout),
	    cmocka_unit_test(answers_that_are_none_are_told_as_broken),
	    cmocka_unit_test(what_came_before_a_reset_is_read_and_then_the_failure),
	    cmocka_unit_test(an_endless_header_is_refused),
	    cmocka_unit_test(endless_headers_are_refused),
	    cmocka_unit_test(a_slow_reader_stops_its_sender_and_loses_nothing),
	    cmocka_unit_test(a_reader_by_single_bytes_sees_them_in_order),
	    cmocka_unit_test(closing_early_closes_the_connection_at_once),
	    cmocka_unit_test(a_cancelled_fiber_is_told_and_its_transfer_ends),
	    cmocka_unit_test(a_wait_that_times_out_leaves_the_call_going),
	    cmocka_unit_test(read_all_has_bounds_of_time_and_size),
	    cmocka_unit_test(retry_after_is_read_in_seconds_and_as_a_date),
	    cmocka_unit_test(retry_after_without_sense_is_ignored),
	    cmocka_unit_test(a_connection_is_used_again),
	    cmocka_unit_test(a_kept_connection_that_was_closed_is_replaced),
	    cmocka_unit_test(hundreds_of_calls_at_once_get_their_own_answers),
	    cmocka_unit_test(headers_that_break_off_are_told_as_broken),
	};

	return cmocka_run_group_tests_name("http_client", tests, set_up, tear_down);
}
