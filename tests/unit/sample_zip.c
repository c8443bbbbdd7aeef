/* sample_zip.c - see sample_zip.h */
#include "sample_zip.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>

static void
require(int rc)
{
	if (rc != ZIP_OK)
		abort();
}

void
sample_zip(const char *path, const char *entry, const char *text, size_t count)
{
	zipFile zip = zipOpen64(path, APPEND_STATUS_CREATE);

	if (zip == NULL)
		abort();
	require(zipOpenNewFileInZip(zip, entry, NULL, NULL, 0, NULL, 0, NULL, Z_DEFLATED, 9));
	while (count-- > 0)
		require(zipWriteInFileInZip(zip, text, (unsigned)strlen(text)));
	require(zipCloseFileInZip(zip));
	require(zipClose(zip, NULL));
}
