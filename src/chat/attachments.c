/* attachments.c - see chat/attachments.h */
#include "chat/attachments.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/ident.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "runtime/work.h"
#include "store/blob.h"
#include "store/upload_type.h"
#include "store/uploads.h"

/* Of all files of a turn. */
#define FILES_MAX 40
#define TEXT_CHARS_MAX 60000            /* of one file */
#define TEXTS_MAX_BYTES ((size_t)256 * 1024)
#define IMAGES_MAX_BYTES ((int64_t)6 * 1024 * 1024)
#define TEXT_WAIT_MS 8000
#define TEXT_POLL_MS 200
/* Larger ones are encoded off the loop. */
#define ENCODED_HERE_BYTES ((size_t)128 * 1024)
/* Texts live here while the prompt is made. */
#define ARENA_BYTES ((size_t)16 * 1024 * 1024)

struct files {
	struct arena *arena;
	const char *user_id;
	struct upload uploads[FILES_MAX];
	size_t count;
	size_t text_bytes;              /* told so far */
	int64_t image_bytes;
};

static int
check_list(struct json_object *list, struct err *err)
{
	if (!json_object_is_type(list, json_type_array))
		return err_set(err, ERR_INVALID_REQUEST, "attachments must be an array of upload ids.");
	if (json_object_array_length(list) > ATTACHMENTS_MAX)
		return err_set(err, ERR_INVALID_REQUEST, "attachments has more than %d ids.", ATTACHMENTS_MAX);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *id = json_object_array_get_idx(list, i);

		if (!json_object_is_type(id, json_type_string))
			return err_set(err, ERR_INVALID_REQUEST, "attachments[%zu] must be a string.", i);
		if (!ident_is_valid(json_object_get_string(id)))
			return err_set(err, ERR_NOT_FOUND, "attachments[%zu]: there is no such file.", i);
	}
	return 0;
}

static const struct upload *
find_file(const struct files *f, const char *id)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->uploads[i].id, id) == 0)
			return &f->uploads[i];
	return NULL;
}

static void
add_ids(struct buffer *ids, struct json_object *files)
{
	for (size_t i = 0; files != NULL && i < json_object_array_length(files); i++)
		(void)!buffer_printf(ids, "%s%s", ids->len > 0 ? "," : "{",
		                     json_object_get_string(json_object_array_get_idx(files, i)));
}

/* The ids as PostgreSQL reads an array, in the arena; NULL if there are none. */
static const char *
finish_ids(struct arena *a, struct buffer *ids)
{
	const char *list = NULL;

	if (ids->len > 0 && buffer_append(ids, "}", 1) == 0)
		list = arena_strdup(a, ids->data);
	buffer_free(ids);
	return list;
}

static bool
is_away(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE || err->code == ERR_UPSTREAM_TIMEOUT;
}

/* ---- those that come with a request ---- */

static bool
is_pending(const struct files *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->uploads[i].text_status, "pending") == 0)
			return true;
	return false;
}

static int
check_files(const struct files *f, struct json_object *list, struct err *err)
{
	int64_t image_bytes = 0;

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		const struct upload *u = find_file(f, json_object_get_string(json_object_array_get_idx(list, i)));

		if (u == NULL)
			return err_set(err, ERR_NOT_FOUND, "attachments[%zu]: there is no such file.", i);
		image_bytes += upload_type_is_image(u->type) ? u->size : 0;
	}
	if (image_bytes > IMAGES_MAX_BYTES)
		return err_set(err, ERR_UNPROCESSABLE, "The images are too large for the model: %d MiB together at most.",
		               (int)(IMAGES_MAX_BYTES >> 20));
	return 0;
}

/* What is known of them; texts that come in a moment are waited for. */
static int
await_files(struct files *f, const char *ids, struct json_object *list, struct err *err)
{
	const int64_t deadline_ms = loop_now_ms() + TEXT_WAIT_MS;

	for (;;) {
		int count = uploads_texts(f->arena, f->user_id, ids, 0, f->uploads, FILES_MAX, err);

		if (count == -1)
			return -1;
		f->count = (size_t)count;
		if (check_files(f, list, err) == -1)
			return -1;
		if (!is_pending(f) || loop_now_ms() >= deadline_ms)
			return 0;
		arena_free(&f->arena);
		f->arena = arena_new(ARENA_BYTES);
		if (fiber_sleep(TEXT_POLL_MS, err) == -1)
			return -1;
	}
}

