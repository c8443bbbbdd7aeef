/* jobs.c - the kinds of jobs: what is done behind the replies, in one table */
#include "handlers/jobs.h"

#include "chat/title.h"
#include "store/turns.h"
#include "store/uploads.h"
#include "store/usage.h"

const struct job_handler job_handlers[] = {
	{"store_turn", turns_run_begin},
	{"store_answer", turns_run_end},
	{"title", title_run},
	{"extract_text", uploads_run_extract},
	{"settle_tokens", usage_run_settle},
	{NULL, NULL},
};
