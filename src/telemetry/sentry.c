/* sentry.c - events and their spool; see telemetry/sentry.h */
#include "telemetry/sentry.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "telemetry/breadcrumbs.h"
#include "telemetry/metrics.h"
#include "telemetry/scrub.h"

#define EVENT_ID_BYTES 16
#define VALUE_MAX_BYTES 1024

struct envelope {
	struct envelope *next;
	size_t len;
	char *text;
};

static struct {
	bool enabled;
	const char *program;
	char *release;
	char *environment;
	char server[256];
	struct envelope *oldest;
	struct envelope **newest;
	unsigned count;
	void (*notify)(void);
	bool busy;                      /* making an event: what is logged meanwhile is none */
} spool;

void
sentry_start(const struct sentry_options *o)
{
	sentry_stop();
	spool.enabled = true;
	spool.program = o->program;
	spool.release = mem_strdup(o->release);
	spool.environment = mem_strdup(o->environment);
	spool.newest = &spool.oldest;
	if (gethostname(spool.server, sizeof(spool.server) - 1) != 0)
		text_copy(spool.server, sizeof(spool.server), "unknown");
}

void
sentry_stop(void)
{
	char *text;
	size_t len;

	while (sentry_take(&text, &len))
		free(text);
	free(spool.release);
	free(spool.environment);
	memset(&spool, 0, sizeof(spool));
}

bool
sentry_enabled(void)
{
	return spool.enabled;
}

void
sentry_notify(void (*fn)(void))
{
	spool.notify = fn;
}

/* ---- an event ---- */

static void
add_text(struct json_object *obj, const char *name, const char *text)
{
	json_object_object_add(obj, name, json_object_new_string(text));
}

static struct json_object *
timestamp(const struct timespec *when)
{
	long ms = when->tv_nsec / 1000000;

	return json_object_new_double((double)when->tv_sec + (double)ms / 1000);
}

static const char *
level_name(enum log_level level)
{
	return level == LOG_LEVEL_WARN ? "warning" : log_level_name(level);
}

/* A field's value as a person may see it. */
static struct json_object *
field_value(const struct log_field *f)
{
	char shown[VALUE_MAX_BYTES];

	if (f->type == LOG_TYPE_BOOL)
		return json_object_new_boolean(f->value.number != 0);
	if (f->type == LOG_TYPE_INT)
		return json_object_new_int64(f->value.number);
	if (f->value.text == NULL)
		return NULL;
	if (scrub_name_is_secret(f->name, strlen(f->name)))
		return json_object_new_string(SCRUB_MASK);
	scrub_text(shown, sizeof(shown), f->value.text, strlen(f->value.text));
	if (!text_is_utf8(shown, strlen(shown)))
		return json_object_new_string("(not UTF-8)");
	return json_object_new_string(shown);
}

static const struct log_field *
find_field(const struct log_event *ev, const char *name)
{
	for (size_t i = 0; i < ev->count; i++)
		if (strcmp(ev->fields[i]->name, name) == 0 && ev->fields[i]->value.text != NULL)
			return ev->fields[i];
	return NULL;
}

/* Where Sentry has a place of its own for a field: group NULL leaves it to `extra`. */
struct place {
	const char *field;
	const char *group;
	const char *name;
};

static const struct place places[] = {
    {"user_id", "user", "id"},
    {"remote_addr", "user", "ip_address"},
    {"method", "request", "method"},
    {"path", "request", "url"},
    {"request_id", "tags", "request_id"},
    {"status", "tags", "status"},
    {"service", "tags", "service"},
    {"tool", "tags", "tool"},
    {"job", "tags", "job"},
};

static struct json_object *
group_of(struct json_object *event, const char *name)
{
	struct json_object *group = json_member(event, name, json_type_object);

	if (group == NULL) {
		group = json_object_new_object();
		json_object_object_add(event, name, group);
	}
	return group;
}

static void
add_field(struct json_object *event, const struct log_field *f)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strcmp(places[i].field, f->name) == 0) {
			json_object_object_add(group_of(event, places[i].group), places[i].name, field_value(f));
			return;
		}
	json_object_object_add(group_of(event, "extra"), f->name, field_value(f));
}

