/* config.c - loading and checking the settings; see config/config.h */
#include "config/config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/text.h"
#include "config/envfile.h"
#include "config/origin.h"
#include "config/settings.h"
#include "telemetry/scrub.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)

/* A file that is no environment file at all has a fault on every line. */
#define FAULTS_SHOWN 100

struct loader {
	FILE *complaints;
	unsigned faults;
	const char *file;               /* the name in BAKAME_ENV_FILE, or NULL */
	bool file_lost;                 /* it could not be read: what is missing may be there */
};

static struct config values;
static struct origin origins[SETTINGS_MAX];
static bool loaded;

static void PRINTF_LIKE(2, 3)
complain(struct loader *l, const char *fmt, ...)
{
	va_list ap;

	if (++l->faults > FAULTS_SHOWN)
		return;
	va_start(ap, fmt);
	vfprintf(l->complaints, fmt, ap);
	va_end(ap);
}

/* A value as a complaint may show it: short, printable, without secrets. */
static void
show_value(char *out, size_t size, const struct setting *s, const char *text)
{
	if (s->flags & SETTING_SECRET) {
		text_copy(out, size, SCRUB_MASK);
		return;
	}
	scrub_text(out, size, text, strlen(text));
	for (char *p = out; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7F || *p == '"')
			*p = '?';
	if (!text_is_utf8(out, strlen(out)))
		for (char *p = out; *p != '\0'; p++)
			if ((unsigned char)*p >= 0x80)
				*p = '?';
}

static void
complain_value(struct loader *l, const struct setting *s, const struct origin *o, const char *why)
{
	char shown[100];
	char place[PATH_MAX + 32] = "";

	show_value(shown, sizeof(shown), s, o->text);
	if (o->from == ORIGIN_FILE)
		snprintf(place, sizeof(place), " in line %u of %s", o->line, l->file);
	complain(l, "%s: %s (got \"%s\"%s); for example %s=%s\n", s->name, why, shown, place,
	         s->name, s->example);
}

static struct origin *
origin_of(const struct setting *s)
{
	return &origins[s - settings];
}

static bool
is_set(const struct setting *s)
{
	return origin_of(s)->from != ORIGIN_DEFAULT;
}

static void
set_origin(const struct setting *s, enum origin_from from, const char *text, unsigned line)
{
	struct origin *o = origin_of(s);

	free(o->text); /* NOLINT(clang-analyzer-unix.Malloc): the analyzer takes two rows for one */
	*o = (struct origin){.from = from, .text = mem_strdup(text), .line = line};
}

static void
take_environment(void)
{
	for (size_t i = 0; i < settings_count; i++) {
		const char *text = getenv(settings[i].name);

		if (text != NULL && *text != '\0')
			set_origin(&settings[i], ORIGIN_ENVIRONMENT, text, 0);
	}
}

/* The file's text into `text`; NULL, or why it cannot be taken. */
static const char *
read_file(const char *name, struct buffer *text)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	const char *why = NULL;
	char part[4096];
	ssize_t n;

	if (fd == -1)
		return strerror(errno);
	while (why == NULL && (n = read(fd, part, sizeof(part))) != 0) {
		if (n == -1)
			why = strerror(errno);
		else if (buffer_append(text, part, (size_t)n) == -1)
			why = "it has more than 1 MiB";
		else if (memchr(part, '\0', (size_t)n) != NULL)
			why = "it has a NUL byte, so it is no text";
	}
	close(fd);
	return why;
}

static void
take_entry(const struct envfile_entry *entry)
{
	const struct setting *s = setting_find(entry->name);

	/* A file serves other programs too, so names that are not ours pass.
	   Of a name given twice the last counts, as in shells. */
	if (s == NULL || (s->flags & SETTING_ENVIRONMENT_ONLY) ||
	    origin_of(s)->from == ORIGIN_ENVIRONMENT)
		return;
	if (*entry->value != '\0') {
		set_origin(s, ORIGIN_FILE, entry->value, entry->line);
	} else {
		free(origin_of(s)->text);
		*origin_of(s) = (struct origin){.from = ORIGIN_DEFAULT};
	}
}

