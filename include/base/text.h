/*
 * text.h - small helpers on NUL-terminated text.  Nothing here allocates.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

/* Copy `src` into `dst` of `size` bytes, cut at a character if need be.
   False when it was cut. */
bool text_copy(char *dst, size_t size, const char *src);

/* Remove an incomplete UTF-8 sequence that cutting left at the end. */
void text_trim_partial_utf8(char *text);

/* How many bytes of `data` are UTF-8 as RFC 3629 has it (no surrogates, nothing
   overlong): `len` if all are, else where the first wrong sequence starts. */
size_t text_valid_utf8(const char *data, size_t len);
bool text_is_utf8(const char *data, size_t len);

/* A number for tables: FNV-1a (draft-eastlake-fnv), begun with `seed`.  Not where somebody outside may choose texts that meet. */
uint32_t text_hash(const char *text, uint32_t seed);

/* Parse all of `text` as a decimal integer within [min, max].  -1 if it is not. */
int text_to_int64(const char *text, int64_t min, int64_t max, int64_t *value_r) MUST_USE;

/* Decode %XX in place (RFC 3986, 2.1).  -1 on a broken escape or on %00. */
int text_percent_decode(char *text) MUST_USE;

/* Is `name` in the comma-separated `list` (blanks around entries ignored)? */
bool text_list_has(const char *list, const char *name);

/* Does `text` start with `prefix`, letters compared without case (ASCII)? */
bool text_has_prefix_nocase(const char *text, const char *prefix);

#endif
