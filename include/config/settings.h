/*
 * settings.h - what a setting is, and the table of all of them.
 *
 * For the files of config/ and their tests; everybody else reads config().
 * A new setting is a member of struct config and a row of the table.
 */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

enum setting_type {
	SETTING_STRING,
	SETTING_URL,                    /* http or https, kept without a slash at the end */
	SETTING_INTEGER,
	SETTING_SIZE,                   /* bytes; 20M and 20MiB are read too */
	SETTING_ENUM,                   /* the index into `choices` */
	SETTING_BOOL,                   /* 0 or 1 */
	SETTING_FILE,                   /* a path that can be read */
	SETTING_LIST,                   /* separated by commas, kept without blanks */
	SETTING_RATE,                   /* count/seconds, or off: a struct config_rate */
};

enum setting_flag {
	SETTING_SECRET = 1 << 0,        /* never shown */
	SETTING_USER_INFO = 1 << 1,     /* a URL that may carry user and password */
	SETTING_ENVIRONMENT_ONLY = 1 << 2,      /* not taken from BAKAME_ENV_FILE */
	SETTING_REQUIRED = 1 << 3,      /* in production, unless `instead` is set */
};

struct setting {
	const char *group;              /* the heading that starts here, or NULL */
	const char *name;
	enum setting_type type;
	unsigned flags;                 /* enum setting_flag */
	size_t offset;                  /* in struct config: const char *, int64_t or config_rate, by type */
	int64_t min, max;               /* of a number or a rate's count; `max` also of a text's length in bytes */
	int64_t max_secs;               /* of a rate; 0: SETTING_RATE_SECS_MAX */
	const char *fallback;           /* the default as one would write it, or NULL */
	const char *unit;               /* of a number, or NULL */
	const char *const *choices;     /* of an enum, ended by NULL */
	const char *instead;            /* the setting whose presence makes this one optional */
	const char *needs;              /* the setting without which this one is of no use, or NULL */
	const char *(*check)(const char *text); /* what else is wrong with a text; NULL: nothing */
	const char *example;
	const char *doc;                /* sentences, two blanks between them */
};

extern const struct setting settings[];
extern const size_t settings_count;

#define SETTINGS_MAX 256

/* Longest time that a rate may name. */
#define SETTING_RATE_SECS_MAX 86400

/* The setting of that name, or NULL. */
const struct setting *setting_find(const char *name);

struct setting_value {
	int64_t number;                 /* of a rate: its count */
	int64_t secs;                   /* of a rate */
	char *text;                     /* free() it; NULL where the type is a number */
};

/* Read `text` as a value of `s`.  -1 with "must be ..." in `why` if it is none. */
int setting_parse(const struct setting *s, const char *text, struct setting_value *value_r,
                  char *why, size_t why_size) MUST_USE;

/* Is a value of this type kept as text (else as a number)? */
bool setting_is_text(const struct setting *s);

#endif
