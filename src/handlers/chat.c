/* chat.c - POST /api/chat */
#include "chat/budget.h"
#include "chat/prompt.h"
#include "chat/record.h"
#include "chat/turn.h"
#include "guard/identity.h"
#include "handlers/routes.h"
#include "http/request.h"

int
handle_chat(struct request *rq, struct err *err)
{
	struct json_object *body = request_read_json(rq, rq->route->body_max, err);
	struct prompt prompt = {0};
	int rc = -1;

	if (body == NULL || prompt_read(rq->arena, body, &prompt, err) == -1)
		return -1;
	if (rq->who->kind == IDENTITY_GUEST && prompt_check_guest(body, err) == -1)
		return -1;
	if (budget_reserve(rq, &prompt, err) == -1)
		return -1;
	if (record_begin(rq, body, &prompt, &prompt.record, err) == 0)
		rc = turn_run(rq, &prompt, true, err);
	budget_settle(rq, &prompt, prompt.used);
	record_free(&prompt.record);
	return rc;
}
