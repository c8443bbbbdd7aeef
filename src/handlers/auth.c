/* auth.c - signing up, in, out; refreshing; changing the password: POST /api/auth/... */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/config.h"
#include "guard/auth.h"
#include "guard/guard.h"
#include "guard/identity.h"
#include "guard/password.h"
#include "guard/session_token.h"
#include "handlers/account.h"
#include "handlers/routes.h"
#include "http/request.h"
#include "http/response.h"
#include "runtime/fiber.h"
#include "telemetry/metrics.h"

#define DAY_SECS 86400
#define EMAIL_CHARS_MAX 254
#define NAME_CHARS_MAX 100

/* ---- sessions ---- */

/* What the database keeps of a session's token. */
static struct session
session_of(struct request *rq, const struct session_token *token)
{
	const char *agent = request_header(rq, "User-Agent");

	return (struct session){
	    .id = token->session_id,
	    .digest = token->digest,
	    .expires_at = token->expires_at,
	    .remote_addr = rq->remote_addr,
	    .user_agent = agent != NULL && text_is_utf8(agent, strlen(agent)) ? agent : "",
	};
}

/* {"user":…,"access_token":…,"token_type":"bearer","expires_in":…} and the cookie. */
static int
answer_session(struct request *rq, int status, const struct person *p, const struct session_token *cookie, struct err *err)
{
	const int64_t secs = config()->access_token_minutes * 60;
	struct session_token access;
	struct json_object *answer;
	int rc;

	if (session_token_make(rq->arena, SESSION_TOKEN_ACCESS, p->id, cookie->session_id, secs, &access, err) == -1)
		return -1;
	auth_learn(rq, access.text, cookie->text);
	answer = json_object_new_object();
	json_object_object_add(answer, "user", account_json(p));
	json_object_object_add(answer, "access_token", json_object_new_string(access.text));
	json_object_object_add(answer, "token_type", json_object_new_string("bearer"));
	json_object_object_add(answer, "expires_in", json_object_new_int64(secs));
	session_cookie_set(rq, cookie);
	response_header(rq, "Cache-Control", "no-store");
	rc = response_json(rq, status, answer);
	json_object_put(answer);
	return rc;
}

static int
begin_session(struct request *rq, int status, const struct person *p, struct err *err)
{
	char *id = arena_alloc(rq->arena, PERSON_ID_BYTES);
	struct session_token token = {0};
	struct session session;

	if (id == NULL)
		return err_set(err, ERR_INTERNAL, "The request needs too much memory.");
	people_make_id(id);
	if (session_token_make(rq->arena, SESSION_TOKEN_COOKIE, p->id, id, config()->session_days * DAY_SECS, &token, err) == -1)
		return -1;
	session = session_of(rq, &token);
	if (people_add_session(rq->arena, p->id, &session, p->password_version, err) == -1)
		return -1;
	return answer_session(rq, status, p, &token, err);
}

/* ---- signing up and in ---- */

struct credentials {
	const char *email;
	const char *password;
	const char *name;
};

static int
count_sign_in(const char *labels, int rc)
{
	metric_count(METRIC_SIGN_INS, labels);
	return rc;
}

static int
read_credentials(struct request *rq, struct credentials *c, struct err *err)
{
	struct json_object *body;

	if (account_check_local(err) == -1 || auth_check_origin(rq, err) == -1)
		return -1;
	body = request_read_json(rq, rq->route->body_max, err);
	if (body == NULL || (c->email = account_text(rq, body, "email", EMAIL_CHARS_MAX, err)) == NULL ||
	    (c->name = account_text(rq, body, "name", NAME_CHARS_MAX, err)) == NULL)
		return -1;
	c->password = json_member_text(body, "password");
	if (c->password == NULL)
		return err_set(err, ERR_INVALID_REQUEST, "password is missing or not a string.");
	if (account_check_email(c->email, err) == -1)
		return -1;
	return guard_sign_in(rq, c->email, err);
}

