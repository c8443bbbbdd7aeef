/* fetch.c - see tools/fetch.h */
#include "tools/fetch.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/text.h"
#include "config/config.h"
#include "net/http_client.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/work.h"
#include "telemetry/log.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0"
#endif

#define HEADERS_MAX 8
#define CONNECT_TIMEOUT_MS 3000
/* Parsing more JSON than this takes over a millisecond. */
#define PARSE_INLINE_BYTES ((size_t)64 * 1024)

/* ---- requests ---- */

void
fetch_user_agent(char *out, size_t size)
{
	const char *contact = config()->tools_contact;

	/* RFC 9110, 10.1.5; what Nominatim's and Wikipedia's rules ask for */
	snprintf(out, size, "User-Agent: Bakame/%s%s%s%s", PACKAGE_VERSION, contact[0] != '\0' ? " (" : "", contact,
	         contact[0] != '\0' ? ")" : "");
}

void
fetch_key_header(char *out, size_t size, const char *start, const char *key)
{
	snprintf(out, size, "%s%s", start, key);
}

int
fetch_encode(struct buffer *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		int rc = isalnum(c) && c < 0x80 ? buffer_append(out, text, 1)
		         : strchr("-._~", c) != NULL ? buffer_append(out, text, 1)
		                                     : buffer_printf(out, "%%%02X", c);

		if (rc == -1)
			return -1;
	}
	return 0;
}

int
fetch_url(struct buffer *url, struct err *err, const char *base, const char *path, ...)
{
	const char *name, *value;
	char joint = '?';
	va_list ap;
	int rc;

	rc = buffer_append_text(url, base) == -1 || buffer_append_text(url, path) == -1 ? -1 : 0;
	va_start(ap, path);
	while (rc == 0 && (name = va_arg(ap, const char *)) != NULL) {
		value = va_arg(ap, const char *);
		if (value == NULL)
			continue;
		if (buffer_append(url, &joint, 1) == -1 || buffer_append_text(url, name) == -1 ||
		    buffer_append(url, "=", 1) == -1 || fetch_encode(url, value) == -1)
			rc = -1;
		joint = '&';
	}
	va_end(ap);
	return rc == 0 ? 0 : err_set(err, ERR_UNPROCESSABLE, "The question is too long.");
}

static struct http_call *
open_call(const struct fetch *f, struct err *err)
{
	const char *headers[HEADERS_MAX + 3] = {"Accept: application/json, application/xml;q=0.9, */*;q=0.1"};
	char agent[300];
	size_t n = 1;
	struct http_options o = {
	    .method = f->body != NULL ? "POST" : "GET",
	    .url = f->url,
	    .headers = headers,
	    .body = f->body,
	    .body_len = f->body != NULL ? strlen(f->body) : 0,
	    .connect_timeout_ms = CONNECT_TIMEOUT_MS,
	    .accept_compressed = true,
	};

	fetch_user_agent(agent, sizeof(agent));
	headers[n++] = agent;
	for (size_t i = 0; f->headers != NULL && f->headers[i] != NULL && n < HEADERS_MAX + 2; i++)
		headers[n++] = f->headers[i];
	return http_open(&o, err);
}

/* ---- answers ---- */

int
fetch_malformed(const char *provider, struct err *err)
{
	return err_set(err, ERR_UPSTREAM, "%s gave an answer that could not be understood.", provider);
}

int
fetch_refused(const char *provider, long status, struct err *err)
{
	if (status == 401 || status == 402 || status == 403)
		err_set(err, ERR_FORBIDDEN, "%s refused this server; the operator has to look at the key or the quota.",
		        provider);
	else if (status == 429)
		err_set(err, ERR_UNAVAILABLE, "%s has had too many questions for now.", provider);
	else if (status == 404)
		err_set(err, ERR_NOT_FOUND, "%s found nothing.", provider);
	else if (status >= 300 && status < 400)
		err_set(err, ERR_UPSTREAM, "%s sent us to another address, which is not followed.", provider);
	else if (status == 408 || status == 504)
		err_set(err, ERR_UPSTREAM_TIMEOUT, "%s took too long.", provider);
	else if (status >= 500)
		err_set(err, ERR_UNAVAILABLE, "%s is not working at the moment.", provider);
	else
		err_set(err, ERR_UNPROCESSABLE, "%s could not make sense of the question.", provider);
	return err_cause(err, "%s answered %ld", provider, status);
}

/* The value of charset in a Content-Type; "" if it has none. */
static void
read_charset(const char *type, char *out, size_t size)
{
	const char *at = type != NULL ? strcasestr(type, "charset=") : NULL;
	size_t len;

	out[0] = '\0';
	if (at == NULL)
		return;
	at += strlen("charset=");
	at += *at == '"';
	len = strcspn(at, "\"; \t");
	snprintf(out, size, "%.*s", (int)(len < size ? len : size - 1), at);
}

