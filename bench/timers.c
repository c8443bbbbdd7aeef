#include "timers.h"

#include "common.h"

static void
put(struct timers *timers, size_t place, struct timer *timer)
{
	timers->heap[place - 1] = timer;
	timer->place = place;
}

static void
sift_up(struct timers *timers, size_t place, struct timer *timer)
{
	while (place > 1 && timers->heap[place / 2 - 1]->due_us > timer->due_us) {
		put(timers, place, timers->heap[place / 2 - 1]);
		place /= 2;
	}
	put(timers, place, timer);
}

static void
sift_down(struct timers *timers, size_t place, struct timer *timer)
{
	for (;;) {
		size_t child = place * 2;

		if (child > timers->count)
			break;
		if (child < timers->count && timers->heap[child]->due_us < timers->heap[child - 1]->due_us)
			child++;
		if (timers->heap[child - 1]->due_us >= timer->due_us)
			break;
		put(timers, place, timers->heap[child - 1]);
		place = child;
	}
	put(timers, place, timer);
}

void
timer_set(struct timers *timers, struct timer *timer, int64_t due_us)
{
	timer_cancel(timers, timer);
	timer->due_us = due_us;
	if (timers->count == timers->room) {
		timers->room = timers->room > 0 ? timers->room * 2 : 1024;
		timers->heap = must_realloc(timers->heap, timers->room * sizeof(*timers->heap));
	}
	timers->count++;
	sift_up(timers, timers->count, timer);
}

void
timer_cancel(struct timers *timers, struct timer *timer)
{
	size_t place = timer->place;
	struct timer *last;

	if (place == 0)
		return;
	timer->place = 0;
	last = timers->heap[--timers->count];
	if (last == timer)
		return;
	if (place > 1 && timers->heap[place / 2 - 1]->due_us > last->due_us)
		sift_up(timers, place, last);
	else
		sift_down(timers, place, last);
}

struct timer *
timers_take_due(struct timers *timers, int64_t now)
{
	struct timer *first;

	if (timers->count == 0 || timers->heap[0]->due_us > now)
		return NULL;
	first = timers->heap[0];
	timer_cancel(timers, first);
	return first;
}

int
timers_wait_ms(const struct timers *timers, int64_t now, int max_ms)
{
	int64_t wait_ms;

	if (timers->count == 0)
		return max_ms;
	wait_ms = (timers->heap[0]->due_us - now + 999) / 1000;
	if (wait_ms < 0)
		return 0;
	return wait_ms < max_ms ? (int)wait_ms : max_ms;
}
