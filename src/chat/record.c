/* record.c - see chat/record.h */
#include "chat/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/ident.h"
#include "base/text.h"
#include "chat/attachments.h"
#include "chat/prompt.h"
#include "chat/title.h"
#include "config/config.h"
#include "guard/identity.h"
#include "http/request.h"
#include "runtime/fiber.h"
#include "runtime/loop.h"
#include "store/turns.h"
#include "telemetry/log.h"

/* Longer answers lose their end in the record. */
#define SAID_MAX_BYTES ((size_t)512 * 1024)
#define TITLE_BYTES 200

struct record {
	struct request *rq;
	char conversation_id[IDENT_BYTES];
	char question_id[IDENT_BYTES];  /* what is answered */
	char answer_id[IDENT_BYTES];
	char title[TITLE_BYTES];
	bool starts;
	bool knows_history;
	bool ended;
	enum turns_saved begun;
	struct buffer said;             /* as JSON writes it, without quotes */
};

/* What a request says about its place in a conversation. */
struct place {
	const char *conversation_id;    /* NULL: a new one */
	const char *parent_id;
	bool follows;
	bool regenerate;
};

static int
read_id(struct json_object *body, const char *name, const char **id_r, bool *given_r, struct err *err)
{
	struct json_object *value;

	*id_r = NULL;
	*given_r = json_object_object_get_ex(body, name, &value);
	if (!*given_r || value == NULL)
		return 0;
	if (!json_object_is_type(value, json_type_string))
		return err_set(err, ERR_INVALID_REQUEST, "%s must be a string.", name);
	*id_r = json_object_get_string(value);
	if (!ident_is_valid(*id_r))
		return err_set(err, ERR_NOT_FOUND, "There is nothing of this id (%s).", name);
	return 0;
}

static int
read_place(struct json_object *body, struct place *p, struct err *err)
{
	struct json_object *regenerate;
	bool given, follows_other;

	if (read_id(body, "conversation_id", &p->conversation_id, &given, err) == -1 ||
	    read_id(body, "parent_id", &p->parent_id, &follows_other, err) == -1)
		return -1;
	regenerate = json_object_object_get(body, "regenerate");
	if (regenerate != NULL && !json_object_is_type(regenerate, json_type_boolean))
		return err_set(err, ERR_INVALID_REQUEST, "regenerate must be true or false.");
	p->regenerate = json_object_get_boolean(regenerate);
	p->follows = !follows_other;
	if (p->conversation_id == NULL && (p->parent_id != NULL || p->regenerate))
		return err_set(err, ERR_INVALID_REQUEST, "parent_id and regenerate want a conversation_id.");
	if (p->regenerate && p->parent_id == NULL)
		return err_set(err, ERR_INVALID_REQUEST, "regenerate wants the parent_id of the message to answer anew.");
	return 0;
}

/* ---- what is said, as it is stored ---- */

/* The text in a content: of an array of parts all that is text. */
static struct json_object *
text_of(struct json_object *content)
{
	struct buffer all = BUFFER_INIT(SAID_MAX_BYTES);
	struct json_object *text;

	if (json_object_is_type(content, json_type_string))
		return json_object_get(content);
	for (size_t i = 0; json_object_is_type(content, json_type_array) && i < json_object_array_length(content); i++) {
		const char *part = json_member_text(json_object_array_get_idx(content, i), "text");

		if (part != NULL)
			(void)!buffer_printf(&all, "%s%s", all.len > 0 ? "\n" : "", part);
	}
	text = json_object_new_string(all.data != NULL ? all.data : "");
	buffer_free(&all);
	return text;
}

static struct json_object *
message_to_store(struct json_object *message, const char *id)
{
	struct json_object *stored = json_object_new_object();
	struct json_object *content = json_object_object_get(message, "content");

	json_object_object_add(stored, "id", json_object_new_string(id));
	json_object_object_add(stored, "role", json_object_new_string(json_member_text(message, "role")));
	json_object_object_add(stored, "content", content != NULL ? json_object_get(content) : json_object_new_string(""));
	json_object_object_add(stored, "text", text_of(content));
	json_object_object_add(stored, "attachments", json_object_new_array());
	return stored;
}

static bool
is_user(struct json_object *message)
{
	return strcmp(json_member_text(message, "role"), "user") == 0;
}

