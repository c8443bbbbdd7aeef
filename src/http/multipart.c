/* multipart.c - see http/multipart.h */
#include "http/multipart.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

/* Blanks between a delimiter and the end of its line. */
#define PADDING_MAX_BYTES 256

enum state {
	IN_PREAMBLE,
	AFTER_DELIMITER,                /* "--boundary" was read: what kind is it? */
	AFTER_DASH,                     /* and a "-" */
	IN_PADDING,                     /* and blanks */
	BEFORE_LF,                      /* and a CR */
	IN_HEADERS,
	IN_DATA,
	AT_DELIMITER,                   /* of which the part's end is still to be told */
	AT_END,
	IS_BAD,
};

static enum multipart_event
bad(struct multipart *m, const char *fault)
{
	m->state = IS_BAD;
	m->fault = fault;
	return MULTIPART_BAD;
}

/* ---- parameters of a header: RFC 2045, 5.1, as browsers write them ---- */

/* The next `; name=value` of `*rest`, taken apart in place.  False at the end, or when it is malformed. */
static bool
next_parameter(char **rest, char **name_r, char **value_r)
{
	char *p = *rest + strspn(*rest, " \t;"), *end;

	if (*p == '\0')
		return false;
	*name_r = p;
	p += strcspn(p, "=;");
	if (*p != '=')
		return false;
	*p++ = '\0';
	(*name_r)[strcspn(*name_r, " \t")] = '\0';
	p += strspn(p, " \t");
	if (*p != '"') {
		*value_r = p;
		p += strcspn(p, "; \t");
		*rest = *p != '\0' ? p + 1 : p;
		*p = '\0';
		return true;
	}
	*value_r = end = ++p;
	for (; *p != '"'; p++) {
		if (*p == '\0')
			return false;
		/* only these two are escaped: old browsers send paths with backslashes */
		if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
			p++;
		*end++ = *p;
	}
	*rest = p + 1;
	*end = '\0';
	return true;
}

/* Browsers write a quote and line ends in a name as %22, %0D and %0A (HTML standard, "multipart form data"). */
static void
decode_name(char *name)
{
	char *out = name;

	for (const char *in = name; *in != '\0'; out++) {
		char c = *in;
		size_t used = 1;

		if (strncmp(in, "%22", 3) == 0)
			c = '"';
		else if (strncasecmp(in, "%0D", 3) == 0)
			c = '\r';
		else if (strncasecmp(in, "%0A", 3) == 0)
			c = '\n';
		if (c != *in)
			used = 3;
		*out = c;
		in += used;
	}
	*out = '\0';
}

/* Is `c` one that a boundary may have (RFC 2046, 5.1.1)? */
static bool
is_boundary_char(char c)
{
	return isalnum((unsigned char)c) || (c != '\0' && strchr("'()+_,-./:=? ", c) != NULL);
}

static int
set_boundary(struct multipart *m, const char *boundary, struct err *err)
{
	size_t len = strlen(boundary);

	if (len == 0 || len > MULTIPART_BOUNDARY_MAX)
		return err_set(err, ERR_INVALID_REQUEST, "The boundary in Content-Type must have 1 to %d characters.",
		               MULTIPART_BOUNDARY_MAX);
	for (size_t i = 0; i < len; i++)
		if (!is_boundary_char(boundary[i]))
			return err_set(err, ERR_INVALID_REQUEST,
			               "The boundary in Content-Type has a character that none may have.");
	if (boundary[len - 1] == ' ')
		return err_set(err, ERR_INVALID_REQUEST, "The boundary in Content-Type ends in a blank.");
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary, len + 1);
	m->delimiter_len = len + 4;
	return 0;
}

