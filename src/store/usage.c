/* usage.c - see store/usage.h */
#include "store/usage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/text.h"
#include "config/config.h"
#include "net/pg.h"
#include "runtime/fiber.h"
#include "store/person_rows.h"
#include "store/queue.h"
#include "store/usage_table.h"
#include "telemetry/log.h"

#define ARENA_BYTES ((size_t)1024 * 1024)
#define NUMBER_BYTES 24
#define FINISH_POLL_MS 5
/* Whoever adds to a table has done so in microseconds, unless he was killed. */
#define ADDERS_POLL_MS 2
#define ADDERS_POLLS 100
#define LEASE_MS 10000

static bool flushing;
static unsigned ticks;

static const struct pg_tx service = {.role = PG_SERVICE};

void
usage_count(const char *user_id, const struct usage_sums *sums)
{
	if (config_has(FEATURE_DATABASE))
		usage_table_add((int64_t)time(NULL) / 3600, user_id, sums);
}

/* Once for each part, whoever writes it.  In order of the key, so that two workers never wait for each other; people who were
   erased meanwhile are left out. */
#define FLUSH_SQL                                                                                                      \
	"with fresh as (insert into usage_parts (id) values ($2::uuid) on conflict do nothing returning id), "              \
	"old as (delete from usage_parts where at < now() - interval '7 days') "                                            \
	"insert into usage_hourly as u (hour, user_id, requests, prompt_tokens, completion_tokens, tool_calls, errors) "   \
	"select timestamptz 'epoch' + hour * interval '1 hour', user_id, sum(requests), sum(prompt_tokens), "               \
	"sum(completion_tokens), sum(tool_calls), sum(errors) from jsonb_to_recordset($1::jsonb) as r(hour bigint, "        \
	"user_id uuid, requests bigint, prompt_tokens bigint, completion_tokens bigint, tool_calls bigint, errors bigint) " \
	"where exists (select from fresh) and (user_id is null or exists (select from users where id = r.user_id)) "        \
	"group by hour, user_id order by 1, 2 "                                                                             \
	"on conflict on constraint usage_hourly_key do update set requests = u.requests + excluded.requests, "              \
	"prompt_tokens = u.prompt_tokens + excluded.prompt_tokens, "                                                        \
	"completion_tokens = u.completion_tokens + excluded.completion_tokens, "                                            \
	"tool_calls = u.tool_calls + excluded.tool_calls, errors = u.errors + excluded.errors"

static int
write_part(struct json_object *rows, const char *id, struct err *err)
{
	struct arena *a = arena_new(ARENA_BYTES);
	const struct pg_rows *result;
	size_t len;
	int rc = pg_query(&service, a, &result, err, FLUSH_SQL, PG_PARAMS(json_text(rows, &len), id));

	arena_free(&a);
	return rc;
}

static int
write_sealed(uint64_t number, struct err *err)
{
	int rc = 0;

	for (unsigned i = 0; i < ADDERS_POLLS && usage_table_is_busy(number); i++)
		(void)!fiber_sleep(ADDERS_POLL_MS, NULL);
	for (size_t part = 0; rc == 0 && part < USAGE_PARTS; part++) {
		char id[IDENT_BYTES];
		struct json_object *rows = usage_table_read(number, part, id);

		if (rows != NULL)
			rc = write_part(rows, id, err);
		json_object_put(rows);
	}
	if (rc == 0)
		usage_table_clear(number);
	return rc;
}

void
usage_flush(void)
{
	uint64_t number;
	struct err err;
	int rc = 0;

	if (flushing)
		return;
	flushing = true;
	fiber_mask_begin();
	/* what was left sealed, and what was added since */
	for (unsigned i = 0; rc == 0 && i < 2 && usage_table_seal(&number); i++)
		rc = write_sealed(number, &err);
	if (rc == -1 && err.code != ERR_UNAVAILABLE && err.code != ERR_UPSTREAM_TIMEOUT)
		LOG_WARN(&log_root, "usage was not written", LOG_STR("reason", err.message), LOG_STR("cause", err.cause));
	fiber_mask_end();
	flushing = false;
}

void
usage_finish(void)
{
	if (!config_has(FEATURE_DATABASE))
		return;
	fiber_mask_begin();
	while (flushing)
		(void)!fiber_sleep(FINISH_POLL_MS, NULL);
	fiber_mask_end();
	usage_flush();
}

static void
flush_in_fiber(void *arg)
{
	(void)arg;
	usage_flush();
	(void)!usage_table_lease(-1);
}

void
usage_tick(void)
{
	if (++ticks % USAGE_FLUSH_SECS == 0 && config_has(FEATURE_DATABASE) && usage_table_is_used() && !flushing &&
	    pg_usable() && usage_table_lease(LEASE_MS))
		fiber_spawn(flush_in_fiber, NULL);
}

/* ---- budgets ---- */

int
usage_reserve(struct arena *a, const char *user_id, int64_t wanted, int64_t budget, char id[IDENT_BYTES], struct err *err)
{
	char wants[NUMBER_BYTES], has[NUMBER_BYTES], expires[NUMBER_BYTES];
	const struct pg_rows *rows;

	ident_new(id);
	snprintf(wants, sizeof(wants), "%" PRId64, wanted);
	snprintf(has, sizeof(has), "%" PRId64, budget);
	snprintf(expires, sizeof(expires), "%" PRId64, config()->request_deadline_secs + 60);
	if (pg_query(&service, a, &rows, err, "select reserve_tokens($1::uuid, $2::uuid, $3::bigint, $4::bigint, $5::integer)",
	             PG_PARAMS(id, user_id, wants, has, expires)) == -1)
		return -1;
	return pg_bool(rows, 0, 0) ? 1 : 0;
}

