/*
 * config.h - the settings of all programs, from one table.
 *
 * The table (config/settings.c) gives each variable its name, type, bounds,
 * default, unit, whether it is secret, and a line of documentation.  Validation
 * at start, `bakamectl config`, .env.example and the man page all come from it.
 *
 * A value is taken from the environment first, then from the file named by
 * BAKAME_ENV_FILE (see config/envfile.h), then from the default.  An empty value
 * counts as not set.  Read once, before anything else; read-only after.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

enum log_level_setting { CONFIG_LOG_DEBUG, CONFIG_LOG_INFO, CONFIG_LOG_WARN, CONFIG_LOG_ERROR };
enum log_format_setting { CONFIG_FORMAT_AUTO, CONFIG_FORMAT_PRETTY, CONFIG_FORMAT_JSON };
enum log_target_setting { CONFIG_TARGET_STDERR, CONFIG_TARGET_SYSLOG, CONFIG_TARGET_JOURNAL };
enum upload_send_setting { CONFIG_SEND_STREAM, CONFIG_SEND_ACCEL, CONFIG_SEND_SENDFILE };
/* AUTO is resolved by what else is set. */
enum auth_mode_setting { CONFIG_AUTH_AUTO, CONFIG_AUTH_LOCAL, CONFIG_AUTH_SUPABASE, CONFIG_AUTH_OFF };
enum env_setting { CONFIG_ENV_PRODUCTION, CONFIG_ENV_DEVELOPMENT };

/* So many in so many seconds. */
struct config_rate {
	int64_t count;                          /* 0: off */
	int64_t secs;
};

/* Strings are never NULL: "" where nothing is set. */
struct config {
	int64_t env;                            /* enum env_setting */
	const char *env_file;
	/* the model */
	const char *openai_api_key;
	const char *openai_base_url;            /* without a slash at the end; "" without a model */
	const char *openai_model;
	const char *openai_models;              /* further models, comma-separated, or "*" */
	const char *openai_ca_file;
	int64_t openai_connect_timeout_ms;
	int64_t openai_first_byte_timeout_ms;
	int64_t openai_idle_timeout_ms;
	int64_t openai_answer_timeout_ms;       /* whole answer when it is not streamed */
	int64_t openai_silence_ms;              /* until its server is asked whether it is there; 0: never */
	/* the worker */
	int64_t max_streams;
	int64_t drain_secs;
	bool own_socket;
	int64_t ping_secs;
	int64_t request_deadline_secs;
	const char *shm_name;
	/* limits */
	struct config_rate rate_limit_user;
	int64_t tokens_per_day;                 /* of one person; 0: no limit */
	struct config_rate rate_limit_guest;
	struct config_rate rate_limit_sign_in;
	int64_t limiter_keys;
	/* Redis */
	const char *redis_url;
	const char *redis_ca_file;
	const char *upstash_redis_rest_url;     /* without a slash at the end */
	const char *upstash_redis_rest_token;
	int64_t redis_timeout_ms;
	/* jobs */
	int64_t queue_max_jobs;
	int64_t jobs_concurrency;
	int64_t jobs_lease_secs;
	int64_t jobs_retry_ms;
	/* breakers: open after `count` failures in a row, for `secs` */
	struct config_rate breaker_openai;
	struct config_rate breaker_redis;
	struct config_rate breaker_database;
	struct config_rate breaker_weather;
	struct config_rate breaker_currency;
	struct config_rate breaker_news;
	struct config_rate breaker_web_search;
	struct config_rate breaker_places;
	struct config_rate breaker_sentry;
	/* the database */
	const char *database_url;               /* as libpq takes it */
	const char *supabase_db_pooler_url;     /* preferred where set */
	const char *database_owner_url;         /* for migrations; "": as the workers */
	int64_t database_pool;
	int64_t database_timeout_ms;
	/* accounts */
	int64_t auth_mode;                      /* enum auth_mode_setting, never AUTO */
	const char *session_secret;
	int64_t auth_stale_secs;
	int64_t session_days;
	int64_t access_token_minutes;
	int64_t sign_up;                        /* bool: may anybody make an account? */
	const char *supabase_url;               /* without a slash at the end */
	const char *supabase_jwt_secret;
	const char *supabase_jwks_url;
	const char *cors_origins;               /* separated by blanks or commas */
	/* uploads */
	const char *upload_dir;
	int64_t upload_max_bytes;               /* of one file */
	int64_t upload_quota_bytes;             /* of one person; 0: no limit */
	int64_t upload_send;                    /* enum upload_send_setting */
	int64_t upload_extract_secs;
	const char *upload_s3_endpoint;         /* without a slash at the end; "": files are kept in upload_dir */
	const char *upload_s3_bucket;
	const char *upload_s3_region;
	const char *upload_s3_access_key_id;
	const char *upload_s3_secret_access_key;
	/* error tracking */
	const char *sentry_dsn;
	const char *sentry_environment;         /* "" : as `env` */
	const char *sentry_ca_file;
	/* tools */
	const char *tools_enabled;              /* comma-separated; "none" */
	int64_t tool_timeout_ms;
	const char *tools_contact;
	const char *system_prompt;
	const char *openweather_api_key;
	const char *openweather_base_url;
	const char *open_meteo_url;
	const char *open_meteo_geocoding_url;
	const char *exchange_rate_api_key;
	const char *exchange_rate_base_url;
	const char *frankfurter_url;
	const char *news_api_key;
	const char *news_api_base_url;
	const char *news_feeds;                 /* comma-separated URLs */
	const char *tavily_api_key;
	const char *tavily_base_url;
	const char *searxng_url;
	const char *wikipedia_url;
	const char *nominatim_url;
	int64_t nominatim_interval_ms;
	const char *overpass_url;
	const char *google_places_api_key;
	const char *google_places_base_url;
	const char *otlp_endpoint;
	const char *otlp_service;
	/* the log */
	int64_t log_level;                      /* enum log_level_setting */
	int64_t log_format;                     /* enum log_format_setting; AUTO resolved by env */
	int64_t log_target;                     /* enum log_target_setting */
};

/* Read and check everything.  0, or -1 after writing every fault to `complaints`:
   one line each with the variable's name, what is wrong and an example.  What
   was loaded before is forgotten either way. */
int config_load(FILE *complaints) MUST_USE;

/* The settings; valid after config_load() said 0. */
const struct config *config(void);

/* Is this feature configured?  The one place that knows. */
enum feature {
	FEATURE_NONE,                   /* needs nothing: always there */
	FEATURE_MODEL,
	FEATURE_REDIS,
	FEATURE_DATABASE,
	FEATURE_SENTRY,
	FEATURE_TRACES,
	FEATURE_OPENWEATHER,
	FEATURE_EXCHANGE_RATE_API,
	FEATURE_NEWS_API,
	FEATURE_NEWS_FEEDS,
	FEATURE_TAVILY,
	FEATURE_SEARXNG,
	FEATURE_GOOGLE_PLACES,
};
bool config_has(enum feature feature);

/* Seconds of the window that a person's own limit is for: that of RATE_LIMIT_USER, or a minute where that is off. */
int64_t config_user_window_secs(void);

/* What error reports and the like call this installation. */
const char *config_environment(void);

/* Write the effective values, secrets masked, each with where it comes from. */
void config_print(FILE *out);

/* Write the table as an environment file with comments, and as the section
   of the man page (mdoc). */
void config_print_example(FILE *out);
void config_print_man(FILE *out);

/* Free what config_load() made; for tests and leak checkers. */
void config_unload(void);

#endif
