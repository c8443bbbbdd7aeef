/* json_mould.c - see base/json_mould.h */
#include "base/json_mould.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A longer object, or one with more wants, is looked at as a whole each time: a stream holds little memory. */
#define TEXT_MAX 1024
#define WANTS_MAX 10
#define VARYING_MAX 4
/* Objects of which so many in a row fitted no mould get no further one. */
#define CASTS_MAX 8

struct span {
	uint16_t from, to;
};

struct json_mould {
	unsigned casts;                 /* since one fitted */
	unsigned varying_count;
	struct span varying[VARYING_MAX];       /* in the order of the text */
	struct span values[WANTS_MAX];
	size_t len;
	char text[TEXT_MAX];            /* allocated as long as it is */
};

/* Does the text go on like `len` bytes of the mould? */
static bool
goes_on(struct json_slice *rest, const char *like, size_t len)
{
	if (rest->len < len || memcmp(rest->text, like, len) != 0)
		return false;
	rest->text += len;
	rest->len -= len;
	return true;
}

/* Is `text` the same but for what varies?  growths_r: by how much each of those is longer. */
static bool
fits(const struct json_mould *m, struct json_slice text, ptrdiff_t growths_r[VARYING_MAX])
{
	size_t at = 0;

	for (unsigned i = 0; i < m->varying_count; i++) {
		struct span v = m->varying[i];
		size_t len;

		if (!goes_on(&text, m->text + at, v.from - at))
			return false;
		len = json_scan_scalar(text);
		if (len == 0)
			return false;
		text.text += len;
		text.len -= len;
		growths_r[i] = (ptrdiff_t)len - (v.to - v.from);
		at = v.to;
	}
	return goes_on(&text, m->text + at, m->len - at) && text.len == 0;
}

/* What ends behind the begin of one that varies contains it or follows it. */
static void
give_values(const struct json_mould *m, const char *text, const ptrdiff_t growths[VARYING_MAX], struct json_want *wants,
            size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct span old = m->values[i];
		ptrdiff_t from = old.from, to = old.to;

		wants[i].value = (struct json_slice){0};
		if (from == to)
			continue;
		for (unsigned v = 0; v < m->varying_count; v++) {
			from += old.from > m->varying[v].from ? growths[v] : 0;
			to += old.to > m->varying[v].from ? growths[v] : 0;
		}
		wants[i].value = (struct json_slice){text + from, (size_t)(to - from)};
	}
}

static struct span
span_of(struct json_slice value, const char *text)
{
	size_t from = value.len > 0 ? (size_t)(value.text - text) : 0;

	return (struct span){(uint16_t)from, (uint16_t)(from + value.len)};
}

static void
add_varying(struct json_mould *m, struct span v)
{
	unsigned at = m->varying_count;

	if (at == VARYING_MAX)
		return;
	for (; at > 0 && m->varying[at - 1].from > v.from; at--)
		m->varying[at] = m->varying[at - 1];
	m->varying[at] = v;
	m->varying_count++;
}

static void
cast(struct json_mould **m_p, struct json_slice text, const struct json_want *wants, size_t count, unsigned varying)
{
	unsigned casts = *m_p != NULL ? (*m_p)->casts : 0;
	struct json_mould *m;

	if (casts == CASTS_MAX || count > WANTS_MAX || text.len > TEXT_MAX)
		return;
	m = *m_p = mem_resize(*m_p, offsetof(struct json_mould, text) + text.len);
	m->casts = casts + 1;
	m->varying_count = 0;
	m->len = text.len;
	for (size_t i = 0; i < count; i++) {
		m->values[i] = span_of(wants[i].value, text.text);
		if ((varying & 1U << i) != 0 && json_scan_scalar(wants[i].value) > 0)
			add_varying(m, m->values[i]);
	}
	memcpy(m->text, text.text, text.len);
}

int
json_mould_scan(struct json_mould **mould, struct json_slice text, struct json_want *wants, size_t count,
                unsigned varying)
{
	ptrdiff_t growths[VARYING_MAX];

	if (*mould != NULL && fits(*mould, text, growths)) {
		(*mould)->casts = 0;
		give_values(*mould, text.text, growths, wants, count);
		return 0;
	}
	if (json_scan_object(text, wants, count) == -1)
		return -1;
	cast(mould, text, wants, count, varying);
	return 0;
}

void
json_mould_free(struct json_mould **mould)
{
	free(*mould);
	*mould = NULL;
}
