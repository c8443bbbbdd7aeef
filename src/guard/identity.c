/* identity.c - see guard/identity.h */
#include "guard/identity.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"

/* The first 64 bits as the address with the rest zero. */
static void
write_network(char *out, const char *prefix, struct in6_addr address)
{
	char text[INET6_ADDRSTRLEN];

	memset(&address.s6_addr[8], 0, 8);
	inet_ntop(AF_INET6, &address, text, sizeof(text));
	snprintf(out, LIMIT_KEY_BYTES, "%s6:%s/64", prefix, text);
}

void
identity_address_key(char *out, const char *prefix, const char *remote_addr)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET6, remote_addr, &v6) == 1) {
		if (!IN6_IS_ADDR_V4MAPPED(&v6)) {
			write_network(out, prefix, v6);
			return;
		}
		memcpy(&v4, &v6.s6_addr[12], sizeof(v4));
	} else if (inet_pton(AF_INET, remote_addr, &v4) != 1) {
		snprintf(out, LIMIT_KEY_BYTES, "%s:unknown", prefix);
		return;
	}
	inet_ntop(AF_INET, &v4, text, sizeof(text));
	snprintf(out, LIMIT_KEY_BYTES, "%s:%s", prefix, text);
}

static struct limit
limit_of(struct config_rate rate)
{
	return (struct limit){rate.count, rate.secs};
}

void
identity_set_guest(struct identity *who, const char *remote_addr)
{
	*who = (struct identity){.kind = IDENTITY_GUEST,
	                         .user_id = "",
	                         .session_id = "",
	                         .tokens_per_day = -1,
	                         .limit = limit_of(config()->rate_limit_guest)};
	identity_address_key(who->limit_key, "g", remote_addr);
}

void
identity_set_user(struct identity *who, const char *user_id, enum identity_role role, int64_t own_count)
{
	*who = (struct identity){.kind = IDENTITY_USER,
	                         .role = role,
	                         .user_id = user_id,
	                         .session_id = "",
	                         .tokens_per_day = -1,
	                         .limit = limit_of(config()->rate_limit_user)};
	if (own_count > 0) {
		who->limit.count = own_count < LIMIT_COUNT_MAX ? own_count : LIMIT_COUNT_MAX;
		who->limit.window_secs = config_user_window_secs();
	}
	snprintf(who->limit_key, sizeof(who->limit_key), "u:%s", user_id);
}
