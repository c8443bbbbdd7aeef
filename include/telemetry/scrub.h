/*
 * scrub.h - masking of secrets in names and text, for all that is logged or shown.
 *
 * Better too much masked than too little.  Time is linear in what is looked at,
 * and that is bounded by the room for the result.  Nothing is allocated.
 */
#ifndef TELEMETRY_SCRUB_H
#define TELEMETRY_SCRUB_H

#include <stdbool.h>
#include <stddef.h>

/* What stands where a secret was. */
#define SCRUB_MASK "***"

/* Does a field, parameter or header of this name hold a secret?  Words are
   found in snake_case, kebab-case, camelCase and runtogether.  Counts of
   tokens (prompt_tokens, max_tokens, tokens) are none. */
bool scrub_name_is_secret(const char *name, size_t len);

/*
 * Copy `len` bytes of `text` into `out` of `size` (at least 8) bytes with all
 * that looks like a secret masked:
 *   - what follows Bearer, and Basic when it is base64;
 *   - keys by their prefix (sk-, bk_, ghp_, AKIA ...) and JSON web tokens;
 *   - user information of URLs, wherever they stand in the text;
 *   - the value in name=value, name: value and "name":"value" where the name
 *     is that of a secret.
 * Always NUL-terminated; cut at a character, with an ellipsis, when too long.
 * Returns the length of the result.
 */
size_t scrub_text(char *out, size_t size, const char *text, size_t len);

#endif
