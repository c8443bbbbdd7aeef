/*
 * upload_name.h - the names of files as people see them.  They never reach a disk.
 */
#ifndef STORE_UPLOAD_NAME_H
#define STORE_UPLOAD_NAME_H

#include <stddef.h>

#define UPLOAD_NAME_BYTES 256           /* with the NUL */
#define UPLOAD_DISPOSITION_BYTES 1100

/* A name that can be shown, from what a client sent: without directories, control characters, marks
   that turn the direction of writing, bytes that are no UTF-8; "file" where nothing is left.  A name that is too long
   loses its middle: what follows the last dot stays. */
void upload_name_clean(const char *sent, char name_r[UPLOAD_NAME_BYTES]);

/* The value of a Content-Disposition that offers it for saving (RFC 6266, RFC 8187). */
void upload_name_disposition(const char *name, char value_r[UPLOAD_DISPOSITION_BYTES]);

#endif
