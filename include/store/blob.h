/*
 * blob.h - the bytes of uploads: in a directory, or in a store that speaks S3.
 *
 * What arrives is written to UPLOAD_DIR/tmp as it comes, 64 KiB at a time and off the loop, hashed on the way, and
 * put in its place only when it is whole.  Places are named by ids of ours and by nothing else:
 * UPLOAD_DIR/ab/cd/<id>, or <bucket>/<id> where UPLOAD_S3_ENDPOINT is set.
 * What a killed worker left in tmp is removed by blob_sweep().
 */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define BLOB_SHA256_BYTES 65            /* in hexadecimal, with the NUL */

struct blob_writer;

/* A new file that is in nobody's way.  NULL with *err: ERR_UNAVAILABLE where there is no room or no directory.
   Free with blob_discard().  Waits. */
struct blob_writer *blob_begin(struct err *err) MUST_USE;

/* Add bytes.  -1 with *err: ERR_UNAVAILABLE, the disk is full; ERR_INTERNAL.  Waits. */
int blob_write(struct blob_writer *w, const char *data, size_t len, struct err *err) MUST_USE;

struct blob_facts {
	int64_t size;
	char sha256[BLOB_SHA256_BYTES];
	const char *type;               /* see store/upload_type.h */
};

/* No more bytes come: what has come?  -1 with *err as blob_write() and upload_type_of().  Waits. */
int blob_seal(struct blob_writer *w, const char *name, struct blob_facts *facts_r, struct err *err) MUST_USE;

/* Put it in the place of `id`, safely on the disk.  -1 with *err as blob_write(), or what the S3 server says.  Waits. */
int blob_keep(struct blob_writer *w, const char *id, struct err *err) MUST_USE;

/* Free; what was not kept is gone.  Sets *w to NULL.  Waits. */
void blob_discard(struct blob_writer **w);

/* Remove it; no error when there is none.  Waits. */
int blob_remove(const char *id, struct err *err) MUST_USE;

/* Reading, from the start.  NULL with *err: ERR_NOT_FOUND, ERR_UNAVAILABLE.  Close with blob_close().  Waits. */
struct blob_reader;
struct blob_reader *blob_open(const char *id, struct err *err) MUST_USE;

/* The next bytes, valid until the next call; *len_r is 0 at the end.  Waits. */
int blob_read(struct blob_reader *r, const char **data_r, size_t *len_r, struct err *err) MUST_USE;
void blob_close(struct blob_reader **r);

/* A descriptor of the whole file, for a child; close(2) it.  From S3 it is fetched first.  -1 with *err.  Waits. */
int blob_fetch(const char *id, struct err *err) MUST_USE;

/* Where the file is below UPLOAD_DIR, for a front that sends it: "ab/cd/<id>".  False where no file of ours is it (S3). */
bool blob_path(const char *id, char *path_r, size_t size);

/* Remove what is older than `age_secs` in tmp; how many.  Waits. */
unsigned blob_sweep(int64_t age_secs);

#endif