/* What failed on the way, without the URL, which may hold the key. */
static void
failed_transfer(const char *provider, struct http_call *call, struct err *err)
{
	char cause[sizeof(err->cause)];

	if (err->code == ERR_CANCELLED || fiber_cancelled(fiber_self()) != FIBER_GO_ON) {
		if (fiber_cancelled(fiber_self()) == FIBER_PAST_DEADLINE)
			err_set(err, ERR_UPSTREAM_TIMEOUT, "%s took too long.", provider);
		return;
	}
	text_copy(cause, sizeof(cause), err->cause);
	if (err->code == ERR_UPSTREAM_TIMEOUT)
		err_set(err, ERR_UPSTREAM_TIMEOUT, "%s took too long.", provider);
	else if (http_call_failure(call) == HTTP_NO_CONNECTION)
		err_set(err, ERR_UNAVAILABLE, "%s could not be reached.", provider);
	else if (http_call_failure(call) == HTTP_FINE)
		err_set(err, ERR_UPSTREAM, "%s gave an answer that is too large.", provider);
	else
		err_set(err, ERR_UPSTREAM, "The answer of %s broke off.", provider);
	err_cause(err, "%s", cause);
}

static int64_t
deadline(void)
{
	int64_t whole = fiber_deadline();

	return whole == FIBER_NO_DEADLINE ? whole : whole - FETCH_GRACE_MS;
}

/* Status and body of an opened call.  -1 when there is no whole answer. */
static int
read_answer(const struct fetch *f, struct http_call *call, long *status_r, struct fetch_text *text_r, struct err *err)
{
	switch (http_wait_status(call, deadline(), err)) {
	case HTTP_READY:
		break;
	case HTTP_TIMEOUT:
		return err_set(err, ERR_UPSTREAM_TIMEOUT, "%s took too long.", f->provider);
	case HTTP_END:
	case HTTP_FAILED:
	case HTTP_CANCELLED:
		failed_transfer(f->provider, call, err);
		return -1;
	}
	*status_r = http_status(call);
	read_charset(http_header(call, "Content-Type"), text_r->charset, sizeof(text_r->charset));
	if (http_read_all(call, FETCH_MAX_BYTES, deadline(), &text_r->text, &text_r->len, err) == 0)
		return 0;
	failed_transfer(f->provider, call, err);
	return -1;
}

struct parse_job {
	const char *text;
	size_t len;
	struct json_object *parsed;
};

static void
parse_job_run(void *arg)
{
	struct parse_job *job = arg;

	struct json_facts facts;

	/* grammar and UTF-8 strictly; half a surrogate pair, where a provider has cut a text, is let pass */
	if (json_scan_check((struct json_slice){job->text, job->len}, &facts))
		job->parsed = json_parse_trusted(job->text, job->len);
	if (!json_object_is_type(job->parsed, json_type_object) && !json_object_is_type(job->parsed, json_type_array)) {
		json_object_put(job->parsed);
		job->parsed = NULL;
	}
}

static struct json_object *
parse(const struct fetch_text *t)
{
	struct parse_job job = {t->text, t->len, NULL};

	if (t->charset[0] != '\0' && strcasecmp(t->charset, "utf-8") != 0 && strcasecmp(t->charset, "us-ascii") != 0)
		return NULL;
	if (t->len <= PARSE_INLINE_BYTES)
		parse_job_run(&job);
	else
		work_run(parse_job_run, &job);
	return job.parsed;
}

/* A message that quotes the key is not shown. */
static void
keep_key_secret(const struct fetch *f, struct err *err)
{
	char cause[sizeof(err->cause)];

	if (f->key == NULL || f->key[0] == '\0' ||
	    (strstr(err->message, f->key) == NULL && strstr(err->cause, f->key) == NULL))
		return;
	snprintf(cause, sizeof(cause), "%s quoted the key", f->provider);
	err_set(err, err->code, "%s refused the question.", f->provider);
	err_cause(err, "%s", cause);
}

static int
judge(const struct fetch *f, long status, struct json_object *body, struct err *err)
{
	if (body != NULL && f->explain != NULL && f->explain(status, body, err) == -1)
		return -1;
	if (status != 200)
		return fetch_refused(f->provider, status, err);
	if (body == NULL)
		return fetch_malformed(f->provider, err);
	return 0;
}

int
fetch_json(const struct fetch *f, struct json_object **answer_r, struct err *err)
{
	struct http_call *call = open_call(f, err);
	struct fetch_text text = {0};
	struct json_object *body = NULL;
	long status = 0;
	int rc = -1;

	if (call == NULL)
		return -1;
	if (read_answer(f, call, &status, &text, err) == 0) {
		body = parse(&text);
		rc = judge(f, status, body, err);
		keep_key_secret(f, err);
	}
	http_close(&call);
	free(text.text);
	if (rc == 0)
		*answer_r = body;
	else
		json_object_put(body);
	return rc;
}

int
fetch_texts(const struct fetch *fetches, size_t count, struct fetch_text *texts_r, struct err *err)
{
	struct http_call **calls = mem_alloc(count * sizeof(struct http_call *));
	int rc = 0;

	for (size_t i = 0; i < count; i++) {
		texts_r[i] = (struct fetch_text){0};
		calls[i] = open_call(&fetches[i], &texts_r[i].err);
	}
	for (size_t i = 0; i < count; i++) {
		long status = 0;

		if (calls[i] == NULL)
			continue;
		if (rc == 0 && read_answer(&fetches[i], calls[i], &status, &texts_r[i], &texts_r[i].err) == 0 &&
		    status != 200) {
			fetch_refused(fetches[i].provider, status, &texts_r[i].err);
			free(texts_r[i].text);
			texts_r[i].text = NULL;
		}
		if (rc == 0 && fiber_cancelled(fiber_self()) != FIBER_GO_ON) {
			*err = texts_r[i].err;
			rc = -1;
		}
		http_close(&calls[i]);
	}
	free(calls);
	return rc;
}
