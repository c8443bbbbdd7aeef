/*
 * title.h - what a conversation is called: its first words, and when a job has asked the model, a title.
 */
#ifndef CHAT_TITLE_H
#define CHAT_TITLE_H

#include <stddef.h>

#include "base/json.h"
#include "store/queue.h"

/* The first words of what somebody says in a request's `messages`, into title_r. */
void title_by_first_words(struct json_object *body, char *title_r, size_t size);

/* Have the model asked for a title by a job; without a queue the first words stay.  Waits. */
void title_later(const char *user_id, const char *conversation_id);

/* The job "title". */
int title_run(const struct job *job, struct err *err) MUST_USE;

#endif
