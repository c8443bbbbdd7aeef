/* shm.c - see runtime/shm.h */
#include "runtime/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "telemetry/log.h"

/* Address space, not memory: pages come into being when touched. */
#define REGION_BYTES ((size_t)256 * 1024 * 1024)
#define SECTIONS_MAX 32
#define SECTION_NAME_BYTES 32
#define ALIGN ((size_t)4096)

struct section {
	char name[SECTION_NAME_BYTES];  /* "" where free */
	uint64_t offset;
	uint64_t size;
};

/* At the start of the region.  Changed only under the file's lock, which the
   kernel lets go of when its holder dies; `used` counts only finished entries. */
struct directory {
	_Atomic uint32_t used;
	struct section sections[SECTIONS_MAX];
};

struct private_section {
	struct private_section *next;
	char name[SECTION_NAME_BYTES];
	size_t size;
	void *memory;
};

/* Who fills in a new section, if anybody. */
struct maker {
	int (*make)(void *memory, void *arg);
	void *arg;
};

static struct {
	int fd;
	char *base;                     /* NULL: nothing shared */
	struct private_section *private_sections;
} shm = {.fd = -1};

static int
lock_region(short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
	int rc;

	do
		rc = fcntl(shm.fd, F_OFD_SETLKW, &lock);
	while (rc == -1 && errno == EINTR);
	return rc;
}

/* Under the lock: of two first comers only one sizes the object. */
static int
size_region(void)
{
	struct stat st;

	if (fstat(shm.fd, &st) != 0)
		return -1;
	if ((size_t)st.st_size >= REGION_BYTES)         /* never smaller: others have it mapped */
		return 0;
	return ftruncate(shm.fd, (off_t)REGION_BYTES);
}

/* What to do about errno. */
static const char *
advice(int flags)
{
	if (errno != EACCES)
		return "";
	return flags & O_CREAT ? "; workers of another user made it: when they have ended, remove it from /dev/shm"
	                       : "; run this as root";
}

static int
open_region(const char *name, int flags, struct err *err)
{
	void *base;
	int sized;

	shm.fd = shm_open(name, O_RDWR | O_CLOEXEC | flags, 0600);
	if (shm.fd == -1)
		goto failed;
	if (lock_region(F_WRLCK) != 0)
		goto failed;
	sized = size_region();
	(void)lock_region(F_UNLCK);
	if (sized != 0)
		goto failed;
	base = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, shm.fd, 0);
	if (base == MAP_FAILED)
		goto failed;
	shm.base = base;
	return 0;

failed:
	err_set(err, ERR_INTERNAL, "Shared memory %s cannot be had: %s%s.", name, strerror(errno), advice(flags));
	shm_stop();
	return -1;
}

int
shm_start(const char *name, struct err *err)
{
	return open_region(name, O_CREAT, err);
}

int
shm_attach(const char *name, struct err *err)
{
	return open_region(name, 0, err);
}

static struct section *
find_section(struct directory *dir, const char *name, size_t size)
{
	for (uint32_t i = 0; i < dir->used && i < SECTIONS_MAX; i++)
		if (strcmp(dir->sections[i].name, name) == 0 && dir->sections[i].size == size)
			return &dir->sections[i];
	return NULL;
}

static struct section *
add_section(struct directory *dir, const char *name, size_t size, const struct maker *maker)
{
	uint64_t offset = (sizeof(*dir) + ALIGN - 1) / ALIGN * ALIGN;
	struct section *s;

	if (dir->used >= SECTIONS_MAX)
		return NULL;
	if (dir->used > 0) {
		s = &dir->sections[dir->used - 1];
		offset = (s->offset + s->size + ALIGN - 1) / ALIGN * ALIGN;
	}
	if (offset > REGION_BYTES || size > REGION_BYTES - offset)
		return NULL;
	s = &dir->sections[dir->used];
	text_copy(s->name, sizeof(s->name), name);
	s->offset = offset;
	s->size = size;
	/* who died while making a section here, or had no room to, may have left something */
	(void)madvise(shm.base + offset, (size + ALIGN - 1) / ALIGN * ALIGN, MADV_REMOVE);
	if (maker->make != NULL && maker->make(shm.base + offset, maker->arg) == -1) {
		s->name[0] = '\0';
		return NULL;
	}
	/* only a finished entry counts, wherever we are killed */
	atomic_fetch_add_explicit(&dir->used, 1, memory_order_release);
	return s;
}

static void *
shared_section(const char *name, size_t size, const struct maker *maker)
{
	struct directory *dir = (struct directory *)shm.base;
	struct section *s;

	if (lock_region(F_WRLCK) != 0)
		return NULL;
	s = find_section(dir, name, size);
	if (s == NULL)
		s = add_section(dir, name, size, maker);
	(void)lock_region(F_UNLCK);
	return s != NULL ? shm.base + s->offset : NULL;
}

static void *
private_section(const char *name, size_t size, const struct maker *maker)
{
	struct private_section *p;

	for (p = shm.private_sections; p != NULL; p = p->next)
		if (strcmp(p->name, name) == 0 && p->size == size)
			return p->memory;
	if (shm.base != NULL)
		LOG_WARN(&log_root, "shared memory has no room for a section: this process keeps it to itself",
		         LOG_STR("section", name), LOG_INT("bytes", size));
	p = mem_alloc(sizeof(*p));
	text_copy(p->name, sizeof(p->name), name);
	p->size = size;
	p->memory = mem_alloc(size);
	if (maker->make != NULL)
		(void)maker->make(p->memory, maker->arg);
	p->next = shm.private_sections;
	shm.private_sections = p;
	return p->memory;
}

static void *
section(const char *name, size_t size, const struct maker *maker)
{
	void *memory = shm.base != NULL ? shared_section(name, size, maker) : NULL;

	return memory != NULL ? memory : private_section(name, size, maker);
}

void *
shm_section(const char *name, size_t size)
{
	return section(name, size, &(const struct maker){0});
}

void *
shm_section_made(const char *name, size_t size, int (*make)(void *memory, void *arg), void *arg)
{
	return section(name, size, &(const struct maker){make, arg});
}

int
shm_reserve(void *part, size_t size)
{
	uintptr_t from = (uintptr_t)part, base = (uintptr_t)shm.base;
	int rc;

	if (shm.base == NULL || from < base || from >= base + REGION_BYTES)
		return 0;
	do
		rc = fallocate(shm.fd, FALLOC_FL_KEEP_SIZE, (off_t)(from - base), (off_t)size);
	while (rc == -1 && errno == EINTR);
	return rc;
}

bool
shm_is_shared(void)
{
	return shm.base != NULL;
}

void
shm_stop(void)
{
	if (shm.base != NULL)
		munmap(shm.base, REGION_BYTES);
	shm.base = NULL;
	if (shm.fd != -1)
		close(shm.fd);
	shm.fd = -1;
	while (shm.private_sections != NULL) {
		struct private_section *p = shm.private_sections;

		shm.private_sections = p->next;
		free(p->memory);
		free(p);
	}
}
