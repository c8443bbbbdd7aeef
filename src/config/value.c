/* value.c - reading the text of a setting by its type; see config/settings.h */
#include "config/settings.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

/* Where the reason of a refusal goes. */
struct why {
	char *text;
	size_t size;
};

static int PRINTF_LIKE(2, 3)
refuse(const struct why *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, why->size, fmt, ap);
	va_end(ap);
	return -1;
}

bool
setting_is_text(const struct setting *s)
{
	switch (s->type) {
	case SETTING_STRING:
	case SETTING_URL:
	case SETTING_FILE:
	case SETTING_LIST:
		return true;
	case SETTING_INTEGER:
	case SETTING_SIZE:
	case SETTING_ENUM:
	case SETTING_BOOL:
	case SETTING_RATE:
		return false;
	}
	return false;
}

static int
parse_integer(const struct setting *s, const char *text, int64_t *number_r, const struct why *why)
{
	if (text_to_int64(text, s->min, s->max, number_r) == 0)
		return 0;
	return refuse(why, "must be a whole number of %s from %" PRId64 " to %" PRId64,
	              s->unit, s->min, s->max);
}

/* How many times two the letter after a size multiplies by; -1 for other text. */
static int
size_shift(const char *suffix)
{
	static const char letters[] = "KMG";
	const char *letter;

	if (*suffix == '\0')
		return 0;
	letter = strchr(letters, toupper((unsigned char)*suffix));
	if (letter == NULL || (suffix[1] != '\0' && strcasecmp(suffix + 1, "iB") != 0))
		return -1;
	return 10 * (int)(letter - letters + 1);
}

static int
parse_size(const struct setting *s, const char *text, int64_t *number_r, const struct why *why)
{
	size_t digits = strspn(text, "0123456789");
	int shift = size_shift(text + digits);
	char number[20];

	if (digits > 0 && digits < sizeof(number) && shift >= 0) {
		memcpy(number, text, digits);
		number[digits] = '\0';
		if (text_to_int64(number, 0, s->max >> shift, number_r) == 0) {
			*number_r <<= shift;
			if (*number_r >= s->min)
				return 0;
		}
	}
	return refuse(why, "must be a size from %" PRId64 " to %" PRId64
	              " bytes, written like 4096, 64K or 20MiB", s->min, s->max);
}

static int
parse_enum(const struct setting *s, const char *text, int64_t *number_r, const struct why *why)
{
	char all[200] = "";

	for (int i = 0; s->choices[i] != NULL; i++) {
		size_t len = strlen(all);

		if (strcasecmp(text, s->choices[i]) == 0) {
			*number_r = i;
			return 0;
		}
		snprintf(all + len, sizeof(all) - len, "%s%s", i > 0 ? ", " : "", s->choices[i]);
	}
	return refuse(why, "must be one of %s", all);
}

static int
parse_bool(const char *text, int64_t *number_r, const struct why *why)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*number_r = (int64_t)(i % 2);
			return 0;
		}
	}
	return refuse(why, "must be true or false (or yes, no, on, off, 1, 0)");
}

/* The text before the slash is a count, that after it seconds. */
static int
parse_rate(const struct setting *s, const char *text, struct setting_value *value_r, const struct why *why)
{
	const int64_t secs_max = s->max_secs > 0 ? s->max_secs : SETTING_RATE_SECS_MAX;
	const char *slash = strchr(text, '/');
	char count[20];

	if (strcasecmp(text, "off") == 0)
		return 0;
	if (slash != NULL && (size_t)(slash - text) < sizeof(count)) {
		memcpy(count, text, (size_t)(slash - text));
		count[slash - text] = '\0';
		if (text_to_int64(count, s->min, s->max, &value_r->number) == 0 &&
		    text_to_int64(slash + 1, 1, secs_max, &value_r->secs) == 0)
			return 0;
	}
	return refuse(why,
	              "must be a number of %s from %" PRId64 " to %" PRId64 ", a slash and seconds from 1 to %" PRId64
	              ", or off",
	              s->unit, s->min, s->max, secs_max);
}

/* What holds for all that is kept as text. */
static int
check_text(const struct setting *s, const char *text, const struct why *why)
{
	size_t len = strlen(text);

	if (len > (size_t)s->max)
		return refuse(why, "must have at most %" PRId64 " bytes, not %zu", s->max, len);
	if (!text_is_utf8(text, len))
		return refuse(why, "must be UTF-8");
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)text[i]))
			return refuse(why, "must not have control characters (byte %zu has one)", i);
	if (s->check != NULL && s->check(text) != NULL)
		return refuse(why, "%s", s->check(text));
	return 0;
}

