/* test_identity.c - under which key who asks is limited */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "guard/identity.h"

static void
assert_key(const char *address, const char *key)
{
	char out[LIMIT_KEY_BYTES];

	identity_address_key(out, "g", address);
	assert_string_equal(out, key);
}

static void
ipv4_is_taken_as_it_is(void **state)
{
	(void)state;
	assert_key("192.0.2.7", "g:192.0.2.7");
	assert_key("255.255.255.255", "g:255.255.255.255");
}

static void
ipv6_counts_by_its_64(void **state)
{
	(void)state;
	assert_key("2001:db8:1:2:3:4:5:6", "g6:2001:db8:1:2::/64");
	assert_key("2001:db8:1:2::", "g6:2001:db8:1:2::/64");
	assert_key("2001:0DB8:0001:0002:ffff:ffff:ffff:ffff", "g6:2001:db8:1:2::/64");
	assert_key("2001:db8:1:3::1", "g6:2001:db8:1:3::/64");
	assert_key("::1", "g6:::/64");
}

static void
ipv4_in_ipv6_counts_as_ipv4(void **state)
{
	(void)state;
	assert_key("::ffff:192.0.2.7", "g:192.0.2.7");
	assert_key("::FFFF:c000:207", "g:192.0.2.7");
}

static void
what_is_no_address_shares_one_key(void **state)
{
	(void)state;
	assert_key("", "g:unknown");
	assert_key("unix:", "g:unknown");
	assert_key("192.0.2.7:80", "g:unknown");
	assert_key("fe80::1%eth0", "g:unknown");
	assert_key("192.0.2.7\r\nX: y", "g:unknown");
}

static void
the_longest_key_fits(void **state)
{
	char out[LIMIT_KEY_BYTES];

	(void)state;
	identity_address_key(out, "s", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_string_equal(out, "s6:ffff:ffff:ffff:ffff::/64");
}

static void
guests_and_users_have_the_limits_of_the_settings(void **state)
{
	struct identity who;

	(void)state;
	identity_set_guest(&who, "192.0.2.7");
	assert_int_equal(who.kind, IDENTITY_GUEST);
	assert_int_equal(who.limit.count, 7);
	assert_int_equal(who.limit.window_secs, 9);
	assert_string_equal(who.limit_key, "g:192.0.2.7");
	identity_set_user(&who, "3d7ffa4c-0f2c-4f0e-9d55-6f52d4b8a0b1", IDENTITY_ROLE_ADMIN, 0);
	assert_int_equal(who.kind, IDENTITY_USER);
	assert_int_equal(who.role, IDENTITY_ROLE_ADMIN);
	assert_int_equal(who.limit.count, 0);
	assert_string_equal(who.limit_key, "u:3d7ffa4c-0f2c-4f0e-9d55-6f52d4b8a0b1");
}

static void
a_user_may_have_a_limit_of_their_own(void **state)
{
	struct identity who;

	(void)state;
	identity_set_user(&who, "x", IDENTITY_ROLE_USER, 250);
	assert_int_equal(who.limit.count, 250);
	assert_int_equal(who.limit.window_secs, 60);
	identity_set_user(&who, "x", IDENTITY_ROLE_USER, 1000000);
	assert_int_equal(who.limit.count, LIMIT_COUNT_MAX);
}

static int
load_settings(void **state)
{
	(void)state;
	setenv("OPENAI_API_KEY", "sk-test-1234", 1);
	setenv("RATE_LIMIT_GUEST", "7/9", 1);
	setenv("RATE_LIMIT_USER", "off", 1);
	return config_load(stderr);
}

static int
unload_settings(void **state)
{
	(void)state;
	config_unload();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ipv4_is_taken_as_it_is),
	    cmocka_unit_test(ipv6_counts_by_its_64),
	    cmocka_unit_test(ipv4_in_ipv6_counts_as_ipv4),
	    cmocka_unit_test(what_is_no_address_shares_one_key),
	    cmocka_unit_test(the_longest_key_fits),
	    cmocka_unit_test(guests_and_users_have_the_limits_of_the_settings),
	    cmocka_unit_test(a_user_may_have_a_limit_of_their_own),
	};

	return cmocka_run_group_tests_name("identity", tests, load_settings, unload_settings);
}
