/* auth.c - see guard/auth.h */
#include "guard/auth.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "config/config.h"
#include "guard/jwks.h"
#include "guard/jwt.h"
#include "guard/session_token.h"
#include "guard/token_cache.h"
#include "guard/token_memory.h"
#include "http/request.h"
#include "net/pg.h"
#include "runtime/fiber.h"
#include "store/people.h"
#include "telemetry/log.h"

#define KEY_PREFIX "bk_"
#define KEY_MAX_BYTES 128

/* How things stood with a person before the database was asked. */
struct before {
	uint32_t version;
	struct token_mark mark;
};

/* A kind of token: how it is proven, and whose it is. */
struct kind {
	char letter;                    /* for the cache */
	/* Does its signature do while the database is away, whatever else is known? */
	bool stands_alone;
	/* Whose is it, and is it good?  1 with *owner and *before, 0 with *err if it is no good, -1 with *err when that cannot
	   be told.  Before it asks the database it fills in what the token itself says. */
	int (*look_up)(struct request *rq, const char *token, struct token_owner *owner, struct before *before,
	               struct err *err);
};

static bool keeps_people;               /* is there a database? */
static char issuer[1100];               /* of Supabase's tokens; "": any */

static int
refuse(struct err *err, const char *message)
{
	err_set(err, ERR_UNAUTHORIZED, "%s", message);
	return 0;
}

/* ---- what the database says ---- */

static void
own(struct token_owner *owner, const struct person *p)
{
	text_copy(owner->user_id, sizeof(owner->user_id), p->id);
	owner->admin = strcmp(p->role, "admin") == 0;
	owner->disabled = p->disabled;
	owner->rate_limit = p->rate_limit;
	owner->tokens_per_day = p->tokens_per_day;
}

/* What the token says by itself. */
static void
own_by_token(struct token_owner *owner, const char *user_id, const char *session_id, int64_t expires_at)
{
	/* all of it is set, for it is sealed whole */
	memset(owner, 0, sizeof(*owner));
	owner->tokens_per_day = -1;
	owner->expires_at = expires_at;
	text_copy(owner->user_id, sizeof(owner->user_id), user_id);
	text_copy(owner->session_id, sizeof(owner->session_id), session_id);
}

static void
note_before(struct before *before, const char *user_id)
{
	before->version = token_cache_version(user_id);
	token_memory_mark(user_id, &before->mark);
}

/* ---- kinds of tokens ---- */

static int
look_up_ours(struct request *rq, enum session_token_kind kind, const char *text, struct token_owner *owner,
             struct before *before, struct err *err)
{
	struct session_token token;
	struct person person;
	int rc;

	if (session_token_read(rq->arena, kind, text, &token, err) == -1)
		return 0;
	own_by_token(owner, token.user_id, token.session_id, token.expires_at);
	owner->issued_at = token.issued_at;
	note_before(before, token.user_id);
	rc = people_of_session(rq->arena, token.user_id, token.session_id,
	                       kind == SESSION_TOKEN_COOKIE ? token.digest : NULL, &person, err);
	if (rc == 0)
		return refuse(err, "The session has ended; sign in again.");
	if (rc == 1)
		own(owner, &person);
	return rc;
}

static int
look_up_cookie(struct request *rq, const char *text, struct token_owner *owner, struct before *before, struct err *err)
{
	return look_up_ours(rq, SESSION_TOKEN_COOKIE, text, owner, before, err);
}

static int
look_up_access_token(struct request *rq, const char *text, struct token_owner *owner, struct before *before,
                     struct err *err)
{
	return look_up_ours(rq, SESSION_TOKEN_ACCESS, text, owner, before, err);
}

/* 0, or -1 with *err. */
static int
prove_supabase(const struct jwt *jwt, struct err *err)
{
	const char *secret = config()->supabase_jwt_secret;

	if (jwt->alg != JWT_HS256 && config()->supabase_jwks_url[0] != '\0')
		return jwks_verify(jwt, err);
	if (*secret != '\0' && jwt_is_signed(jwt, secret, strlen(secret)))
		return 0;
	err_set(err, ERR_UNAUTHORIZED, "The token is not valid; sign in again.");
	return err_cause(err, "token: its signature is not right, or its algorithm is not that of a key of ours");
}

static int
check_supabase_claims(const struct jwt *jwt, struct err *err)
{
	const char *role = jwt_text(jwt, "role");

	if (jwt_check_claims(jwt, (int64_t)time(NULL), "authenticated", issuer[0] != '\0' ? issuer : NULL, err) == -1)
		return -1;
	if (role != NULL && strcmp(role, "authenticated") != 0)
		return err_set(err, ERR_UNAUTHORIZED, "The token is not a person's (its role is another).");
	if (!jwt_is_uuid(jwt_text(jwt, "sub")))
		return err_set(err, ERR_UNAUTHORIZED, "The token is not a person's (sub is no UUID).");
	return 0;
}

