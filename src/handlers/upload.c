/* upload.c - /api/upload: files come in, go out, are listed and deleted */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/ident.h"
#include "config/config.h"
#include "guard/identity.h"
#include "handlers/account.h"
#include "handlers/routes.h"
#include "http/fcgi.h"
#include "http/multipart.h"
#include "http/query.h"
#include "http/request.h"
#include "http/response.h"
#include "runtime/fiber.h"
#include "store/blob.h"
#include "store/upload_name.h"
#include "store/uploads.h"
#include "telemetry/metrics.h"

#define FILES_MAX 10
#define PIECE_BYTES 16384
#define PAGE_DEFAULT 50
#define ANSWER_MAX_BYTES ((size_t)1024 * 1024)
/* Where the front finds UPLOAD_DIR: an internal location of its own. */
#define ACCEL_PREFIX "/.bakame-uploads/"

/* A form while it arrives. */
struct arrival {
	struct request *rq;
	struct multipart form;
	struct blob_writer *blob;       /* of the file that arrives now */
	int64_t size;                   /* of it, so far */
	char name[UPLOAD_NAME_BYTES];
	char ids[FILES_MAX][IDENT_BYTES];       /* of files that are there */
	size_t count;
	struct buffer out;
};

static int
too_large(struct err *err)
{
	return err_set(err, ERR_PAYLOAD_TOO_LARGE, "The file is larger than the %" PRId64 " bytes allowed here.",
	               config()->upload_max_bytes);
}

static int
begin_file(struct arrival *a, struct err *err)
{
	if (a->form.filename == NULL)   /* another field of the form */
		return 0;
	if (a->count == FILES_MAX)
		return err_set(err, ERR_PAYLOAD_TOO_LARGE, "There are more than %d files; send them one after the other.",
		               FILES_MAX);
	upload_name_clean(a->form.filename, a->name);
	a->size = 0;
	a->blob = blob_begin(err);
	return a->blob != NULL ? 0 : -1;
}

static int
add_data(struct arrival *a, const char *data, size_t len, struct err *err)
{
	if (a->blob == NULL)
		return 0;
	a->size += (int64_t)len;
	if (a->size > config()->upload_max_bytes)
		return too_large(err);
	return blob_write(a->blob, data, len, err);
}

static int
end_file(struct arrival *a, struct err *err)
{
	const char *user_id = a->rq->who->user_id;
	char *id = a->ids[a->count];
	struct blob_facts facts;

	if (a->blob == NULL)
		return 0;
	if (blob_seal(a->blob, a->name, &facts, err) == -1)
		return -1;
	ident_new(id);
	if (uploads_add(a->rq->arena, user_id, id, a->name, &facts, err) == -1)
		return -1;
	a->count++;                     /* from here on it has to be taken away again */
	if (blob_keep(a->blob, id, err) == -1)
		return -1;
	blob_discard(&a->blob);
	if (buffer_append_text(&a->out, a->count > 1 ? "," : "{\"files\":[") == -1)
		return err_set(err, ERR_INTERNAL, "The answer needs too much memory.");
	return uploads_stored(a->rq->arena, user_id, id, &a->out, err);
}

static int
take_event(struct arrival *a, enum multipart_event event, const char *data, size_t len, struct err *err)
{
	switch (event) {
	case MULTIPART_PART:
		return begin_file(a, err);
	case MULTIPART_DATA:
		return add_data(a, data, len, err);
	case MULTIPART_PART_END:
		return end_file(a, err);
	case MULTIPART_BAD:
		return err_set(err, ERR_INVALID_REQUEST, "The body is no form: %s.", a->form.fault);
	case MULTIPART_MORE:
	case MULTIPART_END:
		break;
	}
	return 0;
}

static int
take_piece(struct arrival *a, const char *piece, size_t len, struct err *err)
{
	for (size_t done = 0, used; done < len; done += used) {
		const char *data;
		size_t data_len;
		enum multipart_event event = multipart_feed(&a->form, piece + done, len - done, &used, &data, &data_len);

		if (take_event(a, event, data, data_len, err) == -1)
			return -1;
	}
	return 0;
}

static int
read_form(struct arrival *a, struct err *err)
{
	const int64_t most = config()->upload_max_bytes * FILES_MAX + PIECE_BYTES;
	char *piece = mem_alloc(PIECE_BYTES);
	int64_t total = 0;
	int rc = 0, n;

	do {
		n = fcgi_read(a->rq->fcgi, piece, PIECE_BYTES, err);
		total += n;
		if (n == -1)
			rc = -1;
		else if (total > most)
			rc = too_large(err);
		else
			rc = take_piece(a, piece, (size_t)n, err);
	} while (rc == 0 && n > 0);
	free(piece);
	if (rc == -1)
		return -1;
	if (!multipart_complete(&a->form))
		return err_set(err, ERR_INVALID_REQUEST, "The body breaks off before the end of the form.");
	if (a->count == 0)
		return err_set(err, ERR_INVALID_REQUEST, "There is no file in the form: send it as the field \"file\".");
	return 0;
}

