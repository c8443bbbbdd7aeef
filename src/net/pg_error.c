/*
 * pg_error.c - what an SQLSTATE means to whoever asked.
 *
 * www.postgresql.org/docs/15/errcodes-appendix.html
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/pg_conn.h"

/* By prefix of the SQLSTATE; the first that fits counts. */
static const struct meaning {
	const char *state;
	enum err_code code;
	bool outage;                    /* of the server, not of this statement */
	const char *message;
} meanings[] = {
    {"23505", ERR_CONFLICT, false, "That is there already."},
    {"23P01", ERR_CONFLICT, false, "That is there already."},
    {"23503", ERR_NOT_FOUND, false, "What this refers to is not there."},
    {"23", ERR_UNPROCESSABLE, false, "The database does not take one of these values."},
    {"22", ERR_UNPROCESSABLE, false, "The database does not take one of these values."},
    {"42501", ERR_FORBIDDEN, false, "You may not do that."},
    {"40", ERR_UNAVAILABLE, false, "Somebody else changed the same thing just now; please try again."},
    {"55P03", ERR_UNAVAILABLE, false, "Somebody else changed the same thing just now; please try again."},
    {"25006", ERR_UNAVAILABLE, true, "The database takes no changes at the moment; please try again later."},
    {"57014", ERR_UPSTREAM_TIMEOUT, true, "The database took too long; please try again."},
    {"53100", ERR_UNAVAILABLE, true, "The database has no room at the moment; please try again later."},
    {"53", ERR_UNAVAILABLE, true, "The database is overloaded at the moment; please try again."},
    {"57P", ERR_UNAVAILABLE, true, "The database is away at the moment; please try again."},
    {"08", ERR_UNAVAILABLE, true, "The database is away at the moment; please try again."},
    {"58", ERR_UNAVAILABLE, true, "The database is away at the moment; please try again."},
    {"", ERR_INTERNAL, false, "The database did not understand us; this is our fault."},
};

static const char *
field(const PGresult *error, int which)
{
	const char *text = PQresultErrorField(error, which);

	return text != NULL ? text : "";
}

static const struct meaning *
meaning_of(const char *state)
{
	const struct meaning *m = meanings;

	/* without one it is libpq that found the connection broken: as 08000, connection_exception */
	if (*state == '\0')
		state = "08000";
	while (strncmp(state, m->state, strlen(m->state)) != 0)
		m++;
	return m;
}

/* Raised by a function of ours: BK404 is the status 404, its message for the person. */
static enum err_code
code_of_own(const char *state)
{
	int64_t status;

	if (strncmp(state, "BK", 2) != 0 || text_to_int64(state + 2, 400, 599, &status) == -1)
		return ERR_NONE;
	for (enum err_code code = ERR_INVALID_REQUEST; code < ERR_CANCELLED; code++)
		if (err_status(code) == status)
			return code;
	return ERR_NONE;
}

int
pg_error_read(const PGresult *error, bool at_start, struct err *err)
{
	const char *state = field(error, PG_DIAG_SQLSTATE);
	const struct meaning *m = meaning_of(state);
	enum err_code own = code_of_own(state);

	if (*state == '\0') {
		err_set(err, m->code, "%s", m->message);
		err->retry_after_secs = 1;
		return err_cause(err, "the connection to PostgreSQL broke: %s", PQresultErrorMessage(error));
	}
	if (own != ERR_NONE)
		return err_set(err, own, "%s", field(error, PG_DIAG_MESSAGE_PRIMARY));
	if (at_start && m->code == ERR_FORBIDDEN) {
		err_set(err, ERR_UNAVAILABLE, "The database is not set up for this; its operator has to look.");
		return err_cause(err, "SQLSTATE %s: %s: may the login role become anon, authenticated and service_role?",
		                 state, field(error, PG_DIAG_MESSAGE_PRIMARY));
	}
	err_set(err, m->code, "%s", m->message);
	if (m->code == ERR_UNAVAILABLE)
		err->retry_after_secs = m->outage ? 5 : 1;
	if (strcmp(state, "42P01") == 0 || strcmp(state, "3F000") == 0 || strcmp(state, "42703") == 0)
		return err_cause(err, "SQLSTATE %s: %s: has `bakamectl migrate` been run?", state,
		                 field(error, PG_DIAG_MESSAGE_PRIMARY));
	return err_cause(err, "SQLSTATE %s %s: %s", state, field(error, PG_DIAG_CONSTRAINT_NAME),
	                 field(error, PG_DIAG_MESSAGE_PRIMARY));
}

bool
pg_error_is_outage(const PGresult *error)
{
	return meaning_of(field(error, PG_DIAG_SQLSTATE))->outage;
}