int
attachments_check(struct arena *a, const char *user_id, struct json_object *body, struct err *err)
{
	struct buffer ids = BUFFER_INIT(ATTACHMENTS_MAX * IDENT_BYTES + 3);
	struct json_object *list;
	const char *text;
	struct files *f;
	int rc;

	if (!json_object_object_get_ex(body, "attachments", &list) || list == NULL)
		return 0;
	if (check_list(list, err) == -1)
		return -1;
	add_ids(&ids, list);
	text = finish_ids(a, &ids);
	if (text == NULL)
		return 0;
	f = mem_alloc(sizeof(*f));
	f->user_id = user_id;
	f->arena = arena_new(ARENA_BYTES);
	rc = await_files(f, text, list, err);
	if (rc == -1 && is_away(err))
		rc = 0;                 /* the model is told that they cannot be read */
	arena_free(&f->arena);
	free(f);
	return rc;
}

/* ---- those of all messages ---- */

static void
add_text(struct json_object *parts, const char *text, size_t len)
{
	struct json_object *part = json_object_new_object();

	json_object_object_add(part, "type", json_object_new_string("text"));
	json_object_object_add(part, "text", json_object_new_string_len(text, (int)len));
	json_object_array_add(parts, part);
}

/* A file as text: what it is, and its words or why there are none. */
static void
add_words(struct files *f, struct json_object *parts, const struct upload *u)
{
	struct buffer b = BUFFER_INIT(TEXTS_MAX_BYTES * 2);
	const char *text = u->text != NULL ? u->text : "";
	size_t len = strlen(text);

	if (f->text_bytes + len > TEXTS_MAX_BYTES)
		text = NULL;
	else
		f->text_bytes += len;
	(void)!buffer_printf(&b, "The file \"%s\" (%s)", u->name, u->type);
	if (strcmp(u->text_status, "pending") == 0)
		(void)!buffer_append_text(&b, ": its text is still being extracted and cannot be read yet.  Say so.");
	else if (strcmp(u->text_status, "failed") == 0)
		(void)!buffer_printf(&b, ": its text cannot be read.  %s", u->text_error != NULL ? u->text_error : "");
	else if (text == NULL)
		(void)!buffer_append_text(&b, ": left out, for the files are too long together.  Say so.");
	else if (*text == '\0')
		(void)!buffer_append_text(&b, " has no text in it.");
	else
		(void)!buffer_printf(&b, "%s:\n\n%s\n\n(end of the file)",
		                     u->text_chars > TEXT_CHARS_MAX ? ", its beginning" : "", text);
	add_text(parts, b.data, b.len);
	buffer_free(&b);
}

/* An image on its way into the prompt. */
struct picture {
	const char *type;
	struct buffer bytes;
	struct json_object *url;
};

/* The whole of it as a data: URL (RFC 2397). */
static void
encode_picture(void *arg)
{
	struct picture *p = arg;
	size_t len = sodium_base64_encoded_len(p->bytes.len, sodium_base64_VARIANT_ORIGINAL);
	struct buffer url = BUFFER_INIT(len + 128);

	if (buffer_printf(&url, "data:%s;base64,", p->type) == 0 && buffer_reserve(&url, len) == 0) {
		sodium_bin2base64(url.data + url.len, len, (const unsigned char *)p->bytes.data, p->bytes.len,
		                  sodium_base64_VARIANT_ORIGINAL);
		p->url = json_object_new_string_len(url.data, (int)(url.len + len - 1));
	}
	buffer_free(&url);
	buffer_free(&p->bytes);
}

static int
read_picture(struct picture *p, const struct upload *u, struct err *err)
{
	struct blob_reader *r = blob_open(u->id, err);
	const char *data;
	size_t len;
	int rc;

	if (r == NULL)
		return -1;
	*p = (struct picture){.type = u->type, .bytes = BUFFER_INIT((size_t)u->size)};
	(void)!buffer_reserve(&p->bytes, (size_t)u->size);     /* at once, for to grow is to copy */
	do {
		rc = blob_read(r, &data, &len, err);
		if (rc == 0 && buffer_append(&p->bytes, data, len) == -1)
			rc = err_set(err, ERR_INTERNAL, "The image is not what it was.");
	} while (rc == 0 && len > 0);
	blob_close(&r);
	if (rc == -1)
		buffer_free(&p->bytes);
	return rc;
}

