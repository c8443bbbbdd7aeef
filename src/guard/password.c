/* password.c - see guard/password.h */
#include "guard/password.h"

#include <sodium.h>
#include <string.h>

#include "base/text.h"
#include "runtime/fiber.h"
#include "runtime/work.h"

/* Of a password that nobody has, by today's parameters: for who does not exist. */
static const char nobody[] =
    "$argon2id$v=19$m=32768,t=3,p=1$QjGYxBKwhrPxvYnXCNAz9w$DfehdPFcYEoT/tVBTFWN6uMMMtkoC54+C7+xNBzrhpY";

_Static_assert(PASSWORD_HASH_BYTES >= crypto_pwhash_STRBYTES, "room for a hash");

struct job {
	const char *password;
	const char *hash;               /* NULL: make one */
	char made[PASSWORD_HASH_BYTES];
	bool ok;
};

/* A fiber that waits for its turn; on its stack. */
struct waiter {
	struct waiter *next;
	struct fiber *fiber;
	bool turn;
};

static struct {
	struct waiter *first;
	struct waiter **end;
	unsigned waiting;
	unsigned running;
} queue = {.end = &queue.first};

int
password_check(const char *password, const char *field, struct err *err)
{
	size_t len = strlen(password), chars = 0;

	for (size_t i = 0; i < len; i++)
		chars += ((unsigned char)password[i] & 0xC0) != 0x80;
	if (chars < PASSWORD_MIN_CHARS)
		return err_set(err, ERR_INVALID_REQUEST, "%s must have at least %d characters.", field, PASSWORD_MIN_CHARS);
	if (len > PASSWORD_MAX_BYTES)
		return err_set(err, ERR_INVALID_REQUEST, "%s must have at most %d bytes.", field, PASSWORD_MAX_BYTES);
	return 0;
}

static void
leave_queue(struct waiter *w)
{
	for (struct waiter **at = &queue.first; *at != NULL; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			if (queue.end == &w->next)
				queue.end = at;
			queue.waiting--;
			return;
		}
}

static void
finish_turn(void)
{
	struct waiter *next = queue.first;

	if (next == NULL) {
		queue.running--;
		return;
	}
	leave_queue(next);
	next->turn = true;              /* ours is theirs now */
	fiber_wake(next->fiber);
}

static int
await_turn(struct err *err)
{
	struct waiter w = {.fiber = fiber_self()};

	if (queue.running < PASSWORDS_AT_ONCE) {
		queue.running++;
		return 0;
	}
	if (queue.waiting >= PASSWORDS_WAITING_MAX) {
		err_set(err, ERR_UNAVAILABLE, "Too many people sign in at the moment; please try again.");
		err->retry_after_secs = 5;
		return -1;
	}
	*queue.end = &w;
	queue.end = &w.next;
	queue.waiting++;
	while (!w.turn)
		if (fiber_wait(FIBER_NO_DEADLINE) == FIBER_CANCELLED)
			break;
	if (w.turn && fiber_cancelled(fiber_self()) == FIBER_GO_ON)
		return 0;
	if (w.turn)
		finish_turn();
	else
		leave_queue(&w);
	return fiber_cancel_err(err);
}

static void
job_run(void *arg)
{
	struct job *job = arg;

	if (job->hash == NULL)
		job->ok = crypto_pwhash_str(job->made, job->password, strlen(job->password), PASSWORD_ROUNDS,
		                            PASSWORD_MEMORY_BYTES) == 0;
	else
		job->ok = crypto_pwhash_str_verify(job->hash, job->password, strlen(job->password)) == 0;
}

int
password_hash(const char *password, char *hash, struct err *err)
{
	struct job job = {.password = password};

	if (await_turn(err) == -1)
		return -1;
	work_run(job_run, &job);
	finish_turn();
	if (!job.ok)
		return err_set(err, ERR_INTERNAL, "The password could not be kept: out of memory.");
	text_copy(hash, PASSWORD_HASH_BYTES, job.made);
	return 0;
}

int
password_verify(const char *password, const char *hash, struct err *err)
{
	struct job job = {.password = password, .hash = hash != NULL ? hash : nobody};

	if (await_turn(err) == -1)
		return -1;
	work_run(job_run, &job);
	finish_turn();
	return hash != NULL && job.ok ? 1 : 0;
}

bool
password_is_outdated(const char *hash)
{
	return crypto_pwhash_str_needs_rehash(hash, PASSWORD_ROUNDS, PASSWORD_MEMORY_BYTES) != 0;
}
