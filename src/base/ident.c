/* ident.c - see base/ident.h */
#include "base/ident.h"

#include <string.h>
#include <uuid/uuid.h>

void
ident_new(char id_r[IDENT_BYTES])
{
	uuid_t uuid;

	uuid_generate_random(uuid);
	uuid_unparse_lower(uuid, id_r);
}

bool
ident_is_valid(const char *text)
{
	if (text == NULL || strspn(text, "0123456789abcdef-") != IDENT_BYTES - 1 || text[IDENT_BYTES - 1] != '\0')
		return false;
	for (int i = 0; i < IDENT_BYTES - 1; i++)
		if ((text[i] == '-') != (i == 8 || i == 13 || i == 18 || i == 23))
			return false;
	return true;
}
