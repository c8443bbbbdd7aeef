/*
 * http_client.h - outgoing HTTP for fibers, on libcurl's multi interface.
 *
 * One connection pool per worker; HTTP/2 is multiplexed where the server speaks
 * it.  A call is opened, its status waited for, its body read piece by piece, and
 * closed; closing before the end cancels the transfer at once.  A reader that
 * falls behind pauses the transfer, so not much more than HTTP_BODY_HIGH_BYTES and
 * what the kernel holds are buffered.  Redirects are not followed.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct http_call;

/* Above this much unread body the transfer is paused. */
#define HTTP_BODY_HIGH_BYTES ((size_t)32 * 1024)

struct http_options {
	const char *method;             /* "GET", "POST", ... */
	const char *url;
	const char *const *headers;     /* "Name: value", ended by NULL; or NULL */
	const char *body;               /* NULL: none; must live until http_close() */
	size_t body_len;
	int64_t upload_bytes;           /* instead of `body`: so many bytes follow by http_send(), over HTTP/1.1; 0: none */
	const char *aws_sigv4;          /* sign as AWS wants it: "aws:amz:<region>:<service>", or NULL */
	const char *user_password;      /* "user:password", for aws_sigv4 "key id:secret"; or NULL */
	const char *ca_file;            /* NULL or "": the system's certificates */
	int64_t connect_timeout_ms;
	bool accept_compressed;         /* say so, and decompress; what is read and counted is decompressed */
};

/* What kept a call from being answered. */
enum http_failure {
	HTTP_FINE,
	HTTP_NO_CONNECTION,             /* refused, unreachable, name or TLS failed, connect time-out */
	HTTP_BROKEN,                    /* the connection ended or the answer was no HTTP */
};

/* Outcome of a wait. */
enum http_event {
	HTTP_READY,                     /* what was waited for is there */
	HTTP_END,                       /* the body is complete; nothing follows */
	HTTP_TIMEOUT,                   /* not within the deadline; the call goes on */
	HTTP_FAILED,                    /* see http_call_failure(); *err says why */
	HTTP_CANCELLED,                 /* the fiber was cancelled; *err says why */
};

/* Set up for this process; `max_conns_kept` idle connections at most are kept. */
void http_client_start(long max_conns_kept);
void http_client_stop(void);

/* Begin a call for the running fiber; NULL with *err if it is not to be had.
   Does not wait.  Free with http_close(). */
struct http_call *http_open(const struct http_options *options, struct err *err) MUST_USE;

/* Send the next bytes of a body of `upload_bytes`: HTTP_READY when all were taken, HTTP_END
   when the server has answered without wanting them. */
enum http_event http_send(struct http_call *call, const char *data, size_t len, int64_t deadline_ms,
                          struct err *err) MUST_USE;

/* Wait for the final status and headers. */
enum http_event http_wait_status(struct http_call *call, int64_t deadline_ms, struct err *err) MUST_USE;

/* The same where a deadline that is over is an error: the status, or -1 with *err, ERR_UPSTREAM_TIMEOUT in the name of
   `whom` ("The collector") or as http_wait_status(). */
long http_wait_answer(struct http_call *call, int64_t deadline_ms, const char *whom, struct err *err) MUST_USE;

/* The status, once waited for. */
long http_status(const struct http_call *call);

/* The value of a response header, or NULL.  Lives until http_close() or the next call of this. */
const char *http_header(struct http_call *call, const char *name);

/* Wait for body bytes: *data_r and *len_r then show them.  They stay where they are, whatever
   arrives meanwhile, until http_consume() has been told of all of them: only then are further ones shown. */
enum http_event http_read(struct http_call *call, int64_t deadline_ms, const char **data_r, size_t *len_r,
                          struct err *err) MUST_USE;
void http_consume(struct http_call *call, size_t len);

/* Read the rest of the body, at most `max` bytes, into *text_r (NUL-terminated;
   free() it).  -1 with *err: ERR_UPSTREAM, ERR_UPSTREAM_TIMEOUT or cancelled. */
int http_read_all(struct http_call *call, size_t max, int64_t deadline_ms, char **text_r, size_t *len_r,
                  struct err *err) MUST_USE;

enum http_failure http_call_failure(const struct http_call *call);

/* Seconds that a Retry-After header asks for (net/retry_after.h); -1 when there is none or it makes no sense. */
int64_t http_retry_after_secs(struct http_call *call);

/* Cancel the transfer if it still runs, and free.  Sets *call to NULL. */
void http_close(struct http_call **call);

/* Calls open now. */
unsigned http_open_calls(void);

#endif
