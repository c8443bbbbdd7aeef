/*
 * ctl.c - bakamectl, the operator's hand.
 *
 * Each subcommand is a row of the table below and a function that returns an
 * exit status of <sysexits.h>.  Answers go to standard output, complaints to
 * standard error.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/err.h"
#include "config/config.h"
#include "net/http_client.h"
#include "net/sentry_sender.h"
#include "runtime/errand.h"
#include "telemetry/log.h"
#include "telemetry/sentry.h"
#include "ctl_database.h"
#include "ctl_doctor.h"
#include "ctl_jobs.h"
#include "ctl_limits.h"
#include "ctl_services.h"
#include "ctl_tool.h"
#include "ctl_top.h"
#include "ctl_uploads.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

struct command {
	const char *name;
	const char *args;
	int args_max;
	int (*run)(int argc, char **argv);      /* argv[0] is the subcommand */
	const char *help;
};

static int run_check_config(int argc, char **argv);
static int run_config(int argc, char **argv);
static int run_sentry_test(int argc, char **argv);
static int run_version(int argc, char **argv);
static int run_help(int argc, char **argv);

static const struct command commands[] = {
	{"check-config", "", 0, run_check_config, "check all settings; say every fault"},
	{"config", "[--example | --man]", 1, run_config, "show the settings in force, secrets masked"},
	{"doctor", "[--ca FILE] URL ...", 8, ctl_doctor, "look at the way from a client to the workers; say what to mend"},
	{"limits", "key [--forget]", 2, ctl_limits, "show how much of a limit is used, or forget that"},
	{"sentry-test", "", 0, run_sentry_test, "send an event to error tracking, say what it answered"},
	{"services", "[reset name]", 2, ctl_services, "show the breakers of this host, or close one"},
	{"migrate", "[--status] [--from DIR]", 3, ctl_migrate, "bring the database's schema up to date"},
	{"tool", "[name [json]]", 2, ctl_tool, "list the tools, or call one by hand"},
	{"top", "[seconds [times]]", 2, ctl_top, "what the workers of this host do, live"},
	{"uploads", "clean", 1, ctl_uploads, "take away what uploads left over"},
	{"user", "add|list|... [EMAIL]", 6, ctl_user, "make and change accounts; see the manual"},
	{"jobs", "list | stats | ...", 2, ctl_jobs, "look after the queue: list, stats, retry or drop ID or all"},
	{"version", "", 0, run_version, "show the version"},
	{"help", "", 0, run_help, "show this"},
	{0},
};

static void
print_usage(FILE *out)
{
	fputs("usage: bakamectl command [argument ...]\n\n", out);
	for (const struct command *c = commands; c->name != NULL; c++)
		fprintf(out, "  %-12s %-24s %s\n", c->name, c->args, c->help);
}

static int
refuse_usage(const char *what, const char *which)
{
	fprintf(stderr, "bakamectl: %s%s\n", what, which);
	print_usage(stderr);
	return EX_USAGE;
}

static int
run_check_config(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (config_load(stderr) == -1)
		return EX_CONFIG;
	puts("The configuration is sound.");
	return EX_OK;
}

static int
run_config(int argc, char **argv)
{
	if (argc == 1) {
		if (config_load(stderr) == -1)
			return EX_CONFIG;
		config_print(stdout);
	} else if (strcmp(argv[1], "--example") == 0) {
		config_print_example(stdout);
	} else if (strcmp(argv[1], "--man") == 0) {
		config_print_man(stdout);
	} else {
		return refuse_usage("config does not know ", argv[1]);
	}
	return EX_OK;
}

static int
send_test_event(void *arg)
{
	struct err err = {0};
	char *envelope;
	size_t len;
	long status;

	(void)arg;
	LOG_ERROR(&log_root, "a test of error tracking", LOG_STR("sent_by", "bakamectl sentry-test"));
	if (!sentry_take(&envelope, &len))
		return EX_SOFTWARE;
	status = sentry_send(envelope, len, &err);
	free(envelope);
	if (status == -1)
		fprintf(stderr, "bakamectl: the event could not be sent: %s (%s)\n", err.message, err.cause);
	else if (status != 200)
		fprintf(stderr, "bakamectl: the server answered with status %ld\n", status);
	else
		puts("The event was taken.");
	return status == 200 ? EX_OK : EX_UNAVAILABLE;
}

static int
run_sentry_test(int argc, char **argv)
{
	int status;

	(void)argc;
	(void)argv;
	if (config_load(stderr) == -1)
		return EX_CONFIG;
	if (!config_has(FEATURE_SENTRY)) {
		fputs("bakamectl: SENTRY_DSN is not set\n", stderr);
		return EX_CONFIG;
	}
	sentry_start(&(struct sentry_options){
	    .program = "bakamectl", .release = "bakame@" PACKAGE_VERSION, .environment = config_environment()});
	if (sodium_init() == -1)
		return EX_SOFTWARE;
	http_client_start(1);
	sentry_sender_use(config()->sentry_dsn, config()->sentry_ca_file);
	status = errand_run(send_test_event, NULL);
	sentry_sender_stop();
	sentry_stop();
	http_client_stop();
	errand_end();
	return status;
}

static int
run_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("bakame " PACKAGE_VERSION);
	return EX_OK;
}

static int
run_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	print_usage(stdout);
	return EX_OK;
}

static const struct command *
find_command(const char *name)
{
	for (const struct command *c = commands; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

/* The workers are told which file by whoever starts them; an operator's shell is not. */
static void
use_installed_settings(void)
{
	if (getenv("BAKAME_ENV_FILE") != NULL || access(ENV_FILE, F_OK) != 0)
		return;
	if (access(ENV_FILE, R_OK) == 0)
		setenv("BAKAME_ENV_FILE", ENV_FILE, 1);
	else
		fprintf(stderr, "bakamectl: %s is closed to you: run this as root, or with BAKAME_ENV_FILE set\n", ENV_FILE);
}

int
main(int argc, char **argv)
{
	const struct command *command;
	int status;

	if (argc < 2)
		return refuse_usage("which command?", "");
	command = find_command(argv[1]);
	if (command == NULL)
		return refuse_usage("no such command: ", argv[1]);
	if (argc - 2 > command->args_max)
		return refuse_usage("too many arguments for ", argv[1]);
	use_installed_settings();
	status = command->run(argc - 1, argv + 1);
	config_unload();
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("bakamectl: standard output");
		return EX_IOERR;
	}
	return status;
}
