/* trace.c - see telemetry/trace.h */
#include "telemetry/trace.h"

#include <ctype.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "telemetry/metrics.h"

#define TRACE_ID_HEX 32
#define SPAN_ID_HEX 16
/* What one request to the collector carries. */
#define TAKE_MAX 256
/* opentelemetry.proto.trace.v1.Span.SpanKind and Status.StatusCode */
#define KIND_SERVER 2
#define KIND_CLIENT 3
#define STATUS_ERROR 2

struct kept {
	struct trace_span span;
	int64_t ended_ns;
	long status;
	bool failed;
};

static struct {
	struct kept *ring;              /* made when spans are wanted */
	unsigned head, count;
	bool on;
} spool;

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* `count` bytes of lower-case hex; false if they are not, or all zero. */
static bool
read_hex(const char *text, unsigned char *out, size_t count)
{
	size_t len;

	for (size_t i = 0; i < 2 * count; i++)
		if (!isxdigit((unsigned char)text[i]) || isupper((unsigned char)text[i]))
			return false;
	return sodium_hex2bin(out, count, text, 2 * count, NULL, &len, NULL) == 0 && len == count;
}

bool
trace_read(const char *text, struct trace_context *c)
{
	/* 00-<trace id>-<span id>-<flags>; later versions may have more behind it */
	enum { TRACE_AT = 3, SPAN_AT = TRACE_AT + TRACE_ID_HEX + 1, FLAGS_AT = SPAN_AT + SPAN_ID_HEX + 1, END = FLAGS_AT + 2 };
	unsigned char version, flags;
	size_t len = strnlen(text, END + 1);

	memset(c, 0, sizeof(*c));
	if (len < END || text[2] != '-' || text[SPAN_AT - 1] != '-' || text[FLAGS_AT - 1] != '-')
		return false;
	if (!read_hex(text, &version, 1) || version == 0xff || (version == 0 && len > END) ||
	    (len > END && text[END] != '-'))
		return false;
	if (!read_hex(text + TRACE_AT, c->trace_id, sizeof(c->trace_id)) ||
	    !read_hex(text + SPAN_AT, c->span_id, sizeof(c->span_id)) || !read_hex(text + FLAGS_AT, &flags, 1) ||
	    sodium_is_zero(c->trace_id, sizeof(c->trace_id)) || sodium_is_zero(c->span_id, sizeof(c->span_id))) {
		memset(c, 0, sizeof(*c));
		return false;
	}
	c->sampled = (flags & 1) != 0;
	return true;
}

void
trace_write(const struct trace_context *c, char out[TRACEPARENT_BYTES])
{
	char trace[TRACE_ID_HEX + 1], span[SPAN_ID_HEX + 1];

	sodium_bin2hex(trace, sizeof(trace), c->trace_id, sizeof(c->trace_id));
	sodium_bin2hex(span, sizeof(span), c->span_id, sizeof(c->span_id));
	snprintf(out, TRACEPARENT_BYTES, "00-%s-%s-%s", trace, span, c->sampled ? "01" : "00");
}

bool
trace_given(const struct trace_context *c)
{
	return !sodium_is_zero(c->trace_id, sizeof(c->trace_id));
}

void
trace_record(bool on)
{
	spool.on = on;
	if (on && spool.ring == NULL)
		spool.ring = mem_alloc(TRACE_SPANS_MAX * sizeof(*spool.ring));
}

bool
trace_recording(void)
{
	return spool.on;
}

void
trace_begin(struct trace_span *span, const struct trace_context *parent, bool server, const char *name)
{
	memset(span, 0, sizeof(*span));
	if (trace_given(parent)) {
		span->context = *parent;
		memcpy(span->parent_id, parent->span_id, sizeof(span->parent_id));
	} else {
		randombytes_buf(span->context.trace_id, sizeof(span->context.trace_id));
		span->context.sampled = true;
	}
	randombytes_buf(span->context.span_id, sizeof(span->context.span_id));
	span->server = server;
	span->started_ns = now_ns();
	(void)!text_copy(span->name, sizeof(span->name), name);
	span->name[text_valid_utf8(span->name, strlen(span->name))] = '\0';      /* it becomes JSON */
}

void
trace_end(struct trace_span *span, long status, bool failed)
{
	if (span->started_ns == 0 || !spool.on || !span->context.sampled)
		return;
	if (spool.count == TRACE_SPANS_MAX) {
		metric_count(METRIC_SPANS, "result=\"dropped\"");
		return;
	}
	spool.ring[(spool.head + spool.count) % TRACE_SPANS_MAX] =
	    (struct kept){.span = *span, .ended_ns = now_ns(), .status = status, .failed = failed};
	spool.count++;
	span->started_ns = 0;
}

