/*
 * export.h - everything that is kept of a person, as JSON, piece by piece.
 *
 * What comes in a page at a time, so that a person of any size costs a worker little.  As the person: row-level security
 * sees to it that it is theirs.
 */
#ifndef STORE_EXPORT_H
#define STORE_EXPORT_H

#include <stddef.h>

#include "base/err.h"

/* Call put(arg, text, len) with the pieces of one JSON object; put() says -1 to stop (the client has gone).  -1 with
   *err; ERR_CANCELLED after put() stopped it.  Waits. */
int export_person(const char *user_id, int (*put)(void *arg, const char *text, size_t len), void *arg, struct err *err) MUST_USE;

#endif
