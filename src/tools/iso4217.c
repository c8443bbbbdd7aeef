/* iso4217.c - the currencies in use and their minor units (ISO 4217, list one); see tools/currency.h */
#include <string.h>

#include "tools/currency.h"

/* clang-format off */
static const char with_none[] =
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF ";
static const char with_three[] =
    "BHD IQD JOD KWD LYD OMR TND ";
static const char with_two[] =
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP "
    "CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR "
    "JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN "
    "NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP "
    "SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG ";
/* clang-format on */

static int
is_in(const char *list, const char *code)
{
	const char *found = strstr(list, code);

	return found != NULL && (found - list) % 4 == 0;
}

int
currency_minor_units(const char *code)
{
	if (strlen(code) != 3 || strchr(code, ' ') != NULL)
		return -1;
	if (is_in(with_two, code))
		return 2;
	if (is_in(with_none, code))
		return 0;
	return is_in(with_three, code) ? 3 : -1;
}
