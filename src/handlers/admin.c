/* admin.c - /api/admin: people, usage, services, the log of changes */
#include "store/admin.h"

#include <string.h>

#include "base/text.h"
#include "config/config.h"
#include "guard/auth.h"
#include "guard/identity.h"
#include "handlers/account.h"
#include "handlers/routes.h"
#include "handlers/services.h"
#include "http/query.h"
#include "http/request.h"
#include "http/response.h"
#include "runtime/fiber.h"
#include "store/queue.h"
#include "store/usage.h"

#define PAGE_DEFAULT 50
#define WANTED_MAX_BYTES 200
#define ANSWER_MAX_BYTES ((size_t)8 * 1024 * 1024)
#define RATE_LIMIT_MAX 10000
#define TOKENS_MAX INT64_C(1000000000000)

static int
send_buffer(struct request *rq, int rc, struct buffer *out)
{
	if (rc == 0) {
		response_header(rq, "Cache-Control", "no-store");
		rc = response_text(rq, 200, "application/json; charset=utf-8", out->data, out->len);
	}
	buffer_free(out);
	return rc;
}

static struct admin_actor
actor_of(const struct request *rq)
{
	return (struct admin_actor){
	    .user_id = rq->who->user_id, .remote_addr = rq->remote_addr, .request_id = rq->id};
}

/* ---- people ---- */

int
handle_admin_users(struct request *rq, struct err *err)
{
	const char *cursor = query_text(rq, "cursor", err), *wanted;
	struct buffer out = BUFFER_INIT(ANSWER_MAX_BYTES);
	int64_t limit;

	if (cursor == NULL || (wanted = query_text(rq, "q", err)) == NULL ||
	    query_int(rq, "limit", 1, ADMIN_PAGE_MAX, PAGE_DEFAULT, &limit, err) == -1 || account_check_any(err) == -1)
		return -1;
	if (strlen(wanted) > WANTED_MAX_BYTES)
		return err_set(err, ERR_INVALID_REQUEST, "q is too long: %d bytes at most.", WANTED_MAX_BYTES);
	return send_buffer(rq, admin_list_users(rq->arena, cursor, wanted, limit, &out, err), &out);
}

static int
bad_rate_limit(struct err *err)
{
	return err_set(err, ERR_INVALID_REQUEST,
	               "rate_limit must be a number of requests from 1 to %d, the same with the window that all have (\"100/%d\"), "
	               "or null for as many as all.",
	               RATE_LIMIT_MAX, (int)config_user_window_secs());
}

/* A number, "number/seconds" of the one window that there is, or null. */
static int
read_rate_limit(struct json_object *body, int64_t *limit_r, struct err *err)
{
	struct json_object *value;
	char text[32], *slash;
	int64_t secs = config_user_window_secs();

	if (!json_object_object_get_ex(body, "rate_limit", &value))
		return 0;
	*limit_r = 0;
	if (value == NULL)
		return 0;
	if (!json_object_is_type(value, json_type_int) && !json_object_is_type(value, json_type_string))
		return bad_rate_limit(err);
	if (!text_copy(text, sizeof(text), json_object_get_string(value)))
		return bad_rate_limit(err);
	slash = strchr(text, '/');
	if (slash != NULL)
		*slash = '\0';
	if (text_to_int64(text, 1, RATE_LIMIT_MAX, limit_r) == -1 ||
	    (slash != NULL && (text_to_int64(slash + 1, 1, 86400, &secs) == -1 || secs != config_user_window_secs())))
		return bad_rate_limit(err);
	return 0;
}

static int
read_tokens(struct json_object *body, int64_t *tokens_r, struct err *err)
{
	struct json_object *value;

	if (!json_object_object_get_ex(body, "tokens_per_day", &value))
		return 0;
	*tokens_r = value == NULL ? -1 : json_object_get_int64(value);
	if (value != NULL && (!json_object_is_type(value, json_type_int) || *tokens_r < 0 || *tokens_r > TOKENS_MAX))
		return err_set(err, ERR_INVALID_REQUEST,
		               "tokens_per_day must be a number of tokens, 0 for no limit, or null for as many as all.");
	return 0;
}

