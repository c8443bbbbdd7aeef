/* blob_s3.c - see store/blob_s3.h */
#include "store/blob_s3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ident.h"
#include "base/text.h"
#include "config/config.h"
#include "net/http_client.h"
#include "runtime/loop.h"
#include "runtime/work.h"

#define CONNECT_TIMEOUT_MS 5000
#define SILENCE_MS 30000
#define PIECE_BYTES ((size_t)64 * 1024)
#define URL_BYTES 2560

/* SHA-256 of nothing: of the body of GET and DELETE. */
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct piece {
	int fd;
	int64_t at;
	ssize_t len;
	char *data;
};

bool
blob_s3_used(void)
{
	return config()->upload_s3_endpoint[0] != '\0';
}

/* Open a signed request for the object. */
static struct http_call *
open_signed(const char *method, const char *id, const char *sha256, int64_t upload_bytes, struct err *err)
{
	const struct config *c = config();
	char url[URL_BYTES], hash[128], sigv4[128], keys[1100];
	const char *const headers[] = {hash, "Content-Type: application/octet-stream", NULL};

	if (!ident_is_valid(id)) {
		err_set(err, ERR_NOT_FOUND, "There is no such file.");
		return NULL;
	}
	snprintf(url, sizeof(url), "%s/%s/%s", c->upload_s3_endpoint, c->upload_s3_bucket, id);
	snprintf(hash, sizeof(hash), "x-amz-content-sha256: %s", sha256);
	snprintf(sigv4, sizeof(sigv4), "aws:amz:%s:s3", c->upload_s3_region);
	snprintf(keys, sizeof(keys), "%s:%s", c->upload_s3_access_key_id, c->upload_s3_secret_access_key);
	return http_open(&(struct http_options){.method = method,
	                                        .url = url,
	                                        .headers = headers,
	                                        .upload_bytes = upload_bytes,
	                                        .aws_sigv4 = sigv4,
	                                        .user_password = keys,
	                                        .connect_timeout_ms = CONNECT_TIMEOUT_MS},
	                 err);
}

/* The store did not do it: never the person's fault. */
static int
refused(struct err *err, const char *what, const char *why)
{
	err_set(err, ERR_UNAVAILABLE, "The store of files %s; try again later.", what);
	err->retry_after_secs = 30;
	return err_cause(err, "S3: %s", why);
}

static int
event_error(enum http_event event, struct err *err)
{
	struct err was = *err;

	switch (event) {
	case HTTP_TIMEOUT:
		return refused(err, "does not answer", "no answer in time");
	case HTTP_FAILED:
		return refused(err, "is away", was.cause);
	case HTTP_END:
		return refused(err, "did not take the file", "answered before the end of the body");
	case HTTP_CANCELLED:
	case HTTP_READY:
		break;
	}
	return -1;
}

/* Wait for the answer.  Its status, or -1. */
static long
await_status(struct http_call *call, struct err *err)
{
	enum http_event event = http_wait_status(call, loop_now_ms() + SILENCE_MS, err);

	return event == HTTP_READY || event == HTTP_END ? http_status(call) : event_error(event, err);
}

/* A status that is no success; what the store says of it goes to the log. */
static int
status_error(struct http_call *call, long status, const char *what, struct err *err)
{
	char why[200], *text = NULL;
	struct err ignored;
	size_t len = 0;

	(void)!http_read_all(call, 8192, loop_now_ms() + SILENCE_MS, &text, &len, &ignored);
	snprintf(why, sizeof(why), "%ld %.150s", status, text != NULL ? text : "");
	text_trim_partial_utf8(why);
	free(text);
	return refused(err, what, why);
}

static void
read_piece(void *arg)
{
	struct piece *p = arg;

	do
		p->len = pread(p->fd, p->data, PIECE_BYTES, p->at);
	while (p->len == -1 && errno == EINTR);
}

static int
send_file(struct http_call *call, int fd, int64_t size, struct err *err)
{
	struct piece p = {.fd = fd, .data = mem_alloc(PIECE_BYTES)};
	int rc = 0;

	while (rc == 0 && p.at < size) {
		enum http_event event;

		work_run(read_piece, &p);
		if (p.len <= 0) {
			rc = err_set(err, ERR_INTERNAL, "The file could not be read again.");
			break;
		}
		event = http_send(call, p.data, (size_t)p.len, loop_now_ms() + SILENCE_MS, err);
		if (event == HTTP_END)          /* refused before it had all: the status tells why */
			break;
		if (event != HTTP_READY)
			rc = event_error(event, err);
		p.at += p.len;
	}
	free(p.data);
	return rc;
}

int
blob_s3_put(const char *id, int fd, int64_t size, const char *sha256, struct err *err)
{
	struct http_call *call = open_signed("PUT", id, sha256, size, err);
	long status = -1;
	int rc = -1;

	if (call == NULL)
		return -1;
	if (send_file(call, fd, size, err) == 0)
		status = await_status(call, err);
	if (status == 200 || status == 201)
		rc = 0;
	else if (status != -1)
		status_error(call, status, "did not take the file", err);
	http_close(&call);
	return rc;
}

struct http_call *
blob_s3_get(const char *id, struct err *err)
{
	struct http_call *call = open_signed("GET", id, EMPTY_SHA256, 0, err);
	long status;

	if (call == NULL)
		return NULL;
	status = await_status(call, err);
	if (status == 200)
		return call;
	if (status == 404)
		err_set(err, ERR_NOT_FOUND, "There is no such file.");
	else if (status != -1)
		status_error(call, status, "did not give the file", err);
	http_close(&call);
	return NULL;
}

int
blob_s3_remove(const char *id, struct err *err)
{
	struct http_call *call = open_signed("DELETE", id, EMPTY_SHA256, 0, err);
	long status;
	int rc = 0;

	if (call == NULL)
		return -1;
	status = await_status(call, err);
	if (status == -1)
		rc = -1;
	else if (status / 100 != 2 && status != 404)
		rc = status_error(call, status, "did not remove the file", err);
	http_close(&call);
	return rc;
}
