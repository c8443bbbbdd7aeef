/* conversations.c - /api/conversations: list, search, open, change, delete */
#include "store/conversations.h"

#include <string.h>

#include "guard/identity.h"
#include "handlers/account.h"
#include "handlers/routes.h"
#include "http/query.h"
#include "http/request.h"
#include "http/response.h"

#define PAGE_DEFAULT 30
#define WANTED_MAX_BYTES 500
/* All messages of a page, the largest that there may be. */
#define ANSWER_MAX_BYTES ((size_t)16 * 1024 * 1024)

/* Send what was written, and free it. */
static int
send_buffer(struct request *rq, struct buffer *b)
{
	int rc;

	response_header(rq, "Cache-Control", "no-store");
	rc = response_text(rq, 200, "application/json; charset=utf-8", b->data != NULL ? b->data : "", b->len);
	buffer_free(b);
	return rc;
}

int
handle_conversations(struct request *rq, struct err *err)
{
	struct conversations_page page = {.cursor = query_text(rq, "cursor", err)};
	struct buffer out = BUFFER_INIT(ANSWER_MAX_BYTES);

	if (page.cursor == NULL || (page.wanted = query_text(rq, "q", err)) == NULL ||
	    query_int(rq, "limit", 1, CONVERSATIONS_PAGE_MAX, PAGE_DEFAULT, &page.limit, err) == -1 ||
	    account_check_any(err) == -1)
		return -1;
	if (strlen(page.wanted) > WANTED_MAX_BYTES)
		return err_set(err, ERR_INVALID_REQUEST, "q is too long: %d bytes at most.", WANTED_MAX_BYTES);
	if (conversations_list(rq->arena, rq->who->user_id, &page, &out, err) == -1) {
		buffer_free(&out);
		return -1;
	}
	return send_buffer(rq, &out);
}

int
handle_conversation(struct request *rq, struct err *err)
{
	const char *cursor = query_text(rq, "cursor", err);
	struct buffer out = BUFFER_INIT(ANSWER_MAX_BYTES);

	if (cursor == NULL || account_check_any(err) == -1)
		return -1;
	if (conversations_get(rq->arena, rq->who->user_id, rq->param, cursor, &out, err) == -1) {
		buffer_free(&out);
		return -1;
	}
	return send_buffer(rq, &out);
}

int
handle_conversation_change(struct request *rq, struct err *err)
{
	struct buffer out = BUFFER_INIT(ANSWER_MAX_BYTES);
	struct json_object *body, *value;
	const char *title = NULL;
	int pinned = -1;

	if (account_check_any(err) == -1 || (body = request_read_json(rq, rq->route->body_max, err)) == NULL)
		return -1;
	if (json_object_object_get_ex(body, "title", &value)) {
		title = account_text(rq, body, "title", CONVERSATION_TITLE_MAX, err);
		if (title == NULL)
			return -1;
		if (*title == '\0')
			return err_set(err, ERR_INVALID_REQUEST, "title must not be empty.");
	}
	if (json_object_object_get_ex(body, "pinned", &value)) {
		if (!json_object_is_type(value, json_type_boolean))
			return err_set(err, ERR_INVALID_REQUEST, "pinned must be true or false.");
		pinned = json_object_get_boolean(value) ? 1 : 0;
	}
	if (title == NULL && pinned == -1)
		return err_set(err, ERR_INVALID_REQUEST, "There is nothing to change: give title or pinned.");
	if (conversations_change(rq->arena, rq->who->user_id, rq->param, title, pinned, &out, err) == -1) {
		buffer_free(&out);
		return -1;
	}
	return send_buffer(rq, &out);
}

int
handle_conversation_delete(struct request *rq, struct err *err)
{
	if (account_check_any(err) == -1 || conversations_delete(rq->arena, rq->who->user_id, rq->param, err) == -1)
		return -1;
	return response_begin(rq, 204, "application/json");
}
