/* fcgi_client.c - see fcgi_client.h */
#include "fcgi_client.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 8
#define RESPONDER 1
#define KEEP_CONNECTION 1

/* A test's buffer that is too small is the test's own fault. */
static void
add(struct buffer *b, const void *data, size_t len)
{
	if (buffer_append(b, data, len) == -1)
		abort();
}

void
fcgi_client_record(struct buffer *b, int type, const char *content, size_t len)
{
	const unsigned char header[HEADER_BYTES] = {
	    1, (unsigned char)type, 0, 1, (unsigned char)(len >> 8), (unsigned char)len, 0, 0,
	};

	add(b, header, sizeof(header));
	add(b, content, len);
}

void
fcgi_client_begin(struct buffer *b, bool keep_connection)
{
	const char content[8] = {0, RESPONDER, keep_connection ? KEEP_CONNECTION : 0};

	fcgi_client_record(b, FCGI_CLIENT_BEGIN, content, sizeof(content));
}

/* 3.4: one byte up to 127, else four with the highest bit set. */
static void
add_length(struct buffer *b, size_t len)
{
	const unsigned char bytes[4] = {
	    (unsigned char)(0x80 | len >> 24), (unsigned char)(len >> 16), (unsigned char)(len >> 8),
	    (unsigned char)len,
	};

	if (len < 0x80)
		add(b, &bytes[3], 1);
	else
		add(b, bytes, sizeof(bytes));
}

void
fcgi_client_params(struct buffer *b, const char *const *pairs)
{
	struct buffer content = BUFFER_INIT(65535);

	for (; pairs[0] != NULL; pairs += 2) {
		add_length(&content, strlen(pairs[0]));
		add_length(&content, strlen(pairs[1]));
		add(&content, pairs[0], strlen(pairs[0]));
		add(&content, pairs[1], strlen(pairs[1]));
	}
	if (content.len > 0)
		fcgi_client_record(b, FCGI_CLIENT_PARAMS, content.data, content.len);
	fcgi_client_record(b, FCGI_CLIENT_PARAMS, "", 0);
	buffer_free(&content);
}

void
fcgi_client_body(struct buffer *b, const char *body, size_t len, size_t piece)
{
	while (len > 0) {
		size_t n = len < piece ? len : piece;

		fcgi_client_record(b, FCGI_CLIENT_STDIN, body, n);
		body += n;
		len -= n;
	}
	fcgi_client_record(b, FCGI_CLIENT_STDIN, "", 0);
}

int
fcgi_client_take(struct buffer *in, struct buffer *out)
{
	while (in->len >= HEADER_BYTES) {
		const unsigned char *header = (const unsigned char *)in->data;
		int type = header[1];
		size_t len = (size_t)header[4] << 8 | header[5];
		size_t all = HEADER_BYTES + len + header[6];

		if (header[0] != 1 || (type != FCGI_CLIENT_STDOUT && type != FCGI_CLIENT_END))
			return -1;
		if (in->len < all)
			return 0;
		if (type == FCGI_CLIENT_STDOUT)
			add(out, in->data + HEADER_BYTES, len);
		buffer_consume(in, all);
		if (type == FCGI_CLIENT_END)
			return 1;
	}
	return 0;
}
