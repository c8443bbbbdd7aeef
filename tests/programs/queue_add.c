/*
 * queue_add.c - add jobs: one for each line of standard input, kind, key, group (or "-") and payload
 * between tabs.
 *
 *	queue-add [--persist] [--in-order]
 *
 * Says at the end "N added, N duplicate, N refused" and the last refusal.  With --persist what Redis did not take
 * is tried until it does; with --in-order one is added after the other, else many at a time.
 */
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "config/config.h"
#include "net/breaker.h"
#include "net/http_client.h"
#include "net/redis.h"
#include "runtime/errand.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "store/queue.h"

#define ADDERS 64
#define LINE_MAX_BYTES ((size_t)2 * 1024 * 1024)

static bool persist;
static unsigned added, duplicate, refused, adders;
static struct err last;
static struct fiber *main_fiber;

static int
add(char *line)
{
	const char *kind, *key, *group, *payload;

	line[strcspn(line, "\n")] = '\0';
	kind = strsep(&line, "\t");
	key = strsep(&line, "\t");
	group = strsep(&line, "\t");
	payload = line;
	for (;;) {
		int rc = strcmp(group, "-") == 0 ? queue_add(kind, key, payload, strlen(payload), &last)
		                                 : queue_add_in_order(group, kind, key, payload, strlen(payload), &last);

		if (rc != -1 || !persist || last.code != ERR_UNAVAILABLE)
			return rc;
		(void)!fiber_sleep(100, &last);
	}
}

static void
adder_main(void *arg)
{
	char *line = mem_alloc(LINE_MAX_BYTES);

	(void)arg;
	while (fgets(line, (int)LINE_MAX_BYTES, stdin) != NULL) {
		int rc = add(line);

		added += rc == 1;
		duplicate += rc == 0;
		refused += rc == -1;
	}
	free(line);
	adders--;
	fiber_wake(main_fiber);
}

static int
add_all(void *arg)
{
	unsigned count = *(const unsigned *)arg;

	main_fiber = fiber_self();
	for (adders = 0; adders < count; adders++)
		fiber_spawn(adder_main, NULL);
	while (adders > 0)
		(void)!fiber_wait(FIBER_NO_DEADLINE);
	printf("%u added, %u duplicate, %u refused\n", added, duplicate, refused);
	if (refused > 0)
		printf("%s (%s)\n", last.message, last.cause);
	return 0;
}

int
main(int argc, char **argv)
{
	unsigned count = ADDERS;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--persist") == 0)
			persist = true;
		else if (strcmp(argv[i], "--in-order") == 0)
			count = 1;
		else
			return EX_USAGE;
	}
	if (config_load(stderr) == -1 || sodium_init() == -1)
		return EX_CONFIG;
	http_client_start(1);
	breakers_start();
	redis_start();
	errand_run(add_all, &count);
	redis_stop();
	http_client_stop();
	fiber_pool_free();
	loop_close();
	config_unload();
	return 0;
}
