/*
 * fetch.h - asking a provider over HTTP.
 *
 * Only hosts of the settings are asked: URLs are a base URL of the settings and parts that are percent-encoded here.
 * Redirects are not followed.  An answer has at most FETCH_MAX_BYTES, after decompression, and is UTF-8 (or
 * says another charset, which is refused; XML tells its own, see feed.h).  Errors are short, fit to be shown and
 * never hold the key.
 */
#ifndef TOOLS_FETCH_H
#define TOOLS_FETCH_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/json.h"

#define FETCH_MAX_BYTES ((size_t)1024 * 1024)
/* A fetch ends so long before its fiber's deadline. */
#define FETCH_GRACE_MS 200
#define FETCH_URL_MAX_BYTES ((size_t)4096)

struct fetch {
	const char *provider;           /* as people know it */
	const char *url;
	const char *const *headers;     /* ended by NULL; or NULL */
	const char *body;               /* NULL: GET, else POST */
	const char *key;                /* never shown, whatever the provider says; or NULL */
	/* What is an error in this provider's words?  0: nothing that it knows.  Called for every answer that is JSON, whatever
	   its status.  -1 with *err if it is one.  NULL: none has words of its own. */
	int (*explain)(long status, struct json_object *body, struct err *err);
};

/* Ask and read a JSON object or array; json_object_put() it.  Waits. */
int fetch_json(const struct fetch *f, struct json_object **answer_r, struct err *err) MUST_USE;

/* Ask several at once, read each as text (free() it).  texts_r[i] is NULL, and errs[i] says why, where that
   failed.  -1 only when cancelled.  Waits. */
struct fetch_text {
	char *text;
	size_t len;
	char charset[32];               /* of the Content-Type; "" if it has none */
	struct err err;
};
int fetch_texts(const struct fetch *fetches, size_t count, struct fetch_text *texts_r, struct err *err) MUST_USE;

/* "base" "path" ? name=value & ...: pairs end with FETCH_END; a NULL value leaves its pair out.  In `url`, which has
   FETCH_URL_MAX_BYTES as its maximum.  -1 with *err (ERR_UNPROCESSABLE) when that is too long. */
#define FETCH_END ((const char *)NULL)
int fetch_url(struct buffer *url, struct err *err, const char *base, const char *path, ...)
    __attribute__((sentinel)) MUST_USE;

/* Percent-encode all but unreserved characters (RFC 3986, 2.3). */
int fetch_encode(struct buffer *out, const char *text) MUST_USE;

/* A header of `start` and a key. */
void fetch_key_header(char *out, size_t size, const char *start, const char *key);

/* How we call ourselves, with TOOLS_CONTACT. */
void fetch_user_agent(char *out, size_t size);

/* The answer has not the provider's shape: fills *err, returns -1. */
int fetch_malformed(const char *provider, struct err *err);

/* For each status that says no; fills *err, returns -1. */
int fetch_refused(const char *provider, long status, struct err *err);

#endif