int
multipart_init(struct multipart *m, const char *content_type, struct err *err)
{
	static const char type[] = "multipart/form-data";
	char given[512], *rest, *name, *value;
	const char *boundary = NULL;

	memset(m, 0, sizeof(*m));
	m->headers.max = MULTIPART_HEADERS_MAX_BYTES;
	m->matched = 2;                 /* the first delimiter needs no line before it */
	if (!text_has_prefix_nocase(content_type, type) ||
	    memchr("; \t", content_type[sizeof(type) - 1], 4) == NULL)
		return err_set(err, ERR_UNSUPPORTED_MEDIA_TYPE, "Send files as Content-Type: multipart/form-data.");
	if (!text_copy(given, sizeof(given), content_type + sizeof(type) - 1))
		return err_set(err, ERR_INVALID_REQUEST, "The header Content-Type is too long.");
	rest = given;
	while (next_parameter(&rest, &name, &value)) {
		if (strcasecmp(name, "boundary") != 0)
			continue;
		if (boundary != NULL)
			return err_set(err, ERR_INVALID_REQUEST, "Content-Type has two boundaries.");
		boundary = value;
	}
	if (boundary == NULL)
		return err_set(err, ERR_INVALID_REQUEST, "Content-Type has no boundary.");
	return set_boundary(m, boundary, err);
}

/* ---- the headers of a part ---- */

static bool
read_disposition(struct multipart *m, char *value)
{
	char *rest = value + strspn(value, " \t"), *name, *text;

	if (!text_has_prefix_nocase(rest, "form-data") || memchr("; \t", rest[9], 4) == NULL)
		return false;
	rest += 9;
	while (next_parameter(&rest, &name, &text)) {
		if (strcasecmp(name, "name") == 0 && m->name[0] == '\0')
			m->name = text;
		else if (strcasecmp(name, "filename") == 0 && m->filename == NULL)
			m->filename = text;
		else
			continue;
		decode_name(text);
	}
	return true;
}

/* All lines are there: take them apart in place. */
static enum multipart_event
read_headers(struct multipart *m)
{
	char *line = m->headers.data;
	bool disposed = false;

	m->name = "";
	m->filename = NULL;
	if (memchr(line, '\0', m->headers.len) != NULL)
		return bad(m, "a header of a part has a NUL in it");
	while (line[0] != '\r' || line[1] != '\n') {
		char *end = strstr(line, "\r\n"), *colon;

		*end = '\0';
		colon = strchr(line, ':');
		if (colon == NULL || *line == ' ' || *line == '\t')
			return bad(m, "a header of a part is none");
		*colon = '\0';
		if (strcasecmp(line, "Content-Disposition") == 0) {
			if (disposed || !read_disposition(m, colon + 1))
				return bad(m, "the Content-Disposition of a part is none of a form");
			disposed = true;
		}
		line = end + 2;
	}
	if (!disposed)
		return bad(m, "a part has no Content-Disposition");
	m->state = IN_DATA;
	m->matched = 0;
	return MULTIPART_PART;
}

static enum multipart_event
take_header_byte(struct multipart *m, char c)
{
	struct buffer *h = &m->headers;

	if (buffer_append(h, &c, 1) == -1)
		return bad(m, "the headers of a part are too large");
	if (c != '\n')
		return MULTIPART_MORE;
	if (h->len < 2 || h->data[h->len - 2] != '\r')
		return bad(m, "a line of a part's headers does not end in CR LF");
	/* the empty line */
	if (h->len == 2 || h->data[h->len - 3] == '\n')
		return read_headers(m);
	return MULTIPART_MORE;
}

/* ---- delimiters ---- */

/* What follows "--boundary": "--" closes, blanks and CR LF begin a part. */
static enum multipart_event
take_delimiter_byte(struct multipart *m, char c)
{
	switch (m->state) {
	case AFTER_DELIMITER:
		m->skipped = 0;
		if (c == '-') {
			m->state = AFTER_DASH;
			return MULTIPART_MORE;
		}
		m->state = IN_PADDING;
		return take_delimiter_byte(m, c);
	case AFTER_DASH:
		if (c != '-')
			break;
		m->state = AT_END;
		return MULTIPART_END;
	case IN_PADDING:
		if (c == '\r')
			m->state = BEFORE_LF;
		else if ((c != ' ' && c != '\t') || ++m->skipped > PADDING_MAX_BYTES)
			break;
		return MULTIPART_MORE;
	default: /* BEFORE_LF */
		if (c != '\n')
			break;
		if (++m->parts > MULTIPART_PARTS_MAX)
			return bad(m, "it has too many parts");
		buffer_free(&m->headers);
		m->state = IN_HEADERS;
		return MULTIPART_MORE;
	}
	return bad(m, "a boundary is followed by something else than a line's end");
}

