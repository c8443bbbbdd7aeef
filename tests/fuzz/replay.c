/*
 * replay.c - feed files to a fuzzer without libFuzzer: all that are named, and all
 * in directories that are named.  Exit status 2 when one cannot be read; what the
 * fuzzer finds aborts, after the file's name was said.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"

/* Larger files are no corpus. */
#define FILE_MAX_BYTES ((size_t)4 * 1024 * 1024)

static unsigned replayed;

static bool
complain(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return false;
}

static bool
replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data, *exact;
	size_t len;

	if (f == NULL)
		return complain(path);
	data = malloc(FILE_MAX_BYTES);
	if (data == NULL)
		abort();
	len = fread(data, 1, FILE_MAX_BYTES, f);
	fclose(f);
	/* a block of just this size, so that sanitizers see reads past its end */
	exact = realloc(data, len > 0 ? len : 1);
	if (exact == NULL)
		abort();
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	replayed++;
	return true;
}

static bool
replay_directory(const char *path, DIR *dir)
{
	const struct dirent *entry;
	bool ok = true;

	while ((entry = readdir(dir)) != NULL) {
		char file[4096];

		if (entry->d_name[0] == '.')
			continue;
		if ((size_t)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name) >= sizeof(file)) {
			errno = ENAMETOOLONG;
			ok = complain(path);
		} else if (!replay_file(file)) {
			ok = false;
		}
	}
	return ok;
}

int
main(int argc, char **argv)
{
	bool ok = true;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);

		if (dir != NULL) {
			ok = replay_directory(argv[i], dir) && ok;
			closedir(dir);
		} else {
			ok = replay_file(argv[i]) && ok;
		}
	}
	printf("%u inputs replayed\n", replayed);
	return ok && replayed > 0 ? 0 : 2;
}
