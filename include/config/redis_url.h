/*
 * redis_url.h - where Redis is, written as a URL.
 *
 *	redis://[[user]:password@]host[:port][/db]      [::1] for an IPv6 address
 *	rediss://...                                    the same over TLS, where hiredis has it
 *	redis://password@host would be a user without a password, and is refused
 *	unix:/path[?db=N] or unix:///path[?db=N]; a password by [user:password@] after unix://
 *
 * As redis-cli -u and IANA's registration of redis: have it.  User and password may have %XX.
 */
#ifndef CONFIG_REDIS_URL_H
#define CONFIG_REDIS_URL_H

#include <stdbool.h>

#include "base/mem.h"

#define REDIS_DB_MAX 9999

struct redis_url {
	char *text;                     /* owns what the others point to */
	const char *path;               /* of a unix socket, or NULL */
	const char *host;               /* without brackets, or NULL */
	int port;
	bool tls;
	const char *user;               /* NULL: none given */
	const char *password;           /* NULL: none given */
	int db;
};

/* NULL, or "must ..." as a constant if it is no such URL.  redis_url_free() it either way. */
const char *redis_url_parse(const char *text, struct redis_url *url_r) MUST_USE;
void redis_url_free(struct redis_url *url);

#endif
