/* test_pg_url.c - connection URLs as people have them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "net/pg_conn.h"

static void
clean(const char *url, const char *expected)
{
	char *got = pg_url_clean(url);

	assert_string_equal(got, expected);
	free(got);
}

static void
parameters_of_others_are_left_out(void **state)
{
	(void)state;
	clean("postgresql://u:p@h:5432/d", "postgresql://u:p@h:5432/d");
	clean("postgresql://u:p@h/d?pgbouncer=true", "postgresql://u:p@h/d");
	clean("postgresql://h/d?pgbouncer=true&sslmode=require&connection_limit=1", "postgresql://h/d?sslmode=require");
	clean("postgresql://h/d?sslmode=require&application_name=x", "postgresql://h/d?sslmode=require&application_name=x");
	clean("postgresql://h/d?sslmode=verify-full&schema=public&sslrootcert=/x", "postgresql://h/d?sslmode=verify-full&sslrootcert=/x");
	clean("postgresql://h/d?ssl=true", "postgresql://h/d?ssl=true");
}

static void
odd_queries_end(void **state)
{
	(void)state;
	clean("postgresql://h/d?", "postgresql://h/d");
	clean("postgresql://h/d?&&&", "postgresql://h/d");
	clean("postgresql://h/d?=&a&=b&host", "postgresql://h/d?host");
	clean("", "");
	clean("?", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parameters_of_others_are_left_out),
	    cmocka_unit_test(odd_queries_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
