/*
 * session_token.h - the tokens that our own sign-in gives out, and the cookie.
 *
 * Both are JWTs, HS256 by keys derived from SESSION_SECRET, a different one for each kind, so neither passes for the
 * other.  The access token is for programs and short-lived.  The session token is what the cookie carries: valid while
 * the database says that it is the session's, and refreshed into a new one; its signature is for when the
 * database is away.  Nothing here waits.
 */
#ifndef GUARD_SESSION_TOKEN_H
#define GUARD_SESSION_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "store/people.h"

struct request;

#define SESSION_COOKIE "bakame_session"

enum session_token_kind { SESSION_TOKEN_ACCESS, SESSION_TOKEN_COOKIE };

struct session_token {
	const char *text;
	const char *user_id;
	const char *session_id;
	int64_t expires_at;             /* Unix seconds */
	int64_t issued_at;              /* the same; 0 if the token does not say */
	unsigned char digest[PERSON_DIGEST_BYTES];      /* of the text: what the database keeps */
};

/* Derive the keys; after sodium_init(). */
void session_token_start(const char *secret);
void session_token_stop(void);

/* Make one that is valid for `secs`.  -1 with *err when memory ends. */
int session_token_make(struct arena *a, enum session_token_kind kind, const char *user_id, const char *session_id,
                       int64_t secs, struct session_token *token_r, struct err *err) MUST_USE;

/* Is the text such a token of ours, and not expired?  -1 with *err: ERR_UNAUTHORIZED. */
int session_token_read(struct arena *a, enum session_token_kind kind, const char *text, struct session_token *token_r,
                       struct err *err) MUST_USE;

/* The digest of any secret that is kept only as one. */
void session_token_digest(const char *text, unsigned char digest[PERSON_DIGEST_BYTES]);

/* Where in a Cookie header the value of ours is; NULL if it is not there, or empty. */
const char *session_cookie_find(const char *header, size_t *len_r);

/* The value of the cookie that the request brought, or NULL. */
const char *session_cookie_get(struct request *rq);

/* Set it with the answer; NULL takes it away. */
void session_cookie_set(struct request *rq, const struct session_token *token);

#endif
