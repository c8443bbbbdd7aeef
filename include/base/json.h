/*
 * json.h - JSON from outside, by json-c, with the checks that it leaves to us.
 *
 * RFC 8259 strictly: valid UTF-8 and whole surrogate pairs (json-c takes others too),
 * nothing after the value, bounded nesting, no member named twice in an object (json-c would keep the last), no number
 * beyond a double (json-c would make it infinite, which is no JSON to send on),
 * no NUL in a text (neither C nor PostgreSQL can keep it).
 * Objects are json-c's and counted by reference: json_object_put() them.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <json-c/json.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

#define JSON_DEPTH_MAX 64

/* Parse all of `text`.  NULL with ERR_INVALID_REQUEST and the byte offset in
   the message if it is not such JSON.  Free with json_object_put().  A large
   text takes milliseconds: see runtime/work.h. */
struct json_object *json_parse(const char *text, size_t len, struct err *err) MUST_USE;

/* The same without the strict checks, for what comes from providers: NULL if it is
   not JSON, or null. */
struct json_object *json_parse_trusted(const char *text, size_t len) MUST_USE;

/* The member `name` of `obj` if it is of `type`, else NULL.  Borrowed. */
struct json_object *json_member(struct json_object *obj, const char *name, enum json_type type);

/* The text of the string member `name`, or NULL.  Borrowed. */
const char *json_member_text(struct json_object *obj, const char *name);

/* Serialize on one line, without spaces and without escaped slashes.  The text
   belongs to `obj` and lives until it is changed, serialized again or freed. */
const char *json_text(struct json_object *obj, size_t *len_r);

/* Tie `obj` to the arena and return it; NULL (and it is freed) when the arena is full. */
struct json_object *json_keep(struct arena *a, struct json_object *obj) MUST_USE;

#endif
