/* http_client.c - see net/http_client.h */
#include "net/http_client.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/text.h"
#include "net/http2_window.h"
#include "net/http_pool.h"
#include "net/retry_after.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/trace.h"

/* What libcurl reads at once for a call: a few chunks' worth, since each holds it. */
#define RECEIVE_BYTES 2048L
/* What it sends at once of a body over 64 KiB: the least that it takes. */
#define SEND_BYTES 16384L
/* Longer than the 200 ms after which libcurl tries the other family of addresses: a timer that is
   due within the same millisecond as another of its transfer is dropped (7.88), and the body never sent. */
#define EXPECT_TIMEOUT_MS 250L

/* libcurl looks for a connection to use again by walking all those to the same
   host, which is quadratic while thousands of streams start, and finds a socket in
   a table of 911 chains.  Past this many calls over HTTP/1 each takes a connection of its
   own, leaves none behind, and is spread over further multi handles. */
#define REUSE_UP_TO_CALLS 256
#define OVERFLOW_POOLS 16

/* Servers of which it is remembered what they speak. */
#define ORIGINS_MAX 64
#define ORIGIN_BYTES 256

/* A server, by scheme, name and port. */
struct origin {
	uint32_t hash;
	enum { SPEAKS_UNKNOWN, SPEAKS_HTTP1, SPEAKS_HTTP2 } speaks;      /* by its last answer */
};

struct http_call {
	struct http_call *next, *prev;  /* of all open calls */
	uint32_t origin;                /* the hash of its server */
	bool https;
	struct http_pool *pool;
	CURL *easy;
	struct curl_slist *headers;
	struct fiber *fiber;
	struct buffer body;             /* received, not yet shown to the reader */
	struct buffer shown;            /* what the reader looks at: does not move under his eyes */
	size_t shown_used;              /* of it, consumed */
	const char *to_send;            /* of http_send(), while it waits */
	size_t to_send_len;
	bool send_paused;               /* until there is more to send */
	bool status_known;
	bool paused;
	bool added;                     /* to the multi handle */
	bool done;
	CURLcode result;                /* once done */
	struct trace_span span;
};

static struct {
	struct http_pool shared;        /* where connections are used again */
	struct http_pool overflow[OVERFLOW_POOLS];      /* made when needed */
	unsigned next_overflow;
	struct http_call *open;
	unsigned calls;
	struct origin origins[ORIGINS_MAX];
} client;

static void
set_origin(struct http_call *call, const char *url)
{
	const char *host = strstr(url, "://");
	size_t scheme = host != NULL ? (size_t)(host - url) + 3 : 0;
	char origin[ORIGIN_BYTES];

	snprintf(origin, sizeof(origin), "%.*s", (int)(scheme + strcspn(url + scheme, "/?#")), url);
	call->origin = text_hash(origin, 0);
	call->https = text_has_prefix_nocase(url, "https:");
}

/* Its place, or the one that it would take: a free one, else another's. */
static struct origin *
place_of(uint32_t hash)
{
	struct origin *o = client.origins;

	for (; o < client.origins + ORIGINS_MAX && o->speaks != SPEAKS_UNKNOWN; o++)
		if (o->hash == hash)
			return o;
	return o < client.origins + ORIGINS_MAX ? o : &client.origins[hash % ORIGINS_MAX];
}

static void
note_version(const struct http_call *call)
{
	long version = 0;

	curl_easy_getinfo(call->easy, CURLINFO_HTTP_VERSION, &version);
	*place_of(call->origin) = (struct origin){
	    .hash = call->origin, .speaks = version >= CURL_HTTP_VERSION_2_0 ? SPEAKS_HTTP2 : SPEAKS_HTTP1};
}

/* Do calls of this server share connections, as far as is known?  We ask for HTTP/2 in TLS only. */
static bool
is_multiplexed(const struct http_call *call, bool unless_known)
{
	const struct origin *o;

	if (!call->https)
		return false;
	o = place_of(call->origin);
	return o->speaks != SPEAKS_UNKNOWN && o->hash == call->origin ? o->speaks == SPEAKS_HTTP2 : unless_known;
}

static void
call_ended(CURL *easy, CURLcode result)
{
	struct http_call *call;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&call);
	call->done = true;
	call->result = result;
	/* to libcurl, headers that break off are an answer without a body */
	if (call->result == CURLE_OK && !call->status_known)
		call->result = CURLE_RECV_ERROR;
	fiber_wake(call->fiber);
}

/* The next of those that share nothing. */
static struct http_pool *
overflow_pool(void)
{
	struct http_pool *pool = &client.overflow[client.next_overflow++ % OVERFLOW_POOLS];

	if (pool->multi == NULL)
		http_pool_open(pool, call_ended);
	return pool;
}