static void
take_file(struct loader *l)
{
	struct buffer text = BUFFER_INIT(FILE_MAX_BYTES);
	struct envfile file;
	struct envfile_entry entry;
	const struct setting *s = setting_find("BAKAME_ENV_FILE");
	const char *unread = read_file(l->file, &text);
	char why[120];
	int got;

	if (unread != NULL) {
		l->file_lost = true;
		snprintf(why, sizeof(why), "cannot be read: %s", unread);
		complain_value(l, s, origin_of(s), why);
	} else if (text.len > 0) {
		envfile_open(&file, text.data);
		while ((got = envfile_next(&file, &entry)) != 0) {
			if (got == 1)
				take_entry(&entry);
			else
				complain(l, "BAKAME_ENV_FILE: line %u of %s: %s; for example "
				            "LOG_LEVEL=info\n",
				         entry.line, l->file, entry.why);
		}
	}
	buffer_free(&text);
}

static void
store(const struct setting *s, const struct setting_value *value)
{
	char *member = (char *)&values + s->offset;

	if (setting_is_text(s))
		*(const char **)member = value->text != NULL ? value->text : mem_strdup("");
	else if (s->type == SETTING_RATE)
		*(struct config_rate *)member = (struct config_rate){value->number, value->secs};
	else
		*(int64_t *)member = value->number;
}

static void
check_setting(struct loader *l, const struct setting *s)
{
	const struct origin *o = origin_of(s);
	const char *text = is_set(s) ? o->text : s->fallback;
	struct setting_value value = {0};
	char why[240];

	if (text != NULL && setting_parse(s, text, &value, why, sizeof(why)) == -1) {
		assert(is_set(s));      /* a default fits its own bounds */
		/* take_file() has already said it of this one */
		if (!(l->file_lost && strcmp(s->name, "BAKAME_ENV_FILE") == 0))
			complain_value(l, s, o, why);
	}
	store(s, &value);
}

static void
check_required(struct loader *l, const struct setting *s)
{
	const struct setting *other = s->instead != NULL ? setting_find(s->instead) : NULL;

	if (is_set(s) || (other != NULL && is_set(other)))
		return;
	if (other == NULL)
		complain(l, "%s: is required in production and not set; for example %s=%s\n",
		         s->name, s->name, s->example);
	else
		complain(l, "%s: is required in production, or %s instead, and neither is set; "
		            "for example %s=%s or %s=%s\n",
		         s->name, other->name, s->name, s->example, other->name, other->example);
}

static void
check_needs(struct loader *l, const struct setting *s)
{
	const struct setting *other = s->needs != NULL ? setting_find(s->needs) : NULL;

	if (other != NULL && is_set(s) && !is_set(other))
		complain(l, "%s: is needed by %s and not set; for example %s=%s\n", other->name, s->name, other->name,
		         other->example);
}

static void
set_text(const char **member, const char *text)
{
	free((char *)*member);
	*member = mem_strdup(text);
}

static bool
knows_supabase(void)
{
	return values.supabase_url[0] != '\0' || values.supabase_jwt_secret[0] != '\0' ||
	       values.supabase_jwks_url[0] != '\0';
}

/* Whoever asks for accounts needs what they are made of. */
static void
check_auth(struct loader *l)
{
	if (values.auth_mode == CONFIG_AUTH_LOCAL && values.session_secret[0] == '\0')
		complain(l, "SESSION_SECRET: is needed by AUTH_MODE=local and not set; for example "
		            "SESSION_SECRET=$(openssl rand -hex 32)\n");
	if (values.auth_mode == CONFIG_AUTH_LOCAL && values.database_url[0] == '\0' &&
	    values.supabase_db_pooler_url[0] == '\0')
		complain(l, "DATABASE_URL: is needed by AUTH_MODE=local and not set; for example DATABASE_URL=%s\n",
		         setting_find("DATABASE_URL")->example);
	if (values.auth_mode == CONFIG_AUTH_SUPABASE && !knows_supabase())
		complain(l, "SUPABASE_JWT_SECRET: is needed by AUTH_MODE=supabase, or SUPABASE_JWKS_URL or "
		            "NEXT_PUBLIC_SUPABASE_URL instead, and none is set; for example NEXT_PUBLIC_SUPABASE_URL=%s\n",
		         setting_find("NEXT_PUBLIC_SUPABASE_URL")->example);
}

static int64_t
resolved_auth_mode(void)
{
	bool has_database = values.database_url[0] != '\0' || values.supabase_db_pooler_url[0] != '\0';

	if (values.auth_mode != CONFIG_AUTH_AUTO)
		return values.auth_mode;
	if (knows_supabase())
		return CONFIG_AUTH_SUPABASE;
	return has_database && values.session_secret[0] != '\0' ? CONFIG_AUTH_LOCAL : CONFIG_AUTH_OFF;
}

