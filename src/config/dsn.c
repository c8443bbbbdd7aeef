/* dsn.c - see config/dsn.h */
#include "config/dsn.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static int
refuse(const char **why_r, const char *why)
{
	*why_r = why;
	return -1;
}

/* KEY, or KEY:SECRET as old servers gave them: the secret is not used. */
static int
read_key(const char *at, size_t len, struct dsn *dsn)
{
	const char *colon = memchr(at, ':', len);

	if (colon != NULL)
		len = (size_t)(colon - at);
	if (len == 0 || len >= sizeof(dsn->key))
		return -1;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)at[i]))
			return -1;
	memcpy(dsn->key, at, len);
	dsn->key[len] = '\0';
	return 0;
}

static bool
is_url_text(const char *text)
{
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) && strchr("-._~:/[]%", *text) == NULL)
			return false;
	return true;
}

int
dsn_read(const char *text, struct dsn *dsn_r, const char **why_r)
{
	const char *host, *at, *project;
	int scheme_len, base_len, written;

	if (text_has_prefix_nocase(text, "https://"))
		scheme_len = 8;
	else if (text_has_prefix_nocase(text, "http://"))
		scheme_len = 7;
	else
		return refuse(why_r, "must start with https:// or http://");
	at = strchr(text + scheme_len, '@');
	if (at == NULL || read_key(text + scheme_len, (size_t)(at - text) - (size_t)scheme_len, dsn_r) == -1)
		return refuse(why_r, "must have the public key before the host: https://KEY@HOST/PROJECT");
	host = at + 1;
	project = strrchr(host, '/');
	if (project == NULL || project == host || project[1] == '\0')
		return refuse(why_r, "must end with the project's number: https://KEY@HOST/PROJECT");
	for (const char *p = project + 1; *p != '\0'; p++)
		if (!isdigit((unsigned char)*p))
			return refuse(why_r, "must end with the project's number: https://KEY@HOST/PROJECT");
	if (host[0] == '/' || !is_url_text(host))
		return refuse(why_r, "must name a host: https://KEY@HOST/PROJECT");
	base_len = (int)(project - host);
	written = snprintf(dsn_r->endpoint, sizeof(dsn_r->endpoint), "%.*s%.*s/api/%s/envelope/", scheme_len, text,
	                   base_len, host, project + 1);
	if (written < 0 || (size_t)written >= sizeof(dsn_r->endpoint))
		return refuse(why_r, "must be shorter");
	return 0;
}
