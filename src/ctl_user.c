/*
 * ctl_user.c - bakamectl user: accounts, by the operator's hand
 *
 * Passwords are read from the terminal, or from standard input where that is none: never from the command line, which
 * others on the host can see.
 */
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "config/config.h"
#include "ctl_database.h"
#include "guard/auth.h"
#include "guard/password.h"
#include "guard/token_cache.h"
#include "handlers/account.h"
#include "net/http_client.h"
#include "net/pg.h"
#include "net/redis.h"
#include "runtime/errand.h"
#include "runtime/shm.h"
#include "store/people.h"

#define ARENA_BYTES ((size_t)4 << 20)
#define PAGE 200

struct order {
	const char *verb;
	const char *email;
	const char *name;
	bool admin;
	char password[PASSWORD_MAX_BYTES + 2];
	struct arena *arena;
};

/* What can be done with somebody. */
static const struct verb {
	const char *name;
	const char *role;               /* NULL: as it is */
	int disabled;                   /* -1: as it is */
	bool wants_password;
	const char *done;
} verbs[] = {
	{"add", NULL, -1, true, "made"},
	{"list", NULL, -1, false, NULL},
	{"promote", "admin", -1, false, "an administrator now"},
	{"demote", "user", -1, false, "no administrator now"},
	{"disable", NULL, 1, false, "disabled"},
	{"enable", NULL, 0, false, "enabled"},
	{"passwd", NULL, -1, true, "given a new password; all its sessions have ended"},
	{0},
};

static int
refuse_usage(void)
{
	fputs("usage: bakamectl user add [--name NAME] [--admin] EMAIL\n"
	      "       bakamectl user list\n"
	      "       bakamectl user promote|demote|disable|enable|passwd EMAIL\n",
	      stderr);
	return EX_USAGE;
}

static int
complain(const struct err *err)
{
	fprintf(stderr, "bakamectl: %s%s%s%s\n", err->message, err->cause[0] != '\0' ? " (" : "", err->cause,
	        err->cause[0] != '\0' ? ")" : "");
	return err->code == ERR_UNAVAILABLE || err->code == ERR_UPSTREAM_TIMEOUT ? EX_UNAVAILABLE : EX_DATAERR;
}

/* ---- the password ---- */

static int
read_line(const char *prompt, char *line, size_t size)
{
	struct termios before, silent;
	bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
	char *got;

	if (terminal) {
		fputs(prompt, stderr);
		silent = before;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	}
	got = fgets(line, (int)size, stdin);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		fputc('\n', stderr);
	}
	if (got == NULL)
		line[0] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	return got != NULL ? 0 : -1;
}

static int
read_password(struct order *o)
{
	char again[sizeof(o->password)];
	struct err err;
	int rc = 0;

	if (read_line("Password: ", o->password, sizeof(o->password)) == -1 || password_check(o->password, "The password", &err) == -1) {
		fprintf(stderr, "bakamectl: %s\n", o->password[0] != '\0' ? err.message : "There is no password on standard input.");
		return -1;
	}
	if (isatty(STDIN_FILENO) && (read_line("Again: ", again, sizeof(again)) == -1 || strcmp(again, o->password) != 0)) {
		fputs("bakamectl: These two are not the same.\n", stderr);
		rc = -1;
	}
	sodium_memzero(again, sizeof(again));
	return rc;
}

/* ---- what is done, in a fiber ---- */

static void
print_person(const struct person *p)
{
	printf("%s  %-5s  %-8s  %s  %s%s%s\n", p->id, p->role, p->disabled ? "disabled" : "enabled", p->created_at, p->email,
	       *p->name != '\0' ? "  " : "", p->name);
}

static int
list(struct err *err)
{
	char after[PERSON_ID_BYTES] = "";
	struct person people[PAGE];
	int count;

	do {
		struct arena *a = arena_new(ARENA_BYTES);

		count = people_list(a, after, PAGE, people, err);
		for (int i = 0; i < count; i++)
			print_person(&people[i]);
		if (count > 0)
			snprintf(after, sizeof(after), "%s", people[count - 1].id);
		arena_free(&a);
	} while (count == PAGE);
	return count == -1 ? -1 : 0;
}

