/*
 * fcgi_client.h - the front's side of a FastCGI connection, for tests.
 *
 * Requests are made as bytes in a buffer, answers are taken apart from bytes: how
 * they travel is the caller's.  FastCGI 1.0, 3.3 and 5.
 */
#ifndef TESTS_FCGI_CLIENT_H
#define TESTS_FCGI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* Types of records. */
enum { FCGI_CLIENT_BEGIN = 1, FCGI_CLIENT_END = 3, FCGI_CLIENT_PARAMS = 4, FCGI_CLIENT_STDIN = 5, FCGI_CLIENT_STDOUT = 6 };

/* Add one record of request 1; `len` at most 65,535. */
void fcgi_client_record(struct buffer *b, int type, const char *content, size_t len);

/* Add the beginning of a request as a responder. */
void fcgi_client_begin(struct buffer *b, bool keep_connection);

/* Add all parameters (name, value, name, value, ... NULL) and their end. */
void fcgi_client_params(struct buffer *b, const char *const *pairs);

/* Add a body in records of at most `piece` bytes, and its end. */
void fcgi_client_body(struct buffer *b, const char *body, size_t len, size_t piece);

/* Take the answer out of the front of `in`: what was written to STDOUT goes to `out`.  1 when
   the request has ended, 0 when more has to arrive, -1 when these are no records
   of an answer. */
int fcgi_client_take(struct buffer *in, struct buffer *out);

#endif
