/*
 * upload_type.h - what kind of file it is, by its bytes (libmagic), whatever the client says.
 */
#ifndef STORE_UPLOAD_TYPE_H
#define STORE_UPLOAD_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Look at the file `fd` of `size` bytes, which has a NUL somewhere if `has_nul`.  The name tells only texts
   apart (Markdown, CSV, JSON).  The type (a constant), or NULL with *err: ERR_UNSUPPORTED_MEDIA_TYPE, or ERR_INTERNAL.
   Takes milliseconds and reads the disk: call it by runtime/work.h; any number of threads may. */
const char *upload_type_of(int fd, int64_t size, bool has_nul, const char *name, struct err *err) MUST_USE;

/* Is it an image that a model can look at? */
bool upload_type_is_image(const char *type);

/* Can text be had from it? */
bool upload_type_has_text(const char *type);

/* Give libmagic's memory back. */
void upload_type_stop(void);

#endif
