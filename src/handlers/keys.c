/* keys.c - API keys: GET and POST /api/auth/keys, DELETE /api/auth/keys/{id} */
#include <sodium.h>
#include <string.h>

#include "guard/auth.h"
#include "guard/identity.h"
#include "guard/jwt.h"
#include "guard/session_token.h"
#include "handlers/account.h"
#include "handlers/routes.h"
#include "http/request.h"
#include "http/response.h"
#include "runtime/fiber.h"

#define NAME_CHARS_MAX 100
#define KEY_RANDOM_BYTES ((size_t)32)
#define PREFIX "bk_"
/* of the key, shown to know it again */
#define PREFIX_SHOWN 9

static struct json_object *
key_json(const struct api_key *k)
{
	struct json_object *json = json_object_new_object();

	json_object_object_add(json, "id", json_object_new_string(k->id));
	json_object_object_add(json, "name", json_object_new_string(k->name));
	json_object_object_add(json, "prefix", json_object_new_string(k->prefix));
	json_object_object_add(json, "created_at", json_object_new_string(k->created_at));
	json_object_object_add(json, "last_used_at", k->last_used_at != NULL ? json_object_new_string(k->last_used_at) : NULL);
	return json;
}

int
handle_keys(struct request *rq, struct err *err)
{
	struct api_key *keys = arena_alloc(rq->arena, PERSON_KEYS_MAX * sizeof(*keys));
	struct json_object *answer, *list;
	int count, rc;

	if (keys == NULL)
		return err_set(err, ERR_INTERNAL, "The request needs too much memory.");
	if (account_check_any(err) == -1 || (count = people_list_keys(rq->arena, rq->who->user_id, keys, err)) == -1)
		return -1;
	answer = json_object_new_object();
	list = json_object_new_array();
	for (int i = 0; i < count; i++)
		json_object_array_add(list, key_json(&keys[i]));
	json_object_object_add(answer, "keys", list);
	response_header(rq, "Cache-Control", "no-store");
	rc = response_json(rq, 200, answer);
	json_object_put(answer);
	return rc;
}

int
handle_keys_add(struct request *rq, struct err *err)
{
	unsigned char random[KEY_RANDOM_BYTES], digest[PERSON_DIGEST_BYTES];
	char key[sizeof(PREFIX) + 2 * sizeof(random)], prefix[PREFIX_SHOWN + 1];
	struct json_object *body, *answer;
	struct api_key made;
	const char *name;
	int rc;

	if (account_check_any(err) == -1 || (body = request_read_json(rq, rq->route->body_max, err)) == NULL ||
	    (name = account_text(rq, body, "name", NAME_CHARS_MAX, err)) == NULL)
		return -1;
	if (*name == '\0')
		return err_set(err, ERR_INVALID_REQUEST, "name is missing; for example \"my laptop\".");
	randombytes_buf(random, sizeof(random));
	memcpy(key, PREFIX, sizeof(PREFIX));
	sodium_bin2base64(key + strlen(PREFIX), sizeof(key) - strlen(PREFIX), random, sizeof(random),
	                  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	memcpy(prefix, key, PREFIX_SHOWN);
	prefix[PREFIX_SHOWN] = '\0';
	session_token_digest(key, digest);
	if (people_add_key(rq->arena, rq->who->user_id, name, prefix, digest, &made, err) == -1)
		return -1;
	answer = key_json(&made);
	json_object_object_add(answer, "key", json_object_new_string(key));
	response_header(rq, "Cache-Control", "no-store");
	rc = response_json(rq, 201, answer);
	json_object_put(answer);
	sodium_memzero(key, sizeof(key));
	return rc;
}

int
handle_keys_revoke(struct request *rq, struct err *err)
{
	int rc;

	if (account_check_any(err) == -1)
		return -1;
	if (!jwt_is_uuid(rq->param))
		return err_set(err, ERR_NOT_FOUND, "There is no such key.");
	fiber_mask_begin();
	rc = people_revoke_key(rq->arena, rq->who->user_id, rq->param, err);
	if (rc == 0)
		auth_person_changed(rq->who->user_id);
	fiber_mask_end();
	return rc == -1 ? -1 : response_begin(rq, 204, "application/json");
}
