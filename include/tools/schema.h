/*
 * schema.h - does a value fit a JSON Schema?  For the schemas of our own tools.
 *
 * Of json-schema.org/draft/2020-12 these keywords are heeded: type (one name), enum, properties,
 * required, additionalProperties (false), items, minItems, maxItems, minimum, maximum, minLength, maxLength (in
 * characters).  Others are for the model to read (description, default).  An integer may be written as 3.0.
 */
#ifndef TOOLS_SCHEMA_H
#define TOOLS_SCHEMA_H

#include "base/err.h"
#include "base/json.h"

/* -1 with *err (ERR_UNPROCESSABLE) that names the member by its path and says what it should be. */
int schema_check(struct json_object *schema, struct json_object *value, struct err *err) MUST_USE;

/* Take out members that are null and not required: so models write "none". */
void schema_drop_nulls(struct json_object *schema, struct json_object *value);

#endif
