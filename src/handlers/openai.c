/* openai.c - the addresses of OpenAI's API, for any client library of theirs */
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "chat/budget.h"
#include "chat/model.h"
#include "chat/prompt.h"
#include "chat/turn.h"
#include "config/config.h"
#include "handlers/routes.h"
#include "http/request.h"
#include "http/response.h"

/* May our tools run for this request? */
static bool
wants_tools(const struct request *rq)
{
	const char *header = request_header(rq, "X-Bakame-Tools");

	return header == NULL || strcasecmp(header, "off") != 0;
}

int
handle_openai_chat(struct request *rq, struct err *err)
{
	struct json_object *body = request_read_json(rq, rq->route->body_max, err);
	struct prompt prompt = {0};
	int rc;

	if (body == NULL || prompt_read_openai(rq->arena, body, &prompt, err) == -1)
		return -1;
	if (wants_tools(rq))
		prompt_offer_tools(&prompt, tools_offered());
	if (budget_reserve(rq, &prompt, err) == -1)
		return -1;
	rc = turn_run(rq, &prompt, false, err);
	budget_settle(rq, &prompt, prompt.used);
	return rc;
}

static void
add_model(struct json_object *data, const char *name, size_t len)
{
	struct json_object *model = json_object_new_object();

	json_object_object_add(model, "id", json_object_new_string_len(name, (int)len));
	json_object_object_add(model, "object", json_object_new_string("model"));
	json_object_object_add(model, "created", json_object_new_int64((int64_t)time(NULL)));
	json_object_object_add(model, "owned_by", json_object_new_string("bakame"));
	json_object_array_add(data, model);
}

/* The models named in the configuration. */
static struct json_object *
configured_models(void)
{
	struct json_object *list = json_object_new_object();
	struct json_object *data = json_object_new_array();
	const char *rest = config()->openai_models;

	add_model(data, config()->openai_model, strlen(config()->openai_model));
	while (*(rest += strspn(rest, ", \t")) != '\0') {
		size_t len = strcspn(rest, ", \t");

		add_model(data, rest, len);
		rest += len;
	}
	json_object_object_add(list, "object", json_object_new_string("list"));
	json_object_object_add(list, "data", data);
	return list;
}

int
handle_openai_models(struct request *rq, struct err *err)
{
	struct json_object *list;

	if (strcmp(config()->openai_models, "*") != 0)
		list = configured_models();
	else if (model_list(&list, err) == -1)
		return -1;
	response_json(rq, 200, list);
	json_object_put(list);
	return 0;
}
