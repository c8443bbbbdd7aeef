/* auth_origin.c - requests that another site's page makes with our cookie; see guard/auth.h */
#include <string.h>
#include <strings.h>

#include "config/config.h"
#include "guard/auth.h"
#include "http/request.h"

static bool
is_safe(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "OPTIONS") == 0;
}

/* Is `origin` in CORS_ORIGINS, whose entries are separated by blanks or commas? */
static bool
is_allowed(const char *origin)
{
	const size_t len = strlen(origin);
	const char *at = config()->cors_origins;

	while (*(at += strspn(at, " ,")) != '\0') {
		size_t n = strcspn(at, " ,");

		if (n == len && strncasecmp(at, origin, n) == 0)
			return true;
		at += n;
	}
	return false;
}

/* Of "name:port", "name" or "[address]:port". */
static size_t
name_len(const char *host)
{
	const char *end = strrchr(host, ':');

	return end != NULL && strchr(end, ']') == NULL ? (size_t)(end - host) : strlen(host);
}

/* Is it the page's own site?  The scheme is left out, for what ends TLS before the front may hide it; and the port
   where it was not passed on, as by NGINX's $host: cookies do not tell ports apart either. */
static bool
is_own(const struct request *rq, const char *origin)
{
	const char *host = request_header(rq, "Host");
	const char *named = strstr(origin, "://");

	if (host == NULL || *host == '\0' || named == NULL)
		return false;
	named += 3;
	return strcasecmp(named, host) == 0 ||
	       (name_len(host) == strlen(host) && name_len(named) == strlen(host) &&
	        strncasecmp(named, host, strlen(host)) == 0);
}

int
auth_check_origin(const struct request *rq, struct err *err)
{
	const char *site = request_header(rq, "Sec-Fetch-Site");
	const char *origin = request_header(rq, "Origin");
	bool ok;

	if (is_safe(rq->method))
		return 0;
	if (origin != NULL && is_allowed(origin))
		return 0;
	if (site != NULL)
		ok = strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
	else
		ok = origin == NULL || is_own(rq, origin);      /* no browser, if there is neither */
	if (ok)
		return 0;
	return err_set(err, ERR_FORBIDDEN, "This came from another site's page (%s), which may not do that.",
	               origin != NULL ? "see Origin" : "see Sec-Fetch-Site");
}
