/* test_decimal.c - amounts of money, exact */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tools/currency.h"
#include "tools/decimal.h"

static void
numbers_are_read_as_they_are_written(void **state)
{
	static const struct {
		const char *text;
		const char *written;    /* NULL: refused */
	} cases[] = {
	    {"0", "0"},
	    {"-0.50", "-0.50"},
	    {"100.5", "100.5"},
	    {"007", "7"},
	    {"1e3", "1000"},
	    {"1E+3", "1000"},
	    {"12.5e-3", "0.0125"},
	    {"123456789012345.678", "123456789012345.678"},
	    {"0.000000000000000001", "0.000000000000000001"},
	    {"0.0000000000000000004", "0.000000000000000000"},
	    {"1e-40", "0.000000000000000000"},
	    {"0.12345678901234567895", "0.123456789012345679"},
	    {"1450.2500000000000000000000", "1450.25000000000000"},
	    {"999999999999999999", "999999999999999999"},
	    {"1e18", NULL},
	    {"12345678901234567890", NULL},
	    {"", NULL},
	    {"-", NULL},
	    {".", NULL},
	    {"1.2.3", NULL},
	    {"1e", NULL},
	    {"1e99", NULL},
	    {"1 ", NULL},
	    {"x", NULL},
	    {"NaN", NULL},
	    {"Infinity", NULL},
	    {"0x10", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[DECIMAL_TEXT_BYTES];
		struct decimal d;
		int rc = decimal_read(cases[i].text, &d);

		if (rc != (cases[i].written != NULL ? 0 : -1))
			fail_msg("%s: %d", cases[i].text, rc);
		if (rc == -1)
			continue;
		decimal_write(text, d);
		assert_string_equal(text, cases[i].written);
	}
}

static void
products_are_exact_and_rounded_half_away_from_zero(void **state)
{
	static const struct {
		const char *a, *b;
		int places;
		const char *product;
	} cases[] = {
	    {"100.5", "1450.25", 0, "145750"},
	    {"0.1", "0.2", 2, "0.02"},
	    {"1.005", "1", 2, "1.01"},      /* binary floating point says 1.00 */
	    {"-1.005", "1", 2, "-1.01"},
	    {"2.5", "1", 0, "3"},
	    {"2.4999999", "1", 0, "2"},
	    {"1", "1", 3, "1.000"},
	    {"999999999999999", "999999.999999999999", 0, "999999999999998999000"},
	    {"999999999999999999", "999999999999999999", 2, "999999999999999998000000000000000001.00"},
	    {"0", "5", 2, "0.00"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[DECIMAL_TEXT_BYTES];
		struct decimal a, b;

		assert_int_equal(decimal_read(cases[i].a, &a), 0);
		assert_int_equal(decimal_read(cases[i].b, &b), 0);
		decimal_write(text, decimal_round(decimal_multiply(a, b), cases[i].places));
		assert_string_equal(text, cases[i].product);
	}
}

static void
currencies_have_the_cents_that_they_have(void **state)
{
	static const struct {
		const char *code;
		int units;
	} cases[] = {
	    {"USD", 2}, {"RWF", 0}, {"UGX", 0}, {"JPY", 0}, {"KRW", 0}, {"BIF", 0}, {"XAF", 0}, {"KES", 2}, {"BHD", 3},
	    {"KWD", 3}, {"TND", 3}, {"ZMW", 2}, {"AED", 2}, {"ZWG", 2}, {"XXX", -1}, {"usd", -1}, {"US", -1}, {"", -1},
	    {"SD ", -1}, {"DAE", -1}, {"EDA", -1}, {"USDX", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (currency_minor_units(cases[i].code) != cases[i].units)
			fail_msg("%s: %d", cases[i].code, currency_minor_units(cases[i].code));
}

static struct decimal
read(const char *text)
{
	struct decimal d;

	assert_int_equal(decimal_read(text, &d), 0);
	return d;
}

static void
numbers_are_compared_whatever_their_digits(void **state)
{
	(void)state;
	assert_int_equal(decimal_compare(read("1.50"), read("1.5")), 0);
	assert_true(decimal_compare(read("1450.25"), read("1450.3")) < 0);
	assert_true(decimal_compare(read("999999999999999999"), read("0.000000000000000001")) > 0);
	assert_true(decimal_compare(read("-1"), read("0.5")) < 0);
}

static void
a_change_is_told_in_hundredths(void **state)
{
	static const struct {
		const char *from, *to, *percent;
	} cases[] = {
	    {"1450", "1479", "2.00"},
	    {"1450.25", "1450.25", "0.00"},
	    {"100", "99.995", "-0.01"},         /* half away from zero */
	    {"3", "1", "-66.67"},
	    {"0.00068954", "0.00069", "0.07"},
	    {"1", "1000", "99900.00"},
	    {"999999999999999999", "0.000000000000000001", "-100.00"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[DECIMAL_TEXT_BYTES];

		decimal_write(text, decimal_change_percent(read(cases[i].from), read(cases[i].to)));
		assert_string_equal(text, cases[i].percent);
	}
	/* nonsense, but no undefined behaviour */
	(void)decimal_change_percent(read("0.000000000000000001"), read("999999999999999999"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_are_read_as_they_are_written),
	    cmocka_unit_test(products_are_exact_and_rounded_half_away_from_zero),
	    cmocka_unit_test(currencies_have_the_cents_that_they_have),
	    cmocka_unit_test(numbers_are_compared_whatever_their_digits),
	    cmocka_unit_test(a_change_is_told_in_hundredths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
