/*
 * origin.h - where the value of a setting came from.  For the files of config/.
 */
#ifndef CONFIG_ORIGIN_H
#define CONFIG_ORIGIN_H

#include "config/settings.h"

enum origin_from { ORIGIN_DEFAULT, ORIGIN_ENVIRONMENT, ORIGIN_FILE };

struct origin {
	enum origin_from from;
	char *text;                     /* as it was written; NULL with ORIGIN_DEFAULT */
	unsigned line;                  /* in the file */
};

/* Valid like config(). */
const struct origin *config_origin(const struct setting *s);

#endif
