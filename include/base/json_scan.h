/*
 * json_scan.h - look into JSON text without building a tree.
 *
 * For texts of which one or two members matter and that are passed on as they
 * are: the chunks of a model's stream.  A tree by json-c costs 30,000 instructions a chunk,
 * three quarters of all that a worker computes for it; a look costs 5,000 (see json_mould.h too).  And for the
 * checks that json-c leaves out even when strict: it takes NaN, `1.`, single quotes,
 * control characters in strings, overlong UTF-8, half surrogate pairs.
 *
 * The text is checked against RFC 8259 in whole (grammar, UTF-8, nesting up to
 * JSON_SCAN_DEPTH_MAX); what was not checked is never handed out.  Slices point into the text.
 * Nothing here allocates or waits.
 */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

#define JSON_SCAN_DEPTH_MAX 64

/* The text of one JSON value; len 0 where there is none. */
struct json_slice {
	const char *text;
	size_t len;
};

/* A member that is looked for. */
struct json_want {
	const char *name;               /* compared as written: names with escapes do not match */
	bool anywhere;                  /* in objects inside, too, not only in the outermost */
	struct json_slice value;        /* filled in; of several the last that is not null */
};

/* Check that `text` is one JSON object, white space around it aside, and find the
   members in `wants`.  -1 if it is not, and nothing is filled in. */
int json_scan_object(struct json_slice text, struct json_want *wants, size_t count) MUST_USE;

/* What a strict look at a whole text finds. */
struct json_facts {
	size_t stopped;                 /* where it is no JSON, if so */
	size_t members;                 /* of all objects, as written */
	const char *oddity;             /* an escape that no text should have: what it is; NULL if none */
	size_t oddity_at;
};

/* Is `text` one JSON value, white space around it aside? */
bool json_scan_check(struct json_slice text, struct json_facts *facts);

/* The length of the string or number that `text` begins with; 0 if it begins with neither. */
size_t json_scan_scalar(struct json_slice text);

/* The next element of an array that was checked before: start with *rest the whole
   array.  False at its end. */
bool json_scan_next(struct json_slice *rest, struct json_slice *element_r);

/* Is there a value that is not null? */
bool json_slice_given(struct json_slice value);

#endif
