/* print.c - the settings for people: values, sample file, manual; see config/config.h */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/origin.h"
#include "config/settings.h"
#include "telemetry/scrub.h"

#define COMMENT_WIDTH 78
#define TEXT_MAX_BYTES 2048

static void
print_rate(FILE *out, const struct config_rate *rate)
{
	if (rate->count == 0)
		fputs("off", out);
	else
		fprintf(out, "%" PRId64 "/%" PRId64, rate->count, rate->secs);
}

static void
print_value(FILE *out, const struct setting *s)
{
	const char *member = (const char *)config() + s->offset;

	if (setting_is_text(s)) {
		const char *text = *(const char *const *)member;
		char shown[1024];

		if (*text == '\0')
			return;
		scrub_text(shown, sizeof(shown), text, strlen(text));
		fputs(s->flags & SETTING_SECRET ? SCRUB_MASK : shown, out);
	} else {
		int64_t number = *(const int64_t *)member;

		if (s->type == SETTING_ENUM)
			fputs(s->choices[number], out);
		else if (s->type == SETTING_BOOL)
			fputs(number != 0 ? "true" : "false", out);
		else if (s->type == SETTING_RATE)
			print_rate(out, (const struct config_rate *)member);
		else
			fprintf(out, "%" PRId64, number);
	}
}

static void
print_origin(FILE *out, const struct setting *s)
{
	const struct origin *o = config_origin(s);

	switch (o->from) {
	case ORIGIN_ENVIRONMENT:
		fputs("environment", out);
		break;
	case ORIGIN_FILE:
		fprintf(out, "%s line %u", config()->env_file, o->line);
		break;
	case ORIGIN_DEFAULT:
		fputs(s->fallback != NULL ? "default" : "not set", out);
		break;
	}
}

void
config_print(FILE *out)
{
	for (size_t i = 0; i < settings_count; i++) {
		fprintf(out, "%s=", settings[i].name);
		print_value(out, &settings[i]);
		fputs("  # ", out);
		print_origin(out, &settings[i]);
		fputc('\n', out);
	}
}

/* `text` as comment lines, broken between words. */
static void
print_comment(FILE *out, const char *text)
{
	size_t column = 0;

	for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
		size_t word = strcspn(text, " ");

		if (column > 0 && column + 1 + word > COMMENT_WIDTH) {
			fputc('\n', out);
			column = 0;
		}
		column += (size_t)fprintf(out, "%s%.*s", column == 0 ? "# " : " ", (int)word, text);
		text += word;
	}
	fputc('\n', out);
}

static void
describe_bounds(FILE *out, const struct setting *s)
{
	switch (s->type) {
	case SETTING_ENUM:
		for (int i = 0; s->choices[i] != NULL; i++)
			fprintf(out, "%s%s", i > 0 ? ", " : "One of ", s->choices[i]);
		fputs(".  ", out);
		break;
	case SETTING_INTEGER:
		fprintf(out, "From %" PRId64 " to %" PRId64 " %s.  ", s->min, s->max, s->unit);
		break;
	case SETTING_SIZE:
		fprintf(out, "From %" PRId64 " to %" PRId64 " bytes; may be written like 64K or 20MiB.  ",
		        s->min, s->max);
		break;
	case SETTING_BOOL:
		fputs("True or false.  ", out);
		break;
	case SETTING_RATE:
		fprintf(out, "From %" PRId64 " to %" PRId64 " %s, a slash and seconds; or off.  ", s->min, s->max, s->unit);
		break;
	case SETTING_LIST:
		fputs("Entries are separated by commas.  ", out);
		break;
	case SETTING_STRING:
	case SETTING_URL:
	case SETTING_FILE:
		break;
	}
}

/* All that is to be said of a setting, as sentences. */
static void
describe(char *out, size_t size, const struct setting *s)
{
	FILE *text = fmemopen(out, size, "w");

	out[0] = '\0';
	if (text == NULL)
		return;
	fprintf(text, "%s  ", s->doc);
	describe_bounds(text, s);
	if (s->flags & SETTING_REQUIRED)
		fprintf(text, "Required in production%s%s.  ",
		        s->instead != NULL ? ", unless there is " : "",
		        s->instead != NULL ? s->instead : "");
	if (s->flags & SETTING_SECRET)
		fputs("Secret: never shown or logged.  ", text);
	if (s->flags & SETTING_ENVIRONMENT_ONLY)
		fputs("Taken from the environment only.  ", text);
	fclose(text);
}

static void
print_example_entry(FILE *out, const struct setting *s)
{
	char text[TEXT_MAX_BYTES];

	describe(text, sizeof(text), s);
	fputc('\n', out);
	print_comment(out, text);
	fprintf(out, "#%s=%s\n", s->name, s->fallback != NULL ? s->fallback : s->example);
}

void
config_print_example(FILE *out)
{
	fputs("# Settings of Bakame, for the environment or the file that BAKAME_ENV_FILE\n"
	      "# names; bakame.env(5) is the reference.  Each line that is commented out\n"
	      "# shows the default, or an example where there is none.\n"
	      "#\n"
	      "# Written by `bakamectl config --example`.\n",
	      out);
	for (size_t i = 0; i < settings_count; i++) {
		if (settings[i].group != NULL)
			fprintf(out, "\n\n# --- %s ---\n", settings[i].group);
		if (!(settings[i].flags & SETTING_ENVIRONMENT_ONLY))
			print_example_entry(out, &settings[i]);
	}
}

/* Sentences, each ended by two blanks, for mdoc(7): each on a line of its own. */
static void
print_mdoc(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (text[0] == ' ' && text[1] == ' ') {
			text++;
			fputc('\n', out);
		} else if (*text == '\\') {
			fputs("\\e", out);
		} else {
			fputc(*text, out);
		}
	}
}

static void
print_man_entry(FILE *out, const struct setting *s)
{
	char text[TEXT_MAX_BYTES];

	describe(text, sizeof(text), s);
	fprintf(out, ".It Ev %s\n", s->name);
	print_mdoc(out, text);
	if (s->fallback != NULL)
		fprintf(out, "The default is\n.Ql %s .\n", s->fallback);
	else
		fprintf(out, "For example\n.Ql %s .\n", s->example);
}

void
config_print_man(FILE *out)
{
	for (size_t i = 0; i < settings_count; i++) {
		if (settings[i].group != NULL) {
			if (i > 0)
				fputs(".El\n", out);
			fprintf(out, ".Ss %s\n.Bl -tag -width Ds\n", settings[i].group);
		}
		print_man_entry(out, &settings[i]);
	}
	fputs(".El\n", out);
}
