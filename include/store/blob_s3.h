/*
 * blob_s3.h - blobs in a store that speaks S3, for store/blob.c.
 *
 * Addresses are <endpoint>/<bucket>/<id>, requests are signed by libcurl (AWS Signature Version 4).
 * docs.aws.amazon.com/AmazonS3/latest/API: PutObject, GetObject, DeleteObject.
 */
#ifndef STORE_BLOB_S3_H
#define STORE_BLOB_S3_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct http_call;

/* Is UPLOAD_S3_ENDPOINT set? */
bool blob_s3_used(void);

/* Put the file `fd` there.  -1 with *err: ERR_UNAVAILABLE.  Waits. */
int blob_s3_put(const char *id, int fd, int64_t size, const char *sha256, struct err *err) MUST_USE;

/* Begin to read.  The body is the call's; NULL with *err: ERR_NOT_FOUND, ERR_UNAVAILABLE.  Waits. */
struct http_call *blob_s3_get(const char *id, struct err *err) MUST_USE;

int blob_s3_remove(const char *id, struct err *err) MUST_USE;

#endif
