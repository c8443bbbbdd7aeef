/*
 * identity.h - who is asking, as far as it matters to what they may do and how often.
 *
 * A guest is known by address: IPv4 as it is, IPv6 by its /64, which is what one household or machine has; an
 * IPv4 address mapped into IPv6 counts as IPv4.  Guests whose address the front did not pass, or not in
 * a form that is one, all share the key "g:unknown": limited together, never unlimited.
 */
#ifndef GUARD_IDENTITY_H
#define GUARD_IDENTITY_H

#include <stdint.h>

#include "guard/limiter.h"

enum identity_kind { IDENTITY_GUEST, IDENTITY_USER };
enum identity_role { IDENTITY_ROLE_USER, IDENTITY_ROLE_ADMIN };

struct identity {
	enum identity_kind kind;
	enum identity_role role;
	const char *user_id;            /* "" for a guest */
	struct limit limit;             /* how often: the setting's, or the user's own */
	char limit_key[LIMIT_KEY_BYTES];
	const char *session_id;         /* of our own accounts; else "" */
	int64_t tokens_per_day;         /* -1: as all; 0: no limit */
};

/* The key of the limit for an address: "g:192.0.2.7", "g6:2001:db8:1:2::/64", "g:unknown"; with
   another prefix than "g" accordingly ("s:...", "s6:...").  `out` has LIMIT_KEY_BYTES. */
void identity_address_key(char *out, const char *prefix, const char *remote_addr);

/* The guest at that address; RATE_LIMIT_GUEST holds. */
void identity_set_guest(struct identity *who, const char *remote_addr);

/* A user by id (borrowed).  `own_count` is how many requests this user may make in the window of RATE_LIMIT_USER; 0: as
   many as all. */
void identity_set_user(struct identity *who, const char *user_id, enum identity_role role, int64_t own_count);

#endif
