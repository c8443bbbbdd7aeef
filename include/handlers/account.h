/*
 * account.h - what the handlers of accounts share.
 */
#ifndef HANDLERS_ACCOUNT_H
#define HANDLERS_ACCOUNT_H

#include "base/err.h"
#include "base/json.h"
#include "store/people.h"

struct request;

/* Are there accounts of our own here?  -1 with ERR_NOT_FOUND if people come from elsewhere. */
int account_check_local(struct err *err) MUST_USE;

/* The same, or people of Supabase with a database that knows them. */
int account_check_any(struct err *err) MUST_USE;

/* {"id":…,"email":…,"name":…,"role":…,"created_at":…} and what they may send, "upload_max_bytes": free with
   json_object_put(). */
struct json_object *account_json(const struct person *p);

/* A text of at most `max` characters, without control characters, blanks around it taken away; "" where it is not
   there.  NULL with ERR_INVALID_REQUEST if it is something else. */
const char *account_text(struct request *rq, struct json_object *body, const char *name, size_t max, struct err *err) MUST_USE;

/* Is it an address (RFC 5321, as far as one can tell by looking)?  -1 with ERR_INVALID_REQUEST. */
int account_check_email(const char *email, struct err *err) MUST_USE;

#endif