int
handle_signup(struct request *rq, struct err *err)
{
	char hash[PASSWORD_HASH_BYTES];
	struct credentials c;
	struct person person;

	if (read_credentials(rq, &c, err) == -1)
		return -1;
	if (!config()->sign_up)
		return err_set(err, ERR_FORBIDDEN, "Accounts are made by this installation's operator; ask there.");
	if (password_check(c.password, "password", err) == -1 || password_hash(c.password, hash, err) == -1 ||
	    people_add(rq->arena, c.email, c.name, "user", hash, &person, err) == -1)
		return -1;
	metric_count(METRIC_SIGN_INS, "result=\"signup\"");
	return begin_session(rq, 201, &person, err);
}

/* The parameters of hashing may have changed since the account was made. */
static void
renew_hash(struct request *rq, const struct person *p, const char *password)
{
	char hash[PASSWORD_HASH_BYTES];
	struct err err;

	if (password_is_outdated(p->password_hash) &&
	    (password_hash(password, hash, &err) == -1 || people_renew_hash(rq->arena, p->id, hash, p->password_version, &err) == -1))
		LOG_WARN(&rq->log, "a password's hash could not be renewed", LOG_STR("reason", err.message));
}

int
handle_login(struct request *rq, struct err *err)
{
	struct person person = {0};
	struct credentials c;
	int found, fits;

	if (read_credentials(rq, &c, err) == -1)
		return -1;
	if (strlen(c.password) > PASSWORD_MAX_BYTES)
		return err_set(err, ERR_INVALID_REQUEST, "password must have at most %d bytes.", PASSWORD_MAX_BYTES);
	found = people_find(rq->arena, c.email, &person, err);
	if (found == -1 || (found == 1 && guard_sign_in_known(c.email, person.email, err) == -1))
		return -1;
	/* whoever is not there takes as long as whoever is */
	fits = password_verify(c.password, found == 1 ? person.password_hash : NULL, err);
	if (fits == -1)
		return -1;
	if (fits == 0)
		return count_sign_in("result=\"refused\"",
		                     err_set(err, ERR_UNAUTHORIZED, "E-mail address or password is wrong."));
	if (person.disabled)
		return count_sign_in("result=\"disabled\"",
		                     err_set(err, ERR_FORBIDDEN, "This account is disabled; ask an administrator."));
	renew_hash(rq, &person, c.password);
	metric_count(METRIC_SIGN_INS, "result=\"ok\"");
	return begin_session(rq, 200, &person, err);
}

/* ---- with a session ---- */

/* The token of the request's cookie; -1 with ERR_UNAUTHORIZED. */
static int
read_cookie(struct request *rq, struct session_token *token, struct err *err)
{
	const char *text = session_cookie_get(rq);

	if (text == NULL)
		return err_set(err, ERR_UNAUTHORIZED, "There is no session to refresh; sign in.");
	return session_token_read(rq->arena, SESSION_TOKEN_COOKIE, text, token, err);
}

int
handle_refresh(struct request *rq, struct err *err)
{
	struct session_token old = {0}, renewed = {0};
	struct session session;
	struct person person;
	int rc;

	if (account_check_local(err) == -1 || auth_check_origin(rq, err) == -1 || read_cookie(rq, &old, err) == -1 ||
	    session_token_make(rq->arena, SESSION_TOKEN_COOKIE, old.user_id, old.session_id,
	                       config()->session_days * DAY_SECS, &renewed, err) == -1)
		return -1;
	session = session_of(rq, &renewed);
	fiber_mask_begin();
	rc = people_rotate_session(rq->arena, old.session_id, old.digest, &session, &person, err);
	if (rc == 0)
		auth_person_changed(old.user_id);
	else if (rc == 1)
		auth_forget_cookie(old.text);
	fiber_mask_end();
	if (rc == 0) {
		session_cookie_set(rq, NULL);
		return count_sign_in("result=\"refresh_refused\"",
		                     err_set(err, ERR_UNAUTHORIZED, "The session has ended; sign in again."));
	}
	if (rc == -1)
		return -1;
	if (person.disabled)
		return err_set(err, ERR_FORBIDDEN, "This account is disabled; ask an administrator.");
	metric_count(METRIC_SIGN_INS, "result=\"refreshed\"");
	return answer_session(rq, 200, &person, &renewed, err);
}

