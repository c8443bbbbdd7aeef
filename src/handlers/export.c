/* export.c - GET /api/auth/export: all that is kept of whoever asks */
#include "store/export.h"

#include "guard/identity.h"
#include "handlers/account.h"
#include "handlers/routes.h"
#include "http/request.h"
#include "http/response.h"

/* The answer begins with the first piece: what fails before it is still answered by a status. */
static int
put_cb(void *arg, const char *text, size_t len)
{
	struct request *rq = arg;

	if (!response_begun(rq)) {
		response_header(rq, "Cache-Control", "no-store");
		response_header(rq, "Content-Disposition", "attachment; filename=\"bakame-export.json\"");
		if (response_begin(rq, 200, "application/json; charset=utf-8") == -1)
			return -1;
	}
	return response_write(rq, text, len);
}

int
handle_export(struct request *rq, struct err *err)
{
	if (account_check_any(err) == -1)
		return -1;
	return export_person(rq->who->user_id, put_cb, rq, err);
}
