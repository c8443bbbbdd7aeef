/* guard.c - see guard/guard.h */
#include "guard/guard.h"

#include <ctype.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/config.h"
#include "guard/auth.h"
#include "guard/identity.h"
#include "http/request.h"
#include "http/response.h"

/* draft-ietf-httpapi-ratelimit-headers: q, the quota, in w, its window in seconds; r, what remains of it,
   and t, the seconds until there is more. */
static void
put_headers(struct request *rq, const struct guard_limit *l, const struct limit_decision *d)
{
	response_header(rq, "X-RateLimit-Limit", "%" PRId64, d->limit);
	response_header(rq, "X-RateLimit-Remaining", "%" PRId64, d->remaining);
	response_header(rq, "X-RateLimit-Reset", "%" PRId64, d->reset_at);
	response_header(rq, "RateLimit-Policy", "\"%s\";q=%" PRId64 ";w=%" PRId64, l->policy, l->limit.count,
	                l->limit.window_secs);
	response_header(rq, "RateLimit", "\"%s\";r=%" PRId64 ";t=%" PRId64, l->policy, d->remaining, d->reset_secs);
}

static int
refuse(const struct guard_limit *l, const struct limit_decision *d, struct err *err)
{
	err_set(err, ERR_RATE_LIMIT_EXCEEDED,
	        "Too many requests: %" PRId64 " per %" PRId64 " s for %s; try again in %" PRId64 " s.", l->limit.count,
	        l->limit.window_secs, l->whom, d->reset_secs);
	err->retry_after_secs = (int)d->reset_secs;
	return -1;
}

int
guard_count(struct request *rq, const struct guard_limit *limits, size_t count, struct err *err)
{
	const struct guard_limit *told = NULL;
	struct limit_decision least = {.admitted = true};

	for (size_t i = 0; i < count && least.admitted; i++) {
		struct limit_decision d;

		limiter_hit(limits[i].key, limits[i].limit, &d);
		if (d.decided_by == LIMIT_BY_NOBODY)
			continue;
		if (told == NULL || !d.admitted || d.remaining < least.remaining) {
			told = &limits[i];
			least = d;
		}
	}
	if (told == NULL)
		return 0;
	put_headers(rq, told, &least);
	return least.admitted ? 0 : refuse(told, &least, err);
}

static int
count_one(struct request *rq, const struct identity *who, struct err *err)
{
	bool user = who->kind == IDENTITY_USER;
	struct guard_limit limit = {
	    .limit = who->limit, .policy = user ? "user" : "guest", .whom = user ? "you" : "guests"};

	text_copy(limit.key, sizeof(limit.key), who->limit_key);
	return guard_count(rq, &limit, 1, err);
}

/* Find out who it is, and count. */
static int
look(struct request *rq, bool identify, struct err *err)
{
	struct identity *who = arena_alloc(rq->arena, sizeof(*who));
	struct err limited;

	if (who == NULL)
		return err_set(err, ERR_INTERNAL, "The request needs too much memory.");
	identity_set_guest(who, rq->remote_addr);
	rq->who = who;
	if (identify && auth_identify(rq, who, err) == -1) {
		/* nobody may try tokens without end */
		if (err->code != ERR_CANCELLED && count_one(rq, who, &limited) == -1)
			*err = limited;
		if (err->code == ERR_UNAUTHORIZED)
			response_header(rq, "WWW-Authenticate", "Bearer");
		return -1;
	}
	return count_one(rq, who, err);
}

int
guard_guest_or_user(struct request *rq, struct err *err)
{
	return look(rq, true, err);
}

int
guard_address(struct request *rq, struct err *err)
{
	return look(rq, false, err);
}

int
guard_user(struct request *rq, struct err *err)
{
	if (look(rq, true, err) == -1)
		return -1;
	if (rq->who->kind == IDENTITY_USER)
		return 0;
	response_header(rq, "WWW-Authenticate", "Bearer");
	return err_set(err, ERR_UNAUTHORIZED, "This is for people who are signed in; sign in first.");
}

int
guard_admin(struct request *rq, struct err *err)
{
	if (guard_user(rq, err) == -1)
		return -1;
	if (rq->who->role == IDENTITY_ROLE_ADMIN)
		return 0;
	return err_set(err, ERR_FORBIDDEN, "This is for administrators.");
}

/* "n:" and a digest: names are of any length, and Redis' keys may be seen by others. */
static void
account_key(char *out, const char *account)
{
	crypto_generichash_state state;
	unsigned char digest[16];
	char hex[2 * sizeof(digest) + 1];

	crypto_generichash_init(&state, NULL, 0, sizeof(digest));
	for (; *account != '\0'; account++) {
		unsigned char lower = (unsigned char)tolower((unsigned char)*account);

		crypto_generichash_update(&state, &lower, 1);
	}
	crypto_generichash_final(&state, digest, sizeof(digest));
	sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
	snprintf(out, LIMIT_KEY_BYTES, "n:%s", hex);
}

int
guard_sign_in(struct request *rq, const char *account, struct err *err)
{
	const struct limit limit = {config()->rate_limit_sign_in.count, config()->rate_limit_sign_in.secs};
	struct guard_limit limits[] = {
	    {.limit = limit, .policy = "sign-in", .whom = "signing in from one address"},
	    {.limit = limit, .policy = "account", .whom = "signing in to one account"},
	};

	identity_address_key(limits[0].key, "s", rq->remote_addr);
	account_key(limits[1].key, account);
	return guard_count(rq, limits, sizeof(limits) / sizeof(limits[0]), err);
}

int
guard_sign_in_known(const char *account, const char *known, struct err *err)
{
	struct guard_limit limit = {.limit = {config()->rate_limit_sign_in.count, config()->rate_limit_sign_in.secs},
	                            .whom = "signing in to one account"};
	char asked[LIMIT_KEY_BYTES];
	struct limit_decision d;

	account_key(asked, account);
	account_key(limit.key, known);
	if (strcmp(asked, limit.key) == 0)
		return 0;
	limiter_hit(limit.key, limit.limit, &d);
	return d.admitted ? 0 : refuse(&limit, &d, err);
}
