/*
 * peers.h - the workers of the host as they see each other: who lives, and how
 * much each carries.  In shared memory; nothing here waits.
 */
#ifndef RUNTIME_PEERS_H
#define RUNTIME_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#define PEERS_MAX 256

/* Enter the table.  Without a free place the worker is simply not seen. */
void peers_join(uint32_t capacity);

/* Say how many connections are open here; call at each change. */
void peers_set_load(uint32_t load);

/* Say that this worker lives and whether it takes requests; call about once a second. */
void peers_beat(int64_t now_ms, bool accepting);

/* The smallest load among the other live and accepting workers that
   have room left; UINT32_MAX when there is none. */
uint32_t peers_lightest(int64_t now_ms);

void peers_leave(void);

#endif