/* All files of a form or none. */
static void
take_back(struct arrival *a)
{
	fiber_mask_begin();
	for (size_t i = 0; i < a->count; i++)
		uploads_take_back(a->rq->arena, a->rq->who->user_id, a->ids[i]);
	fiber_mask_end();
}

static int
answer_files(struct arrival *a, struct err *err)
{
	if (buffer_append_text(&a->out, "]}") == -1)
		return err_set(err, ERR_INTERNAL, "The answer needs too much memory.");
	for (size_t i = 0; i < a->count; i++)
		uploads_extract_later(a->ids[i]);
	return response_text(a->rq, 201, "application/json; charset=utf-8", a->out.data, a->out.len);
}

int
handle_upload(struct request *rq, struct err *err)
{
	const char *type = fcgi_param(rq->fcgi, "CONTENT_TYPE");
	struct arrival *a;
	int rc;

	if (account_check_any(err) == -1)
		return -1;
	a = mem_alloc(sizeof(*a));
	a->rq = rq;
	a->out.max = ANSWER_MAX_BYTES;
	rc = multipart_init(&a->form, type != NULL ? type : "", err);
	if (rc == 0)
		rc = read_form(a, err);
	blob_discard(&a->blob);
	if (rc == 0)
		rc = answer_files(a, err);
	else
		take_back(a);
	metric_count(METRIC_UPLOADS, rc == 0 ? "result=\"ok\"" : "result=\"refused\"");
	multipart_free(&a->form);
	buffer_free(&a->out);
	free(a);
	return rc;
}

/* ---- out ---- */

static void
describe(struct request *rq, const struct upload *u)
{
	char disposition[UPLOAD_DISPOSITION_BYTES];

	upload_name_disposition(u->name, disposition);
	response_header(rq, "Content-Disposition", "%s", disposition);
	response_header(rq, "X-Content-Type-Options", "nosniff");
	response_header(rq, "Content-Security-Policy", "default-src 'none'; sandbox");
	response_header(rq, "Cache-Control", "private, no-store");
}

/* Nothing is said of a file that is not there in the end: the answer is an error then, not that file. */
static int
stream_file(struct request *rq, const struct upload *u, struct err *err)
{
	struct blob_reader *r = blob_open(u->id, err);
	const char *data;
	size_t len;
	int rc = -1;

	if (r == NULL)
		return -1;
	describe(rq, u);
	response_header(rq, "Content-Length", "%" PRId64, u->size);
	if (response_begin(rq, 200, u->type) == 0)
		rc = 0;
	while (rc == 0 && strcmp(rq->method, "HEAD") != 0) {
		rc = blob_read(r, &data, &len, err);
		if (rc == -1 || len == 0)
			break;
		if (response_write(rq, data, len) == -1)
			rc = err_set(err, ERR_CANCELLED, "The client went away.");
	}
	blob_close(&r);
	return rc;
}

int
handle_upload_get(struct request *rq, struct err *err)
{
	struct upload u;
	char path[64];

	if (account_check_any(err) == -1 || uploads_get(rq->arena, rq->who->user_id, rq->param, &u, err) == -1)
		return -1;
	if (config()->upload_send == CONFIG_SEND_STREAM || !blob_path(u.id, path, sizeof(path)))
		return stream_file(rq, &u, err);
	describe(rq, &u);
	if (config()->upload_send == CONFIG_SEND_ACCEL)
		response_header(rq, "X-Accel-Redirect", ACCEL_PREFIX "%s", path);
	else
		response_header(rq, "X-Sendfile", "%s/%s", config()->upload_dir, path);
	return response_begin(rq, 200, u.type);
}

static int
send_json(struct request *rq, int rc, struct buffer *out)
{
	if (rc == 0) {
		response_header(rq, "Cache-Control", "no-store");
		rc = response_text(rq, 200, "application/json; charset=utf-8", out->data, out->len);
	}
	buffer_free(out);
	return rc;
}

int
handle_upload_meta(struct request *rq, struct err *err)
{
	struct buffer out = BUFFER_INIT(ANSWER_MAX_BYTES);

	if (account_check_any(err) == -1)
		return -1;
	return send_json(rq, uploads_describe(rq->arena, rq->who->user_id, rq->param, &out, err), &out);
}

int
handle_uploads(struct request *rq, struct err *err)
{
	const char *cursor = query_text(rq, "cursor", err);
	struct buffer out = BUFFER_INIT(ANSWER_MAX_BYTES);
	int64_t limit;

	if (cursor == NULL || query_int(rq, "limit", 1, UPLOADS_PAGE_MAX, PAGE_DEFAULT, &limit, err) == -1 ||
	    account_check_any(err) == -1)
		return -1;
	return send_json(rq, uploads_list(rq->arena, rq->who->user_id, cursor, limit, &out, err), &out);
}

int
handle_upload_delete(struct request *rq, struct err *err)
{
	if (account_check_any(err) == -1 || uploads_delete(rq->arena, rq->who->user_id, rq->param, err) == -1)
		return -1;
	return response_begin(rq, 204, "application/json");
}
