/* peers.c - see runtime/peers.h */
#include "runtime/peers.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include "runtime/shm.h"

/* One who has not beaten for so long is stopped, stuck or dead. */
#define SILENT_MS 3000

struct peer {
	_Atomic int32_t pid;            /* 0: free */
	_Atomic uint32_t load;
	_Atomic uint32_t capacity;
	_Atomic uint32_t accepting;
	_Atomic int64_t beat_ms;
};

struct table {
	struct peer peers[PEERS_MAX];
};

static struct table *table;
static struct peer *own;

static bool
is_dead(int32_t pid)
{
	return kill(pid, 0) != 0 && errno == ESRCH;
}

void
peers_join(uint32_t capacity)
{
	int32_t pid = (int32_t)getpid();

	table = shm_section("peers.1", sizeof(*table));
	for (size_t i = 0; i < PEERS_MAX && own == NULL; i++) {
		struct peer *p = &table->peers[i];
		int32_t holder = p->pid;

		if (holder != 0 && holder != pid && !is_dead(holder))
			continue;
		if (atomic_compare_exchange_strong(&p->pid, &holder, pid))
			own = p;
	}
	if (own == NULL)
		return;
	own->load = 0;
	own->capacity = capacity;
	own->accepting = 0;
	own->beat_ms = 0;
}

void
peers_set_load(uint32_t load)
{
	if (own != NULL)
		atomic_store_explicit(&own->load, load, memory_order_relaxed);
}

void
peers_beat(int64_t now_ms, bool accepting)
{
	if (own == NULL)
		return;
	own->accepting = accepting;
	own->beat_ms = now_ms;
}

uint32_t
peers_lightest(int64_t now_ms)
{
	uint32_t lightest = UINT32_MAX;

	if (table == NULL)
		return lightest;
	for (size_t i = 0; i < PEERS_MAX; i++) {
		struct peer *p = &table->peers[i];

		if (p->pid == 0)
			continue;
		if (p == own || !p->accepting || now_ms - p->beat_ms > SILENT_MS)
			continue;
		uint32_t load = atomic_load_explicit(&p->load, memory_order_relaxed);

		if (load < p->capacity && load < lightest)
			lightest = load;
	}
	return lightest;
}

void
peers_leave(void)
{
	if (own == NULL)
		return;
	own->accepting = 0;
	own->pid = 0;
	own = NULL;
}
