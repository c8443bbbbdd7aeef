/* redis_rest.c - see net/redis_rest.h */
#include "net/redis_rest.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/text.h"
#include "config/config.h"
#include "net/http_client.h"
#include "net/redis_value.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/work.h"
#include "telemetry/log.h"

#define BATCH_MAX_COMMANDS 128
#define BATCH_MAX_BYTES ((size_t)512 * 1024)    /* past it the next command begins another */
#define BATCHES_MAX 64
#define COMMAND_MAX_BYTES ((size_t)1024 * 1024) /* Upstash's own bound */
#define ANSWER_MAX_BYTES ((size_t)4 * 1024 * 1024)
/* More than this is parsed off the loop. */
#define LARGE_BYTES ((size_t)64 * 1024)
/* A call goes on for so long after nobody waits for it any more: the next ones then find a connection. */
#define LINGER_MS 5000
#define CONNECT_MS 5000

/* A command; freed by the fiber that waits for it, or, when that has left, with the batch. */
struct pending {
	struct fiber *fiber;            /* NULL: it has left */
	struct arena *arena;
	struct redis_value *reply;
	char *said;
	enum redis_outcome outcome;
	bool done;
};

/* Commands that go in one request, carried by a fiber of their own. */
struct batch {
	struct batch *next;             /* of all that are on their way */
	struct json_object *commands;   /* an array of arrays of words */
	struct pending *pending[BATCH_MAX_COMMANDS];
	size_t count;
	size_t bytes;
	int64_t deadline_ms;            /* the latest of all */
	struct http_call *http;
};

static struct {
	struct batch *filling;          /* takes the commands of this round */
	struct batch *batches;
	unsigned count;
} rest;

/* ---- reading answers ---- */

static int read_result(struct json_object *result, struct arena *a, int depth, struct redis_value *v);

