/* upload_text.c - see store/upload_text.h */
#include "store/upload_text.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "config/config.h"
#include "runtime/child.h"
#include "runtime/loop.h"
#include "telemetry/log.h"

#define PROGRAM "bakame-extract"
/* Exit status of the program: see src/extract.c. */
#define NOT_WHAT_IT_SHOULD_BE 1
#define MORE_THAN_IS_LOOKED_AT 2

/* Beside the program that runs. */
static int
program_path(char path[PATH_MAX], struct err *err)
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - sizeof(PROGRAM));
	char *slash;

	if (len > 0) {
		path[len] = '\0';
		slash = strrchr(path, '/');
		text_copy(slash + 1, sizeof(PROGRAM), PROGRAM);
		if (access(path, X_OK) == 0)
			return 0;
	}
	err_set(err, ERR_INTERNAL, "The text of the file cannot be had here.");
	return err_cause(err, "%s is not beside the program that runs", PROGRAM);
}

static const char *
kind_of(const char *type)
{
	if (strcmp(type, "application/pdf") == 0)
		return "pdf";
	return strncmp(type, "text/", 5) == 0 || strcmp(type, "application/json") == 0 ? "text" : "docx";
}

/* Only characters that can be stored and shown: bytes that are no UTF-8 and control characters but
   tabs and line ends become blanks.  In place; how many characters are left. */
static int64_t
clean(struct buffer *text)
{
	int64_t chars = 0;
	size_t at = 0;

	if (text->data == NULL)
		return 0;
	text_trim_partial_utf8(text->data);
	if (memchr(text->data, '\0', text->len) == NULL)
		text->len = strlen(text->data);
	while (at < text->len) {
		size_t valid = text_valid_utf8(text->data + at, text->len - at);

		at += valid;
		if (at < text->len)
			text->data[at++] = ' ';
	}
	for (size_t i = 0; i < text->len; i++) {
		unsigned char c = (unsigned char)text->data[i];

		if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7F)
			text->data[i] = ' ';
		chars += (c & 0xC0) != 0x80;
	}
	return chars;
}

/* What came of it, told to the person whose file it is. */
static int
judge(const struct child_result *r, struct err *err)
{
	if (r->end == CHILD_SAID_TOO_MUCH)
		return 0;
	if (r->end == CHILD_TOOK_TOO_LONG)
		err_set(err, ERR_UNPROCESSABLE, "Reading the text of the file took too long.");
	else if (r->signal == 0 && r->status == 0)
		return 0;
	else if (r->signal == 0 && r->status == MORE_THAN_IS_LOOKED_AT)
		err_set(err, ERR_UNPROCESSABLE, "The document in the file is too large.");
	else
		err_set(err, ERR_UNPROCESSABLE, "The file is damaged or protected; its text could not be read.");
	return err_cause(err, "%s: status %lld, signal %d", PROGRAM, (long long)r->status, r->signal);
}

int
upload_text_extract(int fd, const char *type, struct buffer *text_r, int64_t *chars_r, struct err *err)
{
	char path[PATH_MAX];
	const char *const argv[] = {path, kind_of(type), NULL};
	struct child_result result;

	if (program_path(path, err) == -1 ||
	    child_run(argv, fd, UPLOAD_TEXT_MAX_BYTES, loop_now_ms() + config()->upload_extract_secs * 1000, &result,
	              err) == -1)
		return -1;
	if (judge(&result, err) == -1) {
		buffer_free(&result.output);
		return -1;
	}
	*chars_r = clean(&result.output);
	*text_r = result.output;
	return 0;
}
