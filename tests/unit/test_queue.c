/* test_queue.c - the queue's steps against a private redis-server, one after the other */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "in_fiber.h"
#include "net/breaker.h"
#include "net/redis.h"
#include "redis_process.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "store/queue.h"
#include "store/queue_scripts.h"

#define W(text) REDIS_TEXT(text)
#define ARENA_BYTES ((size_t)16 * 1024 * 1024)

static struct redis_process server;

static int
start_server(void **state)
{
	(void)state;
	setenv("BAKAME_ENV", "development", 1);
	setenv("REDIS_TIMEOUT_MS", "60000", 1);
	setenv("QUEUE_MAX_JOBS", "100", 1);
	redis_process_start(&server);
	setenv("REDIS_URL", server.url, 1);
	return 0;
}

static int
end_server(void **state)
{
	redis_process_end(&server);
	return in_fiber_teardown(state);
}

static struct redis_value
ask(struct arena *a, const struct redis_word *words, size_t count)
{
	struct redis_value v;
	struct err err;

	if (redis_command(redis_shared(), a, &v, &err, words, count) == -1)
		fail_msg("%s %s", err.message, err.cause);
	return v;
}

static struct redis_value
eval(struct arena *a, enum queue_script script, const struct redis_word *words, size_t count)
{
	struct redis_value v;
	struct err err;

	if (queue_eval(a, script, &v, &err, words, count) == -1)
		fail_msg("%s %s", err.message, err.cause);
	return v;
}

static void (*checked)(struct arena *a);

static void
flush_and_check(void *arg)
{
	struct arena *a = arena_new(ARENA_BYTES);

	(void)arg;
	ask(a, REDIS_WORDS(W("FLUSHALL")));
	checked(a);
	arena_free(&a);
}

/* Run check in a fiber with an empty queue. */
static void
with_queue(void (*check)(struct arena *a))
{
	assert_int_equal(config_load(stderr), 0);
	breakers_start();
	redis_start();
	checked = check;
	in_fiber(flush_and_check, NULL);
	redis_stop();
	config_unload();
}

static int
add(const char *group, const char *key)
{
	struct err err;
	int rc = group != NULL ? queue_add_in_order(group, "kind", key, "{}", 2, &err)
	                       : queue_add("kind", key, "{}", 2, &err);

	if (rc == -1)
		fail_msg("%s %s", err.message, err.cause);
	return rc;
}

/* Take up to `most` jobs as `consumer`; claims what was idle for `idle_ms` (0: does not).  How many; *died_r died. */
static size_t
take(struct arena *a, const char *consumer, int64_t most, int64_t idle_ms, struct job jobs[], int64_t *died_r)
{
	char count[QUEUE_NUMBER_BYTES], idle[QUEUE_NUMBER_BYTES];
	struct redis_value v = eval(a, QUEUE_TAKE,
	                            REDIS_WORDS(W(consumer), queue_number(count, most), queue_number(idle, idle_ms), W("3"),
	                                        W("2")));

	assert_int_equal(v.count, 3);
	if (died_r != NULL)
		*died_r = v.items[1].integer;
	for (size_t i = 0; i < v.items[0].count; i++)
		assert_int_equal(queue_job_parse(&v.items[0].items[i], &jobs[i]), 0);
	return v.items[0].count;
}

static struct job
take_one(struct arena *a, const char *consumer)
{
	struct job job = {0};

	assert_int_equal(take(a, consumer, 1, 0, &job, NULL), 1);
	return job;
}

static int64_t
done(struct arena *a, const struct job *job)
{
	return eval(a, QUEUE_DONE, REDIS_WORDS(W(job->id), W(job->entry), W("3600"))).integer;
}

