/* ctl_jobs.c - bakamectl jobs: what the queue holds, and its dead letters */
#include "ctl_jobs.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "config/config.h"
#include "net/breaker.h"
#include "net/http_client.h"
#include "net/redis.h"
#include "runtime/errand.h"
#include "store/queue.h"

/* A page of a list: longer texts than usual are in it, each up to 1 KiB. */
#define PAGE 200
#define PAGE_MAX_BYTES ((size_t)4 * 1024 * 1024)

struct errand {
	int (*run)(const char *id);             /* NULL id: all */
	const char *id;
};

static int
complain(const struct err *err)
{
	fprintf(stderr, "bakamectl: %s%s%s%s\n", err->message, err->cause[0] != '\0' ? " (" : "", err->cause,
	        err->cause[0] != '\0' ? ")" : "");
	return err->code == ERR_CONFLICT ? EX_TEMPFAIL : EX_UNAVAILABLE;
}

/* On one line, and without what a terminal would obey. */
static void
print_text(const char *text)
{
	for (; *text != '\0'; text++)
		putchar((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
}

static void
print_item(const struct queue_item *item)
{
	printf("%s  %-7s  %2" PRId64 " tries  %7" PRId64 " s  ", item->id, item->state, item->tries, item->age_secs);
	print_text(item->kind);
	putchar(' ');
	print_text(item->key);
	if (item->error[0] != '\0') {
		fputs(": ", stdout);
		print_text(item->error);
	}
	putchar('\n');
}

static int
list(bool dead)
{
	int64_t offset = 0;
	int count;

	do {
		struct arena *a = arena_new(PAGE_MAX_BYTES);
		struct queue_item *items;
		struct err err;

		count = queue_list(a, dead, offset, PAGE, &items, &err);
		for (int i = 0; i < count; i++)
			print_item(&items[i]);
		offset += PAGE;
		arena_free(&a);
		if (count == -1)
			return complain(&err);
	} while (count == PAGE);
	return EX_OK;
}

static int
run_list(const char *id)
{
	int status;

	(void)id;
	status = list(true);
	return status == EX_OK ? list(false) : status;
}

static int
run_stats(const char *id)
{
	struct queue_stats stats;
	struct err err;

	(void)id;
	if (queue_stats(&stats, &err) == -1)
		return complain(&err);
	printf("waiting %" PRId64 "\nrunning %" PRId64 "\ndelayed %" PRId64 "\ndead %" PRId64 "\noldest %" PRId64 " s\n",
	       stats.waiting, stats.running, stats.delayed, stats.dead, stats.oldest_secs);
	return EX_OK;
}

/* All dead letters there are; those that die meanwhile may be among them or not. */
static int
each_dead(int (*change)(const char *id, struct err *err), int *changed)
{
	struct queue_stats stats;
	struct err err;

	if (queue_stats(&stats, &err) == -1)
		return complain(&err);
	while (stats.dead > 0) {
		struct arena *a = arena_new(PAGE_MAX_BYTES);
		struct queue_item *items;
		int count = queue_list(a, true, 0, stats.dead < PAGE ? stats.dead : PAGE, &items, &err);
		int rc = count;

		for (int i = 0; i < count && rc != -1; i++) {
			rc = change(items[i].id, &err);
			*changed += rc > 0;
		}
		arena_free(&a);
		if (rc == -1)
			return complain(&err);
		if (count == 0)
			break;
		stats.dead -= count;
	}
	return EX_OK;
}

static int
change(const char *id, int (*change_one)(const char *id, struct err *err), const char *done)
{
	struct err err;
	int changed = 0, status = EX_OK;

	if (strcmp(id, "all") == 0)
		status = each_dead(change_one, &changed);
	else if ((changed = change_one(id, &err)) == -1)
		return complain(&err);
	printf("%d %s\n", changed, done);
	if (changed == 0 && status == EX_OK && strcmp(id, "all") != 0) {
		fprintf(stderr, "bakamectl: there is no such job\n");
		return EX_DATAERR;
	}
	return status;
}

static int
run_retry(const char *id)
{
	return change(id, queue_retry, "to be tried again");
}

static int
run_drop(const char *id)
{
	return change(id, queue_drop, "dropped");
}

static const struct {
	const char *name;
	bool wants_id;
	int (*run)(const char *id);
} actions[] = {
	{"list", false, run_list},
	{"stats", false, run_stats},
	{"retry", true, run_retry},
	{"drop", true, run_drop},
};

static int
run_errand(void *arg)
{
	const struct errand *e = arg;

	return e->run(e->id);
}

static int
run_with_redis(struct errand *e)
{
	int status;

	if (config_load(stderr) == -1)
		return EX_CONFIG;
	if (!config_has(FEATURE_REDIS)) {
		fputs("bakamectl: REDIS_URL is not set: there is no queue\n", stderr);
		return EX_CONFIG;
	}
	if (sodium_init() == -1)
		return EX_SOFTWARE;
	log_init("bakamectl", LOG_LEVEL_ERROR, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	http_client_start(1);
	breakers_start();
	redis_start();
	status = errand_run(run_errand, e);
	redis_stop();
	http_client_stop();
	errand_end();
	return status;
}

int
ctl_jobs(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(actions) / sizeof(actions[0]); i++) {
		struct errand e = {.run = actions[i].run, .id = argc > 2 ? argv[2] : NULL};

		if (strcmp(argv[1], actions[i].name) == 0 && actions[i].wants_id == (e.id != NULL))
			return run_with_redis(&e);
	}
	fputs("usage: bakamectl jobs list\n"
	      "       bakamectl jobs stats\n"
	      "       bakamectl jobs retry ID | all\n"
	      "       bakamectl jobs drop ID | all\n",
	      stderr);
	return EX_USAGE;
}
