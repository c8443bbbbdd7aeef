/* envfile.c - see config/envfile.h */
#include "config/envfile.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

void
envfile_open(struct envfile *f, char *text)
{
	size_t mark = strlen(BYTE_ORDER_MARK);

	f->pos = strncmp(text, BYTE_ORDER_MARK, mark) == 0 ? text + mark : text;
	f->line = 1;
}

static bool
is_name_char(char c)
{
	return isalnum((unsigned char)c) || (c != '\0' && strchr("_.-", c) != NULL);
}

static void
skip_blanks(struct envfile *f)
{
	f->pos += strspn(f->pos, " \t\r");
}

static void
skip_line(struct envfile *f)
{
	f->pos += strcspn(f->pos, "\n");
	if (*f->pos == '\n') {
		f->pos++;
		f->line++;
	}
}

/* To the first line that has something; false at the end. */
static bool
find_entry(struct envfile *f)
{
	for (;;) {
		skip_blanks(f);
		if (*f->pos == '\0')
			return false;
		if (*f->pos != '\n' && *f->pos != '#')
			return true;
		skip_line(f);
	}
}

/* What stands for `\c` in double quotes; NUL when the backslash stays. */
static char
unescape(char c)
{
	static const char codes[] = "nrt\"\\$`";
	static const char meant[] = "\n\r\t\"\\$`";
	const char *found = c != '\0' ? strchr(codes, c) : NULL;

	return found != NULL ? meant[found - codes] : '\0';
}

static char *
closing_quote(char *text, char quote)
{
	for (; *text != '\0'; text++) {
		if (*text == quote)
			return text;
		if (quote == '"' && *text == '\\' && text[1] != '\0')
			text++;
	}
	return NULL;
}

/* Nothing is changed before the end is found, so that a quote that is never
   closed costs one line and not the rest of the file. */
static const char *
read_quoted(struct envfile *f, const char **value_r)
{
	char quote = *f->pos;
	char *in = f->pos + 1, *out = f->pos;
	char *end = closing_quote(in, quote);

	if (end == NULL)
		return "its quote is never closed";
	*value_r = out;
	for (; in < end; in++) {
		char meant = quote == '"' && *in == '\\' ? unescape(in[1]) : '\0';

		if (*in == '\n')
			f->line++;
		if (meant != '\0')
			in++;
		*out++ = meant != '\0' ? meant : *in;
	}
	f->pos = end + 1;
	*out = '\0';
	skip_blanks(f);
	if (*f->pos != '\n' && *f->pos != '\0' && *f->pos != '#')
		return "something follows its closing quote";
	return NULL;
}

static void
read_bare(struct envfile *f, const char **value_r)
{
	char *start = f->pos;
	char *end = start + strcspn(start, "\n");
	char *comment = NULL;

	for (char *p = start; p < end && comment == NULL; p++)
		if (*p == '#' && isblank((unsigned char)p[-1]))
			comment = p;
	f->pos = end;
	if (comment != NULL)
		end = comment;
	while (end > start && strchr(" \t\r", end[-1]) != NULL)
		end--;
	*value_r = start;
	/* the line's end is looked at after this, so it must survive an empty rest */
	if (end == f->pos)
		skip_line(f);
	*end = '\0';
}

static const char *
read_entry(struct envfile *f, struct envfile_entry *entry_r)
{
	char *name_end;
	const char *why = NULL;

	if (strncmp(f->pos, "export", 6) == 0 && isblank((unsigned char)f->pos[6])) {
		f->pos += 6;
		skip_blanks(f);
	}
	entry_r->name = f->pos;
	while (is_name_char(*f->pos))
		f->pos++;
	name_end = f->pos;
	skip_blanks(f);
	if (name_end == entry_r->name || *f->pos != '=')
		return "it is not NAME=value";
	f->pos++;
	*name_end = '\0';
	f->pos += strspn(f->pos, " \t");
	if (*f->pos == '"' || *f->pos == '\'')
		why = read_quoted(f, &entry_r->value);
	else
		read_bare(f, &entry_r->value);
	return why;
}

int
envfile_next(struct envfile *f, struct envfile_entry *entry_r)
{
	if (!find_entry(f))
		return 0;
	*entry_r = (struct envfile_entry){.line = f->line};
	entry_r->why = read_entry(f, entry_r);
	if (entry_r->why == NULL)
		return 1;
	skip_line(f);
	return -1;
}