static int
read_change(struct json_object *body, struct admin_change *c, struct err *err)
{
	struct json_object *value;

	if (json_object_object_get_ex(body, "role", &value)) {
		c->role = json_member_text(body, "role");
		if (c->role == NULL || (strcmp(c->role, "user") != 0 && strcmp(c->role, "admin") != 0))
			return err_set(err, ERR_INVALID_REQUEST, "role must be \"user\" or \"admin\".");
	}
	if (json_object_object_get_ex(body, "disabled", &value)) {
		if (!json_object_is_type(value, json_type_boolean))
			return err_set(err, ERR_INVALID_REQUEST, "disabled must be true or false.");
		c->disabled = json_object_get_boolean(value) ? 1 : 0;
	}
	if (read_rate_limit(body, &c->rate_limit, err) == -1 || read_tokens(body, &c->tokens_per_day, err) == -1)
		return -1;
	if (c->role == NULL && c->disabled == -1 && c->rate_limit == -1 && c->tokens_per_day == -2)
		return err_set(err, ERR_INVALID_REQUEST,
		               "There is nothing to change: give role, disabled, rate_limit or tokens_per_day.");
	return 0;
}

int
handle_admin_user_change(struct request *rq, struct err *err)
{
	struct admin_change change = {.disabled = -1, .rate_limit = -1, .tokens_per_day = -2};
	struct admin_actor actor = actor_of(rq);
	struct buffer out = BUFFER_INIT(ANSWER_MAX_BYTES);
	struct json_object *body;
	int rc;

	if (account_check_any(err) == -1 || (body = request_read_json(rq, rq->route->body_max, err)) == NULL ||
	    read_change(body, &change, err) == -1)
		return -1;
	fiber_mask_begin();
	rc = admin_change_user(rq->arena, &actor, rq->param, &change, &out, err);
	if (rc == 0)
		auth_person_changed(rq->param);
	fiber_mask_end();
	return send_buffer(rq, rc, &out);
}

/* ---- usage and the log ---- */

int
handle_admin_usage(struct request *rq, struct err *err)
{
	const char *from = query_text(rq, "from", err), *to, *bucket;
	struct buffer out = BUFFER_INIT(ANSWER_MAX_BYTES);

	if (from == NULL || (to = query_text(rq, "to", err)) == NULL || (bucket = query_text(rq, "bucket", err)) == NULL ||
	    account_check_any(err) == -1)
		return -1;
	if (*bucket == '\0')
		bucket = "day";
	if (strcmp(bucket, "day") != 0 && strcmp(bucket, "hour") != 0)
		return err_set(err, ERR_INVALID_REQUEST, "bucket must be day or hour.");
	usage_flush();          /* what this worker has counted is in it */
	return send_buffer(rq, usage_report(rq->arena, from, to, bucket, &out, err), &out);
}

int
handle_admin_audit(struct request *rq, struct err *err)
{
	struct buffer out = BUFFER_INIT(ANSWER_MAX_BYTES);
	int64_t before, limit;

	if (query_int(rq, "cursor", 1, INT64_MAX, INT64_MAX, &before, err) == -1 ||
	    query_int(rq, "limit", 1, ADMIN_PAGE_MAX, PAGE_DEFAULT, &limit, err) == -1 || account_check_any(err) == -1)
		return -1;
	return send_buffer(rq, admin_list_log(rq->arena, before, limit, &out, err), &out);
}

/* ---- services ---- */

static struct json_object *
queue_json(void)
{
	struct json_object *queue;
	struct queue_stats stats;
	struct err ignored;

	if (!config_has(FEATURE_REDIS) || queue_stats(&stats, &ignored) == -1)
		return NULL;
	queue = json_object_new_object();
	json_object_object_add(queue, "waiting", json_object_new_int64(stats.waiting));
	json_object_object_add(queue, "running", json_object_new_int64(stats.running));
	json_object_object_add(queue, "delayed", json_object_new_int64(stats.delayed));
	json_object_object_add(queue, "dead", json_object_new_int64(stats.dead));
	json_object_object_add(queue, "oldest_secs", json_object_new_int64(stats.oldest_secs));
	return queue;
}

int
handle_admin_services(struct request *rq, struct err *err)
{
	struct json_object *answer = json_object_new_object();
	int rc;

	(void)err;
	json_object_object_add(answer, "services", services_breakers());
	json_object_object_add(answer, "redis", services_redis());
	json_object_object_add(answer, "cache", services_caches());
	json_object_object_add(answer, "queue", queue_json());
	response_header(rq, "Cache-Control", "no-store");
	rc = response_json(rq, 200, answer);
	json_object_put(answer);
	return rc;
}

int
handle_admin_service_reset(struct request *rq, struct err *err)
{
	struct admin_actor actor = actor_of(rq);

	if (!services_reset(rq->param))
		return err_set(err, ERR_NOT_FOUND, "There is no service of this name; GET /api/admin/services lists them.");
	if (admin_note(rq->arena, &actor, "service.reset", rq->param, err) == -1)
		return -1;
	return response_begin(rq, 204, "application/json");
}