/* Base64, but for the bare word OK; a server that does not encode is taken at its word. */
static int
read_text(struct json_object *result, struct arena *a, struct redis_value *v)
{
	const char *text = json_object_get_string(result), *end;
	size_t len = (size_t)json_object_get_string_len(result), decoded_len;
	char *decoded = len <= 2 * REDIS_REPLY_MAX_BYTES ? arena_alloc(a, len + 1) : NULL;

	if (decoded == NULL)
		return -1;
	if (strcmp(text, "OK") == 0 ||
	    sodium_base642bin((unsigned char *)decoded, len, text, len, NULL, &decoded_len, &end,
	                      sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    end != text + len) {
		memcpy(decoded, text, len);
		decoded_len = len;
	}
	decoded[decoded_len] = '\0';
	*v = (struct redis_value){.type = REDIS_STRING, .text = decoded, .len = decoded_len};
	return decoded_len <= REDIS_REPLY_MAX_BYTES ? 0 : -1;
}

static int
read_array(struct json_object *result, struct arena *a, int depth, struct redis_value *v)
{
	size_t count = json_object_array_length(result);
	struct redis_value *items = arena_alloc(a, count * sizeof(*items) + 1);

	if (items == NULL)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (read_result(json_object_array_get_idx(result, i), a, depth + 1, &items[i]) == -1)
			return -1;
	*v = (struct redis_value){.type = REDIS_ARRAY, .items = items, .count = count};
	return 0;
}

static int
read_result(struct json_object *result, struct arena *a, int depth, struct redis_value *v)
{
	if (depth > REDIS_REPLY_DEPTH_MAX)
		return -1;
	switch (json_object_get_type(result)) {
	case json_type_null:
		*v = (struct redis_value){.type = REDIS_NIL};
		return 0;
	case json_type_int:
	case json_type_boolean:
		*v = (struct redis_value){.type = REDIS_INTEGER, .integer = json_object_get_int64(result)};
		return 0;
	case json_type_string:
		return read_text(result, a, v);
	case json_type_array:
		return read_array(result, a, depth, v);
	case json_type_double:
	case json_type_object:
		break;
	}
	return -1;
}

enum redis_outcome
redis_rest_read(struct json_object *answer, struct arena *a, struct redis_value *reply_r, char said_r[REDIS_SAID_BYTES])
{
	const char *error = json_member_text(answer, "error");
	struct json_object *result;

	if (error != NULL) {
		log_scrub(said_r, REDIS_SAID_BYTES, error);
		return REDIS_SAID_NO;
	}
	if (!json_object_is_type(answer, json_type_object) || !json_object_object_get_ex(answer, "result", &result)) {
		text_copy(said_r, REDIS_SAID_BYTES, "the REST server's answer makes no sense");
		return REDIS_LOST;
	}
	if (read_result(result, a, 1, reply_r) == -1) {
		text_copy(said_r, REDIS_SAID_BYTES, "the reply is too large, too deep or of an unknown kind");
		return REDIS_TOO_LARGE;
	}
	return REDIS_DONE;
}

/* ---- the carrier ---- */

static void
finish(struct pending *p, enum redis_outcome outcome)
{
	p->outcome = outcome;
	p->done = true;
	fiber_wake(p->fiber);
}

/* The same for all. */
static void
fail_all(struct batch *b, enum redis_outcome outcome, const char *why)
{
	for (size_t i = 0; i < b->count; i++) {
		if (b->pending[i]->fiber == NULL)
			continue;
		log_scrub(b->pending[i]->said, REDIS_SAID_BYTES, why);
		finish(b->pending[i], outcome);
	}
}

static void
hand_out(struct batch *b, struct json_object *answer)
{
	if (b->count > 1 && (!json_object_is_type(answer, json_type_array) || json_object_array_length(answer) != b->count)) {
		fail_all(b, REDIS_LOST, "the REST server's answer makes no sense");
		return;
	}
	for (size_t i = 0; i < b->count; i++) {
		struct pending *p = b->pending[i];
		struct json_object *one = b->count > 1 ? json_object_array_get_idx(answer, i) : answer;

		if (p->fiber != NULL)
			finish(p, redis_rest_read(one, p->arena, p->reply, p->said));
	}
}

struct parse {
	const char *text;
	size_t len;
	struct json_object *json;
};

static void
parse(void *arg)
{
	struct parse *p = arg;

	p->json = json_parse_trusted(p->text, p->len);
}

/* A status other than 200: a command that Redis refuses is a 400 with its error. */
static void
read_refusal(struct batch *b, long status, struct json_object *answer)
{
	const char *error = json_member_text(answer, "error");
	char why[REDIS_SAID_BYTES];

	if (status == 400 && error != NULL) {
		fail_all(b, REDIS_SAID_NO, error);
		return;
	}
	snprintf(why, sizeof(why), "the REST server answered %ld: %.100s", status, error != NULL ? error : "");
	fail_all(b, REDIS_LOST, why);
}

COLD static struct http_call *
send_batch(struct batch *b, struct err *err)
{
	struct json_object *body = b->count > 1 ? b->commands : json_object_array_get_idx(b->commands, 0);
	struct arena *a = arena_new(16384);
	const char *headers[] = {
	    "Content-Type: application/json",
	    "Upstash-Encoding: base64",
	    arena_printf(a, "Authorization: Bearer %s", config()->upstash_redis_rest_token),
	    NULL,
	};
	struct http_options o = {
	    .method = "POST",
	    .url = arena_printf(a, "%s%s", config()->upstash_redis_rest_url, b->count > 1 ? "/pipeline" : ""),
	    .headers = headers,
	    .connect_timeout_ms = CONNECT_MS,
	};
	struct http_call *http;

	o.body = json_text(body, &o.body_len);
	http = o.url != NULL ? http_open(&o, err) : NULL;
	arena_free(&a);
	return http;
}

/* Send the batch and hand out its answers. */
static void
carry(struct batch *b)
{
	int64_t until = b->deadline_ms > loop_now_ms() + LINGER_MS ? b->deadline_ms : loop_now_ms() + LINGER_MS;
	struct err err = {0};
	struct parse p = {0};
	char *text = NULL;
	long status;

	b->http = send_batch(b, &err);
	if (b->http == NULL || http_wait_status(b->http, until, &err) != HTTP_READY ||
	    http_read_all(b->http, ANSWER_MAX_BYTES, until, &text, &p.len, &err) == -1) {
		fail_all(b, REDIS_LOST, err.cause[0] != '\0' ? err.cause : "the REST server does not answer");
		return;
	}
	status = http_status(b->http);
	p.text = text;
	if (p.len > LARGE_BYTES)
		work_run(parse, &p);
	else
		parse(&p);
	if (status == 200)
		hand_out(b, p.json);
	else
		read_refusal(b, status, p.json);
	json_object_put(p.json);
	free(text);
}

static void
batch_free(struct batch *b)
{
	struct batch **place;

	for (place = &rest.batches; *place != b; place = &(*place)->next)
		;
	*place = b->next;
	rest.count--;
	http_close(&b->http);
	json_object_put(b->commands);
	/* the others are freed by their fibers */
	for (size_t i = 0; i < b->count; i++)
		if (b->pending[i]->fiber == NULL)
			free(b->pending[i]);
	free(b);
}

static void
carrier_main(void *arg)
{
	struct batch *b = arg;

	if (rest.filling == b)
		rest.filling = NULL;
	carry(b);
	batch_free(b);
}

void
redis_rest_stop(void)
{
	rest.filling = NULL;
	while (rest.batches != NULL)
		batch_free(rest.batches);
}

/* ---- commands ---- */

static struct json_object *
make_command(const struct redis_word *words, size_t count, size_t *bytes_r)
{
	struct json_object *command = json_object_new_array_ext((int)count);

	*bytes_r = 0;
	for (size_t i = 0; i < count; i++) {
		if (words[i].len > COMMAND_MAX_BYTES - *bytes_r || !text_is_utf8(words[i].data, words[i].len)) {
			json_object_put(command);
			return NULL;
		}
		*bytes_r += words[i].len;
		json_object_array_add(command, json_object_new_string_len(words[i].data, (int)words[i].len));
	}
	return command;
}

/* The batch that takes this command; NULL if there are too many. */
static struct batch *
batch_for(size_t bytes)
{
	struct batch *b = rest.filling;

	if (b != NULL && b->count < BATCH_MAX_COMMANDS && b->bytes + bytes <= BATCH_MAX_BYTES)
		return b;
	if (rest.count >= BATCHES_MAX)
		return NULL;
	b = mem_alloc(sizeof(*b));
	b->commands = json_object_new_array();
	b->next = rest.batches;
	rest.batches = b;
	rest.count++;
	rest.filling = b;
	fiber_spawn(carrier_main, b);   /* runs in the next round, when all fibers of this one have had their say */
	return b;
}

enum redis_outcome
redis_rest_run(struct arena *a, int64_t deadline_ms, struct redis_value *reply_r, char said_r[REDIS_SAID_BYTES],
               const struct redis_word *words, size_t count)
{
	enum fiber_event event = FIBER_WOKEN;
	enum redis_outcome outcome;
	size_t bytes;
	struct json_object *command = make_command(words, count, &bytes);
	struct batch *b = command != NULL ? batch_for(bytes) : NULL;
	struct pending *p;

	if (b == NULL) {
		text_copy(said_r, REDIS_SAID_BYTES, command == NULL ? "the command is too large for REST, or no UTF-8"
		                                                    : "too many commands are waiting for Redis");
		json_object_put(command);
		return command == NULL ? REDIS_TOO_LARGE : REDIS_BUSY;
	}
	p = mem_alloc(sizeof(*p));
	*p = (struct pending){.fiber = fiber_self(), .arena = a, .reply = reply_r, .said = said_r};
	json_object_array_add(b->commands, command);
	b->pending[b->count++] = p;
	b->bytes += bytes;
	if (deadline_ms > b->deadline_ms)
		b->deadline_ms = deadline_ms;
	while (!p->done && event == FIBER_WOKEN)
		event = fiber_wait(deadline_ms);
	if (!p->done) {
		p->fiber = NULL;
		text_copy(said_r, REDIS_SAID_BYTES, "no answer in time");
		return event == FIBER_CANCELLED ? REDIS_CANCELLED : REDIS_SLOW;
	}
	outcome = p->outcome;
	free(p);
	return outcome;
}
