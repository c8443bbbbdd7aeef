/* cursor.c - see store/cursor.h */
#include "store/cursor.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define PLAIN_BYTES 80
#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING
/* The year 9999 or so. */
#define AT_MAX INT64_C(253402300800000000)

const char *
cursor_write(struct arena *a, char list, int64_t at_us, const char *id)
{
	char plain[PLAIN_BYTES], text[sodium_base64_ENCODED_LEN(PLAIN_BYTES, VARIANT)];
	int len = snprintf(plain, sizeof(plain), "%c%" PRId64 ".%s", list, at_us, id);

	sodium_bin2base64(text, sizeof(text), (const unsigned char *)plain, (size_t)len, VARIANT);
	return arena_strdup(a, text);
}

int
cursor_read(const char *text, const char *lists, struct cursor *c, struct err *err)
{
	char plain[PLAIN_BYTES], *dot;
	size_t len;

	memset(c, 0, sizeof(*c));
	if (*text == '\0')
		return 0;
	if (sodium_base642bin((unsigned char *)plain, sizeof(plain) - 1, text, strlen(text), NULL, &len, NULL, VARIANT) == 0) {
		plain[len] = '\0';
		dot = strchr(plain, '.');
		if (len > 1 && strchr(lists, plain[0]) != NULL && dot != NULL && ident_is_valid(dot + 1)) {
			*dot = '\0';
			if (text_to_int64(plain + 1, 0, AT_MAX, &c->at_us) == 0) {
				snprintf(c->at_text, sizeof(c->at_text), "%" PRId64, c->at_us);
				c->list = plain[0];
				text_copy(c->id, sizeof(c->id), dot + 1);
				return 0;
			}
		}
	}
	return err_set(err, ERR_INVALID_REQUEST, "cursor is not one that a page ended with.");
}