/* Its failure, as `verdict` has it; what the queue made of it. */
static const char *
failed(struct arena *a, const struct job *job, const char *consumer, const char *verdict, int64_t *dropped_r)
{
	struct redis_value v = eval(a, QUEUE_FAIL,
	                            REDIS_WORDS(W(job->id), W(job->entry), W(consumer), W("why"), W("0"), W(verdict),
	                                        W("5"), W("2")));

	if (dropped_r != NULL)
		*dropped_r = v.items[1].integer;
	return v.items[0].text;
}

static struct queue_stats
stats(void)
{
	struct queue_stats s;
	struct err err;

	assert_int_equal(queue_stats(&s, &err), 0);
	return s;
}

static void
expect(int64_t waiting, int64_t running, int64_t delayed, int64_t dead)
{
	struct queue_stats s = stats();

	assert_int_equal(s.waiting, waiting);
	assert_int_equal(s.running, running);
	assert_int_equal(s.delayed, delayed);
	assert_int_equal(s.dead, dead);
}

static void
check_life(struct arena *a)
{
	struct job job;
	struct err err;

	assert_int_equal(add(NULL, "one"), 1);
	assert_int_equal(add(NULL, "one"), 0);
	assert_int_equal(queue_add("other kind", "one", "", 0, &err), 1);
	expect(2, 0, 0, 0);
	job = take_one(a, "me");
	assert_string_equal(job.kind, "kind");
	assert_string_equal(job.key, "one");
	assert_string_equal(job.payload, "{}");
	assert_int_equal(job.tries, 1);
	expect(1, 1, 0, 0);
	assert_int_equal(add(NULL, "one"), 0);
	assert_int_equal(done(a, &job), 1);
	assert_int_equal(done(a, &job), 0);
	assert_int_equal(add(NULL, "one"), 0);
	job = take_one(a, "me");
	assert_string_equal(job.kind, "other kind");
	assert_int_equal(job.payload_len, 0);
	assert_int_equal(done(a, &job), 1);
	expect(0, 0, 0, 0);
	assert_int_equal(take(a, "me", 8, 0, &job, NULL), 0);
}

static void
a_job_is_added_taken_and_done_once(void **state)
{
	(void)state;
	with_queue(check_life);
}

static void
check_tries(struct arena *a)
{
	struct job job;

	add(NULL, "one");
	for (int i = 1; i <= 3; i++) {          /* no tries */
		job = take_one(a, "me");
		assert_int_equal(job.postponed, i - 1);
		assert_string_equal(failed(a, &job, "me", "later", NULL), "again");
		expect(0, 0, 1, 0);
	}
	for (int i = 1; i <= 5; i++) {
		job = take_one(a, "me");
		assert_int_equal(job.tries, i);
		assert_string_equal(failed(a, &job, "me", "again", NULL), i < 5 ? "again" : "dead");
	}
	expect(0, 0, 0, 1);
	assert_int_equal(add(NULL, "one"), 0);
}

static void
so_many_tries_and_it_is_dead_but_not_for_a_service_that_is_away(void **state)
{
	(void)state;
	with_queue(check_tries);
}

static void
check_dead(struct arena *a)
{
	struct queue_item *items;
	struct err err;
	int64_t dropped;

	for (int i = 0; i < 3; i++) {
		struct job job;

		add(NULL, arena_printf(a, "key %d", i));
		job = take_one(a, "me");
		assert_string_equal(failed(a, &job, "me", "dead", &dropped), "dead");
		/* the most there may be are 2 here */
		assert_int_equal(dropped, i == 2);
	}
	assert_int_equal(queue_list(a, true, 0, 10, &items, &err), 2);
	assert_string_equal(items[0].key, "key 1");
	assert_string_equal(items[0].state, "dead");
	assert_string_equal(items[0].error, "why");
	assert_int_equal(items[0].tries, 1);
	assert_int_equal(queue_list(a, true, 2, 10, &items, &err), 0);
	assert_int_equal(queue_list(a, false, 0, 10, &items, &err), 0);
	assert_int_equal(add(NULL, "key 0"), 1);        /* it is forgotten */
}

static void
of_too_many_dead_letters_the_oldest_goes(void **state)
{
	(void)state;
	with_queue(check_dead);
}