/* The messages of the request, each with an id; files go with the last that a person said. */
static struct json_object *
messages_to_store(struct record *r, struct json_object *body)
{
	struct json_object *messages = json_member(body, "messages", json_type_array);
	struct json_object *files = json_member(body, "attachments", json_type_array);
	struct json_object *stored = json_object_new_array(), *last = NULL;

	for (size_t i = 0; i < json_object_array_length(messages); i++) {
		struct json_object *message = json_object_array_get_idx(messages, i), *one;

		ident_new(r->question_id);
		one = message_to_store(message, r->question_id);
		if (is_user(message))
			last = one;
		json_object_array_add(stored, one);
	}
	if (last == NULL)
		last = json_object_array_get_idx(stored, json_object_array_length(stored) - 1);
	if (files != NULL)
		json_object_object_add(last, "attachments", json_object_get(files));
	return stored;
}

/* ---- what the model is told ---- */

static void
add_messages(struct json_object *all, struct json_object *more)
{
	for (size_t i = 0; more != NULL && i < json_object_array_length(more); i++)
		json_object_array_add(all, json_object_get(json_object_array_get_idx(more, i)));
}

/* Those of the request as they came; files go with the last that a person said.  What a message itself says of files was
   checked by nobody. */
static void
add_request(struct json_object *all, struct json_object *body)
{
	struct json_object *messages = json_member(body, "messages", json_type_array);
	struct json_object *files = json_member(body, "attachments", json_type_array);

	for (size_t i = 0; i < json_object_array_length(messages); i++)
		json_object_object_del(json_object_array_get_idx(messages, i), "attachments");
	for (size_t i = json_object_array_length(messages); files != NULL && i-- > 0;) {
		struct json_object *message = json_object_array_get_idx(messages, i);

		if (is_user(message) || i == 0) {
			json_object_object_add(message, "attachments", json_object_get(files));
			break;
		}
	}
	add_messages(all, messages);
}

/* ---- begin ---- */

static struct turns_begin
turn_to_store(const struct record *r, const struct place *p, struct json_object *said)
{
	return (struct turns_begin){
	    .user_id = r->rq->who->user_id,
	    .conversation_id = r->conversation_id,
	    .starts = r->starts,
	    .title = r->title,
	    .follows = p->follows,
	    .parent_id = p->parent_id,
	    .at_us = loop_unix_us(),
	    .messages = said,
	};
}

/* Store what is said and load what was; then the prompt. */
static int
store_and_load(struct record *r, const struct place *p, struct json_object *body, struct prompt *prompt, struct err *err)
{
	struct json_object *said = p->regenerate ? json_object_new_array() : messages_to_store(r, body);
	struct json_object *history = NULL, *all = json_object_new_array();
	struct turns_begin turn = turn_to_store(r, p, said);
	int rc = turns_begin(r->rq->arena, &turn, &history, &r->begun, err);

	if (rc == 0) {
		if (r->begun == TURNS_QUEUED)   /* nothing is lost, and that the database is away is told elsewhere */
			LOG_INFO(&r->rq->log, "a turn waits in the queue", LOG_STR("cause", err->cause));
		if (r->begun == TURNS_LOST)
			LOG_WARN(&r->rq->log, "a turn is not kept", LOG_STR("reason", err->message), LOG_STR("cause", err->cause));
		*err = (struct err){0};
		r->knows_history = r->starts || history != NULL;
		add_messages(all, history);
		/* without history what the client brings has to do */
		if (!p->regenerate || history == NULL)
			add_request(all, body);
		rc = attachments_expand(r->rq->arena, turn.user_id, all, err);
	}
	if (rc == 0)
		prompt_use_messages(prompt, r->rq->arena, all);
	json_object_put(history);
	json_object_put(said);
	json_object_put(all);
	return rc;
}

int
record_begin(struct request *rq, struct json_object *body, struct prompt *prompt, struct record **record_r,
             struct err *err)
{
	struct place place = {0};
	struct record *r;

	*record_r = NULL;
	if (rq->who == NULL || rq->who->kind != IDENTITY_USER)
		return 0;
	if (read_place(body, &place, err) == -1)
		return -1;
	if (!config_has(FEATURE_DATABASE))
		return place.conversation_id == NULL ? 0 : err_set(err, ERR_NOT_FOUND, "Conversations are not kept here.");
	r = mem_alloc(sizeof(*r));
	r->rq = rq;
	r->said.max = SAID_MAX_BYTES;
	r->starts = place.conversation_id == NULL;
	ident_new(r->answer_id);
	if (r->starts)
		ident_new(r->conversation_id);
	else
		text_copy(r->conversation_id, sizeof(r->conversation_id), place.conversation_id);
	if (place.regenerate)
		text_copy(r->question_id, sizeof(r->question_id), place.parent_id);
	title_by_first_words(body, r->title, sizeof(r->title));
	if (attachments_check(rq->arena, rq->who->user_id, body, err) == -1 || store_and_load(r, &place, body, prompt, err) == -1) {
		record_free(&r);
		return -1;
	}
	*record_r = r;
	return 0;
}

