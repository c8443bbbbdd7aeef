/* scrub.c - see telemetry/scrub.h */
#include "telemetry/scrub.h"

#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define ELLIPSIS "\xE2\x80\xA6"

/* Longer names are judged by their end. */
#define NAME_MAX_BYTES 64

/* How far past the room for the result a secret's end is looked for. */
#define LOOK_AHEAD_BYTES 4096

/* --- names --- */

/* `name` in lower case with '_' between its words, as in "x_api_key"; returns its length. */
static size_t
normalize_name(char out[2 * NAME_MAX_BYTES + 1], const char *name, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];
		bool after_lower = i > 0 && islower((unsigned char)name[i - 1]);
		bool before_lower = i + 1 < len && islower((unsigned char)name[i + 1]);
		bool starts_word = isupper(c) && (after_lower || (i > 0 && before_lower));

		if (n > 0 && out[n - 1] != '_' && (starts_word || !isalnum(c)))
			out[n++] = '_';
		if (isalnum(c))
			out[n++] = (char)tolower(c);
	}
	out[n] = '\0';
	return n;
}

static bool
is_one_of(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (word[0] == (*words)[0] && strcmp(word, *words) == 0)
			return true;
	return false;
}

static bool
ends_with(const char *text, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len >= n && memcmp(text + len - n, end, n) == 0;
}

/* "token" is a secret; "tokens" are what models count, unless they say otherwise. */
static bool
names_token(const char *name)
{
	static const char *const holders[] = {"access_", "refresh_", "auth_", "api_",
	                                      "id_", "session_", "bearer_", NULL};
	const char *found = name;

	while ((found = strstr(found, "token")) != NULL) {
		size_t before = (size_t)(found - name);

		if (found[5] != 's' && strncmp(found, "tokeniz", 7) != 0)
			return true;
		for (const char *const *h = holders; found[5] == 's' && *h != NULL; h++)
			if (ends_with(name, before, *h))
				return true;
		found += 5;
	}
	return false;
}

bool
scrub_name_is_secret(const char *name, size_t len)
{
	static const char *const inside[] = {"passw", "passphrase", "secret", "credential", "cookie",
	                                     "authorization", "session_id", "sessionid", NULL};
	static const char *const last[] = {"pass", "pwd", "auth", "session", "jwt", "dsn",
	                                   "sig", "signature", "sid", "bearer", NULL};
	static const char *const measures[] = {"count", "limit", "bytes", "length", "ms", "secs", NULL};
	char norm[2 * NAME_MAX_BYTES + 1];
	const char *word;

	if (len > NAME_MAX_BYTES) {
		name += len - NAME_MAX_BYTES;
		len = NAME_MAX_BYTES;
	}
	len = normalize_name(norm, name, len);
	if (len > 0 && norm[len - 1] == '_')
		norm[--len] = '\0';
	word = strrchr(norm, '_');
	word = word != NULL ? word + 1 : norm;
	if (is_one_of(word, measures))
		return false;
	for (const char *const *part = inside; *part != NULL; part++)
		if (strstr(norm, *part) != NULL)
			return true;
	return is_one_of(word, last) || names_token(norm) || ends_with(norm, len, "key") ||
	       ends_with(norm, len, "keys") || strstr(norm, "key_") != NULL;
}

/* --- text --- */

struct scrubber {
	const char *text;
	size_t len;
	bool goes_on;                   /* the text has more than the `len` bytes looked at */
	size_t pos;
	size_t no_at_until;             /* no hidden '@' is found before this */
	char *out;
	size_t size;
	size_t n;
	bool full;
};

static void
emit(struct scrubber *s, char c)
{
	if (s->n + 1 < s->size)
		s->out[s->n++] = c;
	else
		s->full = true;
}

static void
emit_mask(struct scrubber *s)
{
	for (const char *p = SCRUB_MASK; *p != '\0'; p++)
		emit(s, *p);
}

