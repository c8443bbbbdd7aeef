/* upload_type.c - see store/upload_type.h */
#include "store/upload_type.h"

#include <magic.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/zip.h"

/* What libmagic looks at. */
#define HEAD_BYTES ((size_t)64 * 1024)
#define SHORT_BYTES ((size_t)16)
#define DOCX "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

/* libmagic's handles are for one thread at a time; its database takes some time to load. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static magic_t magic;

/* As libmagic names them, and as we do. */
static const struct {
	const char *magic;
	const char *type;
} types[] = {
    {"image/png", "image/png"},
    {"image/jpeg", "image/jpeg"},
    {"image/webp", "image/webp"},
    {"image/gif", "image/gif"},
    {"application/pdf", "application/pdf"},
    {"application/json", "application/json"},
    {DOCX, DOCX},
    /* some writers put the entries in an order that hides what it is */
    {"application/zip", DOCX},
    {"application/msword", DOCX},
    {"application/x-ndjson", "text/plain"},
    {"text/csv", "text/csv"},
    {"text/plain", "text/plain"},
    /* texts that libmagic takes for programs and the like */
    {"text/troff", "text/plain"},
    {"text/x-", "text/plain"},
    {"application/javascript", "text/plain"},
    {"message/", "text/plain"},
};

/* What the end of a name makes of a plain text. */
static const struct {
	const char *suffix;
	const char *type;
} text_types[] = {
    {".md", "text/markdown"},
    {".markdown", "text/markdown"},
    {".csv", "text/csv"},
    {".json", "application/json"},
};

/* Copy the MIME type that libmagic gives. */
static int
ask_magic(const char *head, size_t len, char *mime, size_t size, struct err *err)
{
	const char *said = NULL;
	int rc = -1;

	pthread_mutex_lock(&lock);
	if (magic == NULL) {
		magic = magic_open(MAGIC_MIME_TYPE);
		if (magic != NULL && magic_load(magic, NULL) != 0) {
			magic_close(magic);
			magic = NULL;
		}
	}
	if (magic != NULL)
		said = magic_buffer(magic, head, len);
	if (said != NULL) {
		text_copy(mime, size, said);
		rc = 0;
	}
	pthread_mutex_unlock(&lock);
	return rc == 0 ? 0 : err_set(err, ERR_INTERNAL, "The type of the file could not be told.");
}

static const char *
known_type(const char *mime)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		size_t len = strlen(types[i].magic);
		bool family = strchr("-/", types[i].magic[len - 1]) != NULL;

		if (strncmp(mime, types[i].magic, len) == 0 && (family || mime[len] == '\0'))
			return types[i].type;
	}
	return NULL;
}

/* Of a few characters libmagic says nothing. */
static bool
is_short_text(const char *head, size_t len)
{
	if (len > SHORT_BYTES || !text_is_utf8(head, len))
		return false;
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)head[i] < 0x20 && strchr("\t\r\n", head[i]) == NULL) || head[i] == 0x7F || head[i] == '\0')
			return false;
	return true;
}

static const char *
text_type(const char *type, const char *name)
{
	size_t len = strlen(name);

	if (strcmp(type, "text/plain") != 0)
		return type;
	for (size_t i = 0; i < sizeof(text_types) / sizeof(text_types[0]); i++) {
		size_t suffix = strlen(text_types[i].suffix);

		if (len > suffix && strcasecmp(name + len - suffix, text_types[i].suffix) == 0)
			return text_types[i].type;
	}
	return type;
}

static int
refuse(const char *mime, struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED_MEDIA_TYPE,
	               "Files of type %s are not taken; PNG, JPEG, WebP, GIF, PDF, plain text, Markdown, CSV, JSON "
	               "and DOCX are.",
	               mime);
}

const char *
upload_type_of(int fd, int64_t size, bool has_nul, const char *name, struct err *err)
{
	char mime[128] = "", *head;
	const char *type;
	ssize_t len;

	if (size == 0) {
		err_set(err, ERR_INVALID_REQUEST, "The file is empty.");
		return NULL;
	}
	head = mem_alloc(HEAD_BYTES);
	len = pread(fd, head, HEAD_BYTES, 0);
	if (len <= 0) {
		free(head);
		err_set(err, ERR_INTERNAL, "The file could not be read again.");
		return NULL;
	}
	if (ask_magic(head, (size_t)len, mime, sizeof(mime), err) == -1) {
		free(head);
		return NULL;
	}
	/* UTF-16 has NULs and a mark */
	if (has_nul && len >= 2 && (memcmp(head, "\xFF\xFE", 2) == 0 || memcmp(head, "\xFE\xFF", 2) == 0))
		has_nul = false;
	type = is_short_text(head, (size_t)len) ? "text/plain" : known_type(mime);
	free(head);
	if (type != NULL && strcmp(type, DOCX) == 0 && !zip_has_entry(fd, "word/document.xml"))
		type = NULL;
	/* what begins as text may go on as something else */
	if (type != NULL && has_nul && (strncmp(type, "text/", 5) == 0 || strcmp(type, "application/json") == 0))
		type = NULL;
	if (type == NULL) {
		refuse(mime, err);
		return NULL;
	}
	return text_type(type, name);
}

bool
upload_type_is_image(const char *type)
{
	return strncmp(type, "image/", 6) == 0;
}

bool
upload_type_has_text(const char *type)
{
	return !upload_type_is_image(type);
}

void
upload_type_stop(void)
{
	if (magic != NULL)
		magic_close(magic);
	magic = NULL;
}
