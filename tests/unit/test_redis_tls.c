/* test_redis_tls.c - rediss:// against a private redis-server with a certificate of ours; where hiredis has TLS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "config/config.h"
#include "free_port.h"
#include "in_fiber.h"
#include "net/breaker.h"
#include "net/redis.h"
#include "redis_process.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"
#include "tiny_server.h"

#define W(text) REDIS_TEXT(text)
#define LARGE_BYTES ((size_t)1024 * 1024)
#define CROWD 64
#define ATTEMPTS 5
#define PATIENCE_MS 120000
#define LOOK_MS 100

static struct redis_process server;
static char directory[] = "/tmp/bakame-unit-tls-XXXXXX";
static char tls_port[8];
/* The server's, for localhost; one of somebody else, of any name. */
static char certificate[64], key[64], foreign[64], foreign_key[64];

static void
make_certificate(const char *file, const char *key_file, const char *names)
{
	char command[512];

	snprintf(command, sizeof(command),
	         "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test "
	         "-addext subjectAltName=%s -keyout %s -out %s 2>/dev/null",
	         names, key_file, file);
	assert_int_equal(system(command), 0);
}

static int
start_server(void **state)
{
	static const char *options[] = {"--tls-port",         tls_port,           "--tls-cert-file",    certificate,
	                                "--tls-key-file",     key,                "--tls-ca-cert-file", certificate,
	                                "--tls-auth-clients", "no",               "--requirepass",      "right",
	                                "--bind",             "127.0.0.1",        "-::1",               NULL};

	(void)state;
	setenv("BAKAME_ENV", "development", 1);
	log_init("test_redis_tls", LOG_LEVEL_ERROR, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	assert_non_null(mkdtemp(directory));
	snprintf(certificate, sizeof(certificate), "%s/cert.pem", directory);
	snprintf(key, sizeof(key), "%s/key.pem", directory);
	snprintf(foreign, sizeof(foreign), "%s/foreign.pem", directory);
	snprintf(foreign_key, sizeof(foreign_key), "%s/foreign-key.pem", directory);
	make_certificate(foreign, foreign_key, "DNS:elsewhere.example");
	make_certificate(certificate, key, "DNS:localhost,IP:127.0.0.1");
	snprintf(tls_port, sizeof(tls_port), "%d", free_port());
	server.options = options;
	redis_process_start(&server);
	return 0;
}

static int
end_server(void **state)
{
	redis_process_end(&server);
	unlink(certificate);
	unlink(key);
	unlink(foreign);
	unlink(foreign_key);
	rmdir(directory);
	return in_fiber_teardown(state);
}

/* Run check(arg) in a fiber with Redis at rediss://:right@`host`, and its certificate trusted by `ca_file`. */
static void
with_tls_to(const char *host, const char *port, const char *ca_file, void (*check)(void *arg), void *arg)
{
	char url[128];

	snprintf(url, sizeof(url), "rediss://:right@%s:%s/1", host, port);
	setenv("REDIS_URL", url, 1);
	setenv("REDIS_CA_FILE", ca_file, 1);
	setenv("REDIS_TIMEOUT_MS", "60000", 1);
	assert_int_equal(config_load(stderr), 0);
	redis_start();
	breaker_reset(breaker_find("redis"), loop_now_ms());
	in_fiber(check, arg);
	redis_stop();
}

static struct arena *
new_arena(void)
{
	return arena_new((size_t)8 * 1024 * 1024);
}

static struct redis_value
ask(struct arena *a, const struct redis_word *words, size_t count)
{
	struct redis_value reply;
	struct err err = {0};

	if (redis_command(redis_shared(), a, &reply, &err, words, count) == -1)
		fail_msg("%s: %s (%s)", words[0].data, err.message, err.cause);
	return reply;
}

/* ---- what is trusted ---- */

static void
check_replies(void *arg)
{
	struct arena *a = new_arena();
	char *large = arena_alloc(a, LARGE_BYTES);
	struct redis_value v;

	(void)arg;
	memset(large, 'x', LARGE_BYTES);
	assert_string_equal(ask(a, REDIS_WORDS(W("PING"))).text, "PONG");
	ask(a, REDIS_WORDS(W("SET"), W("large"), REDIS_BYTES(large, LARGE_BYTES)));
	v = ask(a, REDIS_WORDS(W("GET"), W("large")));
	assert_int_equal(v.len, LARGE_BYTES);
	assert_memory_equal(v.text, large, LARGE_BYTES);
	arena_free(&a);
}

static void
a_trusted_server_is_talked_to_by_its_name_and_its_address(void **state)
{
	(void)state;
	with_tls_to("localhost", tls_port, certificate, check_replies, NULL);
	with_tls_to("127.0.0.1", tls_port, certificate, check_replies, NULL);
}

struct crowd {
	unsigned running;
	struct fiber *waiting;
};

static void
crowd_main(void *arg)
{
	struct crowd *crowd = arg;
	struct arena *a = new_arena();
	char text[24];

	for (int i = 0; i < CROWD; i++) {
		snprintf(text, sizeof(text), "%p-%d", (void *)a, i);
		assert_string_equal(ask(a, REDIS_WORDS(W("ECHO"), W(text))).text, text);
	}
	arena_free(&a);
	if (--crowd->running == 0)
		fiber_wake(crowd->waiting);
}

static void
check_crowd(void *arg)
{
	struct crowd crowd = {.running = CROWD, .waiting = fiber_self()};

	(void)arg;
	for (int i = 0; i < CROWD; i++)
		fiber_spawn(crowd_main, &crowd);
	while (crowd.running > 0)
		assert_int_not_equal(fiber_wait(FIBER_NO_DEADLINE), FIBER_TIMEOUT);
}

static void
many_fibers_share_one_connection(void **state)
{
	(void)state;
	with_tls_to("localhost", tls_port, certificate, check_crowd, NULL);
}

static void
check_restart(void *arg)
{
	struct arena *a = new_arena();

	(void)arg;
	ask(a, REDIS_WORDS(W("PING")));
	redis_process_kill(&server);
	redis_process_start(&server);
	for (int i = 0;; i++) {
		struct redis_value v;
		struct err err;

		if (redis_command(redis_shared(), a, &v, &err, REDIS_WORDS(W("PING"))) == 0)
			break;
		assert_int_equal(err.code, ERR_UNAVAILABLE);
		assert_true(i < ATTEMPTS);
	}
	arena_free(&a);
}

static void
after_a_restart_the_connection_comes_back(void **state)
{
	(void)state;
	with_tls_to("localhost", tls_port, certificate, check_restart, NULL);
}

/* ---- what is not ---- */

/* In the end that is why, whatever comes first on a slow machine. */
static void
check_refused(void *arg)
{
	const struct redis_word ping = W("PING");
	const int64_t until_ms = loop_now_ms() + PATIENCE_MS;
	struct arena *a = new_arena();
	struct redis_value v;
	struct err err;

	do {
		assert_int_equal(redis_command_until(redis_shared(), a, loop_now_ms() + LOOK_MS, &v, &err, &ping, 1), -1);
		assert_int_equal(err.code, ERR_UNAVAILABLE);
		if (loop_now_ms() > until_ms)
			fail_msg("%s is not in: %s", (const char *)arg, err.cause);
		/* what is refused at once takes no time, and the clock would stand still */
		breaker_reset(breaker_find("redis"), loop_now_ms());
	} while (strstr(err.cause, arg) == NULL);
	arena_free(&a);
}

static void
refused(const char *host, const char *port, const char *ca_file, const char *cause)
{
	with_tls_to(host, port, ca_file, check_refused, (void *)(uintptr_t)cause);
}

static void
who_is_not_trusted_is_refused(void **state)
{
	(void)state;
	refused("localhost", tls_port, foreign, "self-signed certificate");
	refused("localhost", tls_port, "", "self-signed certificate");
}

static void
check_takes_certificate(void *arg)
{
	const char *const *files = arg;
	struct arena *a = new_arena();

	ask(a, REDIS_WORDS(W("CONFIG"), W("SET"), W("tls-cert-file"), W(files[0]), W("tls-key-file"), W(files[1])));
	arena_free(&a);
}

static void
who_is_trusted_by_another_name_is_refused(void **state)
{
	const char *files[] = {foreign, foreign_key};

	(void)state;
	with_tls_to("localhost", tls_port, certificate, check_takes_certificate, files);
	refused("localhost", tls_port, foreign, "hostname mismatch");
	refused("127.0.0.1", tls_port, foreign, "IP address mismatch");
	redis_process_kill(&server);
	redis_process_start(&server);
}

static void
speak_plainly(int fd, void *arg)
{
	(void)arg;
	tiny_send(fd, "-ERR Protocol error\r\n");
	tiny_await_close(fd);
}

static void
who_does_not_speak_tls_is_refused(void **state)
{
	struct tiny_server *impostor = tiny_server_start(speak_plainly, NULL);

	(void)state;
	refused("127.0.0.1", strrchr(tiny_server_url(impostor), ':') + 1, certificate, "wrong version number");
	tiny_server_stop(&impostor);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_trusted_server_is_talked_to_by_its_name_and_its_address),
	    cmocka_unit_test(many_fibers_share_one_connection),
	    cmocka_unit_test(after_a_restart_the_connection_comes_back),
	    cmocka_unit_test(who_is_not_trusted_is_refused),
	    cmocka_unit_test(who_is_trusted_by_another_name_is_refused),
	    cmocka_unit_test(who_does_not_speak_tls_is_refused),
	};

	return cmocka_run_group_tests(tests, start_server, end_server);
}
