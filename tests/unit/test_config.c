/* test_config.c - what config/config.h, settings.h and envfile.h promise */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/envfile.h"
#include "config/settings.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

static char file_name[] = "/tmp/bakame-test-config-XXXXXX";
static char *complaints;

static int
make_file(void **state)
{
	int fd = mkstemp(file_name);

	(void)state;
	return fd == -1 ? -1 : close(fd);
}

static int
remove_file(void **state)
{
	(void)state;
	return unlink(file_name);
}

static int
clear_environment(void **state)
{
	(void)state;
	for (size_t i = 0; i < settings_count; i++)
		unsetenv(settings[i].name);
	return 0;
}

static int
forget(void **state)
{
	(void)state;
	config_unload();
	free(complaints);
	complaints = NULL;
	return 0;
}

static void
write_file(const char *text, size_t len)
{
	FILE *f = fopen(file_name, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
	setenv("BAKAME_ENV_FILE", file_name, 1);
}

/* config_load() with its complaints in `complaints`. */
static int
load(void)
{
	size_t size;
	FILE *f;
	int result;

	free(complaints);
	complaints = NULL;
	f = open_memstream(&complaints, &size);
	assert_non_null(f);
	result = config_load(f);
	fclose(f);
	return result;
}

static void
assert_complains(const char *part)
{
	if (strstr(complaints, part) == NULL)
		fail_msg("no \"%s\" in: %s", part, complaints);
}

static unsigned
count_lines(const char *text)
{
	unsigned lines = 0;

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

static char *
printed(void (*print)(FILE *))
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	print(f);
	fclose(f);
	return text;
}

/* --- loading --- */

static void
a_key_alone_is_enough(void **state)
{
	(void)state;
	setenv("OPENAI_API_KEY", "sk-test-1234", 1);
	assert_int_equal(load(), 0);
	assert_string_equal(complaints, "");
	assert_string_equal(config()->openai_api_key, "sk-test-1234");
	assert_string_equal(config()->openai_base_url, "https://api.openai.com/v1");
	assert_true(config_has(FEATURE_MODEL));
}

static void
defaults_are_those_of_the_contract(void **state)
{
	const struct config *c;

	(void)state;
	setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1", 1);
	assert_int_equal(load(), 0);
	c = config();
	assert_int_equal(c->env, CONFIG_ENV_PRODUCTION);
	assert_string_equal(c->openai_api_key, "");
	assert_string_equal(c->openai_model, "gpt-4o-mini");
	assert_string_equal(c->openai_models, "");
	assert_string_equal(c->openai_ca_file, "");
	assert_int_equal(c->openai_connect_timeout_ms, 5000);
	assert_int_equal(c->openai_first_byte_timeout_ms, 60000);
	assert_int_equal(c->openai_idle_timeout_ms, 60000);
	assert_int_equal(c->openai_answer_timeout_ms, 300000);
	assert_int_equal(c->max_streams, 8000);
	assert_int_equal(c->drain_secs, 30);
	assert_int_equal(c->ping_secs, 15);
	assert_int_equal(c->request_deadline_secs, 900);
	assert_string_equal(c->shm_name, "/bakame");
	assert_int_equal(c->log_level, CONFIG_LOG_INFO);
	assert_int_equal(c->log_format, CONFIG_FORMAT_JSON);
	assert_int_equal(c->log_target, CONFIG_TARGET_STDERR);
}

static void
a_server_without_a_key_is_a_model_too(void **state)
{
	(void)state;
	setenv("OPENAI_BASE_URL", "http://localhost:11434/v1//", 1);
	assert_int_equal(load(), 0);
	assert_string_equal(config()->openai_base_url, "http://localhost:11434/v1");
	assert_true(config_has(FEATURE_MODEL));
}

static void
production_requires_a_model(void **state)
{
	(void)state;
	assert_int_equal(load(), -1);
	assert_complains("OPENAI_API_KEY: ");
	assert_complains("OPENAI_BASE_URL");
	assert_complains("for example");
	assert_int_equal(count_lines(complaints), 1);
}

static void
development_requires_nothing_and_is_pretty(void **state)
{
	(void)state;
	setenv("BAKAME_ENV", "development", 1);
	assert_int_equal(load(), 0);
	assert_false(config_has(FEATURE_MODEL));
	assert_string_equal(config()->openai_base_url, "");
	assert_int_equal(config()->log_format, CONFIG_FORMAT_PRETTY);
}

static void
a_format_that_is_set_wins_over_the_environments_own(void **state)
{
	(void)state;
	setenv("BAKAME_ENV", "development", 1);
	setenv("LOG_FORMAT", "json", 1);
	assert_int_equal(load(), 0);
	assert_int_equal(config()->log_format, CONFIG_FORMAT_JSON);
}

static void
an_empty_value_counts_as_not_set(void **state)
{
	(void)state;
	setenv("OPENAI_API_KEY", "sk-test-1234", 1);
	setenv("OPENAI_BASE_URL", "", 1);
	setenv("MAX_STREAMS", "", 1);
	assert_int_equal(load(), 0);
	assert_string_equal(config()->openai_base_url, "https://api.openai.com/v1");
	assert_int_equal(config()->max_streams, 8000);
}

static void
all_faults_are_told_at_once(void **state)
{
	(void)state;
	setenv("MAX_STREAMS", "many", 1);
	setenv("DRAIN_SECONDS", "3601", 1);
	setenv("LOG_LEVEL", "loud", 1);
	setenv("OPENAI_BASE_URL", "localhost", 1);
	setenv("SHM_NAME", "bakame", 1);
	setenv("OPENAI_CA_FILE", "/nowhere/at/all", 1);
	assert_int_equal(load(), -1);
	assert_complains("MAX_STREAMS: must be a whole number of requests from 1 to 30000 (got \"many\"); "
	                 "for example MAX_STREAMS=8000\n");
	assert_complains("DRAIN_SECONDS: ");
	assert_complains("LOG_LEVEL: must be one of debug, info, warn, error (got \"loud\")");
	assert_complains("OPENAI_BASE_URL: ");
	assert_complains("SHM_NAME: ");
	assert_complains("OPENAI_CA_FILE: ");
	assert_int_equal(count_lines(complaints), 6);
}

static void
limits_are_counts_in_at_most_an_hour(void **state)
{
	(void)state;
	setenv("OPENAI_API_KEY", "k", 1);
	setenv("RATE_LIMIT_USER", "10000/3600", 1);
	setenv("RATE_LIMIT_GUEST", "OFF", 1);
	assert_int_equal(load(), 0);
	assert_int_equal(config()->rate_limit_user.count, 10000);
	assert_int_equal(config()->rate_limit_user.secs, 3600);
	assert_int_equal(config()->rate_limit_guest.count, 0);
	assert_int_equal(config()->rate_limit_sign_in.count, 10);
	setenv("RATE_LIMIT_USER", "10001/60", 1);
	setenv("RATE_LIMIT_GUEST", "30/3601", 1);
	setenv("RATE_LIMIT_SIGN_IN", "30", 1);
	assert_int_equal(load(), -1);
	assert_complains("RATE_LIMIT_USER: must be a number of requests from 1 to 10000, a slash and seconds from 1 to "
	                 "3600, or off (got \"10001/60\")");
	assert_complains("RATE_LIMIT_GUEST: ");
	assert_complains("RATE_LIMIT_SIGN_IN: ");
}

static void
redis_over_tls_is_for_a_client_that_can(void **state)
{
	(void)state;
	setenv("BAKAME_ENV", "development", 1);
	setenv("REDIS_URL", "rediss://:secret@redis.example.org", 1);
#ifdef HAVE_HIREDIS_SSL
	assert_int_equal(load(), 0);
	setenv("REDIS_URL", "rediss:/run/redis.sock", 1);
	assert_int_equal(load(), -1);
	assert_complains("REDIS_URL: must be rediss://host:port/db");
#else
	assert_int_equal(load(), -1);
	assert_complains("REDIS_URL: must start with redis: or unix:, for this build's Redis client has no TLS; let stunnel");
	assert_null(strstr(complaints, "secret"));
#endif
}

static void
a_bad_value_is_not_also_missing(void **state)
{
	(void)state;
	setenv("OPENAI_API_KEY", "two words", 1);
	assert_int_equal(load(), -1);
	assert_int_equal(count_lines(complaints), 1);
}

static void
complaints_show_no_secret(void **state)
{
	(void)state;
	setenv("OPENAI_API_KEY", "sk-hunter2 hunter2", 1);
	setenv("OPENAI_BASE_URL", "http://me:hunter2@host/v1", 1);
	assert_int_equal(load(), -1);
	assert_complains("OPENAI_API_KEY: must be printable ASCII without blanks (got \"***\")");
	assert_complains("OPENAI_BASE_URL: must not carry a user or password (got \"http://***@host/v1\")");
	assert_null(strstr(complaints, "hunter2"));
}

static void
complaints_are_one_printable_line_each(void **state)
{
	(void)state;
	setenv("OPENAI_BASE_URL", "http://h/v1", 1);
	setenv("MAX_STREAMS", "1\nLOG_LEVEL: fine\x1b[2J\xFF", 1);
	setenv("OPENAI_MODEL", "new\nline", 1);
	assert_int_equal(load(), -1);
	assert_complains("(got \"1?LOG_LEVEL: fine?[2J?\")");
	assert_complains("OPENAI_MODEL: must not have control characters");
	assert_int_equal(count_lines(complaints), 2);
}

static void
a_long_value_is_shown_cut(void **state)
{
	char value[5000];

	(void)state;
	memset(value, '7', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	setenv("OPENAI_BASE_URL", "http://h/v1", 1);
	setenv("MAX_STREAMS", value, 1);
	setenv("OPENAI_MODEL", value, 1);
	assert_int_equal(load(), -1);
	assert_complains("OPENAI_MODEL: must have at most 200 bytes, not 4999");
	assert_true(strlen(complaints) < 600);
}

static void
loading_again_forgets_what_was_before(void **state)
{
	(void)state;
	setenv("OPENAI_API_KEY", "sk-test-1234", 1);
	setenv("MAX_STREAMS", "5", 1);
	assert_int_equal(load(), 0);
	assert_int_equal(config()->max_streams, 5);
	unsetenv("MAX_STREAMS");
	assert_int_equal(load(), 0);
	assert_int_equal(config()->max_streams, 8000);
}

/* --- the file --- */

static void
the_environment_wins_over_the_file(void **state)
{
	static const char text[] = "OPENAI_API_KEY=from-file\nMAX_STREAMS=5\nPING_SECONDS=7\n";

	(void)state;
	write_file(text, strlen(text));
	setenv("MAX_STREAMS", "6", 1);
	setenv("PING_SECONDS", "", 1);
	assert_int_equal(load(), 0);
	assert_string_equal(config()->openai_api_key, "from-file");
	assert_int_equal(config()->max_streams, 6);
	assert_int_equal(config()->ping_secs, 7);
	assert_string_equal(config()->env_file, file_name);
}

static void
names_that_are_not_ours_pass(void **state)
{
	static const char text[] = "OPENAI_API_KEY=k\nNEXT_PUBLIC_SUPABASE_URL=https://x.supabase.co\n"
	                           "some.other-name=1\nBAKAME_ENV_FILE=/not/this\n";

	(void)state;
	write_file(text, strlen(text));
	assert_int_equal(load(), 0);
	assert_string_equal(config()->env_file, file_name);
}

static void
of_a_name_given_twice_the_last_counts(void **state)
{
	static const char text[] = "OPENAI_API_KEY=a\nMAX_STREAMS=5\nMAX_STREAMS=6\n"
	                           "PING_SECONDS=3\nPING_SECONDS=\n";

	(void)state;
	write_file(text, strlen(text));
	assert_int_equal(load(), 0);
	assert_int_equal(config()->max_streams, 6);
	assert_int_equal(config()->ping_secs, 15);
}

static void
complaints_name_the_line_of_the_file(void **state)
{
	static const char text[] = "OPENAI_API_KEY=k\n# comment\n\nMAX_STREAMS=\"0\"\n"
	                           "nonsense\nA='x\ny'\nLOG_LEVEL=no\n";
	char expected[200];

	(void)state;
	write_file(text, strlen(text));
	assert_int_equal(load(), -1);
	snprintf(expected, sizeof(expected), "(got \"0\" in line 4 of %s)", file_name);
	assert_complains(expected);
	snprintf(expected, sizeof(expected), "BAKAME_ENV_FILE: line 5 of %s: it is not NAME=value",
	         file_name);
	assert_complains(expected);
	snprintf(expected, sizeof(expected), "(got \"no\" in line 8 of %s)", file_name);
	assert_complains(expected);
	assert_int_equal(count_lines(complaints), 3);
}

static void
a_file_that_cannot_be_read_is_the_one_fault(void **state)
{
	(void)state;
	setenv("BAKAME_ENV_FILE", "/nowhere/bakame.env", 1);
	assert_int_equal(load(), -1);
	assert_complains("BAKAME_ENV_FILE: cannot be read: No such file or directory "
	                 "(got \"/nowhere/bakame.env\")");
	assert_int_equal(count_lines(complaints), 1);
	setenv("BAKAME_ENV_FILE", "/tmp", 1);
	assert_int_equal(load(), -1);
	assert_complains("BAKAME_ENV_FILE: cannot be read: Is a directory");
}

static void
the_file_has_a_greatest_size(void **state)
{
	size_t size = (1 << 20) + 1;
	char *text = malloc(size);

	(void)state;
	assert_non_null(text);
	memset(text, '#', size);
	setenv("OPENAI_API_KEY", "k", 1);
	write_file(text, size);
	assert_int_equal(load(), -1);
	assert_complains("1 MiB");
	write_file(text, size - 1);
	assert_int_equal(load(), 0);
	free(text);
}

static void
a_file_with_nul_bytes_is_refused(void **state)
{
	(void)state;
	write_file("OPENAI_API_KEY=k\0x\n", 19);
	assert_int_equal(load(), -1);
	assert_complains("NUL byte");
}

static void
a_file_that_is_none_does_not_flood(void **state)
{
	char *text = malloc(200000);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < 200000; i += 2)
		memcpy(text + i, "x\n", 2);
	write_file(text, 200000);
	setenv("OPENAI_API_KEY", "k", 1);
	assert_int_equal(load(), -1);
	assert_complains("and 99900 more faults");
	assert_int_equal(count_lines(complaints), 101);
	free(text);
}

static void
an_empty_file_sets_nothing(void **state)
{
	(void)state;
	write_file("", 0);
	setenv("OPENAI_API_KEY", "k", 1);
	assert_int_equal(load(), 0);
}

/* --- lines of the file --- */

static void
assert_value(const char *line, const char *value)
{
	char *text = strdup(line);
	struct envfile f;
	struct envfile_entry entry;

	assert_non_null(text);
	envfile_open(&f, text);
	if (envfile_next(&f, &entry) != 1)
		fail_msg("%s: %s", line, entry.why);
	assert_string_equal(entry.name, "A");
	assert_string_equal(entry.value, value);
	assert_int_equal(envfile_next(&f, &entry), 0);
	free(text);
}

static void
values_are_read_as_shells_and_dotenv_do(void **state)
{
	(void)state;
	assert_value("A=x", "x");
	assert_value("A=x\n", "x");
	assert_value("\xEF\xBB\xBF" "A=x\r\n", "x");
	assert_value("  export\tA = x y \t\n", "x y");
	assert_value("A=", "");
	assert_value("A=\n", "");
	assert_value("A= # nothing", "");
	assert_value("A=x # y", "x");
	assert_value("A=x#y", "x#y");
	assert_value("A=#x", "#x");
	assert_value("A=b=c", "b=c");
	assert_value("A=it's", "it's");
	assert_value("A=$HOME", "$HOME");
	assert_value("A='x \\n # \"$y'", "x \\n # \"$y");
	assert_value("A=\"x # 'y'\" # z", "x # 'y'");
	assert_value("A=\"a\\nb\\tc\\\"d\\\\e\\$f\\`g\\qh\"", "a\nb\tc\"d\\e$f`g\\qh");
	assert_value("A=\"one\ntwo\"\n# three\n", "one\ntwo");
	assert_value("A=''", "");
}

static void
assert_bad_line(const char *line, const char *why)
{
	char text[200];
	struct envfile f;
	struct envfile_entry entry;

	snprintf(text, sizeof(text), "# first\n%s\nNEXT=1\n", line);
	envfile_open(&f, text);
	assert_int_equal(envfile_next(&f, &entry), -1);
	assert_string_equal(entry.why, why);
	assert_int_equal(entry.line, 2);
	assert_int_equal(envfile_next(&f, &entry), 1);
	assert_string_equal(entry.name, "NEXT");
	assert_int_equal(entry.line, 3);
	assert_int_equal(envfile_next(&f, &entry), 0);
}

static void
bad_lines_cost_only_themselves(void **state)
{
	(void)state;
	assert_bad_line("words", "it is not NAME=value");
	assert_bad_line("=x", "it is not NAME=value");
	assert_bad_line("A B=x", "it is not NAME=value");
	assert_bad_line("export", "it is not NAME=value");
	assert_bad_line("A=\"x", "its quote is never closed");
	assert_bad_line("A='x", "its quote is never closed");
	assert_bad_line("A=\"x\\\"", "its quote is never closed");
	assert_bad_line("A='x'y", "something follows its closing quote");
}

/* --- types --- */

static void
assert_number(const struct setting *s, const char *text, int64_t number)
{
	struct setting_value value;
	char why[200] = "";

	if (setting_parse(s, text, &value, why, sizeof(why)) == -1)
		fail_msg("%s: %s", text, why);
	assert_true(value.number == number);
	assert_null(value.text);
}

static void
assert_text(const struct setting *s, const char *text, const char *kept)
{
	struct setting_value value;
	char why[200] = "";

	if (setting_parse(s, text, &value, why, sizeof(why)) == -1)
		fail_msg("%s: %s", text, why);
	assert_string_equal(value.text, kept);
	free(value.text);
}

static void
assert_wrong(const struct setting *s, const char *text, const char *part)
{
	struct setting_value value;
	char why[200] = "";

	if (setting_parse(s, text, &value, why, sizeof(why)) == 0)
		fail_msg("%s was taken", text);
	assert_null(value.text);
	if (strstr(why, part) == NULL)
		fail_msg("no \"%s\" in: %s", part, why);
}

static void
integers_keep_their_bounds(void **state)
{
	const struct setting s = {.type = SETTING_INTEGER, .min = 1, .max = 10, .unit = "apples"};

	(void)state;
	assert_number(&s, "1", 1);
	assert_number(&s, "10", 10);
	assert_wrong(&s, "0", "must be a whole number of apples from 1 to 10");
	assert_wrong(&s, "11", "from 1 to 10");
	assert_wrong(&s, "5s", "whole number");
	assert_wrong(&s, " 5", "whole number");
	assert_wrong(&s, "99999999999999999999", "whole number");
}

static void
sizes_take_letters(void **state)
{
	const struct setting s = {.type = SETTING_SIZE, .min = 1024, .max = (int64_t)1 << 30};
	const struct setting huge = {.type = SETTING_SIZE, .max = INT64_MAX};

	(void)state;
	assert_number(&s, "20971520", 20971520);
	assert_number(&s, "20M", 20971520);
	assert_number(&s, "20MiB", 20971520);
	assert_number(&s, "20mib", 20971520);
	assert_number(&s, "1K", 1024);
	assert_number(&s, "1G", 1073741824);
	assert_wrong(&s, "1023", "from 1024 to 1073741824 bytes");
	assert_wrong(&s, "2G", "from");
	assert_wrong(&s, "20MB", "from");
	assert_wrong(&s, "20 M", "from");
	assert_wrong(&s, "M", "from");
	assert_wrong(&s, "-1M", "from");
	assert_wrong(&s, "1.5M", "from");
	assert_wrong(&s, "20T", "from");
	assert_wrong(&huge, "9007199254740992G", "from");
	assert_wrong(&huge, "99999999999999999999", "from");
}

static void
choices_are_taken_in_any_case(void **state)
{
	static const char *const choices[] = {"red", "green", NULL};
	const struct setting s = {.type = SETTING_ENUM, .choices = choices};

	(void)state;
	assert_number(&s, "red", 0);
	assert_number(&s, "GREEN", 1);
	assert_wrong(&s, "gree", "must be one of red, green");
}

static void
truth_has_the_usual_words(void **state)
{
	const struct setting s = {.type = SETTING_BOOL};

	(void)state;
	assert_number(&s, "true", 1);
	assert_number(&s, "Yes", 1);
	assert_number(&s, "on", 1);
	assert_number(&s, "1", 1);
	assert_number(&s, "false", 0);
	assert_number(&s, "no", 0);
	assert_number(&s, "OFF", 0);
	assert_number(&s, "0", 0);
	assert_wrong(&s, "2", "must be true or false");
	assert_wrong(&s, "y", "must be true or false");
}

static void
urls_are_http_with_a_host(void **state)
{
	const struct setting s = {.type = SETTING_URL, .max = 200};

	(void)state;
	assert_text(&s, "http://h", "http://h");
	assert_text(&s, "HTTPS://Example.org:8443/a/b/", "HTTPS://Example.org:8443/a/b");
	assert_text(&s, "http://[::1]:8080/v1", "http://[::1]:8080/v1");
	assert_wrong(&s, "example.org/v1", "URL");
	assert_wrong(&s, "ftp://example.org/", "http:// or https://");
	assert_wrong(&s, "file:///etc/passwd", "http");
	assert_wrong(&s, "http://", "URL");
	assert_wrong(&s, "http:///v1", "must name a host");
	assert_wrong(&s, "http://h:99999/", "URL");
	assert_wrong(&s, "http://h:port/", "URL");
	assert_wrong(&s, "http://a b/", "URL");
	assert_wrong(&s, "http://h/v1?x=1", "query");
	assert_wrong(&s, "http://h/v1#x", "fragment");
	assert_wrong(&s, "http://h/\n", "control");
	assert_wrong(&s, "http://user:pass@h/", "user or password");
	assert_wrong(&s, "http://user@h/", "user or password");
}

static void
urls_may_carry_a_user_where_that_is_allowed(void **state)
{
	const struct setting s = {.type = SETTING_URL, .flags = SETTING_USER_INFO, .max = 200};

	(void)state;
	assert_text(&s, "http://user:pass@h/x", "http://user:pass@h/x");
}

static void
files_must_be_readable(void **state)
{
	const struct setting s = {.type = SETTING_FILE, .max = 4095};

	(void)state;
	write_file("x", 1);
	assert_text(&s, file_name, file_name);
	assert_wrong(&s, "/nowhere", "No such file");
	assert_wrong(&s, "/tmp", "not a directory");
}

static void
lists_lose_their_blanks(void **state)
{
	const struct setting s = {.type = SETTING_LIST, .max = 100};

	(void)state;
	assert_text(&s, "a", "a");
	assert_text(&s, " a , b c  ,d ", "a,b c,d");
	assert_text(&s, "*", "*");
	assert_wrong(&s, "a,,b", "none empty");
	assert_wrong(&s, "a,", "none empty");
	assert_wrong(&s, " ", "none empty");
}

static void
texts_are_bounded_utf8(void **state)
{
	const struct setting s = {.type = SETTING_STRING, .max = 5};

	(void)state;
	assert_text(&s, "12345", "12345");
	assert_wrong(&s, "123456", "at most 5 bytes");
	assert_wrong(&s, "caf\xE9", "UTF-8");
	assert_wrong(&s, "a\tb", "control");
}

static void
keys_and_memory_names_have_their_own_rules(void **state)
{
	const struct setting *key = setting_find("OPENAI_API_KEY");
	const struct setting *shm = setting_find("SHM_NAME");
	char name[260];

	(void)state;
	assert_text(key, "sk-x_1.~", "sk-x_1.~");
	assert_wrong(key, "sk x", "without blanks");
	assert_wrong(key, "cl\xC3\xA9", "ASCII");
	assert_text(shm, "/a", "/a");
	assert_wrong(shm, "/", "slash");
	assert_wrong(shm, "a", "slash");
	assert_wrong(shm, "/a/b", "slash");
	memset(name, 'x', sizeof(name));
	name[0] = '/';
	name[251] = '\0';
	assert_wrong(shm, name, "250");
	name[250] = '\0';
	assert_text(shm, name, name);
}

/* --- the table and what is made of it --- */

static void
every_row_is_complete_and_fits_its_own_bounds(void **state)
{
	(void)state;
	assert_non_null(settings[0].group);
	for (size_t i = 0; i < settings_count; i++) {
		const struct setting *s = &settings[i];
		struct setting_value value;
		char why[200];

		assert_true(setting_find(s->name) == s);
		assert_non_null(s->example);
		assert_true(s->doc[strlen(s->doc) - 1] == '.');
		assert_true(s->type != SETTING_INTEGER || s->unit != NULL);
		assert_true(s->type != SETTING_ENUM || s->choices != NULL);
		assert_true(s->instead == NULL || setting_find(s->instead) != NULL);
		for (size_t j = 0; j < i; j++)
			assert_true(settings[j].offset != s->offset);
		if (s->type != SETTING_FILE) {
			assert_int_equal(setting_parse(s, s->example, &value, why, sizeof(why)), 0);
			free(value.text);
		}
		if (s->fallback != NULL) {
			assert_int_equal(setting_parse(s, s->fallback, &value, why, sizeof(why)), 0);
			free(value.text);
		}
	}
	assert_null(setting_find("NO_SUCH_SETTING"));
}

static void
printing_masks_and_tells_where_from(void **state)
{
	static const char text[] = "\nPING_SECONDS=7\n";
	char *out;
	char expected[100];

	(void)state;
	write_file(text, strlen(text));
	setenv("OPENAI_API_KEY", "sk-hunter2hunter2", 1);
	assert_int_equal(load(), 0);
	out = printed(config_print);
	assert_non_null(strstr(out, "OPENAI_API_KEY=***  # environment\n"));
	assert_null(strstr(out, "hunter2"));
	assert_non_null(strstr(out, "OPENAI_MODELS=  # not set\n"));
	assert_non_null(strstr(out, "MAX_STREAMS=8000  # default\n"));
	assert_non_null(strstr(out, "LOG_FORMAT=json  # default\n"));
	snprintf(expected, sizeof(expected), "PING_SECONDS=7  # %s line 2\n", file_name);
	assert_non_null(strstr(out, expected));
	assert_int_equal(count_lines(out), settings_count);
	free(out);
}

static void
the_sample_is_a_file_that_loads_once_uncommented(void **state)
{
	char *sample = printed(config_print_example);
	char *text = calloc(1, strlen(sample) + 1);
	size_t len = 0;

	(void)state;
	assert_non_null(text);
	for (const char *line = sample; *line != '\0'; line = strchr(line, '\n') + 1) {
		size_t n = (size_t)(strchr(line, '\n') - line) + 1;
		bool setting = line[0] == '#' && line[1] != ' ' && line[1] != '\n';

		assert_true(n <= 81);
		if (strstr(line, "CA_FILE") == line + 7)
			continue;       /* that file need not be on this machine */
		memcpy(text + len, setting ? line + 1 : line, setting ? n - 1 : n);
		len += setting ? n - 1 : n;
	}
	write_file(sample, strlen(sample));
	setenv("BAKAME_ENV", "development", 1);
	assert_int_equal(load(), 0);
	write_file(text, len);
	if (load() == -1)
		fail_msg("%s", complaints);
	assert_string_equal(config()->openai_models, "gpt-4o,o4-mini");
	free(text);
	free(sample);
}

static void
the_manual_has_every_setting(void **state)
{
	char *man = printed(config_print_man);

	(void)state;
	for (size_t i = 0; i < settings_count; i++) {
		char item[100];

		snprintf(item, sizeof(item), ".It Ev %s\n", settings[i].name);
		assert_non_null(strstr(man, item));
	}
	assert_non_null(strstr(man, "From 100 to 60000 milliseconds.\n"));
	assert_non_null(strstr(man, "One of debug, info, warn, error.\n"));
	assert_non_null(strstr(man, "Secret: never shown or logged.\n"));
	free(man);
}

#define LOADS(test) cmocka_unit_test_setup_teardown(test, clear_environment, forget)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOADS(a_key_alone_is_enough),
		LOADS(defaults_are_those_of_the_contract),
		LOADS(a_server_without_a_key_is_a_model_too),
		LOADS(production_requires_a_model),
		LOADS(development_requires_nothing_and_is_pretty),
		LOADS(a_format_that_is_set_wins_over_the_environments_own),
		LOADS(an_empty_value_counts_as_not_set),
		LOADS(all_faults_are_told_at_once),
		LOADS(redis_over_tls_is_for_a_client_that_can),
		LOADS(limits_are_counts_in_at_most_an_hour),
		LOADS(a_bad_value_is_not_also_missing),
		LOADS(complaints_show_no_secret),
		LOADS(complaints_are_one_printable_line_each),
		LOADS(a_long_value_is_shown_cut),
		LOADS(loading_again_forgets_what_was_before),
		LOADS(the_environment_wins_over_the_file),
		LOADS(names_that_are_not_ours_pass),
		LOADS(of_a_name_given_twice_the_last_counts),
		LOADS(complaints_name_the_line_of_the_file),
		LOADS(a_file_that_cannot_be_read_is_the_one_fault),
		LOADS(the_file_has_a_greatest_size),
		LOADS(a_file_with_nul_bytes_is_refused),
		LOADS(a_file_that_is_none_does_not_flood),
		LOADS(an_empty_file_sets_nothing),
		cmocka_unit_test(values_are_read_as_shells_and_dotenv_do),
		cmocka_unit_test(bad_lines_cost_only_themselves),
		cmocka_unit_test(integers_keep_their_bounds),
		cmocka_unit_test(sizes_take_letters),
		cmocka_unit_test(choices_are_taken_in_any_case),
		cmocka_unit_test(truth_has_the_usual_words),
		cmocka_unit_test(urls_are_http_with_a_host),
		cmocka_unit_test(urls_may_carry_a_user_where_that_is_allowed),
		cmocka_unit_test(files_must_be_readable),
		cmocka_unit_test(lists_lose_their_blanks),
		cmocka_unit_test(texts_are_bounded_utf8),
		cmocka_unit_test(keys_and_memory_names_have_their_own_rules),
		cmocka_unit_test(every_row_is_complete_and_fits_its_own_bounds),
		LOADS(printing_masks_and_tells_where_from),
		LOADS(the_sample_is_a_file_that_loads_once_uncommented),
		LOADS(the_manual_has_every_setting),
	};

	return cmocka_run_group_tests_name("config", tests, make_file, remove_file);
}
