/*
 * people.h - people, their passwords, sessions and API keys, in PostgreSQL.
 *
 * Secrets come here as digests only.  All as the service role, but for what somebody does with his own keys.  Texts
 * that come back live in the arena.  Each waits for the database; -1 with *err as pg_run() has it.
 */
#ifndef STORE_PEOPLE_H
#define STORE_PEOPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

#define PERSON_ID_BYTES 37              /* a UUID and its NUL */
#define PERSON_DIGEST_BYTES 32

struct person {
	const char *id;
	const char *email;              /* "" if there is none */
	const char *name;
	const char *role;               /* "user", "admin" */
	bool disabled;
	int64_t rate_limit;             /* 0: as all */
	int64_t tokens_per_day;         /* -1: as all */
	const char *created_at;         /* RFC 3339 */
	const char *password_hash;      /* of people_find() only; NULL if there is none */
	const char *password_version;   /* with it: tells it from any other that they had or will have */
};

/* Make a random UUID. */
void people_make_id(char id[PERSON_ID_BYTES]);

/* Add somebody.  ERR_CONFLICT when the e-mail address is taken. */
int people_add(struct arena *a, const char *email, const char *name, const char *role, const char *password_hash,
               struct person *person_r, struct err *err) MUST_USE;

/* By e-mail address, letters' case aside.  1, 0 if there is nobody, -1. */
int people_find(struct arena *a, const char *email, struct person *person_r, struct err *err) MUST_USE;
int people_get(struct arena *a, const char *id, struct person *person_r, struct err *err) MUST_USE;

/* The hash and its version, NULL where there is none. */
int people_get_password(struct arena *a, const char *id, const char **hash_r, const char **version_r, struct err *err) MUST_USE;

/* A new password; ends all sessions but `session_id` (NULL: all).  With `version` it takes the place of that one only:
   ERR_CONFLICT when it is another by now. */
int people_set_password(struct arena *a, const char *id, const char *hash, const char *session_id, const char *version,
                        struct err *err) MUST_USE;

/* Only what signing in finds out by the way: no session ends, and nothing happens when the password is another by now. */
int people_renew_hash(struct arena *a, const char *id, const char *hash, const char *version, struct err *err) MUST_USE;

/* Somebody who comes with a token of Supabase: made at the first time.  `email` may be "". */
int people_meet(struct arena *a, const char *id, const char *email, const char *name, struct person *person_r,
                struct err *err) MUST_USE;

/* Erase somebody and all that is theirs.  ERR_CONFLICT for the last administrator, ERR_NOT_FOUND. */
int people_erase(struct arena *a, const char *id, const char *remote_addr, const char *request_id, struct err *err) MUST_USE;

/* ---- by the operator; written to the audit log ---- */

/* Role ("user", "admin") and whether disabled; NULL and -1 leave it.  ERR_CONFLICT for the last administrator. */
int people_change(struct arena *a, const char *id, const char *role, int disabled, struct err *err) MUST_USE;

/* Only write to the audit log what was done ("user.added"). */
int people_note(struct arena *a, const char *id, const char *action, struct err *err) MUST_USE;

/* The page after `after` (an id; "" for the first), by time of joining; at most `max`.  How many, or -1. */
int people_list(struct arena *a, const char *after, size_t max, struct person *people, struct err *err) MUST_USE;

/* ---- sessions ---- */

struct session {
	const char *id;
	const unsigned char *digest;    /* of its token */
	int64_t expires_at;             /* Unix seconds */
	const char *remote_addr;
	const char *user_agent;
};

/* With `version` of the password by which they signed in: ERR_UNAUTHORIZED when it is another by now. */
int people_add_session(struct arena *a, const char *user_id, const struct session *session, const char *version,
                       struct err *err) MUST_USE;

/* Change the token of a session.  1 with its person, or 0: the token is not the session's, which has ended now if
   the token once was. */
int people_rotate_session(struct arena *a, const char *session_id, const unsigned char *old_digest,
                          const struct session *renewed, struct person *person_r, struct err *err) MUST_USE;

int people_end_session(struct arena *a, const char *session_id, struct err *err) MUST_USE;

/* The person of a session that goes on.  With `digest` its token must be that, or the one before while that
   was changed less than a minute ago (requests on their way).  1, 0, -1. */
int people_of_session(struct arena *a, const char *user_id, const char *session_id, const unsigned char *digest,
                      struct person *person_r, struct err *err) MUST_USE;

/* ---- API keys ---- */

/* By the key's digest.  1, 0, -1. */
int people_of_key(struct arena *a, const unsigned char *digest, struct person *person_r, struct err *err) MUST_USE;

struct api_key {
	const char *id;
	const char *name;
	const char *prefix;             /* of the key, to know it again */
	const char *created_at;
	const char *last_used_at;       /* NULL: never */
};

#define PERSON_KEYS_MAX 50

/* ERR_CONFLICT when there are PERSON_KEYS_MAX. */
int people_add_key(struct arena *a, const char *user_id, const char *name, const char *prefix, const unsigned char *digest,
                   struct api_key *key_r, struct err *err) MUST_USE;
/* How many, into `keys` of PERSON_KEYS_MAX; or -1. */
int people_list_keys(struct arena *a, const char *user_id, struct api_key *keys, struct err *err) MUST_USE;
/* ERR_NOT_FOUND if it is not theirs. */
int people_revoke_key(struct arena *a, const char *user_id, const char *key_id, struct err *err) MUST_USE;

#endif
