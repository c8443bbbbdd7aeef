/*
 * probe.c - GET /api/health/stream: events at a steady pace, for `bakamectl doctor`, which sees by their arrival what
 * the way from here to a client does with streams; and GET /api/health/stream/{id}, what became of one
 * (and whether this question itself came with an Authorization header).
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "handlers/routes.h"
#include "http/request.h"
#include "http/response.h"
#include "http/sse_writer.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/shm.h"

/* Nobody gets more of a worker by this than a ping now and then costs. */
#define EVENTS_MAX 100
#define EVERY_MIN_MS 20
#define EVERY_MAX_MS 1000
#define LIFE_MAX_MS 15000
#define AT_ONCE_MAX 16

/* Remembered of the last ones on this host, whichever worker had them. */
#define PLACES 64
#define ID_MAX 16

enum state { UNUSED, RUNNING, DONE, GONE };

struct place {
	_Atomic uint64_t id;
	_Atomic uint32_t state;         /* enum state */
	_Atomic uint32_t events;        /* sent */
	_Atomic int64_t ms;             /* from its beginning to its end */
};

static int running;

static struct place *
place_of(uint64_t id)
{
	struct place *places = shm_section("probe.1", PLACES * sizeof(*places));

	return &places[id % PLACES];
}

/* The query's `name` as a number within these bounds; `fallback` when it is not there.  -1 when it is no such number. */
static int64_t
number_of(const char *query, const char *name, int64_t min, int64_t max, int64_t fallback)
{
	size_t len = strlen(name);
	char text[8];
	int64_t value;

	for (const char *p = query; p != NULL; p = strchr(p, '&') != NULL ? strchr(p, '&') + 1 : NULL) {
		if (strncmp(p, name, len) != 0 || p[len] != '=')
			continue;
		snprintf(text, sizeof(text), "%.*s", (int)strcspn(p + len + 1, "&"), p + len + 1);
		return text_to_int64(text, min, max, &value) == 0 ? value : -1;
	}
	return fallback;
}

/* The client's name for the stream: up to 16 hexadecimal digits; 0 when it is none. */
static uint64_t
id_of(const char *text, size_t len)
{
	char digits[ID_MAX + 1];

	if (len == 0 || len > ID_MAX || strspn(text, "0123456789abcdef") < len)
		return 0;
	memcpy(digits, text, len);
	digits[len] = '\0';
	return strtoull(digits, NULL, 16);
}

static int
send_event(struct request *rq, int64_t number)
{
	struct timespec now;
	char text[80];

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(text, sizeof(text), "{\"event\":%" PRId64 ",\"time_ms\":%lld.%03ld}", number,
	         (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000, now.tv_nsec / 1000 % 1000);
	return sse_event(rq, text, strlen(text)) == -1 || response_flush(rq) == -1 ? -1 : 0;
}

static int
send_events(struct request *rq, struct place *place, int64_t events, int64_t every_ms, struct err *err)
{
	if (sse_begin(rq) == -1)
		return err_set(err, ERR_CANCELLED, "The client went away.");
	for (int64_t i = 0; i < events; i++) {
		if (i > 0 && fiber_sleep(every_ms, err) == -1)
			return -1;
		if (send_event(rq, i) == -1)
			return err_set(err, ERR_CANCELLED, "The client went away.");
		place->events = (uint32_t)i + 1;
	}
	if (sse_event(rq, "[DONE]", 6) == -1 || response_flush(rq) == -1)
		return err_set(err, ERR_CANCELLED, "The client went away.");
	return 0;
}

int
handle_probe(struct request *rq, struct err *err)
{
	int64_t events = number_of(rq->query, "events", 1, EVENTS_MAX, 10);
	int64_t every_ms = number_of(rq->query, "every", EVERY_MIN_MS, EVERY_MAX_MS, 200);
	const char *id_text = strstr(rq->query, "id=");
	uint64_t id = id_text != NULL ? id_of(id_text + 3, strcspn(id_text + 3, "&")) : 0;
	struct place *place = place_of(id);
	int rc;

	if (events == -1 || every_ms == -1 || events * every_ms > LIFE_MAX_MS)
		return err_set(err, ERR_INVALID_REQUEST,
		               "`events` is 1 to %d, `every` %d to %d milliseconds, both together at most %d seconds.",
		               EVENTS_MAX, EVERY_MIN_MS, EVERY_MAX_MS, LIFE_MAX_MS / 1000);
	if (running >= AT_ONCE_MAX) {
		err_set(err, ERR_UNAVAILABLE, "Enough of these run already.");
		err->retry_after_secs = LIFE_MAX_MS / 1000;
		return -1;
	}
	running++;
	place->id = id;
	place->events = 0;
	place->state = RUNNING;
	rc = send_events(rq, place, events, every_ms, err);
	place->ms = loop_now_ms() - rq->started_ms;
	if (place->id == id)
		place->state = rc == 0 ? DONE : GONE;
	running--;
	return rc;
}

int
handle_probe_result(struct request *rq, struct err *err)
{
	static const char *const names[] = {[RUNNING] = "running", [DONE] = "done", [GONE] = "gone"};
	uint64_t id = id_of(rq->param, strlen(rq->param));
	struct place *place = place_of(id);
	struct json_object *body;

	if (id == 0 || place->id != id || place->state == UNUSED)
		return err_set(err, ERR_NOT_FOUND, "No such stream is known on this host.");
	body = json_object_new_object();
	json_object_object_add(body, "state", json_object_new_string(names[place->state]));
	json_object_object_add(body, "events", json_object_new_int64(place->events));
	json_object_object_add(body, "ms", json_object_new_int64(place->state == RUNNING ? 0 : place->ms));
	json_object_object_add(body, "authorization", json_object_new_boolean(request_header(rq, "Authorization") != NULL));
	response_header(rq, "Cache-Control", "no-store");
	response_json(rq, 200, body);
	json_object_put(body);
	return 0;
}
