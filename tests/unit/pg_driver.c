/*
 * pg_driver.c - the pool of net/pg.h, driven from outside: tests/http/test_pool.py.
 *
 * Reads orders from standard input, a JSON object a line, and writes answers likewise, as they come:
 *
 *	{"id":"a","role":"user","user":"<uuid>","read_only":true,"timeout_ms":500,"run":[["select $1","x"], ...]}
 *	{"cancel":"a"}          {"view":true}
 *
 *	{"id":"a","rows":[[["x"]]]}     {"id":"a","error":"service_unavailable","message":"...","cause":"..."}
 *
 * The settings are those of the workers.  Ends with its input.
 */
#include <json-c/json.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/json.h"
#include "config/config.h"
#include "net/pg.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"

#define LINE_MAX_BYTES ((size_t)64 << 20)
#define ARENA_BYTES ((size_t)1 << 20)
#define PARAMS_MAX 8

struct order {
	struct order *next;
	struct json_object *json;
	struct fiber *fiber;
};

static struct order *orders;
static struct buffer input = BUFFER_INIT(LINE_MAX_BYTES);
static uv_poll_t input_ready;

static void
say(struct json_object *answer)
{
	puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
	fflush(stdout);
	json_object_put(answer);
}

static struct json_object *
rows_json(const struct pg_rows *rows, int columns)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < pg_count(rows); i++) {
		struct json_object *row = json_object_new_array();

		for (int c = 0; c < columns; c++) {
			const char *text = pg_text(rows, i, c);

			json_object_array_add(row, text != NULL ? json_object_new_string(text) : NULL);
		}
		json_object_array_add(list, row);
	}
	return list;
}

static enum pg_role
role_of(const char *name)
{
	if (name != NULL && strcmp(name, "user") == 0)
		return PG_USER;
	return name != NULL && strcmp(name, "anon") == 0 ? PG_ANON : PG_SERVICE;
}

static struct pg_tx
tx_of(struct json_object *json)
{
	return (struct pg_tx){
	    .role = role_of(json_member_text(json, "role")),
	    .user_id = json_member_text(json, "user"),
	    .read_only = json_object_get_boolean(json_object_object_get(json, "read_only")),
	    .timeout_ms = json_object_get_int64(json_object_object_get(json, "timeout_ms")),
	};
}

static int
run(struct json_object *json, struct json_object *answer, struct err *err)
{
	struct json_object *list = json_member(json, "run", json_type_array);
	const char *params[PG_STATEMENTS_MAX][PARAMS_MAX];
	struct pg_statement statements[PG_STATEMENTS_MAX];
	const struct pg_rows *rows[PG_STATEMENTS_MAX];
	const struct pg_tx tx = tx_of(json);
	struct arena *a = arena_new(ARENA_BYTES);
	struct json_object *all = json_object_new_array();
	size_t count = json_object_array_length(list);
	int rc;

	for (size_t i = 0; i < count; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		size_t words = json_object_array_length(one);

		for (size_t p = 1; p < words; p++)
			params[i][p - 1] = json_object_get_string(json_object_array_get_idx(one, p));
		statements[i] = (struct pg_statement){json_object_get_string(json_object_array_get_idx(one, 0)), params[i], words - 1};
	}
	rc = pg_run(&tx, a, statements, count, rows, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		json_object_array_add(all, rows_json(rows[i], pg_count(rows[i]) > 0 ? 1 : 0));
	json_object_object_add(answer, "rows", all);
	arena_free(&a);
	return rc;
}

static void
order_main(void *arg)
{
	struct order *o = arg;
	struct json_object *answer = json_object_new_object();
	struct err err = {0};

	json_object_object_add(answer, "id", json_object_new_string(json_member_text(o->json, "id")));
	if (run(o->json, answer, &err) == -1) {
		json_object_object_del(answer, "rows");
		json_object_object_add(answer, "error", json_object_new_string(err_type(err.code)));
		json_object_object_add(answer, "message", json_object_new_string(err.message));
		json_object_object_add(answer, "cause", json_object_new_string(err.cause));
	}
	say(answer);
	for (struct order **at = &orders; *at != NULL; at = &(*at)->next)
		if (*at == o) {
			*at = o->next;
			break;
		}
	json_object_put(o->json);
	free(o);
}

static void
tell_view(void)
{
	struct json_object *answer = json_object_new_object();
	struct pg_view view;

	pg_view(&view);
	json_object_object_add(answer, "id", json_object_new_string("view"));
	json_object_object_add(answer, "open", json_object_new_int64(view.open));
	json_object_object_add(answer, "idle", json_object_new_int64(view.idle));
	json_object_object_add(answer, "waiting", json_object_new_int64(view.waiting));
	json_object_object_add(answer, "usable", json_object_new_boolean(pg_usable()));
	say(answer);
}

static void
take_order(const char *line, size_t len)
{
	struct json_object *json = json_parse(line, len, NULL);
	const char *cancel = json_member_text(json, "cancel");
	struct order *o;

	if (json_member(json, "run", json_type_array) != NULL) {
		o = mem_alloc(sizeof(*o));
		o->json = json;
		o->next = orders;
		orders = o;
		o->fiber = fiber_spawn(order_main, o);
		return;
	}
	if (cancel != NULL) {
		for (o = orders; o != NULL; o = o->next)
			if (strcmp(json_member_text(o->json, "id"), cancel) == 0)
				fiber_cancel(o->fiber, FIBER_CLIENT_GONE);
	} else {
		tell_view();
	}
	json_object_put(json);
}

static void
input_cb(uv_poll_t *poll, int status, int events)
{
	char part[65536];
	ssize_t n = read(STDIN_FILENO, part, sizeof(part));
	char *end;

	(void)status;
	(void)events;
	if (n <= 0 || buffer_append(&input, part, (size_t)n) == -1) {
		uv_poll_stop(poll);
		loop_stop();
		return;
	}
	while ((end = memchr(input.data, '\n', input.len)) != NULL) {
		size_t len = (size_t)(end - input.data);

		take_order(input.data, len);
		buffer_consume(&input, len + 1);
	}
}

int
main(void)
{
	if (config_load(stderr) == -1 || sodium_init() == -1)
		return 78;
	log_init("pg_driver", LOG_LEVEL_WARN, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
	pg_start();
	uv_poll_init(loop_get(), &input_ready, STDIN_FILENO);
	uv_poll_start(&input_ready, UV_READABLE, input_cb);
	loop_run();
	pg_stop();
	fiber_pool_free();
	loop_close();
	buffer_free(&input);
	config_unload();
	log_close();
	return 0;
}
