/* settings.c - the one table of settings; see config/settings.h */
#include "config/settings.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "config/config.h"
#include "config/dsn.h"
#include "config/redis_url.h"

static const char *const environments[] = {"production", "development", NULL};
static const char *const auth_modes[] = {"auto", "local", "supabase", "off", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"auto", "pretty", "json", NULL};
static const char *const upload_sends[] = {"stream", "accel", "sendfile", NULL};
static const char *const log_targets[] = {"stderr", "syslog", "journal", NULL};

/* What can stand in an Authorization header as it is. */
static const char *
check_token(const char *text)
{
	for (; *text != '\0'; text++)
		if (!isgraph((unsigned char)*text))
			return "must be printable ASCII without blanks";
	return NULL;
}

/* shm_open(3): the portable form of a name. */
static const char *
check_shm_name(const char *text)
{
	if (text[0] != '/' || text[1] == '\0' || strchr(text + 1, '/') != NULL)
		return "must start with a slash and have no other";
	return NULL;
}

/* A connection URI of libpq. */
static const char *
check_postgres_url(const char *text)
{
	if (!text_has_prefix_nocase(text, "postgresql://") && !text_has_prefix_nocase(text, "postgres://"))
		return "must start with postgresql:// or postgres://";
	return NULL;
}

static const char *
check_absolute(const char *text)
{
	if (text[0] != '/' || text[1] == '\0' || text[strlen(text) - 1] == '/')
		return "must start with a slash and not end in one";
	return NULL;
}

/* What can stand in a path of a URL as it is; of a region, in a signature. */
static const char *
check_bucket(const char *text)
{
	for (; *text != '\0'; text++)
		if (!isalnum((unsigned char)*text) && strchr(".-_", *text) == NULL)
			return "must be of letters, digits, dots, hyphens and underscores";
	return NULL;
}

static const char *
check_dsn(const char *text)
{
	struct dsn dsn;
	const char *why;

	return dsn_read(text, &dsn, &why) == -1 ? why : NULL;
}

static const char *
check_redis_url(const char *text)
{
	struct redis_url url;
	const char *fault = redis_url_parse(text, &url);

	redis_url_free(&url);
	return fault;
}

/* What can stand in a comment of User-Agent (RFC 9110, 5.6.5) as it is. */
static const char *
check_contact(const char *text)
{
	for (; *text != '\0'; text++)
		if (!isprint((unsigned char)*text) || strchr("()\\", *text) != NULL)
			return "must be ASCII without parentheses and backslashes";
	return NULL;
}

#define FEEDS_MAX 8

static const char *
check_feeds(const char *text)
{
	int count = 0;

	for (const char *at = text; at != NULL; at = strchr(at, ',')) {
		at += strspn(at, ", ");
		if (strncmp(at, "http://", 7) != 0 && strncmp(at, "https://", 8) != 0)
			return "must be URLs that start with http:// or https://";
		if (++count > FEEDS_MAX)
			return "must be at most 8 URLs";
	}
	return NULL;
}

/* What keys are made of. */
static const char *
check_secret(const char *text)
{
	return strlen(text) < 32 ? "must have at least 32 characters" : check_token(text);
}

#define MEMBER(name) offsetof(struct config, name)

/* A breaker of a service: members of an initializer, so there is nothing to put into parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define BREAKER(service, member, default_rate, what)                                                                   \
	.name = service, .type = SETTING_RATE, .offset = MEMBER(member), .min = 1, .max = 10000, .unit = "failures",   \
	.fallback = default_rate, .example = default_rate, .doc = what
/* NOLINTEND(bugprone-macro-parentheses) */