static void
add_breadcrumbs(struct json_object *event, const struct breadcrumbs *crumbs)
{
	struct json_object *values = json_object_new_array();

	for (const struct breadcrumb *c = crumbs->oldest; c != NULL; c = c->next) {
		struct json_object *crumb = json_object_new_object();

		json_object_object_add(crumb, "timestamp", timestamp(&c->when));
		add_text(crumb, "category", "log");
		add_text(crumb, "level", level_name(c->level));
		add_text(crumb, "message", c->text);
		json_object_array_add(values, crumb);
	}
	json_object_object_add(group_of(event, "breadcrumbs"), "values", values);
}

/* What makes two events one issue: the message, what kind of error, where. */
static void
add_fingerprint(struct json_object *event, const struct log_event *ev)
{
	static const char *const parts[] = {"error", "path", "service", "tool", "job", "signal"};
	struct json_object *fingerprint = json_object_new_array();

	json_object_array_add(fingerprint, json_object_new_string(ev->message));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const struct log_field *f = find_field(ev, parts[i]);

		if (f != NULL && f->type == LOG_TYPE_STR)
			json_object_array_add(fingerprint, field_value(f));
	}
	json_object_object_add(event, "fingerprint", fingerprint);
}

static struct json_object *
make_event(const char *id, const struct log_event *ev, const struct breadcrumbs *crumbs)
{
	struct json_object *event = json_object_new_object();
	char message[VALUE_MAX_BYTES];

	scrub_text(message, sizeof(message), ev->message, strlen(ev->message));
	add_text(event, "event_id", id);
	json_object_object_add(event, "timestamp", timestamp(&ev->when));
	add_text(event, "platform", "c");
	add_text(event, "level", level_name(ev->level));
	add_text(event, "logger", spool.program);
	add_text(event, "server_name", spool.server);
	add_text(event, "release", spool.release);
	add_text(event, "environment", spool.environment);
	add_text(group_of(event, "logentry"), "formatted", message);
	add_text(group_of(event, "sdk"), "name", "bakame");
	add_text(group_of(event, "sdk"), "version", spool.release);
	for (size_t i = 0; i < ev->count; i++)
		add_field(event, ev->fields[i]);
	add_fingerprint(event, ev);
	if (crumbs != NULL && crumbs->count > 0)
		add_breadcrumbs(event, crumbs);
	return event;
}

/* Headers, item header, item, a line each. */
static int
write_envelope(struct buffer *out, const char *id, struct json_object *event)
{
	size_t len;
	const char *text = json_text(event, &len);

	return buffer_printf(out, "{\"event_id\":\"%s\"}\n{\"type\":\"event\",\"length\":%zu}\n", id, len) == -1 ||
	               buffer_append(out, text, len) == -1 || buffer_append(out, "\n", 1) == -1
	           ? -1
	           : 0;
}

static void
enqueue(struct buffer *text)
{
	struct envelope *e;

	if (spool.count == SENTRY_SPOOL_MAX) {
		metric_count(METRIC_SENTRY_EVENTS, "result=\"dropped\"");
		buffer_free(text);
		return;
	}
	e = mem_alloc(sizeof(*e));
	e->text = text->data;
	e->len = text->len;
	*spool.newest = e;
	spool.newest = &e->next;
	spool.count++;
	if (spool.notify != NULL)
		spool.notify();
}

void
sentry_capture(const struct log_event *ev, const struct breadcrumbs *crumbs)
{
	struct buffer text = BUFFER_INIT(SENTRY_ENVELOPE_MAX_BYTES);
	unsigned char random[EVENT_ID_BYTES];
	char id[2 * EVENT_ID_BYTES + 1];
	struct json_object *event;

	if (!spool.enabled || spool.busy)
		return;
	spool.busy = true;
	randombytes_buf(random, sizeof(random));
	sodium_bin2hex(id, sizeof(id), random, sizeof(random));
	event = make_event(id, ev, crumbs);
	if (write_envelope(&text, id, event) == 0) {
		enqueue(&text);
	} else {
		metric_count(METRIC_SENTRY_EVENTS, "result=\"dropped\"");
		buffer_free(&text);
	}
	json_object_put(event);
	spool.busy = false;
}

unsigned
sentry_waiting(void)
{
	return spool.count;
}

bool
sentry_take(char **text_r, size_t *len_r)
{
	struct envelope *e = spool.oldest;

	if (e == NULL)
		return false;
	spool.oldest = e->next;
	if (spool.oldest == NULL)
		spool.newest = &spool.oldest;
	spool.count--;
	*text_r = e->text;
	*len_r = e->len;
	free(e);
	return true;
}
