/*
 * cache_record.h - a value as the cache keeps it.  For the files of the cache.
 *
 * In Redis it is text, which REST can carry too:
 *
 *	BK1 <fetched, Unix ms> <ttl, ms> <form> <length>\n<data>
 *
 * `form` is p (data is the value), b (base64 of it), z (base64 of it compressed, RFC 1950)
 * or n (there is no such thing; data is the message), `length` that of the value.
 * Redis' clock sets the first number and compares it: the script that looks.
 * What comes back is checked to the last byte: others may have written under our key.
 */
#ifndef NET_CACHE_RECORD_H
#define NET_CACHE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"

/* Values longer than this are compressed. */
#define CACHE_COMPRESS_BYTES ((size_t)4096)
/* Longer ones are packed and unpacked off the loop. */
#define CACHE_WORK_BYTES ((size_t)64 * 1024)
/* No record is longer: 1 MiB that does not compress, in base64, and its header. */
#define CACHE_RECORD_MAX_BYTES ((size_t)1536 * 1024)

enum cache_form { CACHE_PLAIN = 'p', CACHE_BASE64 = 'b', CACHE_COMPRESSED = 'z', CACHE_NEGATIVE = 'n' };

struct cache_record {
	enum cache_form form;
	size_t raw_len;                 /* of the value */
	const char *data;               /* NULL: none */
	size_t len;
};

/* Make the record of a value of at most CACHE_VALUE_MAX_BYTES.  What it allocates is in *room, to
   be freed with free(); the record may also point to `value` itself.  May wait. */
void cache_record_pack(const char *value, size_t len, struct cache_record *record_r, char **room_r);

/* The value of a record, added to `out`.  -1 when the record is corrupt.  Never writes more than
   CACHE_VALUE_MAX_BYTES, whatever the data would unpack to.  May wait. */
int cache_record_unpack(const struct cache_record *record, struct buffer *out) MUST_USE;

/* Read what stands in Redis; the record points into `text`.  -1 when it is none. */
int cache_record_parse(const char *text, size_t len, struct cache_record *record_r) MUST_USE;

/* How a fetch failed, as text for Redis and back: "!<type> <retry after, s> <message>".
   Reading anything else gives ERR_UPSTREAM. */
void cache_failure_print(const struct err *err, char *out, size_t size);
void cache_failure_parse(const char *text, size_t len, struct err *err_r);
#define CACHE_FAILURE_BYTES 480

/* "There is no such thing" with the message of a negative record, which is checked. */
void cache_negative_err(const struct cache_record *record, struct err *err_r);

#endif
