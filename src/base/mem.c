/* mem.c - see base/mem.h */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *
checked(void *ptr)
{
	static const char complaint[] = "bakame: out of memory, this process ends\n";

	if (ptr == NULL) {
		ssize_t ignored = write(STDERR_FILENO, complaint, sizeof(complaint) - 1);
		(void)ignored;
		abort();
	}
	return ptr;
}

void *
mem_alloc(size_t size)
{
	return checked(calloc(1, size > 0 ? size : 1));
}

void *
mem_resize(void *ptr, size_t size)
{
	return checked(realloc(ptr, size > 0 ? size : 1));
}

char *
mem_strdup(const char *text)
{
	return checked(strdup(text));
}
