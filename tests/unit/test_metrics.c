/* test_metrics.c - series, histograms, gauges, and what happens when the table is full */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "fork_tied.h"
#include "telemetry/metrics.h"

static struct buffer text;

static unsigned yields;

/* In the place of the C library's. */
int
sched_yield(void)
{
	yields++;
	return 0;
}

static int
start(void **state)
{
	void *memory = mmap(NULL, metrics_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	metrics_use(memory);
	*state = memory;
	return 0;
}

static int
stop(void **state)
{
	metrics_use(NULL);
	munmap(*state, metrics_size());
	buffer_free(&text);
	return 0;
}

/* All that is exposed, a fresh look. */
static const char *
exposed(void)
{
	buffer_free(&text);
	text = BUFFER_INIT((size_t)1 << 20);
	assert_int_equal(metrics_write(&text), 0);
	return text.data;
}

static void
expect_line(const char *line)
{
	char wanted[256];

	snprintf(wanted, sizeof(wanted), "\n%s\n", line);
	if (strstr(exposed(), wanted) == NULL)
		fail_msg("no line \"%s\" in:\n%s", line, text.data);
}

static void
a_counter_counts_by_its_labels(void **state)
{
	(void)state;
	metric_count(METRIC_TOKENS, "kind=\"prompt\"");
	metric_add(metric_series(METRIC_TOKENS, "kind=\"prompt\""), 41);
	metric_count(METRIC_TOKENS, "kind=\"completion\"");
	expect_line("bakame_tokens_total{kind=\"prompt\"} 42");
	expect_line("bakame_tokens_total{kind=\"completion\"} 1");
	expect_line("# TYPE bakame_tokens_total counter");
}

static void
a_series_without_labels_has_no_braces(void **state)
{
	(void)state;
	metric_count(METRIC_TOKENS, "");
	expect_line("bakame_tokens_total 1");
}

static void
what_was_not_counted_is_not_exposed(void **state)
{
	(void)state;
	assert_null(strstr(exposed(), "bakame_tokens_total"));
}

static void
a_histogram_is_cumulative(void **state)
{
	struct metric_series *s = metric_series(METRIC_REDIS_SECONDS, "");

	(void)state;
	metric_observe(s, 0.0004);
	metric_observe(s, 0.0005);      /* on a bound: in its bucket */
	metric_observe(s, 0.003);
	metric_observe(s, 100);
	expect_line("bakame_redis_seconds_bucket{le=\"0.0005\"} 2");
	expect_line("bakame_redis_seconds_bucket{le=\"0.002\"} 2");
	expect_line("bakame_redis_seconds_bucket{le=\"0.005\"} 3");
	expect_line("bakame_redis_seconds_bucket{le=\"5\"} 3");
	expect_line("bakame_redis_seconds_bucket{le=\"+Inf\"} 4");
	expect_line("bakame_redis_seconds_count 4");
	expect_line("bakame_redis_seconds_sum 100.003900000");
}

static void
past_the_tables_end_series_fall_together(void **state)
{
	char labels[64];

	(void)state;
	for (int i = 0; i < 3000; i++) {
		snprintf(labels, sizeof(labels), "route=\"/%d\"", i);
		metric_count(METRIC_REQUESTS, labels);
	}
	metric_count(METRIC_REQUESTS, "route=\"/0\"");
	expect_line("bakame_requests_total{route=\"/0\"} 2");   /* those that are there go on */
	assert_non_null(strstr(exposed(), "bakame_requests_total{overflow=\"true\"} "));
	metric_count(METRIC_TOKENS, "kind=\"prompt\"");         /* another metric has a place, too */
	expect_line("bakame_tokens_total{overflow=\"true\"} 1");
}

static void
labels_that_are_too_long_fall_together(void **state)
{
	char labels[400];

	(void)state;
	memset(labels, 'a', sizeof(labels) - 1);
	labels[sizeof(labels) - 1] = '\0';
	metric_count(METRIC_REQUESTS, labels);
	expect_line("bakame_requests_total{overflow=\"true\"} 1");
}

#define CHILDREN 4
#define COUNTS 20000

static void
processes_count_together_and_their_counts_outlive_them(void **state)
{
	unsigned series = 0;

	(void)state;
	for (int i = 0; i < CHILDREN; i++) {
		if (fork_tied() != 0)
			continue;
		for (int n = 0; n < COUNTS; n++)
			metric_count(METRIC_TOKENS, "kind=\"prompt\"");
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	expect_line("bakame_tokens_total{kind=\"prompt\"} 80000");
	for (const char *at = exposed(); (at = strstr(at, "bakame_tokens_total{")) != NULL; at++)
		series++;
	assert_int_equal(series, 1);
}

/* The counts of a text stand in lines of their own: that after `start`. */
static unsigned long long
number_after(const char *start)
{
	const char *at = strstr(exposed(), start);

	assert_non_null(at);
	return strtoull(at + strlen(start), NULL, 10);
}

/* Prometheus wants no bucket larger than +Inf, and that to be the count. */
static void
a_histogram_is_sound_wherever_a_process_is_killed(void **state)
{
	struct metric_series *s = metric_series(METRIC_REDIS_SECONDS, "");

	(void)state;
	for (int i = 0; i < 40; i++) {
		unsigned long long seen = number_after("bakame_redis_seconds_bucket{le=\"5\"} ");
		pid_t pid = fork_tied();

		if (pid == 0)
			for (;;)
				metric_observe(s, 0.001);
		while (number_after("bakame_redis_seconds_bucket{le=\"5\"} ") == seen)
			sched_yield();
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		assert_int_equal(number_after("bakame_redis_seconds_bucket{le=\"+Inf\"} "),
		                 number_after("bakame_redis_seconds_bucket{le=\"5\"} "));
		assert_int_equal(number_after("bakame_redis_seconds_count "),
		                 number_after("bakame_redis_seconds_bucket{le=\"5\"} "));
	}
}

/* As a process leaves it that is killed while it makes a series. */
static void
leave_unfinished(void *memory, const char *labels)
{
	const uint32_t making = 1;
	char *at = memmem(memory, metrics_size(), labels, strlen(labels) + 1);

	assert_non_null(at);
	memcpy(at - 2 * sizeof(making), &making, sizeof(making));       /* before the metric's number */
}

static void
a_series_that_nobody_finishes_is_waited_for_once(void **state)
{
	unsigned before;

	metric_count(METRIC_TOKENS, "kind=\"prompt\"");
	leave_unfinished(*state, "kind=\"prompt\"");
	metric_count(METRIC_TOKENS, "kind=\"prompt\"");
	before = yields;
	assert_int_not_equal(before, 0);
	for (int i = 0; i < 10; i++)
		metric_count(METRIC_TOKENS, "kind=\"prompt\"");
	assert_int_equal(yields, before);
	expect_line("bakame_tokens_total{kind=\"prompt\"} 11");
}

static void
gauges_are_summed_over_the_living(void **state)
{
	struct metric_process process;
	int told[2], go[2];
	unsigned index = 0;
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(told), 0);
	assert_int_equal(pipe(go), 0);
	metrics_join("tester");
	metric_set(GAUGE_STREAMS, 3);
	metric_set(GAUGE_LOOP_LAG_US, 2000);
	pid = fork_tied();
	if (pid == 0) {
		metrics_join("child");
		metric_set(GAUGE_STREAMS, 4);
		metric_set(GAUGE_LOOP_LAG_US, 1000);
		(void)!write(told[1], "x", 1);
		(void)!read(go[0], &byte, 1);
		_exit(0);               /* without leaving: as if killed */
	}
	close(told[1]);
	assert_int_equal(read(told[0], &byte, 1), 1);
	expect_line("bakame_streams 7");
	expect_line("bakame_loop_lag_seconds 0.002");
	expect_line("bakame_processes 2");
	assert_true(metrics_next_process(&index, &process));
	assert_true(metrics_next_process(&index, &process));
	assert_false(metrics_next_process(&index, &process));
	assert_int_equal(write(go[1], "x", 1), 1);
	waitpid(pid, NULL, 0);
	close(told[0]);
	close(go[0]);
	close(go[1]);
	expect_line("bakame_streams 3");
	expect_line("bakame_processes 1");
	metrics_leave();
	expect_line("bakame_streams 0");
}

static void
series_are_summed_by_a_part_of_their_labels(void **state)
{
	struct metric_sum sum;

	(void)state;
	metric_add(metric_series(METRIC_REQUESTS, "route=\"/a\",status=\"200\""), 3);
	metric_add(metric_series(METRIC_REQUESTS, "route=\"/b\",status=\"503\""), 4);
	metric_add(metric_series(METRIC_TOKENS, "kind=\"prompt\""), 100);
	metric_sum(METRIC_REQUESTS, "", &sum);
	assert_int_equal(sum.count, 7);
	assert_null(sum.bounds);
	metric_sum(METRIC_REQUESTS, "status=\"5", &sum);
	assert_int_equal(sum.count, 4);
	metric_sum(METRIC_REQUESTS, "status=\"9", &sum);
	assert_int_equal(sum.count, 0);
	metric_observe(metric_series(METRIC_REQUEST_SECONDS, "route=\"/a\""), 0.0005);
	metric_observe(metric_series(METRIC_REQUEST_SECONDS, "route=\"/b\""), 0.004);
	metric_sum(METRIC_REQUEST_SECONDS, "", &sum);
	assert_int_equal(sum.count, 2);
	assert_non_null(sum.bounds);
	assert_int_equal(sum.buckets[0], 1);
	assert_int_equal(sum.buckets[1], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_counter_counts_by_its_labels, start, stop),
	    cmocka_unit_test_setup_teardown(a_series_without_labels_has_no_braces, start, stop),
	    cmocka_unit_test_setup_teardown(what_was_not_counted_is_not_exposed, start, stop),
	    cmocka_unit_test_setup_teardown(a_histogram_is_cumulative, start, stop),
	    cmocka_unit_test_setup_teardown(past_the_tables_end_series_fall_together, start, stop),
	    cmocka_unit_test_setup_teardown(labels_that_are_too_long_fall_together, start, stop),
	    cmocka_unit_test_setup_teardown(processes_count_together_and_their_counts_outlive_them, start, stop),
	    cmocka_unit_test_setup_teardown(a_histogram_is_sound_wherever_a_process_is_killed, start, stop),
	    cmocka_unit_test_setup_teardown(a_series_that_nobody_finishes_is_waited_for_once, start, stop),
	    cmocka_unit_test_setup_teardown(gauges_are_summed_over_the_living, start, stop),
	    cmocka_unit_test_setup_teardown(series_are_summed_by_a_part_of_their_labels, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
