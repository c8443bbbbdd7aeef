/*
 * ident.h - the ids of what is stored: random UUIDs (RFC 9562, version 4), in lower case.
 */
#ifndef BASE_IDENT_H
#define BASE_IDENT_H

#include <stdbool.h>

#define IDENT_BYTES 37          /* with the NUL */

/* Make a new one. */
void ident_new(char id_r[IDENT_BYTES]);

/* Is `text` a UUID as we write them?  False for NULL. */
bool ident_is_valid(const char *text);

#endif
