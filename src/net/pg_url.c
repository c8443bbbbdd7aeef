/* pg_url.c - connection URLs as people have them; see net/pg_conn.h */
#include <stdlib.h>
#include <string.h>

#include "net/pg_conn.h"

/* Is `name` one of libpq's connection parameters, or one that its URLs have besides? */
static bool
is_known(const PQconninfoOption *options, const char *name, size_t len)
{
	if (len == 3 && memcmp(name, "ssl", 3) == 0)    /* ssl=true, as JDBC has it */
		return true;
	for (const PQconninfoOption *o = options; o->keyword != NULL; o++)
		if (strlen(o->keyword) == len && memcmp(o->keyword, name, len) == 0)
			return true;
	return false;
}

char *
pg_url_clean(const char *url)
{
	const char *query = strchr(url, '?');
	size_t used = query != NULL ? (size_t)(query - url) : strlen(url);
	char *clean = mem_strdup(url);
	PQconninfoOption *options = PQconndefaults();
	char separator = '?';

	clean[used] = '\0';
	while (query != NULL && *query != '\0' && options != NULL) {
		size_t len = strcspn(++query, "&");

		if (is_known(options, query, strcspn(query, "=&"))) {
			clean[used++] = separator;
			memcpy(clean + used, query, len);
			used += len;
			clean[used] = '\0';
			separator = '&';
		}
		query += len;
	}
	PQconninfoFree(options);
	return clean;
}
