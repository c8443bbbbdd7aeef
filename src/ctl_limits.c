/* ctl_limits.c - bakamectl limits: how much of a limit is used, in Redis and on this host; forgetting it */
#include "ctl_limits.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "config/config.h"
#include "guard/limit_redis.h"
#include "guard/limit_table.h"
#include "net/http_client.h"
#include "net/redis.h"
#include "runtime/errand.h"
#include "runtime/shm.h"

struct job {
	const char *key;
	struct limit limit;
	bool forget;
};

/* By what the key starts with; a user's own limit is in the database, and not looked up. */
static struct limit
limit_of(const char *key)
{
	const struct config_rate *rate = &config()->rate_limit_sign_in;

	if (key[0] == 'u')
		rate = &config()->rate_limit_user;
	else if (key[0] == 'g')
		rate = &config()->rate_limit_guest;
	return rate->count > 0 ? (struct limit){rate->count, rate->secs} : (struct limit){LIMIT_COUNT_MAX, 60};
}

static void
print_count(const char *where, const struct job *job, const struct limit_count *count)
{
	printf("%-10s %" PRId64 " of %" PRId64 " in the last %" PRId64 " s", where, count->hits, job->limit.count,
	       job->limit.window_secs);
	if (count->hits > 0)
		printf(", one less in %" PRId64 " s", (count->wait_us + 999999) / 1000000);
	putchar('\n');
}

static int
ask_redis(void *arg)
{
	const struct job *job = arg;
	struct limit_count count;
	struct err err = {0};
	int rc = job->forget ? limit_redis_forget(job->key, &err)
	                     : limit_redis_look(job->key, job->limit, &count, &err);

	if (rc == -1) {
		fprintf(stderr, "bakamectl: %s%s%s\n", err.message, err.cause[0] != '\0' ? " " : "", err.cause);
		return EX_UNAVAILABLE;
	}
	if (job->forget)
		puts("Redis      forgotten");
	else
		print_count("Redis", job, &count);
	return EX_OK;
}

static void
ask_host(const struct job *job)
{
	struct limit_count count;

	limit_table_start(config()->limiter_keys);
	if (job->forget)
		puts(limit_table_forget(job->key) ? "this host  forgotten" : "this host  nothing");
	else if (limit_table_look(job->key, job->limit, &count))
		print_count("this host", job, &count);
	else
		puts("this host  nothing");
}

static int
ask_both(struct job *job)
{
	struct err err;
	int status = EX_OK;

	/* who only looks does not make it; nor may root open what is another's as if to make it: proc(5), protected_regular */
	if (shm_attach(config()->shm_name, &err) == 0)
		ask_host(job);
	else
		printf("this host  nothing: %s\n", err.message);
	if (config_has(FEATURE_REDIS)) {
		http_client_start(1);
		redis_start();
		status = errand_run(ask_redis, job);
		redis_stop();
		http_client_stop();
		errand_end();
	}
	shm_stop();
	return status;
}

int
ctl_limits(int argc, char **argv)
{
	struct job job = {.forget = argc == 3};

	if (argc < 2 || (argc == 3 && strcmp(argv[2], "--forget") != 0)) {
		fputs("usage: bakamectl limits KEY [--forget], KEY as u:<user id>, g:<address>, g6:<prefix>/64\n", stderr);
		return EX_USAGE;
	}
	if (strlen(argv[1]) >= LIMIT_KEY_BYTES || strchr(argv[1], ':') == NULL) {
		fprintf(stderr, "bakamectl: %s is no key of a limit, as u:<user id>, g:<address>, g6:<prefix>/64\n", argv[1]);
		return EX_DATAERR;
	}
	if (config_load(stderr) == -1)
		return EX_CONFIG;
	if (sodium_init() == -1)
		return EX_SOFTWARE;
	job.key = argv[1];
	job.limit = limit_of(job.key);
	return ask_both(&job);
}
