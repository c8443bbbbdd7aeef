/*
 * sample_zip.h - zip files for tests.
 */
#ifndef TESTS_SAMPLE_ZIP_H
#define TESTS_SAMPLE_ZIP_H

#include <stddef.h>

/* Make the file `path` with one entry that holds `count` times `text`, deflated.  Aborts the program if it cannot. */
void sample_zip(const char *path, const char *entry, const char *text, size_t count);

#endif
