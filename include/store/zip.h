/*
 * zip.h - looking into a zip file (minizip).  Everything here reads the disk and takes its time: in
 * worker and jobs call it by runtime/work.h.
 */
#ifndef STORE_ZIP_H
#define STORE_ZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

/* Is `fd` a zip file with an entry of this name? */
bool zip_has_entry(int fd, const char *name);

/* Unpack the entry piece by piece: each goes to cb(arg, ...), until it answers false, the entry ends, or `max`
   bytes were had.  The sizes that the file states count for nothing.  0 when the entry ended,
   1 when it was stopped, -1 when it cannot be read. */
int zip_read_entry(int fd, const char *name, size_t max, bool (*cb)(void *arg, const char *data, size_t len),
                   void *arg) MUST_USE;

#endif
