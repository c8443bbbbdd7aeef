/* account.c - one's own account: GET and DELETE /api/auth/me; and what the handlers of accounts share */
#include "handlers/account.h"

#include <string.h>

#include "config/config.h"
#include "guard/auth.h"
#include "guard/identity.h"
#include "guard/session_token.h"
#include "handlers/routes.h"
#include "http/request.h"
#include "http/response.h"
#include "runtime/fiber.h"

#define EMAIL_LOCAL_MAX 64
#define EMAIL_MAX 254

int
account_check_local(struct err *err)
{
	if (config()->auth_mode == CONFIG_AUTH_LOCAL)
		return 0;
	return err_set(err, ERR_NOT_FOUND, "There is nothing at this address: %s.",
	               config()->auth_mode == CONFIG_AUTH_SUPABASE ? "accounts here are Supabase's"
	                                                           : "there are no accounts here");
}

int
account_check_any(struct err *err)
{
	if (config()->auth_mode != CONFIG_AUTH_OFF && config_has(FEATURE_DATABASE))
		return 0;
	return err_set(err, ERR_NOT_FOUND, "There is nothing at this address: there are no accounts here.");
}

struct json_object *
account_json(const struct person *p)
{
	struct json_object *json = json_object_new_object();

	json_object_object_add(json, "id", json_object_new_string(p->id));
	json_object_object_add(json, "email", json_object_new_string(p->email));
	json_object_object_add(json, "name", json_object_new_string(p->name));
	json_object_object_add(json, "role", json_object_new_string(p->role));
	json_object_object_add(json, "created_at", json_object_new_string(p->created_at));
	json_object_object_add(json, "upload_max_bytes", json_object_new_int64(config()->upload_max_bytes));
	return json;
}

static size_t
count_chars(const char *text)
{
	size_t chars = 0;

	for (; *text != '\0'; text++)
		chars += ((unsigned char)*text & 0xC0) != 0x80;
	return chars;
}

const char *
account_text(struct request *rq, struct json_object *body, const char *name, size_t max, struct err *err)
{
	struct json_object *value = NULL;
	const char *text;
	size_t len;

	if (!json_object_object_get_ex(body, name, &value) || value == NULL)
		return "";
	if (!json_object_is_type(value, json_type_string)) {
		err_set(err, ERR_INVALID_REQUEST, "%s must be a string.", name);
		return NULL;
	}
	text = json_object_get_string(value);
	text += strspn(text, " \t");
	len = strlen(text);
	while (len > 0 && strchr(" \t", text[len - 1]) != NULL)
		len--;
	text = arena_strndup(rq->arena, text, len);
	if (text == NULL) {
		err_set(err, ERR_INTERNAL, "The request needs too much memory.");
		return NULL;
	}
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7F) {
			err_set(err, ERR_INVALID_REQUEST, "%s must not have control characters.", name);
			return NULL;
		}
	if (count_chars(text) > max) {
		err_set(err, ERR_INVALID_REQUEST, "%s must have at most %zu characters.", name, max);
		return NULL;
	}
	return text;
}

int
account_check_email(const char *email, struct err *err)
{
	const char *at = strrchr(email, '@');

	if (*email == '\0')
		return err_set(err, ERR_INVALID_REQUEST, "email is missing.");
	if (at == NULL || at == email || at[1] == '\0' || (size_t)(at - email) > EMAIL_LOCAL_MAX ||
	    strlen(email) > EMAIL_MAX || strpbrk(email, " \t\"(),:;<>[]\\") != NULL || strchr(email, '@') != at ||
	    at[1] == '.' || at[1] == '-' || strstr(at, "..") != NULL)
		return err_set(err, ERR_INVALID_REQUEST, "email is not an e-mail address; for example ada@example.org.");
	return 0;
}

int
handle_me(struct request *rq, struct err *err)
{
	struct json_object *answer;
	struct person person;
	int rc;

	if (account_check_any(err) == -1)
		return -1;
	rc = people_get(rq->arena, rq->who->user_id, &person, err);
	if (rc == 0)
		return err_set(err, ERR_UNAUTHORIZED, "This account is no more; sign in again.");
	if (rc == -1)
		return -1;
	answer = json_object_new_object();
	json_object_object_add(answer, "user", account_json(&person));
	response_header(rq, "Cache-Control", "no-store");
	rc = response_json(rq, 200, answer);
	json_object_put(answer);
	return rc;
}

int
handle_me_delete(struct request *rq, struct err *err)
{
	int rc;

	if (account_check_any(err) == -1)
		return -1;
	fiber_mask_begin();
	rc = people_erase(rq->arena, rq->who->user_id, rq->remote_addr, rq->id, err);
	if (rc == 0)
		auth_person_changed(rq->who->user_id);
	fiber_mask_end();
	if (rc == -1)
		return -1;
	session_cookie_set(rq, NULL);
	return response_begin(rq, 204, "application/json");
}