static bool
url_has_part(CURLU *url, CURLUPart part)
{
	char *value = NULL;
	bool there = curl_url_get(url, part, &value, 0) == CURLUE_OK;

	curl_free(value);
	return there;
}

static int
check_url_parts(CURLU *url, const struct setting *s, const char *text, const struct why *why)
{
	const char *host = strstr(text, "://");
	CURLUcode code = curl_url_set(url, CURLUPART_URL, text, 0);

	if (code != CURLUE_OK)
		return refuse(why, "must be an http or https URL: %s", curl_url_strerror(code));
	if (!text_has_prefix_nocase(text, "http://") && !text_has_prefix_nocase(text, "https://"))
		return refuse(why, "must start with http:// or https://");
	if (host[3] == '/')     /* which curl would take for one slash too many */
		return refuse(why, "must name a host");
	if (!(s->flags & SETTING_USER_INFO) &&
	    (url_has_part(url, CURLUPART_USER) || url_has_part(url, CURLUPART_PASSWORD)))
		return refuse(why, "must not carry a user or password");
	if (url_has_part(url, CURLUPART_QUERY) || url_has_part(url, CURLUPART_FRAGMENT))
		return refuse(why, "must not have a query or fragment");
	return 0;
}

static int
parse_url(const struct setting *s, const char *text, char **text_r, const struct why *why)
{
	CURLU *url = curl_url();
	int result = url == NULL ? refuse(why, "could not be checked: out of memory")
	                         : check_url_parts(url, s, text, why);

	curl_url_cleanup(url);
	if (result == 0) {
		size_t len = strlen(text);

		*text_r = mem_strdup(text);
		while ((*text_r)[len - 1] == '/')
			(*text_r)[--len] = '\0';
	}
	return result;
}

static int
parse_file(const char *text, char **text_r, const struct why *why)
{
	struct stat st;
	int fd = open(text, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int stat_result;

	if (fd == -1)
		return refuse(why, "must name a file that can be read: %s", strerror(errno));
	stat_result = fstat(fd, &st);
	close(fd);
	if (stat_result == -1 || S_ISDIR(st.st_mode))
		return refuse(why, "must name a file, not a directory");
	*text_r = mem_strdup(text);
	return 0;
}

static int
parse_list(const char *text, char **text_r, const struct why *why)
{
	char *list = mem_alloc(strlen(text) + 1);
	size_t len = 0;

	for (;;) {
		size_t entry, rest;

		text += strspn(text, " ");
		rest = strcspn(text, ",");
		for (entry = rest; entry > 0 && text[entry - 1] == ' ';)
			entry--;
		if (entry == 0) {
			free(list);
			return refuse(why, "must be a list with a comma between entries and none empty");
		}
		memcpy(list + len, text, entry);
		len += entry;
		text += rest;
		if (*text == '\0')
			break;
		list[len++] = ',';
		text++;
	}
	*text_r = list;         /* its NUL is there: memory is zeroed */
	return 0;
}

int
setting_parse(const struct setting *s, const char *text, struct setting_value *value_r,
              char *why_text, size_t why_size)
{
	const struct why why = {why_text, why_size};

	*value_r = (struct setting_value){0};
	if (setting_is_text(s) && check_text(s, text, &why) == -1)
		return -1;
	switch (s->type) {
	case SETTING_STRING:
		value_r->text = mem_strdup(text);
		return 0;
	case SETTING_URL:
		return parse_url(s, text, &value_r->text, &why);
	case SETTING_FILE:
		return parse_file(text, &value_r->text, &why);
	case SETTING_LIST:
		return parse_list(text, &value_r->text, &why);
	case SETTING_INTEGER:
		return parse_integer(s, text, &value_r->number, &why);
	case SETTING_SIZE:
		return parse_size(s, text, &value_r->number, &why);
	case SETTING_ENUM:
		return parse_enum(s, text, &value_r->number, &why);
	case SETTING_BOOL:
		return parse_bool(text, &value_r->number, &why);
	case SETTING_RATE:
		return parse_rate(s, text, value_r, &why);
	}
	return -1;
}