/*
 * Look for the delimiter.  Only its first byte is a CR, so where a match breaks off another can
 * start at the byte that broke it and nowhere before.  Bytes that matched in an earlier
 * piece and were data after all are handed out from the delimiter itself, which they equal.
 */
static enum multipart_event
take_data(struct multipart *m, const char *bytes, size_t len, size_t *used_r, const char **data_r, size_t *len_r)
{
	size_t i = 0;

	if (m->matched > 0) {
		while (i < len && m->matched < m->delimiter_len && bytes[i] == m->delimiter[m->matched]) {
			m->matched++;
			i++;
		}
		*used_r = i;
		if (m->matched == m->delimiter_len) {
			m->state = AT_DELIMITER;
			return MULTIPART_MORE;
		}
		if (i == len)
			return MULTIPART_MORE;
		*data_r = m->delimiter;
		*len_r = m->matched;
		m->matched = 0;
		return MULTIPART_DATA;
	}
	const char *cr = memchr(bytes, '\r', len);

	*data_r = bytes;
	*len_r = cr != NULL ? (size_t)(cr - bytes) : len;
	*used_r = *len_r;
	if (cr != NULL) {
		m->matched = 1;
		(*used_r)++;
	}
	return *len_r > 0 ? MULTIPART_DATA : MULTIPART_MORE;
}

/* Before the first delimiter: data that nobody wants, and not much of it. */
static enum multipart_event
take_preamble(struct multipart *m, const char *bytes, size_t len, size_t *used_r)
{
	const char *data;
	size_t data_len = 0;
	enum multipart_event event = take_data(m, bytes, len, used_r, &data, &data_len);

	if (event == MULTIPART_DATA)
		m->skipped += data_len;
	if (m->skipped > MULTIPART_PREAMBLE_MAX_BYTES)
		return bad(m, "it does not start with the boundary of its Content-Type");
	if (m->state == AT_DELIMITER)
		m->state = AFTER_DELIMITER;
	return MULTIPART_MORE;
}

enum multipart_event
multipart_feed(struct multipart *m, const char *bytes, size_t len, size_t *used_r, const char **data_r, size_t *len_r)
{
	enum multipart_event event = MULTIPART_MORE;
	size_t done = 0, used;

	*data_r = NULL;
	*len_r = 0;
	while (event == MULTIPART_MORE && (done < len || m->state == AT_DELIMITER)) {
		used = 1;
		switch (m->state) {
		case IN_PREAMBLE:
			event = take_preamble(m, bytes + done, len - done, &used);
			break;
		case IN_DATA:
			event = take_data(m, bytes + done, len - done, &used, data_r, len_r);
			break;
		case AT_DELIMITER:
			m->state = AFTER_DELIMITER;
			event = MULTIPART_PART_END;
			used = 0;
			break;
		case IN_HEADERS:
			event = take_header_byte(m, bytes[done]);
			break;
		case AT_END:
			event = MULTIPART_END;
			used = len - done;
			break;
		case IS_BAD:
			event = MULTIPART_BAD;
			used = len - done;
			break;
		default:
			event = take_delimiter_byte(m, bytes[done]);
			break;
		}
		done += used;
	}
	*used_r = done;
	return event;
}

bool
multipart_complete(const struct multipart *m)
{
	return m->state == AT_END;
}

void
multipart_free(struct multipart *m)
{
	buffer_free(&m->headers);
}
