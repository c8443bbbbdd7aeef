/*
 * fuzz_scrub.c - masking of secrets in text that is logged.
 *
 * The result fits, is terminated, stays UTF-8 if it was, and a key, token or password that stands
 * anywhere in the text is not in it.
 */
#include <string.h>

#include "base/text.h"
#include "fuzz.h"
#include "telemetry/scrub.h"

#define TEXT_MAX 4096

/* Secrets as they stand in texts, and what must not come out. */
static const struct {
	const char *text, *secret;
} secrets[] = {
    {" sk-proj-0a1b2c3d4e5f6a7b8c9d0a1b ", "0a1b2c3d4e5f"},
    {" Authorization: Bearer 0a1b2c3d4e5f6a7b ", "0a1b2c3d4e5f"},
    {" postgres://bakame:0a1b2c3d4e5f@db/x ", "0a1b2c3d4e5f"},
    {" password=0a1b2c3d4e5f ", "0a1b2c3d4e5f"},
    {" \"api_key\":\"0a1b2c3d4e5f\" ", "0a1b2c3d4e5f"},
};

static void
check_result(const char *out, size_t room, size_t len, const char *text, size_t text_len)
{
	REQUIRE(len < room && out[len] == '\0');
	if (memchr(text, '\0', text_len) == NULL)
		REQUIRE(strlen(out) == len);
	if (text_is_utf8(text, text_len))
		REQUIRE(text_is_utf8(out, len));
}

/* The text with `secret` put in at `at`. */
static void
check_masked(const char *text, size_t len, size_t at, size_t room, const char *put_in, const char *secret)
{
	char all[TEXT_MAX + 128], out[2 * TEXT_MAX];
	size_t n = strlen(put_in);

	if (memmem(text, len, secret, strlen(secret)) != NULL)
		return;                         /* it stands there in the open, too */
	memcpy(all, text, at);
	memcpy(all + at, put_in, n);
	memcpy(all + at + n, text + at, len - at);
	len = scrub_text(out, room, all, len + n);
	REQUIRE(len < room && out[len] == '\0');
	REQUIRE(strstr(out, secret) == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 3;
	char *out;
	size_t room, at, len;

	if (size < 3 || size > TEXT_MAX)
		return 0;
	room = 8 + data[0] * 8u;
	at = data[1] < size - 3 ? data[1] : size - 3;
	out = malloc(room);
	REQUIRE(out != NULL);
	len = scrub_text(out, room, text, size - 3);
	check_result(out, room, len, text, size - 3);
	free(out);
	(void)scrub_name_is_secret(text, size - 3);
	for (size_t i = data[2] % 8; i < sizeof(secrets) / sizeof(secrets[0]); i += 8)
		check_masked(text, size - 3, at, room, secrets[i].text, secrets[i].secret);
	return 0;
}