const struct setting settings[] = {
	{
		.group = "General",
		.name = "BAKAME_ENV",
		.type = SETTING_ENUM,
		.offset = MEMBER(env),
		.choices = environments,
		.fallback = "production",
		.example = "production",
		.doc = "What this installation is for.  In development nothing is required and the "
		       "log is pretty.",
	},
	{
		.name = "BAKAME_ENV_FILE",
		.type = SETTING_FILE,
		.flags = SETTING_ENVIRONMENT_ONLY,
		.offset = MEMBER(env_file),
		.max = 4095,
		.example = "/etc/bakame/bakame.env",
		.doc = "File with further settings, a NAME=value on each line.  The environment "
		       "comes first.  At most 1 MiB.",
	},
	{
		.group = "The model",
		.name = "OPENAI_API_KEY",
		.type = SETTING_STRING,
		.flags = SETTING_SECRET | SETTING_REQUIRED,
		.offset = MEMBER(openai_api_key),
		.max = 4096,
		.instead = "OPENAI_BASE_URL",
		.check = check_token,
		.example = "sk-...",
		.doc = "Key for the model's API, sent as a bearer token.",
	},
	{
		.name = "OPENAI_BASE_URL",
		.type = SETTING_URL,
		.offset = MEMBER(openai_base_url),
		.max = 2048,
		.fallback = "https://api.openai.com/v1",
		.example = "http://127.0.0.1:11434/v1",
		.doc = "Where the model's API is: OpenAI or any server that speaks like it (Ollama, "
		       "vLLM, llama.cpp), which may need no key.  The default counts only when "
		       "OPENAI_API_KEY is set.",
	},
	{
		.name = "OPENAI_MODEL",
		.type = SETTING_STRING,
		.offset = MEMBER(openai_model),
		.max = 200,
		.fallback = "gpt-4o-mini",
		.example = "gpt-4o-mini",
		.doc = "Model that answers when a request names none.",
	},
	{
		.name = "OPENAI_MODELS",
		.type = SETTING_LIST,
		.offset = MEMBER(openai_models),
		.max = 8192,
		.example = "gpt-4o,o4-mini",
		.doc = "Further models that a request may name; * allows any.",
	},
	{
		.name = "OPENAI_CA_FILE",
		.type = SETTING_FILE,
		.offset = MEMBER(openai_ca_file),
		.max = 4095,
		.example = "/etc/ssl/certs/ca-certificates.crt",
		.doc = "Certificates (PEM) to trust for the model's server, instead of the system's.",
	},
	{
		.name = "OPENAI_CONNECT_TIMEOUT_MS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(openai_connect_timeout_ms),
		.min = 100,
		.max = 60000,
		.unit = "milliseconds",
		.fallback = "5000",
		.example = "5000",
		.doc = "Longest wait for a connection to the model's server.",
	},
	{
		.name = "OPENAI_FIRST_BYTE_TIMEOUT_MS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(openai_first_byte_timeout_ms),
		.min = 100,
		.max = 600000,
		.unit = "milliseconds",
		.fallback = "60000",
		.example = "60000",
		.doc = "Longest wait for the first byte of a streamed answer.",
	},
	{
		.name = "OPENAI_IDLE_TIMEOUT_MS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(openai_idle_timeout_ms),
		.min = 100,
		.max = 600000,
		.unit = "milliseconds",
		.fallback = "60000",
		.example = "60000",
		.doc = "Longest silence of the model in the middle of a streamed answer.",
	},
	{
		.name = "OPENAI_ANSWER_TIMEOUT_MS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(openai_answer_timeout_ms),
		.min = 100,
		.max = 3600000,
		.unit = "milliseconds",
		.fallback = "300000",
		.example = "300000",
		.doc = "Longest wait for a whole answer that is not streamed.  The shipped fronts wait for 300 s themselves "
		       "(fastcgi_read_timeout, timeout of ProxySet, FcgidIOTimeout): longer has to be said there too.",
	},
	{
		.name = "OPENAI_SILENCE_MS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(openai_silence_ms),
		.min = 0,
		.max = 600000,
		.unit = "milliseconds",
		.fallback = "4000",
		.example = "4000",
		.doc = "When the model has been silent for so long, its server is asked whether it is there (GET /models); if that is "
		       "not answered within the same time either, the call is given up.  A model that thinks is waited for.  "
		       "0: never asked, for a server that does one thing at a time.",
	},
	{
		.group = "The worker",
		.name = "MAX_STREAMS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(max_streams),
		.min = 1,
		.max = 30000, /* each takes two of the 65,530 mappings that Linux allows */
		.unit = "requests",
		.fallback = "8000",
		.example = "8000",
		.doc = "Most requests that one worker serves at the same time.  A full worker leaves "
		       "new ones to the others; when all are full they are answered 503.",
	},
	{
		.name = "DRAIN_SECONDS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(drain_secs),
		.max = 3600,
		.unit = "seconds",
		.fallback = "30",
		.example = "30",
		.doc = "How long a worker that was told to end lets running answers go on.",
	},
	{
		.name = "OWN_SOCKET",
		.type = SETTING_BOOL,
		.offset = MEMBER(own_socket),
		.fallback = "off",
		.example = "on",
		.doc = "Does no other worker accept from this one's socket?  So it is under mod_fcgid, whose configuration here "
		       "says so; a worker that is told to end then answers who has connected to it already.",
	},
	{
		.name = "PING_SECONDS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(ping_secs),
		.min = 1,
		.max = 300,
		.unit = "seconds",
		.fallback = "15",
		.example = "15",
		.doc = "After this much silence a stream gets a comment line, which keeps proxies "
		       "from closing it and shows whether the client is still there.",
	},
	{
		.name = "REQUEST_DEADLINE_SECONDS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(request_deadline_secs),
		.min = 1,
		.max = 86400,
		.unit = "seconds",
		.fallback = "900",
		.example = "900",
		.doc = "Longest life of a request; what is not done by then is ended.",
	},
	{
		.name = "SHM_NAME",
		.type = SETTING_STRING,
		.offset = MEMBER(shm_name),
		.max = 250,
		.fallback = "/bakame",
		.check = check_shm_name,
		.example = "/bakame",
		.doc = "Name of the memory that the workers of this host share; see shm_open(3).  "
		       "Each installation on a host needs its own.",
	},
	{
		.group = "Limits",
		.name = "RATE_LIMIT_USER",
		.type = SETTING_RATE,
		.offset = MEMBER(rate_limit_user),
		.min = 1,
		.max = 10000,
		.max_secs = 3600,
		.unit = "requests",
		.fallback = "100/60",
		.example = "100/60",
		.doc = "How many requests a signed-in user may make in any span of so many seconds.",
	},
	{
		.name = "TOKENS_PER_DAY",
		.type = SETTING_INTEGER,
		.offset = MEMBER(tokens_per_day),
		.max = 1000000000000,
		.unit = "tokens",
		.fallback = "0",
		.example = "200000",
		.doc = "Tokens of the model, in and out, that one person may use a day (UTC); 0 for any number.  An "
		       "administrator can give somebody a number of their own.",
	},
	{
		.name = "RATE_LIMIT_GUEST",
		.type = SETTING_RATE,
		.offset = MEMBER(rate_limit_guest),
		.min = 1,
		.max = 10000,
		.max_secs = 3600,
		.unit = "requests",
		.fallback = "30/60",
		.example = "30/60",
		.doc = "The same for a guest, by address; an IPv6 address counts with all of its /64.  Guests "
		       "whose address the web server does not pass on are limited as one.",
	},
	{
		.name = "RATE_LIMIT_SIGN_IN",
		.type = SETTING_RATE,
		.offset = MEMBER(rate_limit_sign_in),
		.min = 1,
		.max = 10000,
		.max_secs = 3600,
		.unit = "requests",
		.fallback = "10/60",
		.example = "10/60",
		.doc = "The same for attempts to sign in or up, for each address and for each account's name.",
	},
	{
		.name = "LIMITER_KEYS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(limiter_keys),
		.min = 1024,
		.max = 262144,
		.unit = "users and addresses",
		.fallback = "65536",
		.example = "65536",
		.doc = "How many users and addresses the limits of this host are kept for, in shared memory: 68 bytes "
		       "each, and up to 512 more for their requests.  Past it those that were seen least recently "
		       "are forgotten.  All workers of a host need the same number.",
	},
	{
		.group = "Redis",
		.name = "REDIS_URL",
		.type = SETTING_STRING,
		.flags = SETTING_USER_INFO,
		.offset = MEMBER(redis_url),
		.max = 2048,
		.check = check_redis_url,
		.example = "redis://127.0.0.1:6379/0",
		.doc = "Redis for limits, cache and queue: redis://[user:password@]host[:port][/db], or "
		       "unix:/path[?db=N].  rediss:// is the same over TLS, where Bakame was built with hiredis 1.0 or "
		       "newer; Debian 12 has an older one: put stunnel in front.  Without Redis limits are kept in "
		       "the memory of each host.",
	},
	{
		.name = "REDIS_CA_FILE",
		.type = SETTING_FILE,
		.offset = MEMBER(redis_ca_file),
		.max = 4095,
		.example = "/etc/ssl/certs/ca-certificates.crt",
		.doc = "Certificates (PEM) to trust for rediss://, instead of the system's.",
	},
	{
		.name = "UPSTASH_REDIS_REST_URL",
		.type = SETTING_URL,
		.offset = MEMBER(upstash_redis_rest_url),
		.max = 2048,
		.needs = "UPSTASH_REDIS_REST_TOKEN",
		.example = "https://eu1-fitting-cat-12345.upstash.io",
		.doc = "Redis over Upstash's REST protocol.  REDIS_URL comes first.  Each command is an "
		       "HTTPS request, so REDIS_TIMEOUT_MS may have to be longer.",
	},
	{
		.name = "UPSTASH_REDIS_REST_TOKEN",
		.type = SETTING_STRING,
		.flags = SETTING_SECRET,
		.offset = MEMBER(upstash_redis_rest_token),
		.max = 4096,
		.needs = "UPSTASH_REDIS_REST_URL",
		.check = check_token,
		.example = "AX...",
		.doc = "Token for UPSTASH_REDIS_REST_URL, sent as a bearer token.",
	},
	{
		.name = "REDIS_TIMEOUT_MS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(redis_timeout_ms),
		.min = 10,
		.max = 60000,
		.unit = "milliseconds",
		.fallback = "250",
		.example = "250",
		.doc = "Longest wait for Redis' answer to a command; then the request goes on without it.",
	},
	{
		.group = "Jobs",
		.name = "QUEUE_MAX_JOBS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(queue_max_jobs),
		.min = 1,
		.max = 10000000,
		.unit = "jobs",
		.fallback = "100000",
		.example = "100000",
		.doc = "Most jobs that the queue in Redis holds, dead letters aside.  Past it nothing is "
		       "queued and whoever wanted to is told.",
	},
	{
		.name = "JOBS_CONCURRENCY",
		.type = SETTING_INTEGER,
		.offset = MEMBER(jobs_concurrency),
		.min = 1,
		.max = 256,
		.unit = "jobs",
		.fallback = "8",
		.example = "8",
		.doc = "How many jobs one bakame-jobs does at the same time.",
	},
	{
		.name = "JOBS_LEASE_SECONDS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(jobs_lease_secs),
		.min = 1,
		.max = 3600,
		.unit = "seconds",
		.fallback = "30",
		.example = "30",
		.doc = "The jobs of a bakame-jobs that was not heard of for so long are done by others.",
	},
	{
		.name = "JOBS_RETRY_MS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(jobs_retry_ms),
		.min = 1,
		.max = 600000,
		.unit = "milliseconds",
		.fallback = "2000",
		.example = "2000",
		.doc = "Pause before a job that failed is tried again; after further failures 4, 16 and 64 "
		       "times as long.",
	},
	{
		.group = "Breakers and cache",
		BREAKER("BREAKER_OPENAI", breaker_openai, "3/20",
		        "After so many failures in a row the model is left alone for so many seconds, then asked "
		        "once; meanwhile chats are answered 503."),
	},
	{BREAKER("BREAKER_REDIS", breaker_redis, "10/5", "The same for Redis; meanwhile each host keeps limits in its memory.")},
	{BREAKER("BREAKER_DATABASE", breaker_database, "5/10", "The same for the database.")},
	{BREAKER("BREAKER_WEATHER", breaker_weather, "3/60", "The same for the weather tool.")},
	{BREAKER("BREAKER_CURRENCY", breaker_currency, "3/60", "The same for the currency tool.")},
	{BREAKER("BREAKER_NEWS", breaker_news, "3/60", "The same for the news tool.")},
	{BREAKER("BREAKER_WEB_SEARCH", breaker_web_search, "3/60", "The same for the web search tool.")},
	{BREAKER("BREAKER_PLACES", breaker_places, "3/60", "The same for the places tool.")},
	{BREAKER("BREAKER_SENTRY", breaker_sentry, "3/60", "The same for error tracking.")},
	{
		.group = "Tools",
		.name = "TOOLS_ENABLED",
		.type = SETTING_LIST,
		.offset = MEMBER(tools_enabled),
		.max = 1000,
		.fallback = "weather,currency,news,web_search,places",
		.example = "weather,currency",
		.doc = "Tools that the model may use; none for no tools.  GET /api/tools lists them.",
	},
	{
		.name = "TOOL_TIMEOUT_MS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(tool_timeout_ms),
		.min = 100,
		.max = 60000,
		.unit = "milliseconds",
		.fallback = "8000",
		.example = "8000",
		.doc = "Longest a call of a tool may take; then the model answers without it.",
	},
	{
		.name = "TOOLS_CONTACT",
		.type = SETTING_STRING,
		.offset = MEMBER(tools_contact),
		.max = 200,
		.check = check_contact,
		.example = "https://chat.example.org/about",
		.doc = "Address of a page or mailbox of the operator, told to providers in User-Agent, as the "
		       "rules of Nominatim and Wikipedia ask for.",
	},
	{
		.name = "SYSTEM_PROMPT",
		.type = SETTING_STRING,
		.offset = MEMBER(system_prompt),
		.max = 8000,
		.example = "You are Bakame, an assistant.  Today is {date}.",
		.doc = "Put before each conversation of POST /api/chat as a system message; {date} becomes the day "
		       "(UTC).  The API under /v1 is left alone.",
	},
	{
		.name = "OPENWEATHER_API_KEY",
		.type = SETTING_STRING,
		.flags = SETTING_SECRET,
		.offset = MEMBER(openweather_api_key),
		.max = 512,
		.check = check_token,
		.example = "0123456789abcdef0123456789abcdef",
		.doc = "Weather from OpenWeather; without it, from Open-Meteo, which needs no key.",
	},
	{
		.name = "OPENWEATHER_BASE_URL",
		.type = SETTING_URL,
		.offset = MEMBER(openweather_base_url),
		.max = 2048,
		.fallback = "https://api.openweathermap.org",
		.example = "https://api.openweathermap.org",
		.doc = "Where OpenWeather is.",
	},
	{
		.name = "OPEN_METEO_URL",
		.type = SETTING_URL,
		.offset = MEMBER(open_meteo_url),
		.max = 2048,
		.fallback = "https://api.open-meteo.com",
		.example = "https://api.open-meteo.com",
		.doc = "Where Open-Meteo's forecasts are.",
	},
	{
		.name = "OPEN_METEO_GEOCODING_URL",
		.type = SETTING_URL,
		.offset = MEMBER(open_meteo_geocoding_url),
		.max = 2048,
		.fallback = "https://geocoding-api.open-meteo.com",
		.example = "https://geocoding-api.open-meteo.com",
		.doc = "Where Open-Meteo looks up places.",
	},
	{
		.name = "EXCHANGE_RATE_API_KEY",
		.type = SETTING_STRING,
		.flags = SETTING_SECRET,
		.offset = MEMBER(exchange_rate_api_key),
		.max = 512,
		.check = check_token,
		.example = "0123456789abcdef01234567",
		.doc = "Rates from ExchangeRate-API; without it, from Frankfurter, which needs no key.",
	},
	{
		.name = "EXCHANGE_RATE_BASE_URL",
		.type = SETTING_URL,
		.offset = MEMBER(exchange_rate_base_url),
		.max = 2048,
		.fallback = "https://v6.exchangerate-api.com",
		.example = "https://v6.exchangerate-api.com",
		.doc = "Where ExchangeRate-API is.",
	},
	{
		.name = "FRANKFURTER_URL",
		.type = SETTING_URL,
		.offset = MEMBER(frankfurter_url),
		.max = 2048,
		.fallback = "https://api.frankfurter.dev",
		.example = "https://api.frankfurter.dev",
		.doc = "Where Frankfurter is, of whom past rates come too.",
	},
	{
		.name = "NEWS_API_KEY",
		.type = SETTING_STRING,
		.flags = SETTING_SECRET,
		.offset = MEMBER(news_api_key),
		.max = 512,
		.check = check_token,
		.example = "0123456789abcdef0123456789abcdef",
		.doc = "News from NewsAPI; without it, from NEWS_FEEDS.",
	},
	{
		.name = "NEWS_API_BASE_URL",
		.type = SETTING_URL,
		.offset = MEMBER(news_api_base_url),
		.max = 2048,
		.fallback = "https://newsapi.org",
		.example = "https://newsapi.org",
		.doc = "Where NewsAPI is.",
	},
	{
		.name = "NEWS_FEEDS",
		.type = SETTING_LIST,
		.offset = MEMBER(news_feeds),
		.max = 8192,
		.check = check_feeds,
		.fallback = "https://feeds.bbci.co.uk/news/world/rss.xml",
		.example = "https://example.org/news.rss",
		.doc = "RSS or Atom feeds that the news come from when there is no NEWS_API_KEY: at most 8 URLs.",
	},
	{
		.name = "TAVILY_API_KEY",
		.type = SETTING_STRING,
		.flags = SETTING_SECRET,
		.offset = MEMBER(tavily_api_key),
		.max = 512,
		.check = check_token,
		.example = "tvly-...",
		.doc = "Web search by Tavily; without it, by SEARXNG_URL, else in Wikipedia.",
	},
	{
		.name = "TAVILY_BASE_URL",
		.type = SETTING_URL,
		.offset = MEMBER(tavily_base_url),
		.max = 2048,
		.fallback = "https://api.tavily.com",
		.example = "https://api.tavily.com",
		.doc = "Where Tavily is.",
	},
	{
		.name = "SEARXNG_URL",
		.type = SETTING_URL,
		.offset = MEMBER(searxng_url),
		.max = 2048,
		.example = "http://127.0.0.1:8888",
		.doc = "A SearXNG instance whose settings allow the format json.  It may be on a private address.",
	},
	{
		.name = "WIKIPEDIA_URL",
		.type = SETTING_URL,
		.offset = MEMBER(wikipedia_url),
		.max = 2048,
		.fallback = "https://en.wikipedia.org",
		.example = "https://en.wikipedia.org",
		.doc = "The Wikipedia that is searched when no search engine is configured.",
	},
	{
		.name = "NOMINATIM_URL",
		.type = SETTING_URL,
		.offset = MEMBER(nominatim_url),
		.max = 2048,
		.fallback = "https://nominatim.openstreetmap.org",
		.example = "https://nominatim.openstreetmap.org",
		.doc = "Where places are looked up by name, when there is no GOOGLE_PLACES_API_KEY.",
	},
	{
		.name = "NOMINATIM_INTERVAL_MS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(nominatim_interval_ms),
		.max = 60000,
		.unit = "milliseconds",
		.fallback = "1000",
		.example = "1000",
		.doc = "Least time between two requests of this host to NOMINATIM_URL.  The public server asks for a "
		       "second over all hosts; 0 for one of your own.",
	},
	{
		.name = "OVERPASS_URL",
		.type = SETTING_URL,
		.offset = MEMBER(overpass_url),
		.max = 2048,
		.fallback = "https://overpass-api.de",
		.example = "https://overpass-api.de",
		.doc = "Where the places around a place are looked up.",
	},
	{
		.name = "GOOGLE_PLACES_API_KEY",
		.type = SETTING_STRING,
		.flags = SETTING_SECRET,
		.offset = MEMBER(google_places_api_key),
		.max = 512,
		.check = check_token,
		.example = "AIza...",
		.doc = "Places from Google (Places API, New); without it, from OpenStreetMap.",
	},
	{
		.name = "GOOGLE_PLACES_BASE_URL",
		.type = SETTING_URL,
		.offset = MEMBER(google_places_base_url),
		.max = 2048,
		.fallback = "https://places.googleapis.com",
		.example = "https://places.googleapis.com",
		.doc = "Where the Places API is.",
	},
	{
		.group = "Database",
		.name = "DATABASE_URL",
		.type = SETTING_STRING,
		.flags = SETTING_SECRET,
		.offset = MEMBER(database_url),
		.max = 2048,
		.check = check_postgres_url,
		.example = "postgresql://bakame:secret@127.0.0.1:5432/bakame",
		.doc = "The PostgreSQL database that keeps people, conversations and uploads.  Without one "
		       "everybody is a guest and nothing is kept.  The role must be allowed to become anon, "
		       "authenticated and service_role.",
	},
	{
		.name = "SUPABASE_DB_POOLER_URL",
		.type = SETTING_STRING,
		.flags = SETTING_SECRET,
		.offset = MEMBER(supabase_db_pooler_url),
		.max = 2048,
		.check = check_postgres_url,
		.example = "postgresql://postgres.ref:pw@db.example:6543/postgres",
		.doc = "The database by way of a pooler (Supabase's, pgbouncer; transaction mode will do).  Comes "
		       "before DATABASE_URL.",
	},
	{
		.name = "DATABASE_OWNER_URL",
		.type = SETTING_STRING,
		.flags = SETTING_SECRET,
		.offset = MEMBER(database_owner_url),
		.max = 2048,
		.check = check_postgres_url,
		.example = "postgresql://owner:secret@127.0.0.1:5432/bakame",
		.doc = "As whom bakamectl migrate connects, where the workers' role does not own the database.  The "
		       "workers need not have it.",
	},
	{
		.name = "DATABASE_POOL",
		.type = SETTING_INTEGER,
		.offset = MEMBER(database_pool),
		.min = 1,
		.max = 200,
		.unit = "connections",
		.fallback = "10",
		.example = "10",
		.doc = "Most connections of one worker to the database.",
	},
	{
		.name = "DATABASE_TIMEOUT_MS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(database_timeout_ms),
		.min = 50,
		.max = 60000,
		.unit = "milliseconds",
		.fallback = "2000",
		.example = "2000",
		.doc = "Longest time that a transaction may take, the wait for a connection included.  Erasing an account has "
		       "a minute.",
	},
	{
		.group = "Accounts",
		.name = "AUTH_MODE",
		.type = SETTING_ENUM,
		.offset = MEMBER(auth_mode),
		.choices = auth_modes,
		.fallback = "auto",
		.example = "local",
		.doc = "Who can sign in: people with accounts of this installation (local; wants SESSION_SECRET and a "
		       "database), people with a token of Supabase, or nobody (off: all are guests, tokens are not "
		       "looked at).  auto is supabase where Supabase is configured, else local where it can be, else off.",
	},
	{
		.name = "SESSION_SECRET",
		.type = SETTING_STRING,
		.flags = SETTING_SECRET,
		.offset = MEMBER(session_secret),
		.max = 1024,
		.check = check_secret,
		.example = "the-output-of-openssl-rand-hex-32-goes-here",
		.doc = "What our own tokens and sessions are signed with; the same on all hosts.  At least 32 "
		       "characters that nobody can guess: openssl rand -hex 32.  A new one ends all sessions.",
	},
	{
		.name = "SESSION_DAYS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(session_days),
		.min = 1,
		.max = 400,
		.unit = "days",
		.fallback = "30",
		.example = "30",
		.doc = "How long one stays signed in on a device after signing in there or refreshing.",
	},
	{
		.name = "ACCESS_TOKEN_MINUTES",
		.type = SETTING_INTEGER,
		.offset = MEMBER(access_token_minutes),
		.min = 1,
		.max = 1440,
		.unit = "minutes",
		.fallback = "15",
		.example = "15",
		.doc = "Life of the access tokens that signing in gives to programs.",
	},
	{
		.name = "AUTH_STALE_SECS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(auth_stale_secs),
		.min = 0,
		.max = 86400,
		.unit = "seconds",
		.fallback = "3600",
		.example = "3600",
		.doc = "While the database is away, who was signed in this long ago at most still is, and so are API keys: Redis keeps "
		       "it, sealed, and forgets it when a session ends, a key is revoked or somebody is disabled.  0: nobody is.",
	},
	{
		.name = "SIGN_UP",
		.type = SETTING_BOOL,
		.offset = MEMBER(sign_up),
		.fallback = "on",
		.example = "off",
		.doc = "May anybody make an account?  Where off, bakamectl user add makes them.",
	},
	{
		.name = "NEXT_PUBLIC_SUPABASE_URL",
		.type = SETTING_URL,
		.offset = MEMBER(supabase_url),
		.max = 1024,
		.example = "https://project.supabase.co",
		.doc = "The project of Supabase whose tokens are taken; they must then name it as their issuer.",
	},
	{
		.name = "SUPABASE_JWT_SECRET",
		.type = SETTING_STRING,
		.flags = SETTING_SECRET,
		.offset = MEMBER(supabase_jwt_secret),
		.max = 1024,
		.check = check_secret,
		.example = "super-secret-jwt-token-of-the-project",
		.doc = "The secret of the project's tokens where they are signed with one (HS256).",
	},
	{
		.name = "SUPABASE_JWKS_URL",
		.type = SETTING_URL,
		.offset = MEMBER(supabase_jwks_url),
		.max = 2048,
		.example = "https://project.supabase.co/auth/v1/.well-known/jwks.json",
		.doc = "Where the public keys of the project's tokens are (ES256, RS256); found by "
		       "NEXT_PUBLIC_SUPABASE_URL if not set.",
	},
	{
		.name = "CORS_ORIGINS",
		.type = SETTING_STRING,
		.offset = MEMBER(cors_origins),
		.max = 4096,
		.example = "https://www.example.org",
		.doc = "Other sites, separated by blanks, whose pages may do things with the session of whoever looks at "
		       "them.  The web server has to be told of them too.",
	},
	{
		.group = "Uploads",
		.name = "UPLOAD_DIR",
		.type = SETTING_STRING,
		.offset = MEMBER(upload_dir),
		.max = 1024,
		.fallback = "/var/lib/bakame/uploads",
		.check = check_absolute,
		.example = "/var/lib/bakame/uploads",
		.doc = "Directory in which uploaded files are kept, named by ids; with UPLOAD_S3_ENDPOINT only "
		       "while they arrive.  All workers and the jobs of a host need it; several hosts need it on a "
		       "shared disk, or an S3 store.",
	},
	{
		.name = "UPLOAD_MAX_BYTES",
		.type = SETTING_SIZE,
		.offset = MEMBER(upload_max_bytes),
		.min = 1024,
		.max = 1073741824,
		.unit = "bytes",
		.fallback = "20M",
		.example = "20M",
		.doc = "Largest file that is taken.  The front has a limit of its own for bodies.",
	},
	{
		.name = "UPLOAD_QUOTA_BYTES",
		.type = SETTING_SIZE,
		.offset = MEMBER(upload_quota_bytes),
		.max = 1099511627776,
		.unit = "bytes",
		.fallback = "1G",
		.example = "1G",
		.doc = "What the files of one person may take together; 0 for any amount.",
	},
	{
		.name = "UPLOAD_SEND",
		.type = SETTING_ENUM,
		.offset = MEMBER(upload_send),
		.choices = upload_sends,
		.fallback = "stream",
		.example = "accel",
		.doc = "Who sends a file that is downloaded: the worker (stream), or the front from UPLOAD_DIR, told by "
		       "X-Accel-Redirect to /.bakame-uploads/ (accel: NGINX) or by X-Sendfile (sendfile: Apache's "
		       "mod_xsendfile).  From an S3 store the worker always sends.",
	},
	{
		.name = "UPLOAD_EXTRACT_SECONDS",
		.type = SETTING_INTEGER,
		.offset = MEMBER(upload_extract_secs),
		.min = 1,
		.max = 600,
		.unit = "seconds",
		.fallback = "20",
		.example = "20",
		.doc = "Longest time that the text of a file may take to be extracted.",
	},
	{
		.name = "UPLOAD_S3_ENDPOINT",
		.type = SETTING_URL,
		.offset = MEMBER(upload_s3_endpoint),
		.max = 1024,
		.example = "https://s3.eu-central-1.amazonaws.com",
		.doc = "Server that speaks S3, to keep files there; the bucket becomes the first part of the path.",
	},
	{
		.name = "UPLOAD_S3_BUCKET",
		.type = SETTING_STRING,
		.offset = MEMBER(upload_s3_bucket),
		.max = 255,
		.fallback = "bakame",
		.check = check_bucket,
		.example = "bakame",
		.doc = "Bucket of the S3 store, which has to be there.",
	},
	{
		.name = "UPLOAD_S3_REGION",
		.type = SETTING_STRING,
		.offset = MEMBER(upload_s3_region),
		.max = 63,
		.fallback = "us-east-1",
		.check = check_bucket,
		.example = "eu-central-1",
		.doc = "Region of the S3 store, which is part of each signature.",
	},
	{
		.name = "UPLOAD_S3_ACCESS_KEY_ID",
		.type = SETTING_STRING,
		.offset = MEMBER(upload_s3_access_key_id),
		.max = 255,
		.check = check_token,
		.example = "AKIA...",
		.doc = "Name of the key with which requests to the S3 store are signed.",
	},
	{
		.name = "UPLOAD_S3_SECRET_ACCESS_KEY",
		.type = SETTING_STRING,
		.flags = SETTING_SECRET,
		.offset = MEMBER(upload_s3_secret_access_key),
		.max = 512,
		.check = check_token,
		.example = "...",
		.doc = "The key itself.",
	},
	{
		.group = "Error tracking and metrics",
		.name = "SENTRY_DSN",
		.type = SETTING_STRING,
		.flags = SETTING_SECRET,
		.offset = MEMBER(sentry_dsn),
		.max = 800,
		.check = check_dsn,
		.example = "https://0123456789abcdef0123456789abcdef@sentry.example.org/1",
		.doc = "Where errors are reported, as Sentry or a server that speaks like it gives it.  Without "
		       "it they are in the log only.",
	},
	{
		.name = "SENTRY_ENVIRONMENT",
		.type = SETTING_STRING,
		.offset = MEMBER(sentry_environment),
		.max = 64,
		.example = "staging",
		.doc = "Name of this installation in error reports; BAKAME_ENV where it is not set.",
	},
	{
		.name = "SENTRY_CA_FILE",
		.type = SETTING_FILE,
		.offset = MEMBER(sentry_ca_file),
		.max = 4095,
		.example = "/etc/ssl/certs/ca-certificates.crt",
		.doc = "Certificates (PEM) to trust for that server, instead of the system's.",
	},
	{
		.name = "OTEL_EXPORTER_OTLP_ENDPOINT",
		.type = SETTING_URL,
		.offset = MEMBER(otlp_endpoint),
		.max = 1024,
		.example = "http://127.0.0.1:4318",
		.doc = "Collector of traces: a span for each request and each call that it makes is sent there by "
		       "OTLP over HTTP, in JSON.  Without it none are made; the header traceparent is passed on all the same.",
	},
	{
		.name = "OTEL_SERVICE_NAME",
		.type = SETTING_STRING,
		.offset = MEMBER(otlp_service),
		.max = 200,
		.fallback = "bakame",
		.example = "bakame",
		.doc = "What traces call this service.",
	},
	{
		.group = "The log",
		.name = "LOG_LEVEL",
		.type = SETTING_ENUM,
		.offset = MEMBER(log_level),
		.choices = log_levels,
		.fallback = "info",
		.example = "info",
		.doc = "The least level that is written.",
	},
	{
		.name = "LOG_FORMAT",
		.type = SETTING_ENUM,
		.offset = MEMBER(log_format),
		.choices = log_formats,
		.fallback = "auto",
		.example = "json",
		.doc = "Pretty lines for people or a JSON object a line for programs; auto is json "
		       "in production and pretty in development.",
	},
	{
		.name = "LOG_TARGET",
		.type = SETTING_ENUM,
		.offset = MEMBER(log_target),
		.choices = log_targets,
		.fallback = "stderr",
		.example = "journal",
		.doc = "Where the log goes: standard error, syslog(3), or systemd's journal with its "
		       "fields (standard error where there is no journal).",
	},
};

const size_t settings_count = sizeof(settings) / sizeof(settings[0]);
_Static_assert(sizeof(settings) / sizeof(settings[0]) <= SETTINGS_MAX, "raise SETTINGS_MAX");

const struct setting *
setting_find(const char *name)
{
	for (size_t i = 0; i < settings_count; i++)
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	return NULL;
}
