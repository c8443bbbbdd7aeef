/*
 * tool_support.h - which models refuse to be offered tools, remembered for a while by this worker.
 */
#ifndef CHAT_TOOL_SUPPORT_H
#define CHAT_TOOL_SUPPORT_H

#include <stdbool.h>

#define TOOL_SUPPORT_FORGET_MS 600000

/* Has this model refused lately? */
bool tool_support_is_missing(const char *model);

void tool_support_note_missing(const char *model);

#endif
