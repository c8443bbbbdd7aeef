/* title.c - see chat/title.h */
#include "chat/title.h"

#include <stdio.h>
#include <string.h>

#include "base/ident.h"
#include "base/text.h"
#include "chat/model.h"
#include "config/config.h"
#include "net/pg.h"
#include "runtime/loop.h"
#include "telemetry/log.h"

#define FIRST_WORDS_CHARS 60
#define TITLE_BYTES 200
#define TITLE_MAX_TOKENS 32
#define MODEL_WAIT_MS 30000

/* What the model is asked.  Its answer is one line. */
#define ASK                                                                                                            \
	"Write a title of at most six words for the conversation below, in its own language.  "                            \
	"Answer with the title only: no quotes, no full stop."

/* One line of words, at most so many characters, cut between words where that goes. */
static void
tidy(const char *text, char *out, size_t size, size_t max_chars)
{
	size_t at = 0, chars = 0, last_blank = 0;
	bool blank = true;

	for (; *text != '\0' && at + 5 < size; text++) {
		unsigned char c = (unsigned char)*text;
		bool is_blank = c <= 0x20 || c == 0x7F;

		if (is_blank && blank)
			continue;
		blank = is_blank;
		if ((c & 0xC0) != 0x80 && ++chars > max_chars)
			break;
		if (is_blank)
			last_blank = at;
		out[at++] = is_blank ? ' ' : (char)c;
	}
	if (*text != '\0' && last_blank > at / 2)
		at = last_blank;
	while (at > 0 && out[at - 1] == ' ')
		at--;
	out[at] = '\0';
	text_trim_partial_utf8(out);
}

static const char *
first_text(struct json_object *content)
{
	if (json_object_is_type(content, json_type_string))
		return json_object_get_string(content);
	for (size_t i = 0; json_object_is_type(content, json_type_array) && i < json_object_array_length(content); i++) {
		const char *text = json_member_text(json_object_array_get_idx(content, i), "text");

		if (text != NULL)
			return text;
	}
	return "";
}

void
title_by_first_words(struct json_object *body, char *title, size_t size)
{
	struct json_object *messages = json_member(body, "messages", json_type_array);

	title[0] = '\0';
	for (size_t i = 0; title[0] == '\0' && i < json_object_array_length(messages); i++) {
		struct json_object *message = json_object_array_get_idx(messages, i);

		if (strcmp(json_member_text(message, "role"), "user") == 0)
			tidy(first_text(json_object_object_get(message, "content")), title, size, FIRST_WORDS_CHARS);
	}
}

void
title_later(const char *user_id, const char *conversation_id)
{
	char payload[128];
	struct err ignored;
	int len = snprintf(payload, sizeof(payload), "{\"user_id\":\"%s\"}", user_id);

	(void)!queue_add("title", conversation_id, payload, (size_t)len, &ignored);
}

/* ---- the job ---- */

static void
add_message(struct json_object *messages, const char *role, const char *text)
{
	struct json_object *message = json_object_new_object();

	json_object_object_add(message, "role", json_object_new_string(role));
	json_object_object_add(message, "content", json_object_new_string(text));
	json_object_array_add(messages, message);
}

static struct json_object *
question(const struct pg_rows *rows, bool limited)
{
	struct json_object *body = json_object_new_object(), *messages = json_object_new_array();

	add_message(messages, "system", ASK);
	for (size_t i = 0; i < pg_count(rows); i++)
		add_message(messages, "user", pg_text(rows, i, 0));
	json_object_object_add(body, "model", json_object_new_string(config()->openai_model));
	json_object_object_add(body, "messages", messages);
	if (limited)
		json_object_object_add(body, "max_tokens", json_object_new_int(TITLE_MAX_TOKENS));
	json_object_object_add(body, "stream", json_object_new_boolean(0));
	return body;
}

/* Without the quotes that models put around it all the same. */
static void
read_title(struct json_object *answer, char title[TITLE_BYTES])
{
	struct json_object *choices = json_member(answer, "choices", json_type_array);
	struct json_object *choice = choices != NULL ? json_object_array_get_idx(choices, 0) : NULL;
	const char *text = json_member_text(json_member(choice, "message", json_type_object), "content");
	char line[TITLE_BYTES];
	size_t len;

	text_copy(line, sizeof(line), text != NULL ? text + strspn(text, " \t\r\n\"'*#") : "");
	line[strcspn(line, "\r\n")] = '\0';
	for (len = strlen(line); len > 0 && strchr(" \t\"'*.", line[len - 1]) != NULL;)
		line[--len] = '\0';
	tidy(line, title, TITLE_BYTES, FIRST_WORDS_CHARS);
}

static int
ask(const struct job *job, const struct pg_rows *rows, bool limited, char title[TITLE_BYTES], struct err *err)
{
	struct json_object *body = question(rows, limited), *answer = NULL;
	size_t len;
	const char *text = json_text(body, &len);
	struct model_call *model = model_open(text, len, false, &job->log, err);
	const int64_t deadline_ms = loop_now_ms() + MODEL_WAIT_MS;
	int rc = -1;

	if (model != NULL) {
		enum model_event event = model_wait(model, deadline_ms, err);

		if (event == MODEL_SILENT)
			err_set(err, ERR_UPSTREAM_TIMEOUT, "The model gave no title in time.");
		else if (event != MODEL_FAILED)
			rc = model_read_answer(model, &answer, err);
		model_close(&model);
	}
	if (rc == 0)
		read_title(answer, title);
	json_object_put(answer);
	json_object_put(body);
	return rc;
}

/* OpenAI's newer models refuse `max_tokens`, which those of others need. */
static int
ask_model(const struct job *job, const struct pg_rows *rows, char title[TITLE_BYTES], struct err *err)
{
	int rc = ask(job, rows, true, title, err);

	return rc == -1 && err->code == ERR_INVALID_REQUEST ? ask(job, rows, false, title, err) : rc;
}

int
title_run(const struct job *job, struct err *err)
{
	struct json_object *payload = json_parse_trusted(job->payload, job->payload_len);
	const char *user_id = payload != NULL ? json_member_text(payload, "user_id") : NULL;
	const struct pg_tx tx = {.role = PG_USER, .user_id = user_id};
	const struct pg_rows *rows = NULL;
	char title[TITLE_BYTES] = "";
	int rc = -1;

	if (!ident_is_valid(user_id) || !ident_is_valid(job->key))
		err_set(err, ERR_INVALID_REQUEST, "The job says no person or conversation.");
	else
		rc = pg_query(&tx, job->arena, &rows, err,
		              "select left(m.text, 2000) from messages m join conversations c on c.id = m.conversation_id"
		              " where c.id = $1::uuid and not c.titled and m.role in ('user', 'assistant') order by m.seq limit 2",
		              PG_PARAMS(job->key));
	/* deleted, or named by a person meanwhile */
	if (rc == 0 && pg_count(rows) > 0)
		rc = ask_model(job, rows, title, err);
	if (rc == 0 && title[0] != '\0')
		rc = pg_query(&tx, job->arena, &rows, err,
		              "update conversations set title = $2 where id = $1::uuid and not titled", PG_PARAMS(job->key, title));
	json_object_put(payload);
	return rc;
}
