/* test_blob.c - files are kept whole or not at all, and are what their bytes say */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/ident.h"
#include "base/mem.h"
#include "config/config.h"
#include "in_fiber.h"
#include "sample_zip.h"
#include "store/blob.h"
#include "store/upload_type.h"
#include "store/zip.h"

#define ID "0a1b2c3d-0000-4000-8000-000000000001"
#define PNG "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\x06\0\0\0\x1f\x15\xc4\x89"

static char dir[] = "/tmp/test-blob-XXXXXX";
static char uploads[64];

static int
setup(void **state)
{
	(void)state;
	if (sodium_init() == -1 || mkdtemp(dir) == NULL)
		return -1;
	snprintf(uploads, sizeof(uploads), "%s/uploads", dir);
	setenv("UPLOAD_DIR", uploads, 1);
	setenv("BAKAME_ENV", "development", 1);
	return config_load(stderr);
}

static int
teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		return -1;
	upload_type_stop();
	config_unload();
	return in_fiber_teardown(state);
}

static unsigned
files_in(const char *name)
{
	char path[128];
	unsigned count = 0;
	struct dirent *entry;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", uploads, name);
	d = opendir(path);
	while (d != NULL && (entry = readdir(d)) != NULL)
		count += entry->d_name[0] != '.';
	if (d != NULL)
		closedir(d);
	return count;
}

/* Write and seal; the writer, or NULL with *err. */
static struct blob_writer *
write_blob(const char *data, size_t len, const char *name, struct blob_facts *facts, struct err *err)
{
	struct blob_writer *w = blob_begin(err);

	assert_non_null(w);
	if (blob_write(w, data, len, err) == -1 || blob_seal(w, name, facts, err) == -1)
		blob_discard(&w);
	return w;
}

static struct buffer
read_blob(const char *id)
{
	struct buffer all = BUFFER_INIT((size_t)64 * 1024 * 1024);
	struct err err;
	struct blob_reader *r = blob_open(id, &err);
	const char *data;
	size_t len;

	assert_non_null(r);
	do {
		assert_int_equal(blob_read(r, &data, &len, &err), 0);
		assert_int_equal(buffer_append(&all, data, len), 0);
	} while (len > 0);
	blob_close(&r);
	return all;
}

