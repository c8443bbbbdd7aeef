/* redis_url.c - see config/redis_url.h */
#include "config/redis_url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/text.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#define PORT 6379
#define HOST_MAX_BYTES 253
#define WRONG_DB "must have a database from 0 to 9999, as in redis://127.0.0.1:6379/0 or unix:/path?db=0"

static const char *
take_db(const char *text, struct redis_url *url)
{
	int64_t db;

	if (text_to_int64(text, 0, REDIS_DB_MAX, &db) == -1)
		return WRONG_DB;
	url->db = (int)db;
	return NULL;
}

/* What stands before the last '@': returns what follows it, or NULL with *fault_r. */
static char *
take_user_info(char *rest, struct redis_url *url, const char **fault_r)
{
	char *at = strrchr(rest, '@');
	char *colon;

	if (at == NULL)
		return rest;
	*at = '\0';
	colon = strchr(rest, ':');
	if (colon == NULL) {
		*fault_r = "must have user:password or :password before the @";
		return NULL;
	}
	*colon = '\0';
	if (text_percent_decode(rest) == -1 || text_percent_decode(colon + 1) == -1) {
		*fault_r = "must have %XX with two hexadecimal digits in user and password";
		return NULL;
	}
	if (rest[0] != '\0')
		url->user = rest;
	url->password = colon + 1;
	return at + 1;
}

static const char *
take_port(const char *text, struct redis_url *url)
{
	int64_t port;

	if (text_to_int64(text, 1, 65535, &port) == -1)
		return "must have a port from 1 to 65535";
	url->port = (int)port;
	return NULL;
}

/* host, host:port or [address]:port */
static const char *
take_host(char *text, struct redis_url *url)
{
	char *after;

	if (text[0] == '[') {
		char *bracket = strchr(text, ']');

		if (bracket == NULL || (bracket[1] != '\0' && bracket[1] != ':'))
			return "must have an address like [::1] where there is a bracket";
		*bracket = '\0';
		url->host = text + 1;
		after = bracket + 1;
	} else {
		url->host = text;
		after = text + strcspn(text, ":");
	}
	if (*after == ':') {
		const char *fault = take_port(after + 1, url);

		*after = '\0';
		if (fault != NULL)
			return fault;
	}
	if (url->host[0] == '\0' || strlen(url->host) > HOST_MAX_BYTES)
		return "must name a host";
	for (const char *p = url->host; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr(".-_:", *p) == NULL)
			return "must name a host";
	return NULL;
}

static const char *
parse_tcp(char *rest, struct redis_url *url)
{
	const char *fault = NULL;
	char *slash;

	url->port = PORT;
	rest = take_user_info(rest, url, &fault);
	if (rest == NULL)
		return fault;
	slash = strchr(rest, '/');
	if (slash != NULL) {
		*slash = '\0';
		if (slash[1] != '\0')
			fault = take_db(slash + 1, url);
	}
	return fault != NULL ? fault : take_host(rest, url);
}

static const char *
parse_tls(char *text, struct redis_url *url)
{
#ifdef HAVE_HIREDIS_SSL
	url->tls = true;
	if (text_has_prefix_nocase(text, "rediss://"))
		return parse_tcp(text + strlen("rediss://"), url);
	return "must be rediss://host:port/db";
#else
	(void)text;
	(void)url;
	return "must start with redis: or unix:, for this build's Redis client has no TLS; let stunnel (in "
	       "client mode) make the TLS connection and name its local port here";
#endif
}

static const char *
parse_unix(char *rest, struct redis_url *url)
{
	const char *fault = NULL;
	char *query;

	if (rest[0] == '/' && rest[1] == '/') {
		rest = take_user_info(rest + 2, url, &fault);
		if (rest == NULL)
			return fault;
	}
	query = strchr(rest, '?');
	if (query != NULL) {
		*query = '\0';
		if (strncmp(query + 1, "db=", 3) != 0)
			return WRONG_DB;
		fault = take_db(query + 4, url);
	}
	if (rest[0] != '/' || strlen(rest) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return "must have the path of a socket, with less than 108 bytes, as in unix:/run/redis/redis.sock";
	url->path = rest;
	return fault;
}

const char *
redis_url_parse(const char *text, struct redis_url *url)
{
	*url = (struct redis_url){.text = mem_strdup(text)};
	if (text_has_prefix_nocase(text, "rediss:"))
		return parse_tls(url->text, url);
	if (text_has_prefix_nocase(text, "redis://"))
		return parse_tcp(url->text + strlen("redis://"), url);
	if (text_has_prefix_nocase(text, "unix:"))
		return parse_unix(url->text + strlen("unix:"), url);
	return "must be redis://host:port/db or unix:/path";
}

void
redis_url_free(struct redis_url *url)
{
	if (url->text != NULL)
		explicit_bzero(url->text, strlen(url->text));
	free(url->text);
	*url = (struct redis_url){0};
}
