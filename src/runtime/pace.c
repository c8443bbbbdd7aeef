/* pace.c - see runtime/pace.h */
#include "runtime/pace.h"

#include <stdint.h>
#include <time.h>
#include <uv.h>

void
pace_wait(void)
{
	static uint64_t looked_ns;
	uint64_t now = uv_hrtime(), due = looked_ns + PACE_NS;

	if (now < due) {
		const struct timespec left = {.tv_nsec = (long)(due - now)};

		nanosleep(&left, NULL);
		now = due;
	}
	looked_ns = now;
}
