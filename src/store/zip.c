/* zip.c - see store/zip.h */
#include "store/zip.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <unzip.h>

#include "base/mem.h"

#define PIECE_BYTES 16384
#define CASE_COUNTS 1

/* ---- minizip reads files by name; here it reads a descriptor that may not be opened again ---- */

struct source {
	int fd;
	int64_t at;
};

static voidpf ZCALLBACK
open_cb(voidpf opaque, const void *name, int mode)
{
	struct source *s = mem_alloc(sizeof(*s));

	(void)name;
	(void)mode;
	s->fd = *(const int *)opaque;
	return s;
}

static uLong ZCALLBACK
read_cb(voidpf opaque, voidpf stream, void *data, uLong size)
{
	struct source *s = stream;
	ssize_t len;

	(void)opaque;
	do
		len = pread(s->fd, data, size, s->at);
	while (len == -1 && errno == EINTR);
	if (len == -1)
		return 0;
	s->at += len;
	return (uLong)len;
}

static ZPOS64_T ZCALLBACK
tell_cb(voidpf opaque, voidpf stream)
{
	const struct source *s = stream;

	(void)opaque;
	return (ZPOS64_T)s->at;
}

static long ZCALLBACK
seek_cb(voidpf opaque, voidpf stream, ZPOS64_T offset, int origin)
{
	struct source *s = stream;
	int64_t base = origin == ZLIB_FILEFUNC_SEEK_CUR ? s->at : 0;

	(void)opaque;
	if (origin == ZLIB_FILEFUNC_SEEK_END)
		base = lseek(s->fd, 0, SEEK_END);
	if (base < 0 || offset > (ZPOS64_T)(INT64_MAX - base))
		return -1;
	s->at = base + (int64_t)offset;
	return 0;
}

static int ZCALLBACK
close_cb(voidpf opaque, voidpf stream)
{
	(void)opaque;
	free(stream);
	return 0;
}

static int ZCALLBACK
error_cb(voidpf opaque, voidpf stream)
{
	(void)opaque;
	(void)stream;
	return 0;
}

/* The entry `name` of the file, found; NULL if there is none. */
static unzFile
find_entry(int fd, const char *name)
{
	zlib_filefunc64_def functions = {
	    .zopen64_file = open_cb,
	    .zread_file = read_cb,
	    .ztell64_file = tell_cb,
	    .zseek64_file = seek_cb,
	    .zclose_file = close_cb,
	    .zerror_file = error_cb,
	    .opaque = &fd,
	};
	unzFile zip = unzOpen2_64("", &functions);

	if (zip != NULL && unzLocateFile(zip, name, CASE_COUNTS) != UNZ_OK) {
		unzClose(zip);
		zip = NULL;
	}
	return zip;
}

bool
zip_has_entry(int fd, const char *name)
{
	unzFile zip = find_entry(fd, name);

	if (zip != NULL)
		unzClose(zip);
	return zip != NULL;
}

static int
read_all(unzFile zip, size_t max, bool (*cb)(void *arg, const char *data, size_t len), void *arg)
{
	char piece[PIECE_BYTES];

	for (size_t done = 0; done < max;) {
		size_t want = max - done < sizeof(piece) ? max - done : sizeof(piece);
		int len = unzReadCurrentFile(zip, piece, (unsigned)want);

		if (len <= 0)
			return len;
		done += (size_t)len;
		if (!cb(arg, piece, (size_t)len))
			return 1;
	}
	return 1;
}

int
zip_read_entry(int fd, const char *name, size_t max, bool (*cb)(void *arg, const char *data, size_t len), void *arg)
{
	unzFile zip = find_entry(fd, name);
	int rc = -1;

	if (zip == NULL)
		return -1;
	if (unzOpenCurrentFile(zip) == UNZ_OK) {
		rc = read_all(zip, max, cb, arg);
		/* a checksum that is wrong shows only here */
		if (unzCloseCurrentFile(zip) != UNZ_OK && rc == 0)
			rc = -1;
	}
	unzClose(zip);
	return rc < 0 ? -1 : rc;
}
