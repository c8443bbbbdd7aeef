/*
 * query.h - parameters of a request's query, as forms write them (application/x-www-form-urlencoded).
 */
#ifndef HTTP_QUERY_H
#define HTTP_QUERY_H

#include <stdint.h>

#include "base/err.h"

struct request;

/* The parameter `name`, decoded, in the request's arena; "" where it is not there.  NULL with *err: ERR_INVALID_REQUEST
   when it is given twice or is no UTF-8. */
const char *query_text(const struct request *rq, const char *name, struct err *err) MUST_USE;

/* A whole number of it, `fallback` where it is not there.  -1 with *err. */
int query_int(const struct request *rq, const char *name, int64_t min, int64_t max, int64_t fallback, int64_t *value_r,
              struct err *err) MUST_USE;

#endif