static const char *
supabase_name(const struct jwt *jwt)
{
	struct json_object *more = json_member(jwt->claims, "user_metadata", json_type_object);
	const char *name = more != NULL ? json_member_text(more, "full_name") : NULL;

	if (name == NULL && more != NULL)
		name = json_member_text(more, "name");
	return name != NULL ? name : "";
}

static int
look_up_supabase(struct request *rq, const char *text, struct token_owner *owner, struct before *before, struct err *err)
{
	const char *email;
	struct person person;
	struct jwt jwt;
	int rc;

	if (jwt_read(rq->arena, text, strlen(text), &jwt, err) == -1)
		return 0;
	if (prove_supabase(&jwt, err) == -1)
		return err->code == ERR_UNAUTHORIZED ? 0 : -1;
	if (check_supabase_claims(&jwt, err) == -1)
		return 0;
	own_by_token(owner, jwt_text(&jwt, "sub"), "", jwt_expires_at(&jwt));
	note_before(before, owner->user_id);
	if (!keeps_people)
		return 1;
	email = jwt_text(&jwt, "email");
	rc = people_meet(rq->arena, owner->user_id, email != NULL && strlen(email) >= 3 ? email : "", supabase_name(&jwt),
	                 &person, err);
	if (rc == 1)
		own(owner, &person);
	return rc;
}

/* Whose it is only the database knows: so it is asked twice, and what it says the second time is sure to be of after
   what was noted. */
static int
look_up_key(struct request *rq, const char *text, struct token_owner *owner, struct before *before, struct err *err)
{
	unsigned char digest[PERSON_DIGEST_BYTES];
	struct person person;
	int rc;

	if (!keeps_people || strlen(text) > KEY_MAX_BYTES)
		return refuse(err, "This API key is not valid.");
	session_token_digest(text, digest);
	rc = people_of_key(rq->arena, digest, &person, err);
	if (rc == 1) {
		note_before(before, person.id);
		rc = people_of_key(rq->arena, digest, &person, err);
	}
	if (rc == 0)
		return refuse(err, "This API key is not valid.");
	if (rc == -1)
		return -1;
	own_by_token(owner, person.id, "", INT64_MAX);
	own(owner, &person);
	return 1;
}

static const struct kind kind_cookie = {'c', false, look_up_cookie};
static const struct kind kind_access = {'a', false, look_up_access_token};
static const struct kind kind_supabase = {'s', true, look_up_supabase};     /* which Supabase does not take back either */
static const struct kind kind_key = {'k', false, look_up_key};

/* ---- the request ---- */

static bool
is_database_away(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE || err->code == ERR_UPSTREAM_TIMEOUT;
}

static bool
is_over(const struct token_owner *owner)
{
	return owner->expires_at <= (int64_t)time(NULL) - JWT_LEEWAY_SECS;
}

/* The database cannot be asked: what it said lately will do, where nobody has heard of a change since.  Redis knows of
   changes on all hosts; without it too, this host knows of its own.  *owner is what the token says, 0 when it will do. */
static int
find_without_database(const struct kind *kind, const char *token, const struct token_owner *stale,
                      struct token_owner *owner)
{
	struct token_owner kept;
	int rc = token_memory_recall(kind->letter, token, &kept);

	if (rc == 1 && !is_over(&kept)) {
		*owner = kept;
		return 0;
	}
	if (rc == -1 && stale != NULL && !is_over(stale)) {
		*owner = *stale;
		return 0;
	}
	if (owner->user_id[0] == '\0')
		return -1;
	if (kind->stands_alone)
		return 0;
	return rc == -1 && config()->auth_stale_secs > 0 &&
	               token_cache_is_unchanged_since(owner->user_id, owner->issued_at)
	           ? 0
	           : -1;
}

/* Whose token is it?  -1 with *err. */
static int
find_owner(struct request *rq, const struct kind *kind, const char *token, struct token_owner *owner, struct err *err)
{
	const struct token_key key = token_cache_key(kind->letter, token);
	struct token_owner known;
	enum token_cache_found found = token_cache_find(&key, &known);
	struct before before = {0};
	int rc;

	if (found == TOKEN_FRESH && !is_over(&known)) {
		*owner = known;
		return 0;
	}
	*owner = (struct token_owner){0};
	rc = kind->look_up(rq, token, owner, &before, err);
	if (rc == 1) {
		token_cache_put(&key, owner, before.version);
		token_memory_keep(kind->letter, token, owner, &before.mark);
		return 0;
	}
	if (rc == 0) {
		token_cache_forget(&key);
		return -1;
	}
	if (!is_database_away(err))
		return -1;
	return find_without_database(kind, token, found == TOKEN_STALE ? &known : NULL, owner);
}

