/* blob.c - see store/blob.h */
#include "store/blob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/ident.h"
#include "base/text.h"
#include "config/config.h"
#include "net/http_client.h"
#include "runtime/loop.h"
#include "runtime/work.h"
#include "store/blob_s3.h"
#include "store/upload_type.h"

#define PIECE_BYTES ((size_t)64 * 1024)
#define PATH_BYTES 1280                 /* UPLOAD_DIR has at most 1,024 */
/* The group is the front's, which may have to read them: see UPLOAD_SEND. */
#define DIR_MODE 0750
#define FILE_MODE 0640
/* A store that says nothing for so long is away. */
#define S3_SILENCE_MS 30000

struct blob_writer {
	int fd;
	bool kept;
	bool has_nul;
	char path[PATH_BYTES];          /* in tmp */
	char place[PATH_BYTES];         /* once kept */
	char *piece;                    /* not yet written */
	size_t piece_len;
	int64_t size;
	crypto_hash_sha256_state hash;
	char sha256[BLOB_SHA256_BYTES]; /* once sealed */
	/* of the work that runs off the loop */
	const char *name;
	struct blob_facts *facts;
	struct err *err;
	int rc;
};

struct blob_reader {
	int fd;                         /* -1: `call` it is */
	struct http_call *call;
	size_t unconsumed;
	char *piece;
	ssize_t piece_len;
	struct err *err;
	char path[PATH_BYTES];
};

/* What a failed system call means to the person. */
static int
io_error(struct err *err, const char *what)
{
	int number = errno;

	if (number == ENOSPC || number == EDQUOT || number == EFBIG) {
		err_set(err, ERR_UNAVAILABLE, "There is no room left for files here; try again later.");
		err->retry_after_secs = 60;
	} else if (number == ENOENT || number == EACCES || number == EROFS || number == ENOTDIR) {
		err_set(err, ERR_UNAVAILABLE, "Files cannot be kept here at the moment; try again later.");
		err->retry_after_secs = 60;
	} else {
		err_set(err, ERR_INTERNAL, "The file could not be kept.");
	}
	return err_cause(err, "%s: %s", what, strerror(number));
}

static bool
place_path(const char *id, char *path, size_t size)
{
	const char *dir = config()->upload_dir;

	return ident_is_valid(id) && (size_t)snprintf(path, size, "%s/%.2s/%.2s/%s", dir, id, id + 2, id) < size;
}

bool
blob_path(const char *id, char *path, size_t size)
{
	return !blob_s3_used() && ident_is_valid(id) &&
	       (size_t)snprintf(path, size, "%.2s/%.2s/%s", id, id + 2, id) < size;
}

/* ---- writing: the functions with an `arg` run off the loop ---- */

static int
make_dir(const char *path)
{
	return mkdir(path, DIR_MODE) == 0 || errno == EEXIST ? 0 : -1;
}

