/* model_server.c - see chat/model_server.h */
#include "chat/model_server.h"

#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "config/config.h"
#include "net/http_client.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"

/* How late the end of a question may be noticed. */
#define LOOK_MS 50

static struct {
	int64_t heard_ms;
	int64_t asked_ms;               /* the last question; 0: none yet */
	bool asking;
	bool unanswered;                /* the last question */
} server;

/* Bearer and content type; the texts live in `a`. */
static int
make_options(struct arena *a, const char *path, struct http_options *o, struct err *err)
{
	const struct config *c = config();
	const char **headers = arena_alloc(a, 4 * sizeof(*headers));
	char *url = arena_printf(a, "%s%s", c->openai_base_url, path);
	size_t n = 0;

	if (headers == NULL || url == NULL)
		return err_set(err, ERR_INTERNAL, "The request needs too much memory.");
	headers[n++] = "Content-Type: application/json";
	if (c->openai_api_key[0] != '\0')
		headers[n++] = arena_printf(a, "Authorization: Bearer %s", c->openai_api_key);
	*o = (struct http_options){
	    .method = "GET",
	    .url = url,
	    .headers = headers,
	    .ca_file = c->openai_ca_file,
	    .connect_timeout_ms = c->openai_connect_timeout_ms,
	};
	return 0;
}

struct http_call *
model_request(const char *path, const char *body, size_t len, struct err *err)
{
	struct arena *a = arena_new(16384);     /* libcurl copies what it is given, the body aside */
	struct http_options o;
	struct http_call *http = NULL;

	if (make_options(a, path, &o, err) == 0) {
		o.method = body != NULL ? "POST" : "GET";
		o.body = body;
		o.body_len = len;
		http = http_open(&o, err);
	}
	arena_free(&a);
	return http;
}

int
model_ping(int64_t deadline_ms, struct err *err)
{
	struct http_call *http = model_request("/models", NULL, 0, err);
	long status;

	if (http == NULL)
		return -1;
	status = http_wait_answer(http, deadline_ms, "The model's server", err);
	http_close(&http);
	if (status == -1)
		return -1;
	/* a server without this address (404) answers all the same */
	if (status >= 200 && status < 500 && status != 401 && status != 403)
		return 0;
	err_set(err, ERR_UPSTREAM, "The model's server does not answer as it should.");
	return err_cause(err, "status %ld of GET /models", status);
}

void
model_heard(void)
{
	server.heard_ms = loop_now_ms();
}

/* A server that refuses new connections may still end what it has begun, as on its way to a restart: who hangs
   lets one wait. */
static void
ask_main(void *arg)
{
	struct err err;
	struct http_call *http = model_request("/models", NULL, 0, &err);
	int64_t deadline = server.asked_ms + config()->openai_silence_ms;

	(void)arg;
	/* once more at the end: it may have been this worker that stood still, and the answer is there */
	server.unanswered = http != NULL && http_wait_status(http, deadline, &err) == HTTP_TIMEOUT &&
	                    http_wait_status(http, loop_now_ms() + LOOK_MS, &err) == HTTP_TIMEOUT;
	http_close(&http);
	if (!server.unanswered)
		model_heard();
	server.asking = false;
}

int64_t
model_look(int64_t since_ms)
{
	const int64_t silence_ms = config()->openai_silence_ms;
	int64_t now = loop_now_ms();

	if (silence_ms == 0)
		return FIBER_NO_DEADLINE;
	if (server.heard_ms > since_ms)
		since_ms = server.heard_ms;
	if (now < since_ms + silence_ms)
		return since_ms + silence_ms;
	if (server.asking)
		return now + LOOK_MS;
	if (server.unanswered && server.asked_ms > since_ms)
		return MODEL_IS_AWAY;
	server.asking = true;
	server.asked_ms = now;
	fiber_spawn(ask_main, NULL);
	return now + silence_ms;
}
