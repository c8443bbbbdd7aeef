/* worker_status.c - see worker_status.h */
#include "worker_status.h"

#include <stdint.h>
#include <stdio.h>

#include "http/server.h"
#include "net/breaker.h"
#include "runtime/loop.h"
#include "runtime/notify.h"

#define EVERY_MS 3000

static int64_t told_ms;
static uint64_t requests_then;

/* Those that are not closed: "openai open, redis half_open". */
static void
list_breakers(char *out, size_t size)
{
	struct breaker_view view;
	size_t used = 0;

	for (unsigned i = 0; used < size && breaker_view(i, &view); i++)
		if (view.state != BREAKER_CLOSED)
			used += (size_t)snprintf(out + used, size - used, "%s%s %s", used > 0 ? ", " : "", view.name,
			                         breaker_state_name(view.state));
	if (used == 0)
		snprintf(out, size, "all closed");
}

void
worker_status_tell(void)
{
	int64_t now_ms = loop_now_ms();
	uint64_t requests = server_requests();
	char breakers[160];

	if (!notify_wanted() || (told_ms != 0 && now_ms - told_ms < EVERY_MS))
		return;
	list_breakers(breakers, sizeof(breakers));
	notify_status("%s%u streams, %.1f requests/s; breakers: %s", server_is_draining() ? "Draining: " : "", server_load(),
	              told_ms != 0 ? (double)(requests - requests_then) * 1000 / (double)(now_ms - told_ms) : 0.0,
	              breakers);
	told_ms = now_ms;
	requests_then = requests;
}
