/* breadcrumbs.c - see telemetry/breadcrumbs.h */
#include "telemetry/breadcrumbs.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static void
drop_oldest(struct breadcrumbs *b)
{
	struct breadcrumb *crumb = b->oldest;

	b->oldest = crumb->next;
	if (b->oldest == NULL)
		b->newest = NULL;
	b->count--;
	free(crumb);
}

void
breadcrumbs_add(struct breadcrumbs *b, const struct timespec *when, enum log_level level, const char *text)
{
	size_t size = strnlen(text, BREADCRUMB_BYTES - 1) + 1;
	struct breadcrumb *crumb = mem_alloc(sizeof(*crumb) + size);

	crumb->when = *when;
	crumb->level = level;
	text_copy(crumb->text, size, text);
	if (b->count == BREADCRUMBS_MAX)
		drop_oldest(b);
	if (b->newest != NULL)
		b->newest->next = crumb;
	else
		b->oldest = crumb;
	b->newest = crumb;
	b->count++;
}

void
breadcrumbs_free(struct breadcrumbs *b)
{
	while (b->oldest != NULL)
		drop_oldest(b);
}
