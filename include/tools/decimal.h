/*
 * decimal.h - amounts of money: decimal numbers, exact, without binary floating point.
 *
 * A number is `digits` times ten to the minus `scale`.  Up to DECIMAL_DIGITS_MAX significant digits are read;
 * a product of two has up to 36 and fits.  Rounding is half away from zero, as in trade.
 */
#ifndef TOOLS_DECIMAL_H
#define TOOLS_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

#define DECIMAL_DIGITS_MAX 18
#define DECIMAL_SCALE_MAX 18
/* Room for any number written. */
#define DECIMAL_TEXT_BYTES 48

struct decimal {
	__int128 digits;
	int scale;                      /* 0 to DECIMAL_SCALE_MAX; of a product twice that */
};

/* Read all of `text`: digits with a point and an exponent as JSON has them.  -1 if it is none such, or has more
   digits than there is room for; further digits after the point are rounded away. */
int decimal_read(const char *text, struct decimal *d_r) MUST_USE;

struct decimal decimal_multiply(struct decimal a, struct decimal b);

/* Round to `places` (0 to 18) after the point. */
struct decimal decimal_round(struct decimal d, int places);

bool decimal_is_positive(struct decimal d);

/* Less than 0, 0, more than 0: as a is less than, like, more than b.  For what decimal_read() gave. */
int decimal_compare(struct decimal a, struct decimal b) MUST_USE;

/* By how many hundredths of `from`, which is positive, `to` differs from it, with two digits after the point.  For
   what decimal_read() gave. */
struct decimal decimal_change_percent(struct decimal from, struct decimal to);

/* As JSON writes it, with exactly `scale` digits after the point. */
void decimal_write(char out[DECIMAL_TEXT_BYTES], struct decimal d);

#endif
