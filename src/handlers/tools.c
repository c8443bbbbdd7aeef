/* tools.c - GET /api/tools: which tools there are, and whether they can be used here */
#include "handlers/routes.h"
#include "http/request.h"
#include "http/response.h"
#include "tools/registry.h"

int
handle_tools(struct request *rq, struct err *err)
{
	struct json_object *body = json_object_new_object();
	struct json_object *list = json_object_new_array();

	(void)err;
	for (unsigned i = 0; i < tools_count(); i++)
		json_object_array_add(list, tool_describe(tools_at(i)));
	json_object_object_add(body, "tools", list);
	response_json(rq, 200, body);
	json_object_put(body);
	return 0;
}
