/* request.c - see http/request.h */
#include "http/request.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/text.h"
#include "http/fcgi.h"
#include "runtime/loop.h"
#include "runtime/work.h"

#define ID_MAX_BYTES 128
#define HEADER_NAME_MAX 64
/* Response headers of ours; the front adds its own. */
#define RESPONSE_HEADERS_MAX ((size_t)8 * 1024)
/* Parsing more JSON than this takes over a millisecond. */
#define PARSE_INLINE_BYTES ((size_t)64 * 1024)

/* The front's id if it is one that fits into a header and a log line, else a new one. */
static const char *
request_id(struct request *rq)
{
	const char *given = fcgi_param(rq->fcgi, "REQUEST_ID");
	char *made;
	uuid_t uuid;
	size_t len = given != NULL ? strlen(given) : 0;

	if (len > 0 && len <= ID_MAX_BYTES) {
		for (const char *p = given; isalnum((unsigned char)*p) || (*p != '\0' && strchr("-_.@", *p));
		     p++)
			if (p[1] == '\0')
				return given;
	}
	made = arena_alloc(rq->arena, UUID_STR_LEN);
	if (made == NULL)
		return "";
	uuid_generate_random(uuid);
	uuid_unparse_lower(uuid, made);
	return made;
}

static const char *
param_or_empty(const struct request *rq, const char *name)
{
	const char *value = fcgi_param(rq->fcgi, name);

	return value != NULL ? value : "";
}

/* REQUEST_URI is the same under every front, unlike SCRIPT_NAME and PATH_INFO. */
static void
split_uri(struct request *rq)
{
	const char *uri = param_or_empty(rq, "REQUEST_URI");
	const char *end = uri + strcspn(uri, "?#");
	char *path;

	rq->query = *end == '?' ? end + 1 : "";
	path = arena_strndup(rq->arena, uri, (size_t)(end - uri));
	if (path == NULL || text_percent_decode(path) == -1)
		rq->path = "";          /* no route has it */
	else
		rq->path = path;
}

struct request *
request_new(struct fcgi *fcgi)
{
	struct arena *arena = arena_new(REQUEST_ARENA_BYTES);
	struct request *rq = arena_alloc(arena, sizeof(*rq));

	rq->arena = arena;
	rq->fcgi = fcgi;
	rq->started_ms = loop_now_ms();
	rq->headers.max = RESPONSE_HEADERS_MAX;
	rq->method = param_or_empty(rq, "REQUEST_METHOD");
	rq->remote_addr = param_or_empty(rq, "REMOTE_ADDR");
	rq->id = request_id(rq);
	rq->param = "";
	split_uri(rq);
	rq->log.parent = &log_root;
	rq->log.crumbs = &rq->crumbs;
	rq->log.fields[0] = LOG_STR("request_id", rq->id);
	rq->log.fields[1] = LOG_STR("remote_addr", rq->remote_addr);
	return rq;
}

void
request_free(struct request **rq_p)
{
	struct arena *arena = (*rq_p)->arena;

	buffer_free(&(*rq_p)->headers);
	buffer_free(&(*rq_p)->body);
	breadcrumbs_free(&(*rq_p)->crumbs);
	*rq_p = NULL;
	arena_free(&arena);
}

const char *
request_header(const struct request *rq, const char *name)
{
	char param[HEADER_NAME_MAX] = "HTTP_";
	size_t at = strlen(param);

	/* RFC 3875, 4.1.18 */
	for (; *name != '\0' && at < sizeof(param) - 1; name++)
		param[at++] = *name == '-' ? '_' : (char)toupper((unsigned char)*name);
	param[at] = '\0';
	return fcgi_param(rq->fcgi, param);
}

bool
request_is_type(const struct request *rq, const char *type)
{
	const char *given = param_or_empty(rq, "CONTENT_TYPE");
	size_t len = strlen(type);

	return text_has_prefix_nocase(given, type) && memchr("; \t", given[len], 4) != NULL;
}

static int
too_large(size_t max, struct err *err)
{
	return err_set(err, ERR_PAYLOAD_TOO_LARGE, "The body is larger than the %zu bytes allowed here.", max);
}

int
request_read_body(struct request *rq, size_t max, const char **data_r, size_t *len_r, struct err *err)
{
	const char *declared = param_or_empty(rq, "CONTENT_LENGTH");
	int64_t length = -1;
	int n;

	rq->body.max = max;
	/* absent or empty for bodies that Apache passes on in chunks */
	if (*declared != '\0' && text_to_int64(declared, 0, INT64_MAX, &length) == -1)
		return err_set(err, ERR_INVALID_REQUEST, "Content-Length is not a number.");
	if (length > (int64_t)max)
		return too_large(max, err);
	do {
		char piece[2048];

		n = fcgi_read(rq->fcgi, piece, sizeof(piece), err);
		if (n == -1)
			return -1;
		if (buffer_append(&rq->body, piece, (size_t)n) == -1)
			return too_large(max, err);
	} while (n > 0);
	if (length >= 0 && rq->body.len != (size_t)length)
		return err_set(err, ERR_INVALID_REQUEST, "The body has %zu bytes, not the %lld that it declares.",
		               rq->body.len, (long long)length);
	*data_r = rq->body.data != NULL ? rq->body.data : "";
	*len_r = rq->body.len;
	return 0;
}

struct parse_job {
	const char *text;
	size_t len;
	struct json_object *parsed;
	struct err err;
};

static void
parse_job_run(void *arg)
{
	struct parse_job *job = arg;

	job->parsed = json_parse(job->text, job->len, &job->err);
}

struct json_object *
request_read_json(struct request *rq, size_t max, struct err *err)
{
	struct parse_job job = {0};

	if (!request_is_type(rq, "application/json")) {
		err_set(err, ERR_UNSUPPORTED_MEDIA_TYPE, "Send the body as Content-Type: application/json.");
		return NULL;
	}
	if (request_read_body(rq, max, &job.text, &job.len, err) == -1)
		return NULL;
	if (job.len <= PARSE_INLINE_BYTES)
		parse_job_run(&job);
	else
		work_run(parse_job_run, &job);
	buffer_free(&rq->body);         /* a stream need not hold its text for minutes */
	if (job.parsed != NULL && !json_object_is_type(job.parsed, json_type_object)) {
		json_object_put(job.parsed);
		job.parsed = NULL;
		err_set(&job.err, ERR_INVALID_REQUEST, "The body is JSON, but not an object (byte 0).");
	}
	if (job.parsed == NULL) {
		*err = job.err;
		return NULL;
	}
	if (json_keep(rq->arena, job.parsed) == NULL) {
		err_set(err, ERR_INTERNAL, "The request needs too much memory.");
		return NULL;
	}
	return job.parsed;
}
