/*
 * multipart.h - reader of a body of type multipart/form-data, piece by piece.
 *
 * RFC 7578 and RFC 2046, 5.1: parts between lines that start with "--" and the boundary.  Bytes may
 * arrive split anywhere; what a part holds is handed out as it comes, so that memory is bounded by
 * the headers of one part, whatever the size.  File names are as the client sent them: see store/upload_name.h.
 * Nothing here waits.
 */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/err.h"

#define MULTIPART_BOUNDARY_MAX 70               /* RFC 2046, 5.1.1 */
#define MULTIPART_HEADERS_MAX_BYTES ((size_t)8 * 1024)  /* of one part */
#define MULTIPART_PREAMBLE_MAX_BYTES ((size_t)4 * 1024)
#define MULTIPART_PARTS_MAX 64

struct multipart {
	char delimiter[MULTIPART_BOUNDARY_MAX + 5];     /* CR LF "--" boundary */
	size_t delimiter_len;
	int state;
	size_t matched;                 /* bytes of the delimiter seen last */
	size_t skipped;                 /* bytes before the first delimiter, or blanks after one */
	unsigned parts;
	struct buffer headers;          /* of the part that begins */
	const char *name;               /* of its field; "" if it has none.  In `headers` */
	const char *filename;           /* as sent; NULL where the part is no file.  In `headers` */
	const char *fault;              /* after MULTIPART_BAD: what is wrong, to end a sentence with */
};

enum multipart_event {
	MULTIPART_MORE,                 /* all input is used up */
	MULTIPART_PART,                 /* a part begins: see `name` and `filename` */
	MULTIPART_DATA,                 /* bytes of the part: *data_r */
	MULTIPART_PART_END,
	MULTIPART_END,                  /* the closing delimiter; what follows counts for nothing */
	MULTIPART_BAD,                  /* this is no such body: see `fault` */
};

/* Begin, with the value of the header Content-Type.  -1 with *err: ERR_UNSUPPORTED_MEDIA_TYPE when
   it is another type, ERR_INVALID_REQUEST when the boundary is missing or none. */
int multipart_init(struct multipart *m, const char *content_type, struct err *err) MUST_USE;

/* Take in bytes until something is to be said; *used_r says how many.  *data_r is valid as long as the input
   and `m` are.  After MULTIPART_END and MULTIPART_BAD the same is answered to all that follows. */
enum multipart_event multipart_feed(struct multipart *m, const char *bytes, size_t len, size_t *used_r,
                                    const char **data_r, size_t *len_r);

/* Has the closing delimiter been seen?  A body that ends without was cut off. */
bool multipart_complete(const struct multipart *m);

void multipart_free(struct multipart *m);

#endif
