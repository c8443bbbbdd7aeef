/*
 * fuzz_envfile.c - files of NAME=value lines.
 *
 * Reading ends; names and values stand within the text; lines count upwards; what was read
 * can be written in double quotes and is read again as the same.
 */
#include <string.h>

#include "base/buffer.h"
#include "config/envfile.h"
#include "fuzz.h"

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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer first = BUFFER_INIT(SIZE_MAX / 2), second = BUFFER_INIT(SIZE_MAX / 2);
	char *text;
	unsigned entries;

	if (size > 65536)
		return 0;
	text = malloc(size + 1);
	REQUIRE(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	entries = read_all(text, strlen(text), &first);
	free(text);
	if (entries > 0) {
		text = strdup(first.data);
		REQUIRE(text != NULL);
		REQUIRE(read_all(text, first.len, &second) == entries);
		REQUIRE(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
		free(text);
	}
	buffer_free(&first);
	buffer_free(&second);
	return 0;
}