static void
check_order(struct arena *a)
{
	struct job jobs[8];
	struct err err;

	assert_int_equal(queue_group_is_busy("g", &err), 0);
	for (int i = 0; i < 4; i++)
		add("g", arena_printf(a, "%d", i));
	assert_int_equal(queue_group_is_busy("g", &err), 1);
	assert_int_equal(queue_group_is_busy("other", &err), 0);
	assert_int_equal(take(a, "me", 8, 0, jobs, NULL), 1);
	assert_string_equal(jobs[0].key, "0");
	assert_int_equal(take(a, "other", 8, 0, jobs + 1, NULL), 0);
	/* one that waits for another try holds them back */
	assert_string_equal(failed(a, &jobs[0], "me", "again", NULL), "again");
	assert_int_equal(take(a, "other", 8, 0, jobs, NULL), 1);
	assert_string_equal(jobs[0].key, "0");
	assert_int_equal(done(a, &jobs[0]), 1);
	assert_int_equal(take(a, "me", 8, 0, jobs, NULL), 1);
	assert_string_equal(jobs[0].key, "1");
	/* one that is dead does not */
	assert_string_equal(failed(a, &jobs[0], "me", "dead", NULL), "dead");
	assert_int_equal(take(a, "me", 8, 0, jobs + 1, NULL), 1);
	assert_string_equal(jobs[1].key, "2");
	/* tried anew it is behind the others */
	assert_int_equal(queue_retry(jobs[0].id, &err), 1);
	assert_int_equal(done(a, &jobs[1]), 1);
	jobs[1] = take_one(a, "me");
	assert_string_equal(jobs[1].key, "3");
	assert_int_equal(done(a, &jobs[1]), 1);
	jobs[1] = take_one(a, "me");
	assert_string_equal(jobs[1].key, "1");
	assert_int_equal(done(a, &jobs[1]), 1);
	assert_int_equal(queue_group_is_busy("g", &err), 0);
	assert_int_equal(ask(a, REDIS_WORDS(W("EXISTS"), W("{bakame:queue}:jobs"))).integer, 0);
}

static void
a_group_has_one_job_at_a_time_in_order(void **state)
{
	(void)state;
	with_queue(check_order);
}

static const char *
id_of(const char *key)
{
	static char id[QUEUE_ID_BYTES];

	queue_hash(id, (const char *const[]){"kind", key}, 2);
	return id;
}