static int
settle(struct arena *a, const char *id, const char *user_id, const char *day, int64_t used, struct err *err)
{
	const struct pg_rows *rows;
	char tokens[NUMBER_BYTES];

	snprintf(tokens, sizeof(tokens), "%" PRId64, used);
	return pg_query(&service, a, &rows, err, "select settle_tokens($1::uuid, $2::uuid, $3::date, $4::bigint)",
	                PG_PARAMS(id, user_id, day, tokens));
}

static int
settle_later(const char *id, const char *user_id, const char *day, int64_t used, struct err *err)
{
	struct json_object *payload = json_object_new_object();
	const char *text;
	size_t len;
	int rc;

	json_object_object_add(payload, "user_id", json_object_new_string(user_id));
	json_object_object_add(payload, "day", json_object_new_string(day));
	json_object_object_add(payload, "used", json_object_new_int64(used));
	text = json_text(payload, &len);
	rc = queue_add("settle_tokens", id, text, len, err);
	json_object_put(payload);
	return rc == -1 ? -1 : 0;
}

int
usage_settle(struct arena *a, const char *id, const char *user_id, int64_t used, struct err *err)
{
	time_t now = time(NULL);
	char day[NUMBER_BYTES];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	if (settle(a, id, user_id, day, used, err) == 0)
		return 0;
	return settle_later(id, user_id, day, used, err);
}

int
usage_run_settle(const struct job *job, struct err *err)
{
	struct json_object *p = json_parse_trusted(job->payload, job->payload_len);
	const char *user_id = json_member_text(p, "user_id"), *day = json_member_text(p, "day");
	int rc;

	if (user_id == NULL || day == NULL)
		rc = err_set(err, ERR_INVALID_REQUEST, "The job's payload is not what it should be.");
	else
		rc = settle(job->arena, job->key, user_id, day, json_object_get_int64(json_object_object_get(p, "used")), err);
	json_object_put(p);
	return rc;
}

/* ---- the report ---- */

#define SUMS_SQL                                                                                                       \
	"'requests', coalesce(sum(h.requests), 0), 'prompt_tokens', coalesce(sum(h.prompt_tokens), 0), "                    \
	"'completion_tokens', coalesce(sum(h.completion_tokens), 0), 'tool_calls', coalesce(sum(h.tool_calls), 0), "        \
	"'errors', coalesce(sum(h.errors), 0)"
#define SPAN_SQL                                                                                                       \
	"h.hour >= coalesce(nullif($1, '')::timestamptz, now() - interval '30 days') "                                      \
	"and h.hour < coalesce(nullif($2, '')::timestamptz, 'infinity')"

static int
put_list(struct buffer *out, const char *name, const struct pg_rows *rows, struct err *err)
{
	int rc = buffer_printf(out, ",\"%s\":[", name);

	for (size_t i = 0; rc == 0 && i < pg_count(rows); i++)
		rc = buffer_printf(out, "%s%s", i > 0 ? "," : "", pg_text(rows, i, 0));
	if (rc == 0)
		rc = buffer_append(out, "]", 1);
	return rc == 0 ? 0 : err_set(err, ERR_INTERNAL, "The answer needs too much memory.");
}

int
usage_report(struct arena *a, const char *from, const char *to, const char *bucket, struct buffer *out, struct err *err)
{
	const struct pg_tx tx = {.role = PG_SERVICE, .read_only = true};
	const struct pg_rows *rows[3];
	const struct pg_statement statements[] = {
	    /* days are those of UTC, of whatever zone the database is */
	    {"select set_config('TimeZone', 'UTC', true)", PG_NO_PARAMS},
	    PG_STATEMENT("select json_build_object('at', " TIME_SQL("date_trunc($3, h.hour, 'UTC')") ", " SUMS_SQL ")"
	                 " from usage_hourly h where " SPAN_SQL " group by date_trunc($3, h.hour, 'UTC')"
	                 " order by date_trunc($3, h.hour, 'UTC') limit 10000",
	                 from, to, bucket),
	    PG_STATEMENT("select json_build_object('user_id', h.user_id, 'email', min(u.email), " SUMS_SQL ")"
	                 " from usage_hourly h left join users u on u.id = h.user_id where " SPAN_SQL
	                 " group by h.user_id order by sum(h.prompt_tokens + h.completion_tokens) desc, h.user_id limit 50",
	                 from, to),
	};

	if (pg_run(&tx, a, statements, 3, rows, err) == -1) {
		if (err->code == ERR_UNPROCESSABLE)
			err_set(err, ERR_INVALID_REQUEST, "from and to must be moments such as 2026-01-31 or 2026-01-31T12:00:00Z.");
		return -1;
	}
	if (buffer_printf(out, "{\"bucket\":\"%s\"", bucket) == -1 || put_list(out, "usage", rows[1], err) == -1 ||
	    put_list(out, "users", rows[2], err) == -1 || buffer_append(out, "}", 1) == -1)
		return err_set(err, ERR_INTERNAL, "The answer needs too much memory.");
	return 0;
}
