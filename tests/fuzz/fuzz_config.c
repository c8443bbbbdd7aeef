/*
 * fuzz_config.c - configuration: a file of NAME=value lines, the settings in it, and the addresses that they are.
 *
 * Reading the file ends; names and values stand within the text; lines count upwards; what was read can be written
 * in double quotes and is read again as the same.  As the programs' settings it is taken, with all numbers in their
 * bounds, or refused with a complaint that can be shown.  Addresses of Redis, Sentry and PostgreSQL, from the file or
 * the text as it is, are taken whole or refused for a reason.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/text.h"
#include "config/config.h"
#include "config/dsn.h"
#include "config/envfile.h"
#include "config/redis_url.h"
#include "config/settings.h"
#include "fuzz.h"
#include "net/pg_conn.h"

#define INPUT_MAX 16384

/* ---- the file ---- */

/* Add NAME="value" with what needs it escaped. */
static void
write_entry(struct buffer *out, const struct envfile_entry *e)
{
	REQUIRE(buffer_printf(out, "%s=\"", e->name) == 0);
	for (const char *p = e->value; *p != '\0'; p++)
		REQUIRE(buffer_printf(out, strchr("\"\\$`", *p) != NULL ? "\\%c" : "%c", *p) == 0);
	REQUIRE(buffer_append_text(out, "\"\n") == 0);
}

static void
check_entry(const struct envfile_entry *e, const char *text, size_t len)
{
	REQUIRE(e->name >= text && e->name + strlen(e->name) <= text + len);
	REQUIRE(e->value >= text && e->value + strlen(e->value) <= text + len);
	REQUIRE(e->name[0] != '\0');
	REQUIRE(strpbrk(e->name, "= \t\r\n#\"'") == NULL);
}

/* Read all of `text`, which is changed, and write it anew; how many entries there were. */
static unsigned
read_all(char *text, size_t len, struct buffer *out)
{
	struct envfile_entry entry;
	struct envfile file;
	unsigned entries = 0, last_line = 0;
	int rc;

	envfile_open(&file, text);
	while ((rc = envfile_next(&file, &entry)) != 0) {
		REQUIRE(entry.line >= 1 && entry.line >= last_line);
		last_line = entry.line;
		if (rc == -1) {
			REQUIRE(entry.why != NULL);
			continue;
		}
		check_entry(&entry, text, len);
		write_entry(out, &entry);
		entries++;
	}
	return entries;
}

static void
check_file(const char *given)
{
	struct buffer first = BUFFER_INIT(SIZE_MAX / 2), second = BUFFER_INIT(SIZE_MAX / 2);
	char *text = mem_strdup(given);
	unsigned entries = read_all(text, strlen(text), &first);

	free(text);
	if (entries > 0) {
		text = mem_strdup(first.data);
		REQUIRE(read_all(text, first.len, &second) == entries);
		REQUIRE(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
		free(text);
	}
	buffer_free(&first);
	buffer_free(&second);
}

/* ---- addresses ---- */

static void
check_redis_url(const char *text, bool taken)
{
	struct redis_url url;
	const char *fault = redis_url_parse(text, &url);

	if (fault != NULL) {
		REQUIRE(!taken && text_has_prefix_nocase(fault, "must "));
	} else {
		REQUIRE((url.host != NULL) != (url.path != NULL));
		REQUIRE(url.host == NULL || (url.host[0] != '\0' && url.port >= 1 && url.port <= 65535));
		REQUIRE(url.path == NULL || url.path[0] == '/');
		REQUIRE(url.db >= 0 && url.db <= REDIS_DB_MAX);
		REQUIRE(url.user == NULL || url.password != NULL);
	}
	redis_url_free(&url);
}

/* One that is taken leads to a place that is made of nothing but what may stand in a URL, and a key that is no header. */
static void
check_dsn(const char *text, bool taken)
{
	const char *why = NULL;
	struct dsn dsn;

	if (dsn_read(text, &dsn, &why) == -1) {
		REQUIRE(!taken && text_has_prefix_nocase(why, "must "));
		return;
	}
	REQUIRE(dsn.key[0] != '\0' && strpbrk(dsn.key, " \t\r\n,;:/@") == NULL);
	REQUIRE(text_has_prefix_nocase(dsn.endpoint, "http"));
	REQUIRE(strpbrk(dsn.endpoint, " \t\r\n@?#\"<>") == NULL);
	REQUIRE(strcmp(dsn.endpoint + strlen(dsn.endpoint) - strlen("/envelope/"), "/envelope/") == 0);
}

/* What libpq does not know is left out, and nothing else. */
static void
check_pg_url(const char *text)
{
	char *once = pg_url_clean(text);
	char *twice = pg_url_clean(once);

	REQUIRE(strncmp(once, text, strcspn(text, "?")) == 0);
	REQUIRE(strlen(once) <= strlen(text) && strcmp(once, twice) == 0);
	free(once);
	free(twice);
}

/* ---- as the programs' settings ---- */

/* Make the text what BAKAME_ENV_FILE names, and nothing else a setting. */
static void
offer(const char *text)
{
	static int fd = -1;
	char name[40];

	if (fd == -1) {
		for (size_t i = 0; i < settings_count; i++)
			unsetenv(settings[i].name);
		fd = memfd_create("settings", MFD_CLOEXEC);
		REQUIRE(fd != -1);
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		setenv("BAKAME_ENV_FILE", name, 1);
	}
	REQUIRE(ftruncate(fd, 0) == 0);
	REQUIRE(pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text));
}

