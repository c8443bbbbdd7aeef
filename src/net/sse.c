/* sse.c - see net/sse.h */
#include "net/sse.h"

#include <string.h>

void
sse_init(struct sse *s)
{
	memset(s, 0, sizeof(*s));
	s->line.max = SSE_EVENT_MAX_BYTES + 16;
	s->data.max = SSE_EVENT_MAX_BYTES;
}

void
sse_free(struct sse *s)
{
	buffer_free(&s->line);
	buffer_free(&s->data);
}

/* Copy what so far was only looked at. */
static int
keep_view(struct sse *s)
{
	const char *view = s->view;

	s->view = NULL;
	return view != NULL ? buffer_append(&s->data, view, s->view_len) : 0;
}

static int
add_data(struct sse *s, const char *value, size_t len, bool in_input)
{
	if (!s->has_data) {
		s->has_data = true;
		if (!in_input || len > s->data.max)
			return buffer_append(&s->data, value, len);
		s->view = value;
		s->view_len = len;
		return 0;
	}
	if (keep_view(s) == -1 || buffer_append(&s->data, "\n", 1) == -1)
		return -1;
	return buffer_append(&s->data, value, len);
}

/* One line without its end.  -1 when the event grows too large. */
static int
take_line(struct sse *s, const char *line, size_t len, bool in_input)
{
	static const char name[] = "data";
	const size_t name_len = sizeof(name) - 1;

	if (!s->started) {
		s->started = true;
		if (len >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
			line += 3;
			len -= 3;
		}
	}
	if (len < name_len || memcmp(line, name, name_len) != 0)
		return 0;
	if (len == name_len)
		return add_data(s, "", 0, false);
	if (line[name_len] != ':')
		return 0;
	line += name_len + 1;
	len -= name_len + 1;
	if (len > 0 && line[0] == ' ') {
		line++;
		len--;
	}
	return add_data(s, line, len, in_input);
}

/* Up to the first CR or LF, or all of it. */
static size_t
line_length(const char *from, size_t len)
{
	const char *lf = memchr(from, '\n', len);
	const char *cr;

	if (lf != NULL)
		len = (size_t)(lf - from);
	cr = memchr(from, '\r', len);
	return cr != NULL ? (size_t)(cr - from) : len;
}

/* The next line that ends within [*pos, len), put together with what was
   kept of it.  False when the input ends first; what there is is then kept. */
static bool
next_line(struct sse *s, const char *bytes, size_t len, size_t *pos, const char **line_r, size_t *line_len_r,
          bool *too_large_r)
{
	const char *from = bytes + *pos;
	size_t n = line_length(from, len - *pos);

	*pos += n;
	if (*pos == len) {
		*too_large_r = n > 0 && buffer_append(&s->line, from, n) == -1;
		return false;
	}
	s->after_cr = bytes[*pos] == '\r';
	(*pos)++;
	if (s->line.len == 0) {
		*line_r = from;         /* the usual case: nothing to put together */
		*line_len_r = n;
		return true;
	}
	*too_large_r = buffer_append(&s->line, from, n) == -1;
	*line_r = s->line.data;
	*line_len_r = s->line.len;
	return !*too_large_r;
}

/* Forget the event that was given out. */
static void
drop_taken(struct sse *s)
{
	if (!s->taken)
		return;
	buffer_free(&s->data);
	s->view = NULL;
	s->has_data = false;
	s->taken = false;
}

static enum sse_result
give_event(struct sse *s, const char **data_r, size_t *data_len_r)
{
	s->taken = true;
	*data_r = s->view;
	*data_len_r = s->view_len;
	if (s->view == NULL) {
		*data_r = s->data.data != NULL ? s->data.data : "";
		*data_len_r = s->data.len;
	}
	return SSE_EVENT;
}

enum sse_result
sse_feed(struct sse *s, const char *bytes, size_t len, size_t *used_r, const char **data_r, size_t *data_len_r)
{
	size_t pos = 0;
	const char *line;
	size_t line_len;
	bool too_large = false;

	drop_taken(s);
	while (pos < len) {
		if (s->after_cr && bytes[pos] == '\n') {
			s->after_cr = false;
			pos++;
			continue;
		}
		s->after_cr = false;
		if (!next_line(s, bytes, len, &pos, &line, &line_len, &too_large))
			break;
		/* an empty line ends the event, if it has data */
		bool event = line_len == 0 && s->has_data;

		too_large = take_line(s, line, line_len, s->line.len == 0) == -1;
		buffer_free(&s->line);
		if (too_large)
			break;
		if (event) {
			*used_r = pos;
			return give_event(s, data_r, data_len_r);
		}
	}
	*used_r = pos;
	/* the input goes away with this call */
	if (!too_large)
		too_large = keep_view(s) == -1;
	return too_large ? SSE_TOO_LARGE : SSE_MORE;
}