static int
add(struct order *o, struct err *err)
{
	char hash[PASSWORD_HASH_BYTES];
	struct person p;

	if (account_check_email(o->email, err) == -1 || password_hash(o->password, hash, err) == -1 ||
	    people_add(o->arena, o->email, o->name, o->admin ? "admin" : "user", hash, &p, err) == -1)
		return -1;
	return people_note(o->arena, p.id, "user.added", err);
}

static int
change(struct order *o, const struct verb *verb, struct err *err)
{
	char hash[PASSWORD_HASH_BYTES];
	struct person p;
	int found = people_find(o->arena, o->email, &p, err);

	if (found == 0)
		return err_set(err, ERR_NOT_FOUND, "There is no account of %s.", o->email);
	if (found == -1)
		return -1;
	if (!verb->wants_password) {
		if (people_change(o->arena, p.id, verb->role, verb->disabled, err) == -1)
			return -1;
		auth_person_changed(p.id);
		return 0;
	}
	if (password_hash(o->password, hash, err) == -1 ||
	    people_set_password(o->arena, p.id, hash, NULL, NULL, err) == -1)
		return -1;
	auth_person_changed(p.id);
	return people_note(o->arena, p.id, "user.password", err);
}

static const struct verb *
find_verb(const char *name)
{
	for (const struct verb *v = verbs; v->name != NULL; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

static int
carry_out(void *arg)
{
	struct order *o = arg;
	const struct verb *verb = find_verb(o->verb);
	struct err err = {0};
	int rc;

	if (strcmp(o->verb, "list") == 0)
		rc = list(&err);
	else if (strcmp(o->verb, "add") == 0)
		rc = add(o, &err);
	else
		rc = change(o, verb, &err);
	if (rc == -1)
		return complain(&err);
	if (verb->done != NULL)
		printf("%s: %s\n", o->email, verb->done);
	return EX_OK;
}

/* ---- the command line ---- */

static int
read_order(struct order *o, int argc, char **argv)
{
	bool adds;

	if (argc < 2 || find_verb(argv[1]) == NULL)
		return -1;
	o->verb = argv[1];
	o->name = "";
	if (strcmp(o->verb, "list") == 0)
		return argc == 2 ? 0 : -1;
	adds = strcmp(o->verb, "add") == 0;
	for (int i = 2; i < argc; i++) {
		if (adds && strcmp(argv[i], "--admin") == 0)
			o->admin = true;
		else if (adds && strcmp(argv[i], "--name") == 0 && i + 1 < argc)
			o->name = argv[++i];
		else if (o->email == NULL && argv[i][0] != '-')
			o->email = argv[i];
		else
			return -1;
	}
	return o->email != NULL ? 0 : -1;
}

/* The workers of this host and Redis are told of changes; neither has to be there. */
static int
run_order(struct order *o)
{
	struct err ignored;
	int status;

	(void)!shm_attach(config()->shm_name, &ignored);
	http_client_start(1);
	redis_start();
	pg_start();
	token_cache_start();
	o->arena = arena_new(ARENA_BYTES);
	status = errand_run(carry_out, o);
	arena_free(&o->arena);
	token_cache_stop();
	pg_stop();
	redis_stop();
	http_client_stop();
	errand_end();
	shm_stop();
	return status;
}

int
ctl_user(int argc, char **argv)
{
	struct order o = {0};
	int status;

	if (read_order(&o, argc, argv) == -1)
		return refuse_usage();
	if (config_load(stderr) == -1)
		return EX_CONFIG;
	if (!config_has(FEATURE_DATABASE)) {
		fputs("bakamectl: no database is configured; set DATABASE_URL\n", stderr);
		return EX_CONFIG;
	}
	if (sodium_init() == -1)
		return EX_SOFTWARE;
	if (find_verb(o.verb)->wants_password && read_password(&o) == -1)
		return EX_DATAERR;
	status = run_order(&o);
	sodium_memzero(o.password, sizeof(o.password));
	return status;
}