/* May it stand in a terminal and in a header? */
static void
check_shown(const char *text)
{
	REQUIRE(text_is_utf8(text, strlen(text)));
	for (const char *p = text; *p != '\0'; p++)
		REQUIRE((unsigned char)*p >= 0x20 && *p != 0x7F);
}

static void
check_complaints(char *text)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")) != NULL && rest != NULL) {
		REQUIRE(*line != '\0');
		check_shown(line);
	}
	REQUIRE(*line == '\0');         /* the last one ended too */
}

static void
check_bounds(const struct setting *s)
{
	const void *member = (const char *)config() + s->offset;
	const struct config_rate *rate = member;

	switch (s->type) {
	case SETTING_INTEGER:
	case SETTING_SIZE:
		REQUIRE(*(const int64_t *)member >= s->min && *(const int64_t *)member <= s->max);
		break;
	case SETTING_RATE:
		REQUIRE(rate->count == 0 || (rate->count >= s->min && rate->count <= s->max));
		REQUIRE(rate->secs >= 0 && rate->secs <= SETTING_RATE_SECS_MAX);
		break;
	case SETTING_BOOL:
	case SETTING_ENUM:
		REQUIRE(*(const int64_t *)member >= 0);
		break;
	default:
		check_shown(*(const char *const *)member);
	}
}

static void
check_loaded(void)
{
	FILE *printed;
	char *text;
	size_t len;

	for (size_t i = 0; i < settings_count; i++)
		check_bounds(&settings[i]);
	if (config()->redis_url[0] != '\0')
		check_redis_url(config()->redis_url, true);
	if (config()->sentry_dsn[0] != '\0')
		check_dsn(config()->sentry_dsn, true);
	check_pg_url(config()->database_url);
	printed = open_memstream(&text, &len);
	REQUIRE(printed != NULL);
	config_print(printed);
	fclose(printed);
	REQUIRE(text_is_utf8(text, len));
	free(text);
}

static void
check_settings(const char *text)
{
	char *said;
	size_t len;
	FILE *complaints = open_memstream(&said, &len);
	int rc;

	REQUIRE(complaints != NULL);
	offer(text);
	rc = config_load(complaints);
	fclose(complaints);
	REQUIRE((rc == 0) == (len == 0));
	if (rc == 0)
		check_loaded();
	else
		check_complaints(said);
	config_unload();
	free(said);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size > INPUT_MAX)
		return 0;
	text = mem_alloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	check_file(text);
	check_redis_url(text, false);
	check_dsn(text, false);
	check_pg_url(text);
	check_settings(text);
	free(text);
	return 0;
}
