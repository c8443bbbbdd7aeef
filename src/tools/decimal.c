/* decimal.c - see tools/decimal.h */
#include "tools/decimal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Divide by ten to the `places`, half away from zero. */
static __int128
shift_down(__int128 digits, int places)
{
	bool negative = digits < 0;
	__int128 value = negative ? -digits : digits;
	int last = 0;

	for (; places > 0; places--) {
		last = (int)(value % 10);
		value /= 10;
	}
	if (last >= 5)          /* what is further right cannot change it: it is a half or more already */
		value++;
	return negative ? -value : value;
}

/* The exponent after an e; -1 if it is none, or beyond all sense. */
static int
read_exponent(const char *text, int *exponent_r)
{
	int64_t value;
	bool plus = *text == '+';

	if (text_to_int64(text + (plus ? 1 : 0), -40, 40, &value) == -1)
		return -1;
	*exponent_r = (int)value;
	return 0;
}

/* The digits up to an e or the end; those past the room are dropped, but for the first, by which it is rounded. */
struct reading {
	__int128 digits;
	int significant;
	int scale;                      /* digits taken after the point */
	int dropped;                    /* digits before the point that found no room */
	int next;                       /* the first dropped; -1: none */
};

static const char *
read_digits(const char *text, struct reading *r)
{
	bool point = false;
	bool any = false;

	for (; isdigit((unsigned char)*text) || (*text == '.' && !point); text++) {
		if (*text == '.') {
			point = true;
			continue;
		}
		any = true;
		if (r->significant < DECIMAL_DIGITS_MAX) {
			r->digits = r->digits * 10 + (*text - '0');
			r->significant += r->digits != 0;
			r->scale += point;
		} else {
			r->next = r->next == -1 ? *text - '0' : r->next;
			r->dropped += !point;
		}
	}
	return any ? text : NULL;
}

int
decimal_read(const char *text, struct decimal *d)
{
	struct reading r = {.next = -1};
	bool negative = *text == '-';
	int exponent = 0;

	text = read_digits(text + (negative ? 1 : 0), &r);
	if (text == NULL || ((*text | 0x20) == 'e' && read_exponent(text + 1, &exponent) == -1) ||
	    (*text != '\0' && (*text | 0x20) != 'e'))
		return -1;
	if (r.next >= 5)
		r.digits++;
	r.scale -= exponent + r.dropped;
	for (; r.scale < 0; r.scale++) {
		r.digits *= 10;
		if (r.digits >= (__int128)1000000000000000000)
			return -1;
	}
	if (r.scale > DECIMAL_SCALE_MAX) {
		r.digits = r.scale - DECIMAL_SCALE_MAX > DECIMAL_DIGITS_MAX + 1 ? 0
		                                                                : shift_down(r.digits, r.scale - DECIMAL_SCALE_MAX);
		r.scale = DECIMAL_SCALE_MAX;
	}
	*d = (struct decimal){negative ? -r.digits : r.digits, r.scale};
	return 0;
}

struct decimal
decimal_multiply(struct decimal a, struct decimal b)
{
	return (struct decimal){a.digits * b.digits, a.scale + b.scale};
}

struct decimal
decimal_round(struct decimal d, int places)
{
	if (d.scale > places)
		return (struct decimal){shift_down(d.digits, d.scale - places), places};
	for (; d.scale < places; d.scale++)
		d.digits *= 10;
	return d;
}

bool
decimal_is_positive(struct decimal d)
{
	return d.digits > 0;
}

/* With as many digits after the point each: at most 36 in all, which fits. */
static void
align(struct decimal *a, struct decimal *b)
{
	for (; a->scale < b->scale; a->scale++)
		a->digits *= 10;
	for (; b->scale < a->scale; b->scale++)
		b->digits *= 10;
}

int
decimal_compare(struct decimal a, struct decimal b)
{
	align(&a, &b);
	return (a.digits > b.digits) - (a.digits < b.digits);
}

struct decimal
decimal_change_percent(struct decimal from, struct decimal to)
{
	const __int128 room = (__int128)1000000000000000000 * 1000000000000;     /* times 100,000 it still fits */
	__int128 change;
	int sign;

	align(&from, &to);
	for (; to.digits > room || from.digits > room; from.digits /= 10)
		to.digits /= 10;
	if (from.digits == 0)           /* next to nothing in comparison */
		from.digits = 1;
	change = to.digits - from.digits;
	sign = change < 0 ? -1 : 1;
	change = (change * sign * 100000 / from.digits + 5) / 10;
	return (struct decimal){change * sign, 2};
}

void
decimal_write(char out[DECIMAL_TEXT_BYTES], struct decimal d)
{
	char reversed[DECIMAL_TEXT_BYTES];
	__int128 value = d.digits < 0 ? -d.digits : d.digits;
	int len = 0;
	char *p = out;

	for (int place = 0; value > 0 || place <= d.scale; place++) {
		if (place == d.scale && place > 0)
			reversed[len++] = '.';
		reversed[len++] = (char)('0' + (int)(value % 10));
		value /= 10;
	}
	if (d.digits < 0)
		*p++ = '-';
	while (len > 0)
		*p++ = reversed[--len];
	*p = '\0';
}