void
record_add_extras(const struct record *r, struct json_object *extras)
{
	json_object_object_add(extras, "conversation_id", json_object_new_string(r->conversation_id));
	json_object_object_add(extras, "user_message_id", json_object_new_string(r->question_id));
	json_object_object_add(extras, "message_id", json_object_new_string(r->answer_id));
	json_object_object_add(extras, "saved", json_object_new_boolean(r->begun != TURNS_LOST));
	if (r->begun == TURNS_QUEUED)
		json_object_object_add(extras, "queued", json_object_new_boolean(1));
	if (!r->knows_history)
		json_object_object_add(extras, "history", json_object_new_boolean(0));
}

void
record_note(struct record *r, struct json_slice quoted)
{
	/* what follows a part that found no room would leave a gap */
	if (quoted.len > 2 && quoted.text[0] == '"' && buffer_append(&r->said, quoted.text + 1, quoted.len - 2) == -1)
		r->said.max = r->said.len;
}

/* ---- end ---- */

/* A text without the NULs in it, which PostgreSQL has not.  Takes it over. */
static struct json_object *
without_nuls(struct json_object *text)
{
	size_t len = (size_t)json_object_get_string_len(text), kept = 0;
	const char *from = json_object_get_string(text);
	struct json_object *clean;
	char *to;

	if (memchr(from, '\0', len) == NULL)
		return text;
	to = mem_alloc(len);
	for (size_t i = 0; i < len; i++)
		if (from[i] != '\0')
			to[kept++] = from[i];
	clean = json_object_new_string_len(to, (int)kept);
	free(to);
	json_object_put(text);
	return clean;
}

/* What was said, as a JSON string. */
static struct json_object *
said_text(const struct record *r)
{
	struct buffer quoted = BUFFER_INIT(r->said.len + 2);
	struct json_object *text = NULL;

	if (buffer_append(&quoted, "\"", 1) == 0 &&
	    (r->said.len == 0 || buffer_append(&quoted, r->said.data, r->said.len) == 0) &&
	    buffer_append(&quoted, "\"", 1) == 0)
		text = json_parse_trusted(quoted.data, quoted.len);
	buffer_free(&quoted);
	if (json_object_is_type(text, json_type_string))
		return without_nuls(text);
	json_object_put(text);
	return json_object_new_string("");
}

static struct json_object *
answer_to_store(const struct record *r, const struct record_facts *f)
{
	struct json_object *answer = json_object_new_object();

	json_object_object_add(answer, "id", json_object_new_string(r->answer_id));
	json_object_object_add(answer, "content", said_text(r));
	json_object_object_add(answer, "status", json_object_new_string(f->complete ? "complete" : "interrupted"));
	json_object_object_add(answer, "model", json_object_new_string(f->model));
	json_object_object_add(answer, "prompt_tokens", json_object_new_int64(f->prompt_tokens));
	json_object_object_add(answer, "completion_tokens", json_object_new_int64(f->completion_tokens));
	json_object_object_add(answer, "tools", json_object_get(f->tools));
	return answer;
}

struct json_object *
record_end(struct record *r, const struct record_facts *facts)
{
	struct json_object *answer, *news = NULL;
	enum turns_saved saved;
	struct err err = {0};

	if (r->ended || (!facts->complete && r->said.len == 0 && facts->tools == NULL))
		return NULL;            /* nothing was said */
	r->ended = true;
	answer = answer_to_store(r, facts);
	fiber_mask_begin();
	saved = turns_end(r->rq->arena,
	                  &(struct turns_end){
	                      .user_id = r->rq->who->user_id,
	                      .conversation_id = r->conversation_id,
	                      .parent_id = r->question_id,
	                      .at_us = loop_unix_us(),
	                      .answer = answer,
	                  },
	                  r->begun, &err);
	if (r->starts && saved != TURNS_LOST && facts->complete)
		title_later(r->rq->who->user_id, r->conversation_id);
	fiber_mask_end();
	json_object_put(answer);
	if (saved == TURNS_LOST) {
		if (r->begun != TURNS_LOST)     /* else it was told of the turn */
			LOG_WARN(&r->rq->log, "an answer is not kept", LOG_STR("reason", err.message), LOG_STR("cause", err.cause));
		news = json_object_new_object();
		json_object_object_add(news, "saved", json_object_new_boolean(0));
	}
	return news;
}

void
record_free(struct record **r_p)
{
	if (*r_p == NULL)
		return;
	buffer_free(&(*r_p)->said);
	free(*r_p);
	*r_p = NULL;
}