unsigned
trace_waiting(void)
{
	return spool.count;
}

/* ---- OTLP/JSON ---- */

static void
add_hex(struct json_object *obj, const char *name, const unsigned char *bytes, size_t count)
{
	char hex[TRACE_ID_HEX + 1];

	sodium_bin2hex(hex, sizeof(hex), bytes, count);
	json_object_object_add(obj, name, json_object_new_string(hex));
}

/* 64-bit numbers are strings in it. */
static struct json_object *
number_text(int64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, number);
	return json_object_new_string(text);
}

static void
add_attribute(struct json_object *list, const char *key, const char *type, struct json_object *value)
{
	struct json_object *attribute = json_object_new_object(), *wrapped = json_object_new_object();

	json_object_object_add(wrapped, type, value);
	json_object_object_add(attribute, "key", json_object_new_string(key));
	json_object_object_add(attribute, "value", wrapped);
	json_object_array_add(list, attribute);
}

static struct json_object *
span_json(const struct kept *k)
{
	struct json_object *span = json_object_new_object(), *attributes = json_object_new_array();
	const struct trace_context *c = &k->span.context;

	add_hex(span, "traceId", c->trace_id, sizeof(c->trace_id));
	add_hex(span, "spanId", c->span_id, sizeof(c->span_id));
	if (!sodium_is_zero(k->span.parent_id, sizeof(k->span.parent_id)))
		add_hex(span, "parentSpanId", k->span.parent_id, sizeof(k->span.parent_id));
	json_object_object_add(span, "name", json_object_new_string(k->span.name));
	json_object_object_add(span, "kind", json_object_new_int(k->span.server ? KIND_SERVER : KIND_CLIENT));
	json_object_object_add(span, "startTimeUnixNano", number_text(k->span.started_ns));
	json_object_object_add(span, "endTimeUnixNano", number_text(k->ended_ns));
	if (k->status > 0)
		add_attribute(attributes, "http.response.status_code", "intValue", number_text(k->status));
	json_object_object_add(span, "attributes", attributes);
	if (k->failed) {
		struct json_object *status = json_object_new_object();

		json_object_object_add(status, "code", json_object_new_int(STATUS_ERROR));
		json_object_object_add(span, "status", status);
	}
	return span;
}

/* {"resourceSpans":[{"resource":{...},"scopeSpans":[{"scope":{...},"spans":[...]}]}]} around `spans`. */
static struct json_object *
wrap(struct json_object *spans, const char *service, const char *version)
{
	struct json_object *root = json_object_new_object(), *resources = json_object_new_array(),
	                   *resource_spans = json_object_new_object(), *resource = json_object_new_object(),
	                   *attributes = json_object_new_array(), *scopes = json_object_new_array(),
	                   *scope_spans = json_object_new_object(), *scope = json_object_new_object();

	add_attribute(attributes, "service.name", "stringValue", json_object_new_string(service));
	add_attribute(attributes, "service.version", "stringValue", json_object_new_string(version));
	json_object_object_add(resource, "attributes", attributes);
	json_object_object_add(scope, "name", json_object_new_string("bakame"));
	json_object_object_add(scope_spans, "scope", scope);
	json_object_object_add(scope_spans, "spans", spans);
	json_object_array_add(scopes, scope_spans);
	json_object_object_add(resource_spans, "resource", resource);
	json_object_object_add(resource_spans, "scopeSpans", scopes);
	json_object_array_add(resources, resource_spans);
	json_object_object_add(root, "resourceSpans", resources);
	return root;
}

unsigned
trace_take(struct buffer *out, const char *service, const char *version)
{
	struct json_object *spans, *root;
	unsigned taken = 0;
	const char *text;
	size_t len;

	if (spool.count == 0)
		return 0;
	spans = json_object_new_array();
	for (; spool.count > 0 && taken < TAKE_MAX; taken++) {
		json_object_array_add(spans, span_json(&spool.ring[spool.head]));
		spool.head = (spool.head + 1) % TRACE_SPANS_MAX;
		spool.count--;
	}
	root = wrap(spans, service, version);
	text = json_text(root, &len);
	if (buffer_append(out, text, len) == -1)
		taken = 0;
	json_object_put(root);
	return taken;
}

void
trace_forget(void)
{
	free(spool.ring);
	memset(&spool, 0, sizeof(spool));
}