/* Values that follow from others. */
static void
derive(void)
{
	if (values.log_format == CONFIG_FORMAT_AUTO)
		values.log_format = values.env == CONFIG_ENV_DEVELOPMENT ? CONFIG_FORMAT_PRETTY
		                                                         : CONFIG_FORMAT_JSON;
	if (!is_set(setting_find("OPENAI_API_KEY")) && !is_set(setting_find("OPENAI_BASE_URL")))
		set_text(&values.openai_base_url, "");
	values.auth_mode = resolved_auth_mode();
	if (values.supabase_jwks_url[0] == '\0' && values.supabase_url[0] != '\0') {
		char url[2100];

		snprintf(url, sizeof(url), "%s/auth/v1/.well-known/jwks.json", values.supabase_url);
		set_text(&values.supabase_jwks_url, url);
	}
}

int
config_load(FILE *complaints)
{
	struct loader l = {.complaints = complaints};

	config_unload();
	take_environment();
	l.file = origin_of(setting_find("BAKAME_ENV_FILE"))->text;
	if (l.file != NULL)
		take_file(&l);
	for (size_t i = 0; i < settings_count; i++)
		check_setting(&l, &settings[i]);
	loaded = true;
	for (size_t i = 0; i < settings_count && !l.file_lost; i++)
		check_needs(&l, &settings[i]);
	for (size_t i = 0; i < settings_count; i++)
		if ((settings[i].flags & SETTING_REQUIRED) && values.env == CONFIG_ENV_PRODUCTION &&
		    !l.file_lost)
			check_required(&l, &settings[i]);
	if (!l.file_lost)
		check_auth(&l);
	derive();
	if (l.faults > FAULTS_SHOWN)
		fprintf(complaints, "and %u more faults\n", l.faults - FAULTS_SHOWN);
	if (l.faults == 0)
		return 0;
	config_unload();
	return -1;
}

const struct config *
config(void)
{
	assert(loaded);
	return &values;
}

int64_t
config_user_window_secs(void)
{
	return config()->rate_limit_user.secs > 0 ? config()->rate_limit_user.secs : 60;
}

bool
config_has(enum feature feature)
{
	assert(loaded);
	switch (feature) {
	case FEATURE_NONE:
		return true;
	case FEATURE_MODEL:
		return values.openai_base_url[0] != '\0';
	case FEATURE_REDIS:
		return values.redis_url[0] != '\0' || values.upstash_redis_rest_url[0] != '\0';
	case FEATURE_TRACES:
		return values.otlp_endpoint[0] != '\0';
	case FEATURE_SENTRY:
		return values.sentry_dsn[0] != '\0';
	case FEATURE_DATABASE:
		return values.supabase_db_pooler_url[0] != '\0' || values.database_url[0] != '\0';
	case FEATURE_OPENWEATHER:
		return values.openweather_api_key[0] != '\0';
	case FEATURE_EXCHANGE_RATE_API:
		return values.exchange_rate_api_key[0] != '\0';
	case FEATURE_NEWS_API:
		return values.news_api_key[0] != '\0';
	case FEATURE_NEWS_FEEDS:
		return values.news_feeds[0] != '\0';
	case FEATURE_TAVILY:
		return values.tavily_api_key[0] != '\0';
	case FEATURE_SEARXNG:
		return values.searxng_url[0] != '\0';
	case FEATURE_GOOGLE_PLACES:
		return values.google_places_api_key[0] != '\0';
	}
	return false;
}

const char *
config_environment(void)
{
	if (values.sentry_environment[0] != '\0')
		return values.sentry_environment;
	return values.env == CONFIG_ENV_DEVELOPMENT ? "development" : "production";
}

const struct origin *
config_origin(const struct setting *s)
{
	return origin_of(s);
}

void
config_unload(void)
{
	for (size_t i = 0; loaded && i < settings_count; i++)
		if (setting_is_text(&settings[i]))
			free(*(char **)((char *)&values + settings[i].offset));
	for (size_t i = 0; i < settings_count; i++)
		free(origins[i].text);
	memset(origins, 0, sizeof(origins));
	values = (struct config){0};
	loaded = false;
}