void
http_client_start(long max_conns_kept)
{
	http2_window_init();
	curl_global_init(CURL_GLOBAL_DEFAULT);
	http_pool_open(&client.shared, call_ended);
	curl_multi_setopt(client.shared.multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	curl_multi_setopt(client.shared.multi, CURLMOPT_MAX_CONCURRENT_STREAMS, 1000L);
	curl_multi_setopt(client.shared.multi, CURLMOPT_MAXCONNECTS, max_conns_kept);
}

void
http_client_stop(void)
{
	http_pool_close(&client.shared);
	for (int i = 0; i < OVERFLOW_POOLS; i++)
		http_pool_close(&client.overflow[i]);
	curl_global_cleanup();
}

static size_t
body_cb(char *data, size_t size, size_t count, void *arg)
{
	struct http_call *call = arg;
	size_t len = size * count;

	call->status_known = true;
	if (call->body.len + call->shown.len >= HTTP_BODY_HIGH_BYTES) {
		call->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (buffer_append(&call->body, data, len) == -1)
		return 0;
	fiber_wake(call->fiber);
	return len;
}

static size_t
send_cb(char *data, size_t size, size_t count, void *arg)
{
	struct http_call *call = arg;
	size_t len = size * count < call->to_send_len ? size * count : call->to_send_len;

	if (len == 0) {
		call->send_paused = true;
		return CURL_READFUNC_PAUSE;
	}
	memcpy(data, call->to_send, len);
	call->to_send += len;
	call->to_send_len -= len;
	if (call->to_send_len == 0)
		fiber_wake(call->fiber);
	return len;
}

/* The empty line after the headers of the final answer. */
static size_t
header_cb(char *data, size_t size, size_t count, void *arg)
{
	struct http_call *call = arg;
	size_t len = size * count;
	long status = 0;

	if (len > 2 || (data[0] != '\r' && data[0] != '\n'))
		return len;
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200 && !call->status_known) {
		note_version(call);
		call->status_known = true;
		fiber_wake(call->fiber);
	}
	return len;
}

/* Of a request that is part of a trace: a span, and where it is goes along. */
COLD static void
begin_span(struct http_call *call, const struct http_options *o)
{
	char header[sizeof("traceparent: ") + TRACEPARENT_BYTES] = "traceparent: ";
	const char *host = strstr(o->url, "://"), *at;
	char name[sizeof(call->span.name)];
	size_t len;

	host = host != NULL ? host + 3 : o->url;
	len = strcspn(host, "/?#");
	at = memrchr(host, '@', len);   /* a password's place is before it */
	if (at != NULL) {
		len -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	snprintf(name, sizeof(name), "%s %.*s", o->method, (int)len, host);
	trace_begin(&call->span, fiber_trace(), false, name);
	trace_write(&call->span.context, header + strlen(header));
	call->headers = curl_slist_append(call->headers, header);
}

static void
join_trace(struct http_call *call, const struct http_options *o)
{
	if (fiber_self() != NULL && trace_given(fiber_trace()))
		begin_span(call, o);
}

static void
set_request(struct http_call *call, const struct http_options *o)
{
	curl_easy_setopt(call->easy, CURLOPT_URL, o->url);
	if (o->body != NULL) {
		curl_easy_setopt(call->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, o->body);
		curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body_len);
	}
	if (o->upload_bytes > 0) {
		curl_easy_setopt(call->easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(call->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)o->upload_bytes);
		curl_easy_setopt(call->easy, CURLOPT_READFUNCTION, send_cb);
		curl_easy_setopt(call->easy, CURLOPT_READDATA, call);
	}
	curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, o->method);
	if (o->aws_sigv4 != NULL)
		curl_easy_setopt(call->easy, CURLOPT_AWS_SIGV4, o->aws_sigv4);
	if (o->user_password != NULL)
		curl_easy_setopt(call->easy, CURLOPT_USERPWD, o->user_password);
	for (const char *const *h = o->headers; h != NULL && *h != NULL; h++)
		call->headers = curl_slist_append(call->headers, *h);
	join_trace(call, o);
	/* no wait for "100 Continue"; libcurl 7.88 would sign the header that is not sent, so there a short one */
	if (o->aws_sigv4 == NULL)
		call->headers = curl_slist_append(call->headers, "Expect:");
	else
		curl_easy_setopt(call->easy, CURLOPT_EXPECT_100_TIMEOUT_MS, EXPECT_TIMEOUT_MS);
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
	curl_easy_setopt(call->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	if (o->accept_compressed)
		curl_easy_setopt(call->easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
	if (o->ca_file != NULL && o->ca_file[0] != '\0')
		curl_easy_setopt(call->easy, CURLOPT_CAINFO, o->ca_file);
}

static void
set_transport(struct http_call *call, const struct http_options *o)
{
	curl_easy_setopt(call->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
	curl_easy_setopt(call->easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
	curl_easy_setopt(call->easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BYTES);
	curl_easy_setopt(call->easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(call->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	/* a body that comes in pieces cannot be sent again when a server resets its stream: libcurl tried to
	   (CVE-2026-92392, not mended in Debian 12) */
	curl_easy_setopt(call->easy, CURLOPT_HTTP_VERSION, o->upload_bytes > 0 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS);
	/* wait for a connection in the making rather than open one per call, if the
	   host may speak HTTP/2 */
	curl_easy_setopt(call->easy, CURLOPT_PIPEWAIT, call->https ? 1L : 0L);
	call->pool = &client.shared;
	if (client.calls > REUSE_UP_TO_CALLS && !is_multiplexed(call, false)) {
		call->pool = overflow_pool();
		curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(call->easy, CURLOPT_FORBID_REUSE, 1L);
	}
}

struct http_call *
http_open(const struct http_options *o, struct err *err)
{
	struct http_call *call = mem_alloc(sizeof(*call));

	call->fiber = fiber_self();
	call->body = BUFFER_INIT(HTTP_BODY_HIGH_BYTES + CURL_MAX_WRITE_SIZE);
	call->easy = curl_easy_init();
	if (call->easy == NULL)
		abort();        /* as out of memory */
	call->next = client.open;
	if (client.open != NULL)
		client.open->prev = call;
	client.open = call;
	client.calls++;
	curl_easy_setopt(call->easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, body_cb);
	curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(call->easy, CURLOPT_HEADERFUNCTION, header_cb);
	curl_easy_setopt(call->easy, CURLOPT_HEADERDATA, call);
	set_origin(call, o->url);
	set_request(call, o);
	set_transport(call, o);
	if (curl_multi_add_handle(call->pool->multi, call->easy) != CURLM_OK) {
		err_set(err, ERR_INTERNAL, "The request could not be sent on.");
		http_close(&call);
		return NULL;
	}
	call->added = true;
	return call;
}

static enum http_event
wait_event(int64_t deadline_ms, struct err *err)
{
	switch (fiber_wait(deadline_ms)) {
	case FIBER_TIMEOUT:
		return HTTP_TIMEOUT;
	case FIBER_CANCELLED:
		fiber_cancel_err(err);
		return HTTP_CANCELLED;
	case FIBER_WOKEN:
		break;
	}
	return HTTP_READY;
}

/* The call is done: did it end well? */
static enum http_event
final_event(const struct http_call *call, struct err *err)
{
	if (call->result == CURLE_OK)
		return HTTP_END;
	err_set(err, ERR_UPSTREAM, call->status_known ? "The connection broke off before the end."
	                                              : "No connection could be made.");
	err_cause(err, "curl: %s", curl_easy_strerror(call->result));
	return HTTP_FAILED;
}

enum http_event
http_send(struct http_call *call, const char *data, size_t len, int64_t deadline_ms, struct err *err)
{
	enum http_event event = HTTP_READY;

	call->to_send = data;
	call->to_send_len = len;
	if (call->send_paused) {
		call->send_paused = false;
		curl_easy_pause(call->easy, CURLPAUSE_CONT);    /* may take it at once */
	}
	while (call->to_send_len > 0 && event == HTTP_READY) {
		if (call->done)
			event = final_event(call, err);
		else
			event = wait_event(deadline_ms, err);
	}
	call->to_send_len = 0;
	return event;
}

enum http_event
http_wait_status(struct http_call *call, int64_t deadline_ms, struct err *err)
{
	while (!call->status_known) {
		enum http_event event;

		if (call->done)
			return final_event(call, err);
		event = wait_event(deadline_ms, err);
		if (event != HTTP_READY)
			return event;
	}
	return HTTP_READY;
}

long
http_wait_answer(struct http_call *call, int64_t deadline_ms, const char *whom, struct err *err)
{
	switch (http_wait_status(call, deadline_ms, err)) {
	case HTTP_READY:
	case HTTP_END:
		return http_status(call);
	case HTTP_TIMEOUT:
		return err_set(err, ERR_UPSTREAM_TIMEOUT, "%s did not answer in time.", whom);
	case HTTP_FAILED:
	case HTTP_CANCELLED:
		break;
	}
	return -1;
}

long
http_status(const struct http_call *call)
{
	long status = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

const char *
http_header(struct http_call *call, const char *name)
{
	struct curl_header *header;

	if (curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

int64_t
http_retry_after_secs(struct http_call *call)
{
	const char *value = http_header(call, "Retry-After");

	return value != NULL ? retry_after_secs(value, time(NULL)) : -1;
}

enum http_event
http_read(struct http_call *call, int64_t deadline_ms, const char **data_r, size_t *len_r, struct err *err)
{
	while (call->shown.len == 0 && call->body.len == 0) {
		enum http_event event;

		if (call->done)
			return final_event(call, err);
		if (call->paused) {
			call->paused = false;
			curl_easy_pause(call->easy, CURLPAUSE_CONT);    /* may deliver at once */
			continue;
		}
		event = wait_event(deadline_ms, err);
		if (event != HTTP_READY)
			return event;
	}
	if (call->shown.len == 0) {
		call->shown = call->body;
		call->body = BUFFER_INIT(call->shown.max);
	}
	*data_r = call->shown.data + call->shown_used;
	*len_r = call->shown.len - call->shown_used;
	return HTTP_READY;
}

void
http_consume(struct http_call *call, size_t len)
{
	call->shown_used += len;
	assert(call->shown_used <= call->shown.len);
	if (call->shown_used < call->shown.len)
		return;
	buffer_free(&call->shown);      /* idle streams hold no buffer */
	call->shown_used = 0;
}

int
http_read_all(struct http_call *call, size_t max, int64_t deadline_ms, char **text_r, size_t *len_r,
              struct err *err)
{
	struct buffer all = BUFFER_INIT(max);
	const char *data;
	size_t len;

	for (;;) {
		switch (http_read(call, deadline_ms, &data, &len, err)) {
		case HTTP_READY:
			if (buffer_append(&all, data, len) == -1) {
				err_set(err, ERR_UPSTREAM, "The answer was larger than %zu bytes.", max);
				goto failed;
			}
			http_consume(call, len);
			break;
		case HTTP_END:
			(void)!buffer_reserve(&all, 0);         /* an empty answer is "" */
			*text_r = all.data;
			*len_r = all.len;
			return 0;
		case HTTP_TIMEOUT:
			err_set(err, ERR_UPSTREAM_TIMEOUT, "The answer did not arrive in time.");
			goto failed;
		case HTTP_FAILED:
		case HTTP_CANCELLED:
			goto failed;
		}
	}
failed:
	buffer_free(&all);
	return -1;
}

enum http_failure
http_call_failure(const struct http_call *call)
{
	if (!call->done || call->result == CURLE_OK)
		return HTTP_FINE;
	switch (call->result) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_OPERATION_TIMEDOUT:          /* the only time-out left to libcurl is that of connecting */
		return HTTP_NO_CONNECTION;
	default:
		return HTTP_BROKEN;
	}
}

static void
unlink_call(struct http_call *call)
{
	if (call->prev != NULL)
		call->prev->next = call->next;
	else
		client.open = call->next;
	if (call->next != NULL)
		call->next->prev = call->prev;
	client.calls--;
}

/* Tells connections to one server apart. */
static long
local_port(const struct http_call *call)
{
	long port = 0;

	curl_easy_getinfo(call->easy, CURLINFO_LOCAL_PORT, &port);
	return port;
}

/* libcurl 7.88 leaves the RST_STREAM of a cancelled HTTP/2 stream in a buffer until
   something else is sent on that connection, and the server works on for
   nobody.  Pausing another stream of it and letting that go on sends it.  When
   there is none, FORBID_REUSE has closed the connection. */
static void
send_reset(uint32_t origin, long port)
{
	for (struct http_call *call = client.open; call != NULL; call = call->next) {
		if (call->origin != origin || call->done || call->paused || local_port(call) != port)
			continue;
		curl_easy_pause(call->easy, CURLPAUSE_RECV);
		curl_easy_pause(call->easy, CURLPAUSE_CONT);
		return;
	}
}

/* Take the transfer out of libcurl's hands; if it still runs, it is cancelled. */
static void
end_transfer(struct http_call *call)
{
	/* a connection of its own ends with the call */
	bool cancelled = !call->done && call->pool == &client.shared && is_multiplexed(call, true);
	long port = cancelled ? local_port(call) : 0;

	if (cancelled)
		curl_easy_setopt(call->easy, CURLOPT_FORBID_REUSE, 1L);
	curl_multi_remove_handle(call->pool->multi, call->easy);
	if (port != 0)
		send_reset(call->origin, port);
}

void
http_close(struct http_call **call_p)
{
	struct http_call *call = *call_p;

	if (call == NULL)
		return;
	unlink_call(call);
	trace_end(&call->span, call->status_known ? http_status(call) : 0, !call->status_known || http_status(call) >= 500);
	if (call->added)
		end_transfer(call);
	curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	buffer_free(&call->body);
	buffer_free(&call->shown);
	free(call);
	*call_p = NULL;
}

unsigned
http_open_calls(void)
{
	return client.calls;
}
