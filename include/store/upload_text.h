/*
 * upload_text.h - the text of an upload, had by bakame-extract in a process that is shut in.
 */
#ifndef STORE_UPLOAD_TEXT_H
#define STORE_UPLOAD_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"

/* Longer texts are cut. */
#define UPLOAD_TEXT_MAX_BYTES ((size_t)1024 * 1024)

/* Extract the text of the file `fd` of this type: UTF-8 without NUL, no more than the maximum.
   -1 with *err: ERR_UNPROCESSABLE, with what is wrong with the file; ERR_INTERNAL where the program is not to be
   had; or cancelled.  Waits, at most UPLOAD_EXTRACT_SECONDS. */
int upload_text_extract(int fd, const char *type, struct buffer *text_r, int64_t *chars_r, struct err *err) MUST_USE;

#endif
