/*
 * envfile.h - reading NAME=value lines as shells and dotenv write them.
 *
 * Blank lines, # comments, `export ` before a name, blanks around the equals
 * sign, CRLF.  A bare value ends at the line's end or at a # after a blank; in
 * 'single' quotes everything stands for itself; in "double" quotes \n \r \t \"
 * \\ \$ and \` are escapes.  Quoted values may span lines.  Nothing is expanded.
 */
#ifndef CONFIG_ENVFILE_H
#define CONFIG_ENVFILE_H

#include <stddef.h>

#include "base/mem.h"

struct envfile {
	char *pos;                      /* NUL-terminated, changed while it is read */
	unsigned line;                  /* of pos, from 1 */
};

struct envfile_entry {
	const char *name;               /* both point into the file's text */
	const char *value;
	unsigned line;                  /* where it starts, from 1 */
	const char *why;                /* what is wrong with it, when that was answered */
};

/* Start to read `text`, which the reader changes and the caller keeps. */
void envfile_open(struct envfile *f, char *text);

/* The next entry: 1, or 0 at the end, or -1 for a line that is none, whose
   `line` and `why` are set; reading can go on after it. */
int envfile_next(struct envfile *f, struct envfile_entry *entry_r) MUST_USE;

#endif
