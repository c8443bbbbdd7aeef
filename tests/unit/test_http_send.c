/* test_http_send.c - request bodies that are sent piece by piece */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "in_fiber.h"
#include "net/http_client.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "tiny_server.h"

#define PLENTY_MS 120000
#define BODY_BYTES ((size_t)300 * 1000)
#define ROOM ((size_t)400 * 1000)
#define SHA256 "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct trial {
	const char *url;
	char *request;                  /* as the server got it */
	size_t piece;                   /* of the body that is sent at once */
	bool sign;
	size_t greeting;                /* bytes of its ClientHello */
};

static void
take_request(int fd, void *arg)
{
	struct trial *t = arg;

	if (tiny_read_request(fd, t->request, ROOM))
		tiny_send(fd, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
}

static void
refuse_at_once(int fd, void *arg)
{
	(void)arg;
	tiny_send(fd, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	tiny_await_close(fd);
}

static void
say_nothing(int fd, void *arg)
{
	(void)arg;
	tiny_await_close(fd);
}

static struct http_call *
put(const struct trial *t)
{
	static const char *const headers[] = {SHA256, NULL};
	struct err err;
	struct http_call *call = http_open(&(struct http_options){.method = "PUT",
	                                                          .url = t->url,
	                                                          .headers = t->sign ? headers : NULL,
	                                                          .upload_bytes = (int64_t)BODY_BYTES,
	                                                          .aws_sigv4 = t->sign ? "aws:amz:r-1:s3" : NULL,
	                                                          .user_password = t->sign ? "KEY:secret" : NULL,
	                                                          .connect_timeout_ms = PLENTY_MS},
	                                   &err);

	assert_non_null(call);
	return call;
}

static char *
make_body(void)
{
	char *body = mem_alloc(BODY_BYTES + 1);

	for (size_t i = 0; i < BODY_BYTES; i++)
		body[i] = (char)('a' + i * 7 / 11 % 26);
	return body;
}

static void
send_body(void *arg)
{
	struct trial *t = arg;
	struct http_call *call = put(t);
	char *body = make_body();
	struct err err;

	for (size_t at = 0, len; at < BODY_BYTES; at += len) {
		len = BODY_BYTES - at < t->piece ? BODY_BYTES - at : t->piece;
		/* from memory that is gone after */
		char *piece = mem_alloc(len);

		memcpy(piece, body + at, len);
		assert_int_equal(http_send(call, piece, len, loop_now_ms() + PLENTY_MS, &err), HTTP_READY);
		free(piece);
		if (at < t->piece * 3)          /* let libcurl find that there is nothing to send */
			assert_int_equal(fiber_sleep(5, &err), 0);
	}
	assert_int_equal(http_wait_status(call, loop_now_ms() + PLENTY_MS, &err), HTTP_READY);
	assert_int_equal(http_status(call), 201);
	http_close(&call);
	free(body);
}

static void
with_server(void (*script)(int fd, void *arg), void (*check)(void *arg), struct trial *t)
{
	struct tiny_server *server;

	t->request = mem_alloc(ROOM);
	server = tiny_server_start(script, t);
	t->url = tiny_server_url(server);
	in_fiber(check, t);
	assert_int_equal(http_open_calls(), 0);
	tiny_server_stop(&server);
}

/* ---- what is spoken ---- */

/* A ClientHello names what the client speaks (RFC 7301). */
static void
take_hello(int fd, void *arg)
{
	struct trial *t = arg;
	ssize_t n;

	for (size_t got = 0; got < 5 || got < 5 + ((size_t)(uint8_t)t->request[3] << 8 | (uint8_t)t->request[4]); got += (size_t)n) {
		n = recv(fd, t->request + got, ROOM - got, 0);
		if (n <= 0)
			return;
		t->greeting = got + (size_t)n;
	}
}

static void
greet(void *arg)
{
	struct trial *t = arg;
	char url[64];
	struct err err;
	struct http_call *call;

	snprintf(url, sizeof(url), "https%s", strstr(t->url, "://"));
	call = http_open(&(struct http_options){.method = "PUT",
	                                        .url = url,
	                                        .body = t->piece == 0 ? "all of it" : NULL,
	                                        .body_len = t->piece == 0 ? strlen("all of it") : 0,
	                                        .upload_bytes = (int64_t)t->piece,
	                                        .connect_timeout_ms = PLENTY_MS},
	                 &err);
	assert_non_null(call);
	assert_int_not_equal(http_wait_status(call, loop_now_ms() + PLENTY_MS, &err), HTTP_READY);
	http_close(&call);
}

static void
only_a_body_that_is_there_goes_over_http2(void **state)
{
	static const char h2[] = "\x02h2", http1[] = "\x08http/1.1";

	(void)state;
	for (size_t piece = 0; piece <= BODY_BYTES; piece += BODY_BYTES) {
		struct trial t = {.piece = piece};

		with_server(take_hello, greet, &t);
		assert_non_null(memmem(t.request, t.greeting, http1, strlen(http1)));
		assert_int_equal(memmem(t.request, t.greeting, h2, strlen(h2)) != NULL, piece == 0);
		free(t.request);
	}
}

static void
a_body_arrives_whole_whatever_its_pieces(void **state)
{
	static const size_t pieces[] = {1000, 65536, BODY_BYTES};

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct trial t = {.piece = pieces[i]};
		char *body = make_body();

		with_server(take_request, send_body, &t);
		assert_non_null(strstr(t.request, "Content-Length: 300000\r\n"));
		assert_string_equal(strstr(t.request, "\r\n\r\n") + 4, body);
		free(body);
		free(t.request);
	}
}

static void
a_request_is_signed_as_aws_wants_it(void **state)
{
	struct trial t = {.piece = 65536, .sign = true};

	(void)state;
	with_server(take_request, send_body, &t);
	assert_non_null(strstr(t.request, "Authorization: AWS4-HMAC-SHA256 Credential=KEY/"));
	assert_non_null(strstr(t.request, "/r-1/s3/aws4_request"));
	assert_non_null(strstr(t.request, SHA256));
	assert_null(strstr(t.request, "secret"));
	free(t.request);
}

static void
send_to_who_does_not_want_it(void *arg)
{
	struct trial *t = arg;
	struct http_call *call = put(t);
	char *body = make_body();
	struct err err;
	enum http_event event = http_send(call, body, 3000, loop_now_ms() + PLENTY_MS, &err);

	/* once the answer is there, what is left of the body is far more than is taken until it is noticed */
	if (event == HTTP_READY)
		assert_int_equal(http_wait_status(call, loop_now_ms() + PLENTY_MS, &err), HTTP_READY);
	for (int i = 1; i < 100 && event == HTTP_READY; i++) {
		event = http_send(call, body, 3000, loop_now_ms() + PLENTY_MS, &err);
		assert_int_equal(fiber_sleep(5, &err), 0);
	}
	assert_int_equal(event, HTTP_END);
	assert_int_equal(http_status(call), 403);
	http_close(&call);
	free(body);
}

static void
an_answer_before_the_end_of_the_body_ends_the_sending(void **state)
{
	struct trial t = {0};

	(void)state;
	with_server(refuse_at_once, send_to_who_does_not_want_it, &t);
	free(t.request);
}

static void
send_late(void *arg)
{
	struct trial *t = arg;
	struct http_call *call = put(t);
	char *body = make_body();
	struct err err;

	assert_int_equal(http_send(call, body, 100, loop_now_ms() + PLENTY_MS, &err), HTTP_READY);
	fiber_cancel(fiber_self(), FIBER_CLIENT_GONE);
	assert_int_equal(http_send(call, body, BODY_BYTES - 100, loop_now_ms() + PLENTY_MS, &err), HTTP_CANCELLED);
	http_close(&call);
	free(body);
}

static void
a_cancelled_fiber_sends_no_more(void **state)
{
	struct trial t = {0};

	(void)state;
	with_server(say_nothing, send_late, &t);
	free(t.request);
}

static int
setup(void **state)
{
	(void)state;
	http_client_start(8);
	return 0;
}

static int
teardown(void **state)
{
	http_client_stop();
	return in_fiber_teardown(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_a_body_that_is_there_goes_over_http2),
	    cmocka_unit_test(a_body_arrives_whole_whatever_its_pieces),
	    cmocka_unit_test(a_request_is_signed_as_aws_wants_it),
	    cmocka_unit_test(an_answer_before_the_end_of_the_body_ends_the_sending),
	    cmocka_unit_test(a_cancelled_fiber_sends_no_more),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