static int
add_image(struct json_object *parts, const struct upload *u, struct err *err)
{
	struct json_object *part, *image;
	struct picture p;

	if (read_picture(&p, u, err) == -1)
		return -1;
	if (p.bytes.len > ENCODED_HERE_BYTES)
		work_run(encode_picture, &p);
	else
		encode_picture(&p);
	if (p.url == NULL)
		return err_set(err, ERR_INTERNAL, "The request needs too much memory.");
	image = json_object_new_object();
	json_object_object_add(image, "url", p.url);
	part = json_object_new_object();
	json_object_object_add(part, "type", json_object_new_string("image_url"));
	json_object_object_add(part, "image_url", image);
	json_object_array_add(parts, part);
	return 0;
}

static int
add_gone(struct json_object *parts)
{
	static const char gone[] = "A file that was sent with this cannot be read any more.";

	add_text(parts, gone, sizeof(gone) - 1);
	return 0;
}

static int
add_file(struct files *f, struct json_object *parts, const char *id, bool show_images, struct err *err)
{
	const struct upload *u = find_file(f, id);
	char *said;

	if (u == NULL)
		return add_gone(parts);
	if (!upload_type_is_image(u->type)) {
		add_words(f, parts, u);
		return 0;
	}
	if (show_images) {
		f->image_bytes += u->size;
		if (f->image_bytes > IMAGES_MAX_BYTES)
			return err_set(err, ERR_UNPROCESSABLE,
			               "The images are too large for the model: %d MiB together at most.",
			               (int)(IMAGES_MAX_BYTES >> 20));
		/* its bytes are gone: what was said goes on without it */
		return add_image(parts, u, err) == 0 ? 0 : err->code == ERR_NOT_FOUND ? add_gone(parts) : -1;
	}
	said = arena_printf(f->arena, "The image \"%s\" was sent with this.", u->name);
	if (said != NULL)
		add_text(parts, said, strlen(said));
	return 0;
}

/* The content with its files as parts after it. */
static int
expand_message(struct files *f, struct json_object *message, bool show_images, struct err *err)
{
	struct json_object *files = json_member(message, "attachments", json_type_array);
	struct json_object *content = json_object_object_get(message, "content");
	struct json_object *parts = json_object_new_array();
	int rc = 0;

	if (json_object_is_type(content, json_type_string))
		add_text(parts, json_object_get_string(content), (size_t)json_object_get_string_len(content));
	else
		for (size_t i = 0; content != NULL && i < json_object_array_length(content); i++)
			json_object_array_add(parts, json_object_get(json_object_array_get_idx(content, i)));
	for (size_t i = 0; rc == 0 && i < json_object_array_length(files); i++)
		rc = add_file(f, parts, json_object_get_string(json_object_array_get_idx(files, i)), show_images, err);
	json_object_object_add(message, "content", parts);
	return rc;
}

static bool
has_files(struct json_object *message)
{
	struct json_object *files = json_member(message, "attachments", json_type_array);

	return files != NULL && json_object_array_length(files) > 0;
}

static int
expand_all(struct files *f, struct json_object *messages, struct err *err)
{
	bool newest = true;

	for (size_t i = json_object_array_length(messages); i-- > 0;) {
		struct json_object *message = json_object_array_get_idx(messages, i);

		if (has_files(message)) {
			if (expand_message(f, message, newest, err) == -1)
				return -1;
			newest = false;
		}
	}
	return 0;
}

/* The newest first, for no more than so many are told of. */
static const char *
list_ids(struct arena *a, struct json_object *messages)
{
	struct buffer ids = BUFFER_INIT(FILES_MAX * IDENT_BYTES + 3);

	for (size_t i = json_object_array_length(messages); i-- > 0;)
		add_ids(&ids, json_member(json_object_array_get_idx(messages, i), "attachments", json_type_array));
	return finish_ids(a, &ids);
}

int
attachments_expand(struct arena *a, const char *user_id, struct json_object *messages, struct err *err)
{
	const char *ids = list_ids(a, messages);
	int rc = 0, count;

	if (ids != NULL) {
		struct files *f = mem_alloc(sizeof(*f));

		f->user_id = user_id;
		f->arena = arena_new(ARENA_BYTES);
		count = uploads_texts(f->arena, user_id, ids, TEXT_CHARS_MAX, f->uploads, FILES_MAX, err);
		f->count = count > 0 ? (size_t)count : 0;
		rc = count == -1 && !is_away(err) ? -1 : expand_all(f, messages, err);
		arena_free(&f->arena);
		free(f);
	}
	for (size_t i = 0; i < json_object_array_length(messages); i++)
		json_object_object_del(json_object_array_get_idx(messages, i), "attachments");
	return rc;
}
