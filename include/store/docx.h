/*
 * docx.h - the words of a DOCX file: those of word/document.xml (ECMA-376, WordprocessingML).
 */
#ifndef STORE_DOCX_H
#define STORE_DOCX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

/* Most of the unpacked document that is looked at. */
#define DOCX_XML_MAX_BYTES ((size_t)64 * 1024 * 1024)

/* Hand the text of the file `fd` to cb(arg, ...), piece by piece, until it answers false.  Paragraphs end in a line
   end.  0; 1 when there was more of it than is looked at; -1 when it is none.  Reads the disk and computes: for a
   process of its own. */
int docx_text(int fd, bool (*cb)(void *arg, const char *text, size_t len), void *arg) MUST_USE;

#endif
