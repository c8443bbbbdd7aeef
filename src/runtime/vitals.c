/* vitals.c - see runtime/vitals.h */
#include "runtime/vitals.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/loop.h"
#include "telemetry/metrics.h"

#define COUNT_EVERY_TICKS 10
/* Where the kernel does not tell how many descriptors there are: thousands take milliseconds to list. */
#define LIST_EVERY_COUNTS 6

static int64_t
list_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int64_t count = 0;

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count - 3;               /* ".", "..", and the directory's own */
}

/* Since Linux 6.2 the directory's size is their number (proc(5)). */
static int64_t
count_fds(void)
{
	static unsigned counts;
	static int64_t listed;
	struct stat dir;

	if (stat("/proc/self/fd", &dir) == 0 && dir.st_size > 0)
		return dir.st_size;
	if (counts++ % LIST_EVERY_COUNTS == 0)
		listed = list_fds();
	return listed;
}

static int64_t
resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long total, resident = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%ld %ld", &total, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * sysconf(_SC_PAGESIZE);
}

void
vitals_tick(unsigned every_ms)
{
	static uint64_t due_ns;
	static unsigned ticks;
	uint64_t now_ns = uv_hrtime();

	metric_set(GAUGE_LOOP_LAG_US, due_ns != 0 && now_ns > due_ns ? (int64_t)((now_ns - due_ns) / 1000) : 0);
	due_ns = now_ns + every_ms * 1000000ULL;
	if (ticks++ % COUNT_EVERY_TICKS != 0)
		return;
	metric_set(GAUGE_OPEN_FDS, count_fds());
	metric_set(GAUGE_RESIDENT_BYTES, resident_bytes());
}