static int
end_session(struct request *rq, const struct session_token *token, struct err *err)
{
	int rc;

	fiber_mask_begin();
	rc = people_end_session(rq->arena, token->session_id, err);
	if (rc == 0)
		auth_person_changed(token->user_id);
	fiber_mask_end();
	return rc;
}

/* The access token of who has no cookie: a program.  -1 if there is none that is good. */
static int
read_bearer(struct request *rq, struct session_token *token)
{
	const char *header = request_header(rq, "Authorization");
	struct err ignored;

	if (header == NULL || !text_has_prefix_nocase(header, "Bearer "))
		return -1;
	header += strlen("Bearer ");
	return session_token_read(rq->arena, SESSION_TOKEN_ACCESS, header + strspn(header, " "), token, &ignored);
}

/* Whatever the cookie is worth, it is taken away: a bad one would be refused everywhere. */
int
handle_logout(struct request *rq, struct err *err)
{
	struct session_token token = {0};
	struct err ignored;

	if (account_check_local(err) == -1 || auth_check_origin(rq, err) == -1)
		return -1;
	if (read_cookie(rq, &token, &ignored) == 0 && end_session(rq, &token, err) == -1)
		return -1;
	if (read_bearer(rq, &token) == 0 && end_session(rq, &token, err) == -1)
		return -1;
	session_cookie_set(rq, NULL);
	return response_begin(rq, 204, "application/json");
}

/* Whoever came by a session could else try passwords at the pace of all requests. */
static int
limit_tries(struct request *rq, struct err *err)
{
	const struct limit limit = {config()->rate_limit_sign_in.count, config()->rate_limit_sign_in.secs};
	char key[LIMIT_KEY_BYTES];
	struct limit_decision d;

	snprintf(key, sizeof(key), "p:%s", rq->who->user_id);
	limiter_hit(key, limit, &d);
	if (d.admitted)
		return 0;
	err_set(err, ERR_RATE_LIMIT_EXCEEDED, "Too many tries; try again in %lld s.", (long long)d.reset_secs);
	err->retry_after_secs = (int)d.reset_secs;
	return -1;
}

int
handle_password(struct request *rq, struct err *err)
{
	char hash[PASSWORD_HASH_BYTES];
	const char *current, *wanted, *known, *version;
	struct json_object *body;
	int fits, rc;

	if (account_check_local(err) == -1 || (body = request_read_json(rq, rq->route->body_max, err)) == NULL)
		return -1;
	current = json_member_text(body, "current");
	wanted = json_member_text(body, "new");
	if (current == NULL || wanted == NULL)
		return err_set(err, ERR_INVALID_REQUEST, "%s is missing or not a string.", current == NULL ? "current" : "new");
	if (password_check(wanted, "new", err) == -1 || limit_tries(rq, err) == -1 ||
	    people_get_password(rq->arena, rq->who->user_id, &known, &version, err) == -1)
		return -1;
	fits = strlen(current) <= PASSWORD_MAX_BYTES ? password_verify(current, known, err) : 0;
	if (fits == -1)
		return -1;
	if (fits == 0)
		return err_set(err, ERR_FORBIDDEN, "The current password is wrong.");
	if (password_hash(wanted, hash, err) == -1)
		return -1;
	fiber_mask_begin();
	rc = people_set_password(rq->arena, rq->who->user_id, hash, rq->who->session_id, version, err);
	if (rc == 0)
		auth_person_changed(rq->who->user_id);
	fiber_mask_end();
	return rc == -1 ? -1 : response_begin(rq, 204, "application/json");
}