static void
keep_and_read(void *arg)
{
	const size_t len = (size_t)300 * 1024 + 7;      /* no multiple of what is written at once */
	char *data = mem_alloc(len), path[64], place[128];
	struct blob_facts facts;
	struct buffer back;
	struct stat st;
	struct blob_writer *w;
	struct err err;

	(void)arg;
	memset(data, 'x', len);
	w = write_blob(data, len, "x.txt", &facts, &err);
	assert_non_null(w);
	assert_int_equal(facts.size, len);
	assert_string_equal(facts.type, "text/plain");
	assert_int_equal(files_in("tmp"), 1);
	assert_int_equal(blob_keep(w, ID, &err), 0);
	blob_discard(&w);
	assert_int_equal(files_in("tmp"), 0);
	assert_true(blob_path(ID, path, sizeof(path)));
	assert_string_equal(path, "0a/1b/" ID);
	snprintf(place, sizeof(place), "%s/%s", uploads, path);
	assert_int_equal(stat(place, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	back = read_blob(ID);
	assert_int_equal(back.len, len);
	assert_memory_equal(back.data, data, len);
	buffer_free(&back);
	free(data);
	assert_int_equal(blob_remove(ID, &err), 0);
	assert_int_equal(access(place, F_OK), -1);
	assert_int_equal(blob_remove(ID, &err), 0);
	assert_null(blob_open(ID, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void
what_is_kept_is_read_again(void **state)
{
	(void)state;
	in_fiber(keep_and_read, NULL);
}

static void
hash_known_bytes(void *arg)
{
	struct blob_facts facts;
	struct err err;
	struct blob_writer *w = write_blob("abc", 3, "x", &facts, &err);

	(void)arg;
	/* FIPS 180-2, B.1 */
	assert_string_equal(facts.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	blob_discard(&w);
	assert_int_equal(files_in("tmp"), 0);
}

static void
the_hash_is_sha256_and_what_is_not_kept_is_gone(void **state)
{
	(void)state;
	in_fiber(hash_known_bytes, NULL);
}

static void
try_bad_ids(void *arg)
{
	static const char *const ids[] = {"", "..", "../../../../etc/passwd", "0a1b2c3d-0000-4000-8000-00000000000",
	                                  "0A1B2C3D-0000-4000-8000-000000000001",
	                                  "0a1b2c3d-0000-4000-8000-0000000000011", "0a1b2c3d/0000-4000-8000-000000000001"};
	char path[128];
	struct blob_facts facts;
	struct err err;

	(void)arg;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct blob_writer *w = write_blob("x", 1, "x", &facts, &err);

		assert_false(blob_path(ids[i], path, sizeof(path)));
		assert_null(blob_open(ids[i], &err));
		assert_int_equal(err.code, ERR_NOT_FOUND);
		assert_int_equal(blob_remove(ids[i], &err), 0);
		assert_int_equal(blob_keep(w, ids[i], &err), -1);
		blob_discard(&w);
	}
}

static void
only_ids_name_places(void **state)
{
	(void)state;
	in_fiber(try_bad_ids, NULL);
}

static void
fill_the_disk(void *arg)
{
	const size_t len = (size_t)1024 * 1024;
	char *data = mem_alloc(len);
	struct rlimit old, low = {.rlim_cur = 200000};
	struct blob_facts facts;
	struct err err;

	(void)arg;
	memset(data, 'x', len);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	assert_null(write_blob(data, len, "x", &facts, &err));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_true(err.retry_after_secs > 0);
	assert_non_null(strstr(err.message, "room"));
	assert_null(strstr(err.message, uploads));
	assert_int_equal(files_in("tmp"), 0);
	free(data);
}

static void
a_full_disk_is_told_and_leaves_nothing(void **state)
{
	(void)state;
	in_fiber(fill_the_disk, NULL);
}

static void
sweep(void *arg)
{
	char path[128], id[IDENT_BYTES];
	struct timespec times[2] = {{.tv_sec = time(NULL) - 7200}, {.tv_sec = time(NULL) - 7200}};

	(void)arg;
	for (int i = 0; i < 3; i++) {
		ident_new(id);
		snprintf(path, sizeof(path), "%s/tmp/%s", uploads, id);
		close(open(path, O_CREAT | O_WRONLY, 0600));
		if (i < 2)
			utimensat(AT_FDCWD, path, times, 0);
	}
	snprintf(path, sizeof(path), "%s/tmp/somebody's", uploads);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	utimensat(AT_FDCWD, path, times, 0);
	assert_int_equal(blob_sweep(3600), 2);
	assert_int_equal(files_in("tmp"), 2);
	unlink(path);
	assert_int_equal(blob_sweep(0), 1);
}

static void
the_sweep_removes_what_is_old_and_ours(void **state)
{
	(void)state;
	in_fiber(sweep, NULL);
}

/* ---- types ---- */

struct sample {
	const char *what;
	const char *bytes;
	size_t len;
	const char *name;
	const char *type;               /* NULL: is refused */
};
#define SAMPLE(what, text, name, type) {what, text, sizeof(text) - 1, name, type}

static const struct sample samples[] = {
    SAMPLE("PNG", PNG, "x.txt", "image/png"),
    SAMPLE("JPEG", "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0", "x", "image/jpeg"),
    SAMPLE("GIF", "GIF89a\1\0\1\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;", "x", "image/gif"),
    SAMPLE("WebP", "RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0\x30\1\0\x9d\1\x2a\1\0\1\0", "x", "image/webp"),
    SAMPLE("PDF", "%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n", "x.png", "application/pdf"),
    SAMPLE("text", "Muraho! Amakuru?\n", "x", "text/plain"),
    SAMPLE("text called an image", "Muraho! Amakuru?\n", "x.png", "text/plain"),
    SAMPLE("UTF-8", "D\xC3\xA9j\xC3\xA0 vu, na none.\n", "x.txt", "text/plain"),
    SAMPLE("UTF-16", "\xFF\xFEM\0u\0r\0a\0h\0o\0\n\0", "x.txt", "text/plain"),
    SAMPLE("Markdown", "# Title\n\nSome *text*.\n", "notes.MD", "text/markdown"),
    SAMPLE("CSV", "a,b,c\n1,2,3\n4,5,6\n7,8,9\n", "x.csv", "text/csv"),
    SAMPLE("JSON", "{\"a\": [1, 2, 3]}\n", "x.json", "application/json"),
    SAMPLE("C", "#include <stdio.h>\nint\nmain(void)\n{\n\treturn 0;\n}\n", "x.c", "text/plain"),
    SAMPLE("HTML", "<!DOCTYPE html>\n<html><script>alert(1)</script></html>\n", "x.txt", NULL),
    SAMPLE("SVG", "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>\n", "x.png", NULL),
    SAMPLE("ELF", "\x7f" "ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0\x3e\0\1\0\0\0", "x.pdf", NULL),
    SAMPLE("empty", "", "x.txt", NULL),
    SAMPLE("zip without documents", "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "x.docx", NULL),
    SAMPLE("a zip's beginning", "PK\3\4\x14\0\0\0\x08\0", "x.docx", NULL),
};

static void
tell_types(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct blob_facts facts = {0};
		struct err err = {0};
		struct blob_writer *w = write_blob(samples[i].bytes, samples[i].len, samples[i].name, &facts, &err);

		if (samples[i].type == NULL && w == NULL)
			assert_int_equal(err.code,
			                 samples[i].len > 0 ? ERR_UNSUPPORTED_MEDIA_TYPE : ERR_INVALID_REQUEST);
		else if (samples[i].type == NULL || w == NULL || strcmp(facts.type, samples[i].type) != 0)
			fail_msg("%s: %s", samples[i].what, w != NULL ? facts.type : err.message);
		blob_discard(&w);
	}
}

static void
the_type_is_what_the_bytes_say(void **state)
{
	(void)state;
	in_fiber(tell_types, NULL);
}

static void
hide_a_program_in_text(void *arg)
{
	const size_t len = (size_t)200 * 1024;
	char *data = mem_alloc(len);
	struct blob_facts facts;
	struct err err;

	(void)arg;
	memset(data, 'a', len);
	data[len - 10] = '\0';
	assert_null(write_blob(data, len, "x.txt", &facts, &err));
	assert_int_equal(err.code, ERR_UNSUPPORTED_MEDIA_TYPE);
	free(data);
}

static void
text_that_goes_on_as_something_else_is_refused(void **state)
{
	(void)state;
	in_fiber(hide_a_program_in_text, NULL);
}

static const char *
type_of_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY);
	const char *type = upload_type_of(fd, 1, true, "x.docx", err);

	close(fd);
	return type;
}

static void
a_docx_is_a_zip_with_a_document(void **state)
{
	char path[128];
	struct err err;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/sample.zip", dir);
	sample_zip(path, "word/document.xml", "<w:document/>", 1);
	assert_string_equal(type_of_file(path, &err),
	                    "application/vnd.openxmlformats-officedocument.wordprocessingml.document");
	sample_zip(path, "xl/workbook.xml", "<workbook/>", 1);
	assert_null(type_of_file(path, &err));
	assert_int_equal(err.code, ERR_UNSUPPORTED_MEDIA_TYPE);
	fd = open("/dev/null", O_RDONLY);
	assert_false(zip_has_entry(fd, "x"));
	close(fd);
}

struct taken {
	size_t len, pieces, at_most;
};

static bool
take_cb(void *arg, const char *data, size_t len)
{
	struct taken *t = arg;

	(void)data;
	t->len += len;
	return ++t->pieces < t->at_most;
}

static void
a_zip_bomb_is_unpacked_no_further_than_wanted(void **state)
{
	struct taken t = {.at_most = SIZE_MAX};
	char path[128];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/bomb.zip", dir);
	sample_zip(path, "word/document.xml", "0123456789012345678901234567890123456789", 100000);
	fd = open(path, O_RDONLY);
	assert_int_equal(zip_read_entry(fd, "word/document.xml", SIZE_MAX, take_cb, &t), 0);
	assert_int_equal(t.len, 4000000);
	t.len = 0;
	assert_int_equal(zip_read_entry(fd, "word/document.xml", 100000, take_cb, &t), 1);
	assert_int_equal(t.len, 100000);
	t = (struct taken){.at_most = 2};
	assert_int_equal(zip_read_entry(fd, "word/document.xml", SIZE_MAX, take_cb, &t), 1);
	assert_int_equal(t.pieces, 2);
	assert_int_equal(zip_read_entry(fd, "other", SIZE_MAX, take_cb, &t), -1);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_kept_is_read_again),
	    cmocka_unit_test(the_hash_is_sha256_and_what_is_not_kept_is_gone),
	    cmocka_unit_test(only_ids_name_places),
	    cmocka_unit_test(a_full_disk_is_told_and_leaves_nothing),
	    cmocka_unit_test(the_sweep_removes_what_is_old_and_ours),
	    cmocka_unit_test(the_type_is_what_the_bytes_say),
	    cmocka_unit_test(text_that_goes_on_as_something_else_is_refused),
	    cmocka_unit_test(a_docx_is_a_zip_with_a_document),
	    cmocka_unit_test(a_zip_bomb_is_unpacked_no_further_than_wanted),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
