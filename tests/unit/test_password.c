/* test_password.c - passwords, and those who wait while others' are computed */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "guard/password.h"
#include "in_fiber.h"
#include "runtime/fiber.h"

#define GOOD "correct horse battery"
#define CROWD (PASSWORDS_AT_ONCE + 4)

static char hash[PASSWORD_HASH_BYTES];

static void
hash_run(void *arg)
{
	struct err err;

	(void)arg;
	assert_int_equal(password_hash(GOOD, hash, &err), 0);
	assert_int_equal(strncmp(hash, "$argon2id$", 10), 0);
	assert_false(password_is_outdated(hash));
	assert_int_equal(password_verify(GOOD, hash, &err), 1);
	assert_int_equal(password_verify("correct horse batterY", hash, &err), 0);
	assert_int_equal(password_verify(GOOD, NULL, &err), 0);
}

static void
a_password_is_known_again_and_no_other(void **state)
{
	(void)state;
	in_fiber(hash_run, NULL);
}

/* What stands for nobody has to cost what somebody costs: the same parameters. */
static void
hashes_of_other_parameters_are_outdated(void **state)
{
	(void)state;
	assert_true(password_is_outdated("$argon2id$v=19$m=16384,t=3,p=1$QjGYxBKwhrPxvYnXCNAz9w$"
	                                 "DfehdPFcYEoT/tVBTFWN6uMMMtkoC54+C7+xNBzrhpY"));
	assert_true(password_is_outdated("nonsense"));
}

static unsigned ended, cancelled;

static void
crowd_main(void *arg)
{
	struct err err = {0};
	int rc = password_verify(GOOD, NULL, &err);

	(void)arg;
	if (rc == -1) {
		assert_int_equal(err.code, ERR_CANCELLED);
		cancelled++;
	}
	ended++;
}

/* Some who wait for their turn: right after the crowd, in the same round, none of those who compute can have ended. */
static void
cancel_main(void *arg)
{
	struct fiber **fibers = arg;

	/* as many as there are turns, and between those who stay */
	for (unsigned i = PASSWORDS_AT_ONCE + 1; i < CROWD; i += 2)
		fiber_cancel(fibers[i], FIBER_CLIENT_GONE);
}

static void
crowd_run(void *arg)
{
	struct fiber *fibers[CROWD];
	struct err err;

	(void)arg;
	for (unsigned i = 0; i < CROWD; i++)
		fibers[i] = fiber_spawn(crowd_main, NULL);
	fiber_spawn(cancel_main, fibers);
	while (ended < CROWD)
		assert_int_equal(fiber_sleep(5, &err), 0);
	assert_int_equal(cancelled, 2);
	assert_int_equal(password_verify(GOOD, NULL, &err), 0); /* and no turn was lost */
	assert_int_equal(password_verify(GOOD, NULL, &err), 0);
}

static void
who_leaves_the_queue_takes_no_turn(void **state)
{
	(void)state;
	in_fiber(crowd_run, NULL);
}

static void
lengths_are_checked_in_characters_and_bytes(void **state)
{
	char text[PASSWORD_MAX_BYTES + 2];
	struct err err;

	(void)state;
	assert_int_equal(password_check("1234567", "password", &err), -1);
	assert_string_equal(err.message, "password must have at least 8 characters.");
	assert_int_equal(password_check("\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9", "password", &err), -1);      /* 8 bytes, 4 characters */
	assert_int_equal(password_check("12345678", "password", &err), 0);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(password_check(text, "new", &err), -1);
	assert_int_equal(err.code, ERR_INVALID_REQUEST);
	text[PASSWORD_MAX_BYTES] = '\0';
	assert_int_equal(password_check(text, "new", &err), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_password_is_known_again_and_no_other),
	    cmocka_unit_test(hashes_of_other_parameters_are_outdated),
	    cmocka_unit_test(who_leaves_the_queue_takes_no_turn),
	    cmocka_unit_test(lengths_are_checked_in_characters_and_bytes),
	};

	return sodium_init() == -1 ? 1 : cmocka_run_group_tests(tests, NULL, in_fiber_teardown);
}