static void
open_temporary(void *arg)
{
	struct blob_writer *w = arg;
	char id[IDENT_BYTES], *slash;

	ident_new(id);
	snprintf(w->path, sizeof(w->path), "%s/tmp/%s", config()->upload_dir, id);
	w->fd = open(w->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
	if (w->fd == -1 && errno == ENOENT) {
		slash = strrchr(w->path, '/');
		*slash = '\0';
		if (make_dir(config()->upload_dir) == 0 && make_dir(w->path) == 0) {
			*slash = '/';
			w->fd = open(w->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
		}
	}
	w->rc = w->fd != -1 ? 0 : io_error(w->err, "open in UPLOAD_DIR");
}

struct blob_writer *
blob_begin(struct err *err)
{
	struct blob_writer *w = mem_alloc(sizeof(*w));

	w->err = err;
	work_run(open_temporary, w);
	if (w->rc == -1) {
		free(w);
		return NULL;
	}
	w->piece = mem_alloc(PIECE_BYTES);
	crypto_hash_sha256_init(&w->hash);
	return w;
}

static int
write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static void
write_piece(void *arg)
{
	struct blob_writer *w = arg;

	crypto_hash_sha256_update(&w->hash, (const unsigned char *)w->piece, w->piece_len);
	w->has_nul = w->has_nul || memchr(w->piece, '\0', w->piece_len) != NULL;
	w->rc = write_all(w->fd, w->piece, w->piece_len);
	if (w->rc == -1)
		io_error(w->err, "write to UPLOAD_DIR");
	w->size += (int64_t)w->piece_len;
	w->piece_len = 0;
}

int
blob_write(struct blob_writer *w, const char *data, size_t len, struct err *err)
{
	while (len > 0) {
		size_t room = PIECE_BYTES - w->piece_len;
		size_t n = len < room ? len : room;

		memcpy(w->piece + w->piece_len, data, n);
		w->piece_len += n;
		data += n;
		len -= n;
		if (w->piece_len < PIECE_BYTES)
			continue;
		w->err = err;
		work_run(write_piece, w);
		if (w->rc == -1)
			return -1;
	}
	return 0;
}

static void
seal(void *arg)
{
	struct blob_writer *w = arg;
	unsigned char digest[crypto_hash_sha256_BYTES];

	write_piece(w);
	if (w->rc == -1)
		return;
	crypto_hash_sha256_final(&w->hash, digest);
	sodium_bin2hex(w->sha256, sizeof(w->sha256), digest, sizeof(digest));
	text_copy(w->facts->sha256, sizeof(w->facts->sha256), w->sha256);
	w->facts->size = w->size;
	w->facts->type = upload_type_of(w->fd, w->size, w->has_nul, w->name, w->err);
	w->rc = w->facts->type != NULL ? 0 : -1;
}

int
blob_seal(struct blob_writer *w, const char *name, struct blob_facts *facts, struct err *err)
{
	w->err = err;
	w->name = name;
	w->facts = facts;
	work_run(seal, w);
	free(w->piece);
	w->piece = NULL;
	return w->rc;
}

static int
sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd == -1)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

/* Make the two directories above the place, and what makes them last. */
static int
make_place(char *place)
{
	char *leaf = strrchr(place, '/'), *middle;
	int rc = -1;

	*leaf = '\0';
	middle = strrchr(place, '/');
	if (access(place, F_OK) == 0) {
		*leaf = '/';
		return 0;
	}
	*middle = '\0';
	if (make_dir(place) == 0 && sync_dir(config()->upload_dir) == 0) {
		*middle = '/';
		rc = make_dir(place);
		*middle = '\0';
		if (rc == 0)
			rc = sync_dir(place);
	}
	*middle = '/';
	*leaf = '/';
	return rc;
}

static void
put_in_place(void *arg)
{
	struct blob_writer *w = arg;
	char *leaf = strrchr(w->place, '/');

	w->rc = -1;
	if (fsync(w->fd) == 0 && make_place(w->place) == 0 && rename(w->path, w->place) == 0) {
		*leaf = '\0';
		w->rc = sync_dir(w->place);
		*leaf = '/';
		w->kept = true;
	}
	if (w->rc == -1)
		io_error(w->err, "rename in UPLOAD_DIR");
}

int
blob_keep(struct blob_writer *w, const char *id, struct err *err)
{
	if (blob_s3_used())
		return blob_s3_put(id, w->fd, w->size, w->sha256, err);
	if (!place_path(id, w->place, sizeof(w->place)))
		return err_set(err, ERR_INTERNAL, "The file could not be kept.");
	w->err = err;
	work_run(put_in_place, w);
	return w->rc;
}

static void
close_temporary(void *arg)
{
	struct blob_writer *w = arg;

	if (!w->kept)
		unlink(w->path);
	close(w->fd);
}

void
blob_discard(struct blob_writer **w_p)
{
	struct blob_writer *w = *w_p;

	if (w == NULL)
		return;
	work_run(close_temporary, w);
	free(w->piece);
	free(w);
	*w_p = NULL;
}

/* ---- removing ---- */

struct removal {
	char path[PATH_BYTES];
	struct err *err;
	int rc;
};

static void
remove_file(void *arg)
{
	struct removal *r = arg;

	r->rc = unlink(r->path) == 0 || errno == ENOENT || errno == ENOTDIR ? 0 : io_error(r->err, "unlink in UPLOAD_DIR");
}

int
blob_remove(const char *id, struct err *err)
{
	struct removal r = {.err = err};

	if (blob_s3_used())
		return blob_s3_remove(id, err);
	if (!place_path(id, r.path, sizeof(r.path)))
		return 0;
	work_run(remove_file, &r);
	return r.rc;
}

struct sweep {
	int64_t age_secs;
	unsigned removed;
};

static void
sweep_temporary(void *arg)
{
	struct sweep *s = arg;
	char path[PATH_BYTES];
	time_t now = time(NULL);
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/tmp", config()->upload_dir);
	dir = opendir(path);
	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		struct stat st;

		if (!ident_is_valid(entry->d_name) || fstatat(dirfd(dir), entry->d_name, &st, 0) == -1)
			continue;
		if (now - st.st_mtime >= s->age_secs && unlinkat(dirfd(dir), entry->d_name, 0) == 0)
			s->removed++;
	}
	closedir(dir);
}