static void
emit_to(struct scrubber *s, size_t end)
{
	while (s->pos < end && !s->full)
		emit(s, s->text[s->pos++]);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* Nothing that belongs together goes past these. */
static bool
is_break(char c)
{
	return (unsigned char)c <= ' ' || c == 0x7F || c == '"' || c == '<' || c == '>';
}

static bool
starts_with_nocase(const struct scrubber *s, size_t pos, const char *word)
{
	size_t n = strlen(word);

	return s->len - pos >= n && strncasecmp(s->text + pos, word, n) == 0;
}

static size_t
skip_blanks(const struct scrubber *s, size_t pos)
{
	while (pos < s->len && is_blank(s->text[pos]))
		pos++;
	return pos;
}

static size_t
skip_word(const struct scrubber *s, size_t pos)
{
	while (pos < s->len && (is_word_char(s->text[pos]) || s->text[pos] == '.'))
		pos++;
	return pos;
}

/* Base64 of user:password, rather than the English word that may follow "basic". */
static bool
looks_like_base64(const struct scrubber *s, size_t pos, size_t end)
{
	if (end - pos < 8)
		return false;
	for (size_t i = pos + 1; i < end; i++)
		if (isdigit((unsigned char)s->text[i]) || isupper((unsigned char)s->text[i]) ||
		    s->text[i] == '=')
			return true;
	return false;
}

/* RFC 6750 and RFC 7617: "Bearer x", "Basic x". */
static bool
scrub_scheme(struct scrubber *s)
{
	bool basic = starts_with_nocase(s, s->pos, "basic");
	size_t after, start, end;

	if (!basic && !starts_with_nocase(s, s->pos, "bearer"))
		return false;
	after = s->pos + (basic ? 5 : 6);
	start = skip_blanks(s, after);
	if (start == after)
		return false;
	for (end = start; end < s->len && !is_break(s->text[end]) && s->text[end] != ','; end++)
		;
	if (end == start || (basic && !looks_like_base64(s, start, end)))
		return false;
	emit_to(s, start);
	emit_mask(s);
	s->pos = end;
	return true;
}

/* Keys that tell by their beginning what they are.  What follows is looked at
   only as far as it belongs to the key, so a text of many prefixes costs no more. */
static bool
scrub_prefixed(struct scrubber *s)
{
	static const struct {
		const char *prefix;
		size_t least;           /* characters after it that make it a key */
	} kinds[] = {
		{"sk-", 4}, {"bk_", 4}, {"eyJ", 8},     /* OpenAI; ours; JSON web tokens */
		{"sk_", 16}, {"rk_", 16}, {"whsec_", 16},       /* Stripe */
		{"ghp_", 16}, {"gho_", 16}, {"ghu_", 16}, {"ghs_", 16}, {"ghr_", 16},
		{"github_pat_", 16}, {"glpat-", 16},
		{"xoxb-", 8}, {"xoxp-", 8}, {"xoxa-", 8}, {"xoxr-", 8},         /* Slack */
		{"AKIA", 12}, {"ASIA", 12}, {"AIza", 16}, {"ya29.", 16},        /* Amazon, Google */
		{"hf_", 16}, {"gsk_", 16}, {"xai-", 16}, {"tvly-", 8},
		{"sbp_", 16}, {"sb_secret_", 8},        /* Supabase */
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n, end;

		if (s->text[s->pos] != kinds[i].prefix[0])
			continue;
		n = strlen(kinds[i].prefix);
		if (s->len - s->pos < n || memcmp(s->text + s->pos, kinds[i].prefix, n) != 0)
			continue;
		end = skip_word(s, s->pos + n);
		/* a key that the end of our view cuts may be as long as it likes */
		if (end - s->pos - n < kinds[i].least && !(s->goes_on && end == s->len))
			return false;
		emit_to(s, s->pos + n);
		emit_mask(s);
		s->pos = end;
		return true;
	}
	return false;
}

/* The last '@' in [from, to), or SIZE_MAX. */
static size_t
last_at(const struct scrubber *s, size_t from, size_t to)
{
	const char *at = memrchr(s->text + from, '@', to - from);

	return at != NULL ? (size_t)(at - s->text) : SIZE_MAX;
}

/* "user:pass" rather than "host:80", when a slash in a password that nobody
   escaped hides the '@' from a strict reader. */
static bool
looks_like_password(const struct scrubber *s, size_t from, size_t to)
{
	const char *colon = memchr(s->text + from, ':', to - from);
	size_t port, i;

	if (colon == NULL || s->text[from] == '[')
		return false;
	port = (size_t)(colon - s->text) + 1;
	for (i = port; i < to && isdigit((unsigned char)s->text[i]); i++)
		;
	return i < to || i == port;
}

/* Where the '@' of a password is that has slashes in it. */
static size_t
hidden_at(struct scrubber *s, size_t from)
{
	size_t end = from, at;

	if (from < s->no_at_until)
		return SIZE_MAX;
	while (end < s->len && !is_break(s->text[end]))
		end++;
	at = last_at(s, from, end);
	if (at == SIZE_MAX && end == s->len && s->goes_on)
		return end;
	/* not to look again from each "://" of a long run */
	s->no_at_until = at == SIZE_MAX ? end : at;
	return at;
}

/* RFC 3986, 3.2.1: what stands between "://" and '@'. */
static bool
scrub_url(struct scrubber *s)
{
	size_t from = s->pos + 3, end = from, at;

	if (s->len - s->pos < 3 || memcmp(s->text + s->pos, "://", 3) != 0)
		return false;
	while (end < s->len && !is_break(s->text[end]) && memchr("/?#", s->text[end], 3) == NULL)
		end++;
	at = last_at(s, from, end);
	if (at == SIZE_MAX && looks_like_password(s, from, end))
		at = hidden_at(s, end);
	if (at == SIZE_MAX && end == s->len && s->goes_on)
		at = end;
	if (at == SIZE_MAX)
		return false;
	emit_to(s, from);
	emit_mask(s);
	s->pos = at;
	return true;
}

/* The name that ends before `pos`, which may be quoted and followed by blanks. */
static const char *
name_before(const struct scrubber *s, size_t pos, size_t *len_r)
{
	size_t end = pos, start;

	while (end > 0 && is_blank(s->text[end - 1]))
		end--;
	if (end > 0 && (s->text[end - 1] == '"' || s->text[end - 1] == '\''))
		end--;
	while (end > 0 && s->text[end - 1] == '\\')
		end--;
	for (start = end; start > 0 && end - start < NAME_MAX_BYTES && is_word_char(s->text[start - 1]);)
		start--;
	*len_r = end - start;
	return s->text + start;
}

/* Where the text that a quote opens before `pos` ends.  `depth` backslashes
   stood before that quote: text in JSON in JSON. */
static size_t
quoted_end(const struct scrubber *s, size_t pos, char quote, size_t depth)
{
	size_t slashes = 0;

	for (; pos < s->len; pos++) {
		if (s->text[pos] == quote && (depth == 0 ? slashes % 2 == 0 : slashes <= depth))
			return pos - (depth == 0 ? 0 : slashes);
		slashes = s->text[pos] == '\\' ? slashes + 1 : 0;
	}
	return s->len;
}

/* Where a value without quotes ends: of headers at the line's end, since their
   values have blanks in them. */
static size_t
bare_end(const struct scrubber *s, size_t pos, const char *name, size_t name_len)
{
	static const char *const schemes[] = {"bearer ", "basic ", "digest ", "token ", NULL};
	bool whole_line = name_len >= 6 && (strncasecmp(name + name_len - 6, "cookie", 6) == 0 ||
	                                    (name_len >= 13 && strncasecmp(name + name_len - 13,
	                                                                   "authorization", 13) == 0));

	for (const char *const *word = schemes; *word != NULL; word++)
		whole_line = whole_line || starts_with_nocase(s, pos, *word);
	for (; pos < s->len; pos++) {
		char c = s->text[pos];

		if (whole_line ? c == '\n' || c == '\r' : is_break(c) || c == '&')
			break;
	}
	return pos;
}

/* name=value, name: value, "name":"value", name => value. */
static bool
scrub_named(struct scrubber *s)
{
	size_t name_len, start, quote, end;
	const char *name = name_before(s, s->pos, &name_len);

	if (name_len == 0 || !scrub_name_is_secret(name, name_len))
		return false;
	for (start = s->pos; start < s->len && memchr("=:> \t", s->text[start], 5) != NULL;)
		start++;
	for (quote = start; quote < s->len && s->text[quote] == '\\';)
		quote++;
	if (quote < s->len && (s->text[quote] == '"' || s->text[quote] == '\'')) {
		size_t depth = quote - start;

		start = quote + 1;
		end = quoted_end(s, start, s->text[quote], depth);
	} else {
		end = bare_end(s, start, name, name_len);
	}
	emit_to(s, start);
	if (end > start)
		emit_mask(s);
	s->pos = end;
	return true;
}

static bool
scrub_here(struct scrubber *s)
{
	char c = s->text[s->pos];

	if (isalpha((unsigned char)c))
		return (s->pos == 0 || !isalnum((unsigned char)s->text[s->pos - 1])) &&
		       (scrub_scheme(s) || scrub_prefixed(s));
	if (c == '=' || c == ':')
		return scrub_named(s) || (c == ':' && scrub_url(s));
	return false;
}

/* Make room for the ellipsis at the beginning of a character. */
static void
cut_short(struct scrubber *s)
{
	size_t mark = strlen(ELLIPSIS);

	if (s->n > s->size - 1 - mark)
		s->n = s->size - 1 - mark;
	s->out[s->n] = '\0';
	text_trim_partial_utf8(s->out);
	s->n = strlen(s->out);
	memcpy(s->out + s->n, ELLIPSIS, mark);
	s->n += mark;
}

size_t
scrub_text(char *out, size_t size, const char *text, size_t len)
{
	struct scrubber s = {.text = text, .len = len, .out = out, .size = size};

	assert(size >= 8);
	if (s.len > size + LOOK_AHEAD_BYTES) {
		s.len = size + LOOK_AHEAD_BYTES;
		s.goes_on = true;
	}
	while (s.pos < s.len && !s.full)
		if (!scrub_here(&s))
			emit(&s, s.text[s.pos++]);
	if (s.full || s.goes_on)
		cut_short(&s);
	s.out[s.n] = '\0';
	return s.n;
}
