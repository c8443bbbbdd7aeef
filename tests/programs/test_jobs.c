/*
 * test_jobs.c - bakame-jobs (src/jobs.c) with kinds of jobs whose effects can be seen in Redis.
 *
 * Payloads are a number, or "".  Effects are scripts that carry the job's key, as effects must.
 */
#include <signal.h>
#include <unistd.h>

#include "base/text.h"
#include "handlers/jobs.h"
#include "net/redis.h"
#include "runtime/fiber.h"

#define HELD_LOOK_MS 20

static int64_t
number_of(const struct job *job)
{
	int64_t n = 0;

	(void)!text_to_int64(job->payload, 0, 1000000, &n);
	return n;
}

static int
eval(const struct job *job, const char *script, struct err *err)
{
	struct redis_value reply;

	return redis_command(redis_shared(), job->arena, &reply, err,
	                     REDIS_WORDS(REDIS_TEXT("EVAL"), REDIS_TEXT(script), REDIS_TEXT("0"), REDIS_TEXT(job->key)));
}

/* The effect: once per key, and how often it was tried again counted apart. */
static int
run_count(const struct job *job, struct err *err)
{
	if (number_of(job) > 0 && fiber_sleep(number_of(job), err) == -1)
		return -1;
	return eval(job,
	            "if redis.call('SADD', 'test:effects', ARGV[1]) == 1 then redis.call('INCR', 'test:count')\n"
	            "else redis.call('INCR', 'test:repeats') end return 1",
	            err);
}

/* Its key is "<group>:<number>"; what ran is noted in the group's order.  Fails as often as the payload says. */
static int
run_order(const struct job *job, struct err *err)
{
	if (eval(job, "return redis.call('RPUSH', 'test:ran:' .. string.match(ARGV[1], '^[^:]*'), ARGV[1])", err) == -1)
		return -1;
	if (job->tries <= number_of(job))
		return err_set(err, ERR_UPSTREAM, "This job fails %d times.", (int)number_of(job));
	return eval(job,
	            "if redis.call('SADD', 'test:effects', ARGV[1]) == 1 then\n"
	            "  redis.call('RPUSH', 'test:order:' .. string.match(ARGV[1], '^[^:]*'), ARGV[1])\n"
	            "end return 1",
	            err);
}

static int
run_fail(const struct job *job, struct err *err)
{
	if (job->tries <= number_of(job)) {
		err_set(err, ERR_UPSTREAM, "It failed.");
		return err_cause(err, "try %d of many", job->tries);
	}
	return run_count(job, err);
}

static int
run_hopeless(const struct job *job, struct err *err)
{
	(void)job;
	return err_set(err, ERR_UNPROCESSABLE, "No repetition mends this.");
}

/* Its service is away while the key test:away is there. */
static int
run_away(const struct job *job, struct err *err)
{
	struct redis_value reply;

	if (redis_command(redis_shared(), job->arena, &reply, err,
	                  REDIS_WORDS(REDIS_TEXT("EXISTS"), REDIS_TEXT("test:away"))) == -1)
		return -1;
	if (reply.integer > 0)
		return err_set(err, ERR_UNAVAILABLE, "The service is away.");
	return run_count(job, err);
}

/* Takes so many ms, and says that it began. */
static int
run_slow(const struct job *job, struct err *err)
{
	if (eval(job, "return redis.call('RPUSH', 'test:began', ARGV[1])", err) == -1 ||
	    fiber_sleep(number_of(job), err) == -1)
		return -1;
	return run_count(job, err);
}

/* Says that it began, and ends once the key test:go is there. */
static int
run_held(const struct job *job, struct err *err)
{
	struct redis_value reply;

	if (eval(job, "return redis.call('RPUSH', 'test:began', ARGV[1])", err) == -1)
		return -1;
	do {
		if (fiber_sleep(HELD_LOOK_MS, err) == -1 ||
		    redis_command(redis_shared(), job->arena, &reply, err,
		                  REDIS_WORDS(REDIS_TEXT("EXISTS"), REDIS_TEXT("test:go"))) == -1)
			return -1;
	} while (reply.integer == 0);
	return run_count(job, err);
}

static int
run_deadly(const struct job *job, struct err *err)
{
	(void)job;
	(void)err;
	kill(getpid(), SIGKILL);
	return 0;
}

const struct job_handler job_handlers[] = {
	{"count", run_count}, {"order", run_order}, {"fail", run_fail},     {"hopeless", run_hopeless},
	{"away", run_away},   {"slow", run_slow},   {"held", run_held},     {"deadly", run_deadly},
	{NULL, NULL},
};
