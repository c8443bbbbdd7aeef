/* ctl_tool.c - bakamectl tool: one call of a tool by hand, straight from its provider */
#include "ctl_tool.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "config/config.h"
#include "net/http_client.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "telemetry/log.h"
#include "tools/registry.h"
#include "tools/tool.h"

#define TOO_LONG_MS 120000

struct job {
	const struct tool *tool;
	const char *text;
	int status;
};

static void
complain(const struct err *err)
{
	fprintf(stderr, "bakamectl: %s%s%s%s\n", err->message, err->cause[0] != '\0' ? " (" : "", err->cause,
	        err->cause[0] != '\0' ? ")" : "");
}

static void
call_tool(void *arg)
{
	struct job *job = arg;
	struct tool_answer answer;
	struct err err = {0};
	struct json_object *args = tool_read_arguments(job->tool, job->text, strlen(job->text), &err);

	job->status = EX_UNAVAILABLE;
	tool_set_deadline(job->tool);
	if (args == NULL) {
		complain(&err);
		job->status = EX_DATAERR;
	} else if (tool_call_directly(job->tool, args, &log_root, &answer, &err) == -1) {
		complain(&err);
	} else {
		puts(json_object_to_json_string_ext(answer.result, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
		                                                       JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(answer.result);
		job->status = EX_OK;
	}
	json_object_put(args);
	loop_stop();
}

static int
list_tools(void)
{
	for (unsigned i = 0; i < tools_count(); i++) {
		const char *provider = tool_provider_name(tools_at(i));

		printf("%-12s %-18s %s\n", tools_at(i)->name, provider != NULL ? provider : "(not configured)",
		       tools_at(i)->schema);
	}
	return EX_OK;
}

static void
too_long_cb(uv_timer_t *timer)
{
	(void)timer;
	loop_stop();
}

static int
run(const struct tool *tool, const char *text)
{
	struct job job = {.tool = tool, .text = text};
	uv_timer_t alive;

	if (sodium_init() == -1)
		return EX_SOFTWARE;
	log_init("bakamectl", LOG_LEVEL_WARN, LOG_FORMAT_PRETTY, LOG_TARGET_STDERR);
	http_client_start(4);
	/* a loop with nothing to do ends */
	uv_timer_init(loop_get(), &alive);
	uv_timer_start(&alive, too_long_cb, TOO_LONG_MS, 0);
	fiber_spawn(call_tool, &job);
	loop_run();
	uv_close((uv_handle_t *)&alive, NULL);
	http_client_stop();
	fiber_pool_free();
	loop_close();
	return job.status;
}

int
ctl_tool(int argc, char **argv)
{
	const struct tool *tool;
	int status;

	if (config_load(stderr) == -1)
		return EX_CONFIG;
	if (argc == 1)
		return list_tools();
	tool = tools_find(argv[1]);
	if (tool == NULL) {
		fprintf(stderr, "bakamectl: there is no tool \"%s\"; bakamectl tool lists them\n", argv[1]);
		return EX_USAGE;
	}
	status = run(tool, argc > 2 ? argv[2] : "{}");
	tools_stop();
	return status;
}