void
auth_learn(struct request *rq, const char *access, const char *cookie)
{
	struct token_owner ignored;
	struct err err = {0};

	if (find_owner(rq, &kind_access, access, &ignored, &err) == -1 || find_owner(rq, &kind_cookie, cookie, &ignored, &err) == -1)
		LOG_DEBUG(&rq->log, "a sign-in is not known beforehand", LOG_STR("reason", err.message));
}

void
auth_forget_cookie(const char *cookie)
{
	const struct token_key key = token_cache_key(kind_cookie.letter, cookie);

	token_cache_forget(&key);
	token_memory_forget(kind_cookie.letter, cookie);
}

void
auth_person_changed(const char *user_id)
{
	struct err err = {0};

	token_cache_changed(user_id);
	fiber_mask_begin();
	if (token_memory_changed(user_id, &err) == -1)
		LOG_WARN(&log_root, "Redis was not told that somebody changed: other hosts may know them as they were while the database is away",
		         LOG_STR("user_id", user_id), LOG_STR("reason", err.message));
	fiber_mask_end();
}

static int
set_user(struct request *rq, struct identity *who, const struct token_owner *owner, struct err *err)
{
	const char *id = arena_strdup(rq->arena, owner->user_id);
	const char *session_id = arena_strdup(rq->arena, owner->session_id);

	if (owner->disabled)
		return err_set(err, ERR_FORBIDDEN, "This account is disabled; ask an administrator.");
	if (id == NULL || session_id == NULL)
		return err_set(err, ERR_INTERNAL, "The request needs too much memory.");
	identity_set_user(who, id, owner->admin ? IDENTITY_ROLE_ADMIN : IDENTITY_ROLE_USER, owner->rate_limit);
	who->session_id = session_id;
	who->tokens_per_day = owner->tokens_per_day;
	rq->log.fields[2] = LOG_STR("user_id", id);
	return 0;
}

static int
identify_by(struct request *rq, struct identity *who, const struct kind *kind, const char *token, struct err *err)
{
	struct token_owner owner;

	if (find_owner(rq, kind, token, &owner, err) == -1)
		return -1;
	return set_user(rq, who, &owner, err);
}

/* "Bearer <token>" (RFC 6750, 2.1). */
static int
identify_by_header(struct request *rq, struct identity *who, const char *header, struct err *err)
{
	const char *token = header + strlen("Bearer ");

	if (!text_has_prefix_nocase(header, "Bearer "))
		return err_set(err, ERR_UNAUTHORIZED, "Send Authorization: Bearer and a token; other schemes are not known here.");
	token += strspn(token, " ");
	if (strncmp(token, KEY_PREFIX, strlen(KEY_PREFIX)) == 0) {
		if (strncmp(rq->path, "/v1/", 4) != 0)
			return err_set(err, ERR_UNAUTHORIZED, "API keys are for /v1 only; sign in instead.");
		return identify_by(rq, who, &kind_key, token, err);
	}
	return identify_by(rq, who, config()->auth_mode == CONFIG_AUTH_LOCAL ? &kind_access : &kind_supabase, token, err);
}

int
auth_identify(struct request *rq, struct identity *who, struct err *err)
{
	const char *header = request_header(rq, "Authorization");
	const char *cookie;

	identity_set_guest(who, rq->remote_addr);
	if (config()->auth_mode == CONFIG_AUTH_OFF)
		return 0;
	if (header != NULL && *header != '\0')
		return identify_by_header(rq, who, header, err);
	cookie = config()->auth_mode == CONFIG_AUTH_LOCAL ? session_cookie_get(rq) : NULL;
	if (cookie == NULL)
		return 0;
	if (auth_check_origin(rq, err) == -1)
		return -1;
	return identify_by(rq, who, &kind_cookie, cookie, err);
}

void
auth_start(void)
{
	const char *url = config()->supabase_url;

	keeps_people = config_has(FEATURE_DATABASE);
	token_cache_start();
	token_memory_start();
	if (config()->auth_mode == CONFIG_AUTH_LOCAL)
		session_token_start(config()->session_secret);
	issuer[0] = '\0';
	if (config()->auth_mode == CONFIG_AUTH_SUPABASE) {
		jwks_start(config()->supabase_jwks_url);
		if (*url != '\0')
			snprintf(issuer, sizeof(issuer), "%s/auth/v1", url);
	}
}

void
auth_stop(void)
{
	jwks_stop();
	session_token_stop();
	token_memory_stop();
	token_cache_stop();
}
