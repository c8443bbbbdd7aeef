#include "reader.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common.h"

#define LINE_MAX_BYTES (1 << 20)

enum { STATUS_LINE, HEADER, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, SIZED_BODY };

void
reader_reset(struct reader *reader)
{
	free(reader->line);
	memset(reader, 0, sizeof(*reader));
}

bool
reader_answer_whole(const struct reader *reader)
{
	return reader->complete && reader->status == 200 && reader->last_seen && reader->done &&
	       !reader->out_of_order && !reader->failed;
}

/* Content is "<sequence> <sent_us> " once or more, then "end" if it is the last. */
static void
content_read(struct reader *reader, const char *at, reader_chunk_cb *chunk, void *arg)
{
	while (isdigit((unsigned char)*at)) {
		char *end;
		long sequence = strtol(at, &end, 10);
		int64_t sent_us = strtoll(end, &end, 10);

		if (sequence != reader->chunks || reader->last_seen)
			reader->out_of_order = true;
		reader->chunks++;
		chunk(arg, sequence, sent_us);
		at = end + strspn(end, " ");
	}
	if (strncmp(at, "end", 3) == 0)
		reader->last_seen = true;
}

static void
line_read(struct reader *reader, const char *line, reader_chunk_cb *chunk, void *arg)
{
	const char *value;

	if (strncmp(line, "data:", 5) != 0)
		return;
	line += 5 + strspn(line + 5, " ");
	if (strncmp(line, "[DONE]", 6) == 0) {
		reader->done = true;
	} else if ((value = json_value(line, "content")) != NULL && *value == '"') {
		content_read(reader, value + 1, chunk, arg);
	} else if ((value = json_value(line, "error")) != NULL && *value == '{') {
		reader->failed = true;
	}
}

/* Gathers the body in lines. */
static void
body_feed(struct reader *reader, const char *data, size_t length, reader_chunk_cb *chunk, void *arg)
{
	while (length > 0) {
		const char *newline = memchr(data, '\n', length);
		size_t part = newline != NULL ? (size_t)(newline - data) + 1 : length;

		if (reader->line_length + part > LINE_MAX_BYTES) {
			reader->malformed = true;
			return;
		}
		reader->line = must_realloc(reader->line, reader->line_length + part + 1);
		memcpy(reader->line + reader->line_length, data, part);
		reader->line_length += part;
		reader->line[reader->line_length] = '\0';
		data += part;
		length -= part;
		if (newline != NULL) {
			line_read(reader, reader->line, chunk, arg);
			free(reader->line);
			reader->line = NULL;
			reader->line_length = 0;
		}
	}
}

static void
head_end(struct reader *reader)
{
	if (reader->chunked) {
		reader->state = CHUNK_SIZE;
	} else {
		reader->state = SIZED_BODY;
		reader->complete = reader->left == 0;
	}
}

/* Handles one line of the framing: status, header, chunk size or trailer. */
static void
head_line(struct reader *reader, const char *line)
{
	switch (reader->state) {
	case STATUS_LINE:
		if (strncmp(line, "HTTP/1.1 ", 9) != 0)
			reader->malformed = true;
		reader->status = (int)strtol(line + 9, NULL, 10);
		reader->state = HEADER;
		break;
	case HEADER:
		if (*line == '\0')
			head_end(reader);
		else if (strncasecmp(line, "content-length:", 15) == 0)
			reader->left = strtoull(line + 15, NULL, 10);
		else if (strncasecmp(line, "transfer-encoding: chunked", 26) == 0)
			reader->chunked = true;
		break;
	case CHUNK_SIZE:
		if (!isxdigit((unsigned char)*line))
			reader->malformed = true;
		reader->left = strtoull(line, NULL, 16);
		reader->state = reader->left > 0 ? CHUNK_DATA : TRAILER;
		break;
	case CHUNK_END:
		reader->malformed = *line != '\0';
		reader->state = CHUNK_SIZE;
		break;
	default:
		reader->complete = *line == '\0';
	}
}

/* Takes bytes up to the end of a line of the framing; returns how many. */
static size_t
head_feed(struct reader *reader, const char *data, size_t length)
{
	const char *newline = memchr(data, '\n', length);
	size_t taken = newline != NULL ? (size_t)(newline - data) : length;
	size_t room = sizeof(reader->head) - 1 - reader->head_length;
	size_t kept = taken < room ? taken : room;

	memcpy(reader->head + reader->head_length, data, kept);
	reader->head_length += kept;
	if (newline == NULL)
		return taken;
	if (reader->head_length > 0 && reader->head[reader->head_length - 1] == '\r')
		reader->head_length--;
	reader->head[reader->head_length] = '\0';
	reader->head_length = 0;
	head_line(reader, reader->head);
	return taken + 1;
}

void
reader_feed(struct reader *reader, const char *data, size_t length, reader_chunk_cb *chunk, void *arg)
{
	while (length > 0 && !reader->malformed && !reader->complete) {
		size_t taken;

		if (reader->state == CHUNK_DATA || reader->state == SIZED_BODY) {
			taken = length < reader->left ? length : (size_t)reader->left;
			body_feed(reader, data, taken, chunk, arg);
			reader->left -= taken;
			if (reader->left == 0 && reader->state == CHUNK_DATA)
				reader->state = CHUNK_END;
			else if (reader->left == 0)
				reader->complete = true;
		} else {
			taken = head_feed(reader, data, length);
		}
		data += taken;
		length -= taken;
	}
}
