/* tool_support.c - see chat/tool_support.h */
#include "chat/tool_support.h"

#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "runtime/loop.h"

/* Past this many the oldest is forgotten. */
#define MODELS_MAX 16

static struct {
	char name[200];                 /* as long as OPENAI_MODEL may be; a longer one is asked anew each time */
	int64_t until_ms;               /* 0: free */
} models[MODELS_MAX];

bool
tool_support_is_missing(const char *model)
{
	for (int i = 0; i < MODELS_MAX; i++)
		if (models[i].until_ms > loop_now_ms() && strcmp(models[i].name, model) == 0)
			return true;
	return false;
}

void
tool_support_note_missing(const char *model)
{
	int place = 0;

	for (int i = 1; i < MODELS_MAX; i++)
		if (models[i].until_ms < models[place].until_ms)
			place = i;
	text_copy(models[place].name, sizeof(models[place].name), model);
	models[place].until_ms = loop_now_ms() + TOOL_SUPPORT_FORGET_MS;
}