unsigned
blob_sweep(int64_t age_secs)
{
	struct sweep s = {.age_secs = age_secs};

	work_run(sweep_temporary, &s);
	return s.removed;
}

/* ---- reading ---- */

static void
open_place(void *arg)
{
	struct blob_reader *r = arg;

	r->fd = open(r->path, O_RDONLY | O_CLOEXEC);
	if (r->fd != -1)
		return;
	if (errno == ENOENT)
		err_set(r->err, ERR_NOT_FOUND, "There is no such file.");
	else
		io_error(r->err, "open in UPLOAD_DIR");
}

struct blob_reader *
blob_open(const char *id, struct err *err)
{
	struct blob_reader *r = mem_alloc(sizeof(*r));

	r->fd = -1;
	r->err = err;
	if (blob_s3_used())
		r->call = blob_s3_get(id, err);
	else if (place_path(id, r->path, sizeof(r->path)))
		work_run(open_place, r);
	else
		err_set(err, ERR_NOT_FOUND, "There is no such file.");
	if (r->fd == -1 && r->call == NULL) {
		free(r);
		return NULL;
	}
	if (r->fd != -1)
		r->piece = mem_alloc(PIECE_BYTES);
	return r;
}

static void
read_piece(void *arg)
{
	struct blob_reader *r = arg;

	do
		r->piece_len = read(r->fd, r->piece, PIECE_BYTES);
	while (r->piece_len == -1 && errno == EINTR);
	if (r->piece_len == -1)
		io_error(r->err, "read from UPLOAD_DIR");
}

static int
read_call(struct blob_reader *r, const char **data_r, size_t *len_r, struct err *err)
{
	http_consume(r->call, r->unconsumed);
	r->unconsumed = 0;
	switch (http_read(r->call, loop_now_ms() + S3_SILENCE_MS, data_r, len_r, err)) {
	case HTTP_READY:
		r->unconsumed = *len_r;
		return 0;
	case HTTP_END:
		*len_r = 0;
		return 0;
	case HTTP_TIMEOUT:
		return err_set(err, ERR_UPSTREAM_TIMEOUT, "The store of files does not answer.");
	case HTTP_FAILED:
	case HTTP_CANCELLED:
		break;
	}
	return -1;
}

int
blob_read(struct blob_reader *r, const char **data_r, size_t *len_r, struct err *err)
{
	if (r->call != NULL)
		return read_call(r, data_r, len_r, err);
	r->err = err;
	work_run(read_piece, r);
	if (r->piece_len == -1)
		return -1;
	*data_r = r->piece;
	*len_r = (size_t)r->piece_len;
	return 0;
}

void
blob_close(struct blob_reader **r_p)
{
	struct blob_reader *r = *r_p;

	if (r == NULL)
		return;
	http_close(&r->call);
	if (r->fd != -1)
		close(r->fd);
	free(r->piece);
	free(r);
	*r_p = NULL;
}

/* From the store into a file without a name.  Takes over the descriptor of `w` on success. */
static int
copy_to(struct blob_writer *w, struct blob_reader *r, struct err *err)
{
	const char *data;
	size_t len;

	for (;;) {
		if (blob_read(r, &data, &len, err) == -1)
			return -1;
		if (len == 0)
			break;
		if (blob_write(w, data, len, err) == -1)
			return -1;
	}
	w->err = err;
	work_run(write_piece, w);
	if (w->rc == -1)
		return -1;
	if (lseek(w->fd, 0, SEEK_SET) == -1)
		return io_error(err, "seek in UPLOAD_DIR");
	return 0;
}

int
blob_fetch(const char *id, struct err *err)
{
	struct blob_reader *r = blob_open(id, err);
	struct blob_writer *w;
	int fd = -1;

	if (r == NULL)
		return -1;
	if (r->call == NULL) {
		fd = r->fd;
		r->fd = -1;
		blob_close(&r);
		return fd;
	}
	w = blob_begin(err);
	if (w != NULL && copy_to(w, r, err) == 0)
		fd = dup(w->fd);
	blob_discard(&w);
	blob_close(&r);
	return fd;
}
