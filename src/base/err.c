/* err.c - see base/err.h */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const struct {
	int status;
	const char *type;
} codes[] = {
	[ERR_NONE] = {200, "ok"},
	[ERR_INVALID_REQUEST] = {400, "invalid_request"},
	[ERR_UNAUTHORIZED] = {401, "unauthorized"},
	[ERR_FORBIDDEN] = {403, "forbidden"},
	[ERR_NOT_FOUND] = {404, "not_found"},
	[ERR_METHOD_NOT_ALLOWED] = {405, "method_not_allowed"},
	[ERR_CONFLICT] = {409, "conflict"},
	[ERR_PAYLOAD_TOO_LARGE] = {413, "payload_too_large"},
	[ERR_UNSUPPORTED_MEDIA_TYPE] = {415, "unsupported_media_type"},
	[ERR_UNPROCESSABLE] = {422, "unprocessable"},
	[ERR_RATE_LIMIT_EXCEEDED] = {429, "rate_limit_exceeded"},
	[ERR_INTERNAL] = {500, "internal_error"},
	[ERR_UPSTREAM] = {502, "upstream_error"},
	[ERR_UNAVAILABLE] = {503, "service_unavailable"},
	[ERR_UPSTREAM_TIMEOUT] = {504, "upstream_timeout"},
	/* nginx's number for a client that closed; it is only ever logged */
	[ERR_CANCELLED] = {499, "cancelled"},
};

static void
print_into(char *out, size_t size, const char *fmt, va_list ap)
{
	vsnprintf(out, size, fmt, ap);
	text_trim_partial_utf8(out);
}

int
err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	err->code = code;
	err->retry_after_secs = 0;
	err->cause[0] = '\0';
	va_start(ap, fmt);
	print_into(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	return -1;
}

int
err_cause(struct err *err, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, fmt);
	print_into(err->cause, sizeof(err->cause), fmt, ap);
	va_end(ap);
	return -1;
}

int
err_status(enum err_code code)
{
	return codes[code].status;
}

const char *
err_type(enum err_code code)
{
	return codes[code].type;
}