static void
check_drop(struct arena *a)
{
	struct queue_item *items;
	struct job job;
	struct err err;

	for (int i = 0; i < 3; i++)
		add("g", arena_printf(a, "%d", i));
	assert_int_equal(queue_list(a, false, 0, 10, &items, &err), 3);
	assert_int_equal(queue_drop(id_of("1"), &err), 1);
	assert_int_equal(queue_drop(id_of("1"), &err), 0);
	assert_int_equal(queue_drop("no such job", &err), 0);
	assert_int_equal(queue_retry(id_of("0"), &err), 0);    /* it is not dead */
	job = take_one(a, "me");
	assert_string_equal(job.key, "0");
	assert_int_equal(queue_drop(job.id, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_int_equal(done(a, &job), 1);
	/* the first of a group makes way for the next, though it is in the stream */
	add("g", "3");
	assert_int_equal(queue_drop(id_of("2"), &err), 1);
	job = take_one(a, "me");
	assert_string_equal(job.key, "3");
	assert_int_equal(done(a, &job), 1);
	expect(0, 0, 0, 0);
	/* and one in the middle leaves the others in place */
	for (int i = 10; i < 13; i++)
		add("g", arena_printf(a, "%d", i));
	assert_int_equal(queue_drop(id_of("11"), &err), 1);
	job = take_one(a, "me");
	assert_int_equal(done(a, &job), 1);
	job = take_one(a, "me");
	assert_string_equal(job.key, "12");
}

static void
what_is_dropped_is_gone_and_holds_nobody_back(void **state)
{
	(void)state;
	with_queue(check_drop);
}

static void
check_claim(struct arena *a)
{
	struct job mine, jobs[8];
	struct redis_value lost;
	int64_t died;
	struct err err;

	add("g", "one");
	add("g", "two");
	mine = take_one(a, "dead one");
	assert_int_equal(take(a, "me", 8, 3600000, jobs, &died), 0);
	assert_int_equal(fiber_sleep(30, &err), 0);
	assert_int_equal(take(a, "me", 8, 20, jobs, &died), 1);
	assert_string_equal(jobs[0].key, "one");
	/* who has lost it hears so, and what he says of a failure is not heard */
	lost = eval(a, QUEUE_BEAT, REDIS_WORDS(W("dead one"), W(mine.entry)));
	assert_int_equal(lost.count, 1);
	assert_string_equal(lost.items[0].text, mine.entry);
	assert_int_equal(eval(a, QUEUE_BEAT, REDIS_WORDS(W("me"), W(jobs[0].entry))).count, 0);
	assert_string_equal(failed(a, &mine, "dead one", "dead", NULL), "lost");
	assert_int_equal(eval(a, QUEUE_GIVE_BACK, REDIS_WORDS(W(mine.id), W(mine.entry), W("dead one"))).integer, 0);
	/* but that it is done is heard */
	assert_string_equal(failed(a, &jobs[0], "me", "again", NULL), "again");
	assert_int_equal(done(a, &mine), 1);
	jobs[0] = take_one(a, "me");
	assert_string_equal(jobs[0].key, "two");
	expect(0, 1, 0, 0);
}

static void
the_jobs_of_who_is_not_heard_of_are_anothers(void **state)
{
	(void)state;
	with_queue(check_claim);
}

static void
check_deadly(struct arena *a)
{
	struct job job;
	int64_t died = 0;
	struct err err;

	add("g", "deadly");
	add("g", "next");
	take_one(a, "consumer 0");
	for (int i = 1; i <= 3; i++) {          /* as often as it may be lost here */
		assert_int_equal(fiber_sleep(5, &err), 0);
		assert_int_equal(take(a, arena_printf(a, "consumer %d", i), 1, 1, &job, &died), 1);
		assert_string_equal(job.key, "deadly");
		assert_int_equal(died, 0);
	}
	assert_int_equal(fiber_sleep(5, &err), 0);
	assert_int_equal(take(a, "last", 1, 1, &job, &died), 1);
	assert_string_equal(job.key, "next");
	assert_int_equal(died, 1);
	expect(0, 1, 0, 1);
}

static void
a_job_that_is_lost_with_each_consumer_is_given_up(void **state)
{
	(void)state;
	with_queue(check_deadly);
}

static void
check_give_back(struct arena *a)
{
	struct job job;

	add("g", "one");
	add("g", "two");
	job = take_one(a, "me");
	assert_int_equal(eval(a, QUEUE_GIVE_BACK, REDIS_WORDS(W(job.id), W(job.entry), W("me"))).integer, 1);
	job = take_one(a, "other");
	assert_string_equal(job.key, "one");
	assert_int_equal(job.tries, 1);
}

static void
a_job_that_is_given_back_is_as_it_was(void **state)
{
	(void)state;
	with_queue(check_give_back);
}

static void
check_consumers(struct arena *a)
{
	struct job job;

	add(NULL, "one");
	add(NULL, "two");
	take_one(a, "busy");
	job = take_one(a, "idle");
	done(a, &job);
	eval(a, QUEUE_LEAVE, REDIS_WORDS(W("busy"), W("3600000")));
	eval(a, QUEUE_LEAVE, REDIS_WORDS(W("idle"), W("3600000")));
	assert_int_equal(ask(a, REDIS_WORDS(W("XINFO"), W("CONSUMERS"), W("{bakame:queue}:ready"), W("jobs"))).count, 1);
}

static void
who_leaves_with_work_in_hand_is_not_forgotten(void **state)
{
	(void)state;
	with_queue(check_consumers);
}

static void
check_limits(struct arena *a)
{
	struct err err;
	char *large = arena_alloc(a, QUEUE_PAYLOAD_MAX_BYTES + 2);

	memset(large, 'x', QUEUE_PAYLOAD_MAX_BYTES + 1);
	assert_int_equal(queue_add("kind", "large", large, QUEUE_PAYLOAD_MAX_BYTES + 1, &err), -1);
	assert_int_equal(err.code, ERR_PAYLOAD_TOO_LARGE);
	assert_int_equal(queue_add("kind", "large", large, QUEUE_PAYLOAD_MAX_BYTES, &err), 1);
	for (int i = 1; i < 100; i++)
		assert_int_equal(add(NULL, arena_printf(a, "%d", i)), 1);
	assert_int_equal(queue_add("kind", "one more", "{}", 2, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	expect(100, 0, 0, 0);
}

static void
it_holds_so_many_and_then_says_so(void **state)
{
	(void)state;
	with_queue(check_limits);
}

static void
check_types(struct arena *a)
{
	static const char *const keys[] = {"ready", "jobs", "group:%s", "job:%s"};
	const char *group = "g", *const parts[] = {"kind", "one"};
	char group_hash[QUEUE_ID_BYTES], id[QUEUE_ID_BYTES];
	struct err err;

	queue_hash(group_hash, &group, 1);
	queue_hash(id, parts, 2);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *key = arena_printf(a, "{bakame:queue}:%.*s%s", (int)strcspn(keys[i], "%"), keys[i],
		                               i == 2 ? group_hash : i == 3 ? id : "");

		ask(a, REDIS_WORDS(W("FLUSHALL")));
		ask(a, REDIS_WORDS(W("SADD"), W(key), W("something else")));
		assert_int_equal(queue_add_in_order("g", "kind", "one", "{}", 2, &err), -1);
		assert_int_equal(err.code, ERR_UNAVAILABLE);
		/* and nothing of it is there */
		ask(a, REDIS_WORDS(W("DEL"), W(key)));
		assert_int_equal(ask(a, REDIS_WORDS(W("DBSIZE"))).integer, 0);
	}
}

static void
under_keys_of_another_type_nothing_is_half_added(void **state)
{
	(void)state;
	with_queue(check_types);
}

static void
ids_of_different_jobs_differ(void **state)
{
	const char *const parts[][2] = {{"a", "bc"}, {"ab", "c"}, {"abc", ""}, {"", "abc"}};
	char ids[4][QUEUE_ID_BYTES];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		queue_hash(ids[i], parts[i], 2);
		assert_int_equal(strlen(ids[i]), QUEUE_ID_BYTES - 1);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(ids[i], ids[j]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_job_is_added_taken_and_done_once),
	    cmocka_unit_test(so_many_tries_and_it_is_dead_but_not_for_a_service_that_is_away),
	    cmocka_unit_test(of_too_many_dead_letters_the_oldest_goes),
	    cmocka_unit_test(a_group_has_one_job_at_a_time_in_order),
	    cmocka_unit_test(what_is_dropped_is_gone_and_holds_nobody_back),
	    cmocka_unit_test(the_jobs_of_who_is_not_heard_of_are_anothers),
	    cmocka_unit_test(a_job_that_is_lost_with_each_consumer_is_given_up),
	    cmocka_unit_test(a_job_that_is_given_back_is_as_it_was),
	    cmocka_unit_test(who_leaves_with_work_in_hand_is_not_forgotten),
	    cmocka_unit_test(it_holds_so_many_and_then_says_so),
	    cmocka_unit_test(under_keys_of_another_type_nothing_is_half_added),
	    cmocka_unit_test(ids_of_different_jobs_differ),
	};

	if (sodium_init() == -1)
		return 1;
	return cmocka_run_group_tests_name("queue", tests, start_server, end_server);
}
