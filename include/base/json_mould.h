/*
 * json_mould.h - JSON objects of which each is like the one before, but for a few strings and numbers.
 *
 * So are the chunks of a model's stream: their content differs, and with some servers the time or a
 * padding.  An object that has the bytes of the one before, and a sound string or number where that had one which may
 * differ, is as sound as that one was and has its members in the same order; a look at those replaces that of
 * json_scan_object(), which is called for all others.
 */
#ifndef BASE_JSON_MOULD_H
#define BASE_JSON_MOULD_H

#include "base/json_scan.h"

/* What is kept of the object before: NULL at first.  Some hundred bytes. */
struct json_mould;

/* The same as json_scan_object(), with the same wants for each call of one mould; the bits of `varying` say of
   which wants the value may differ.  *mould is kept up; json_mould_free() it. */
int json_mould_scan(struct json_mould **mould, struct json_slice text, struct json_want *wants, size_t count,
                    unsigned varying) MUST_USE;

/* Sets it to NULL. */
void json_mould_free(struct json_mould **mould);

#endif
