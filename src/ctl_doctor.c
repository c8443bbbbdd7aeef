/*
 * ctl_doctor.c - see ctl_doctor.h
 *
 * Each check is a row of the table at the end: it asks, looks, and says what it found.
 */
#include "ctl_doctor.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "ctl_doctor_advice.h"
#include "ctl_doctor_ask.h"
#include "net/http_client.h"
#include "runtime/loop.h"

#define URL_MAX 1024
#define FOUND_SOMETHING 1

#define EVENTS 10
#define EVERY_MS 100
/* An event that is so late was held up; a network alone is quicker than the pace. */
#define LATE_MS 300
#define TRIES 3
#define REACH_TRIES 7                   /* 3 s */
#define REACH_PAUSE_NS 500000000L
/* A client that has gone is noticed at the next write.  The stream, as long as there may be one, outlasts the wait. */
#define ABORT_EVENTS 100
#define ABORT_EVERY_MS 150
#define ABORT_WAIT_MS 10000

#define CLOCK_MAX_SECS 5
#define CERTIFICATE_MIN_DAYS 14
#define REFUSAL_MS 20000
/* All in all, for a limit that refuses. */
#define LIMIT_WAIT_MAX_SECS 60
#define SMALL_BODY ((size_t)900 * 1024)          /* of a chat, which may have 1 MiB */
#define LARGE_UPLOAD "Content-Length: 27262976" /* 26 MiB */

struct patient {
	const char *base;               /* without a slash at its end */
	const char *ca_file;            /* or NULL */
	uint64_t stream_id;             /* of the stream that was left */
	bool tls;
	enum front front;
	bool held_back;                 /* streams are */
	unsigned findings;
};

static void PRINTF_LIKE(2, 3)
say_fine(const char *what, const char *fmt, ...)
{
	va_list ap;

	printf("ok    %-15s ", what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static void PRINTF_LIKE(4, 5)
say_found(struct patient *p, const char *what, enum finding finding, const char *fmt, ...)
{
	va_list ap;

	p->findings++;
	printf("BAD   %-15s ", what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	advice_print(finding, p->front);
}

static const char *
url_of(const struct patient *p, const char *path)
{
	static char url[URL_MAX];

	snprintf(url, sizeof(url), "%s%s", p->base, path);
	return url;
}

static void
get(const struct patient *p, const char *path, const char *const *headers, struct told *told)
{
	ask(&(struct ask){.method = "GET", .url = url_of(p, path), .headers = headers, .ca_file = p->ca_file}, told);
}

/* These questions count as anybody's: who mends something and asks again soon comes to the limit. */
static void
ask_within_limit(const struct ask *question, struct told *told)
{
	static int64_t left_secs = LIMIT_WAIT_MAX_SECS;
	int64_t wait_secs;
	char text[16];

	ask(question, told);
	while (told->status == 429) {
		if (told_header(told, "Retry-After", text, sizeof(text)) != 1 || text_to_int64(text, 1, left_secs, &wait_secs) == -1)
			return;
		left_secs -= wait_secs;
		printf("      %-15s too many questions from here of late (429): waiting %" PRId64 " s\n", "", wait_secs);
		fflush(stdout);
		told_free(told);
		nanosleep(&(struct timespec){.tv_sec = (time_t)wait_secs}, NULL);
		ask(question, told);
	}
}

static void
get_within_limit(const struct patient *p, const char *path, const char *const *headers, struct told *told)
{
	ask_within_limit(&(struct ask){.method = "GET", .url = url_of(p, path), .headers = headers, .ca_file = p->ca_file}, told);
}

/* ---- is anybody there ---- */

static bool
is_worker(const struct told *told)
{
	return told->answered && told->status == 200 && told->body.len > 0 && strstr(told->body.data, "\"alive\"") != NULL;
}

/* A front that was told to reload or restart a moment ago is another one a moment later. */
static void
reach(const struct patient *p, struct told *told)
{
	const struct timespec pause = {.tv_nsec = REACH_PAUSE_NS};

	get(p, "/api/health/live", NULL, told);
	for (int i = 1; i < REACH_TRIES && !is_worker(told) && !told->certificate_bad; i++) {
		told_free(told);
		nanosleep(&pause, NULL);
		get(p, "/api/health/live", NULL, told);
	}
}

static bool
check_reached(struct patient *p)
{
	struct told told;
	char server[128];
	bool reached;

	reach(p, &told);
	(void)told_header(&told, "Server", server, sizeof(server));
	p->front = advice_front(server);
	reached = is_worker(&told);
	if (told.certificate_bad)
		say_found(p, "tls", FINDING_CERTIFICATE, "the certificate is not one that clients trust: %s", told.fault);
	else if (!told.answered)
		say_found(p, "reached", FINDING_SILENT, "no answer: %s", told.fault);
	else if (!reached)
		say_found(p, "reached", FINDING_DOWN, "%s/api/health/live answers %ld, and not as a worker does", p->base,
		          told.status);
	else
		say_fine("reached", "a worker answers, through %s", server[0] != '\0' ? server : "a front that does not say its name");
	told_free(&told);
	return reached;
}

/* ---- streams ---- */

static int
compare_ms(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* By how much the events were late, against the pace of the one that came quickest: the median, since a busy machine
   makes one or two late; -1 when there was no stream. */
static int64_t
measure_lateness(const struct patient *p, const char *const *headers, struct told *told)
{
	char path[80];
	int64_t late[EVENTS], begin = INT64_MAX;

	snprintf(path, sizeof(path), "/api/health/stream?events=%d&every=%d", EVENTS, EVERY_MS);
	get_within_limit(p, path, headers, told);
	if (!told->answered || told->status != 200 || told->pieces == 0)
		return -1;
	/* in few pieces: most waited for others */
	if (told->pieces < EVENTS / 2)
		return (int64_t)EVENTS * EVERY_MS;
	for (unsigned i = 0; i < EVENTS; i++) {
		late[i] = told->piece_ms[i < told->pieces ? i : told->pieces - 1] - (int64_t)i * EVERY_MS;
		if (late[i] < begin)
			begin = late[i];
	}
	for (unsigned i = 0; i < EVENTS; i++)
		late[i] -= begin;
	qsort(late, EVENTS, sizeof(late[0]), compare_ms);
	return late[EVENTS / 2];
}

/* Of several tries the best: what holds events back holds them back each time, a busy machine does not. */
static int64_t
measure_again(const struct patient *p, const char *const *headers, struct told *told)
{
	int64_t late = measure_lateness(p, headers, told);

	for (int i = 1; i < TRIES && late > LATE_MS; i++) {
		told_free(told);
		late = measure_lateness(p, headers, told);
	}
	return late;
}

static void
name_hop(const struct told *told)
{
	static const char *const names[] = {"Via", "CF-RAY", "X-Cache", "X-Served-By", "X-Varnish"};
	char value[160];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (told_header(told, names[i], value, sizeof(value)) > 0)
			printf("      %-15s there is a proxy before the front (%s: %s); it may be that one\n", "", names[i], value);
}

static void
check_pace(struct patient *p)
{
	static const char *const compressing[] = {"Accept-Encoding: gzip, br", NULL};
	struct told told, compressed;
	int64_t late = measure_again(p, NULL, &told);
	int64_t late_compressed = measure_again(p, compressing, &compressed);
	char encoding[32];

	if (late == -1 && told.status == 429) {
		printf("?     %-15s could not be told: too many questions from here of late (429); ask again in a minute\n", "stream");
	} else if (late == -1) {
		say_found(p, "stream", FINDING_DOWN, "/api/health/stream answers %ld", told.status);
	} else if (late > LATE_MS) {
		p->held_back = true;
		say_found(p, "stream", FINDING_BUFFERED, "events are held back: half of them %" PRId64 " ms or more, in %u pieces instead of %d", late,
		          told.pieces, EVENTS);
		name_hop(&told);
	} else {
		say_fine("stream", "%d events came as they were sent, half of them within %" PRId64 " ms", EVENTS, late);
	}
	if (late != -1 && late_compressed != -1) {
		if (late <= LATE_MS && late_compressed > LATE_MS)
			say_found(p, "compression", FINDING_COMPRESSED, "events are held back when the client takes compression: %" PRId64 " ms late",
			          late_compressed);
		else if (told_header(&compressed, "Content-Encoding", encoding, sizeof(encoding)) > 0)
			say_found(p, "compression", FINDING_COMPRESSED, "streams are compressed (%s), which holds small events back", encoding);
		else
			say_fine("compression", "leaves streams alone");
	}
	told_free(&told);
	told_free(&compressed);
}

/* What the host says of the stream that we left: its state, "" when it knows of none; and whether it saw our token. */
static void
read_fate(const struct patient *p, char *state, size_t size, bool *authorized_r)
{
	static const char *const token[] = {"Authorization: Bearer doctor.doctor.doctor", NULL};
	struct told told;
	struct err err;
	struct json_object *body, *value;
	char path[80];

	state[0] = '\0';
	snprintf(path, sizeof(path), "/api/health/stream/%" PRIx64, p->stream_id);
	get_within_limit(p, path, token, &told);
	body = told.status == 200 && told.body.len > 0 ? json_parse(told.body.data, told.body.len, &err) : NULL;
	if (body != NULL && json_object_object_get_ex(body, "state", &value))
		text_copy(state, size, json_object_get_string(value));
	*authorized_r = body != NULL && json_object_object_get_ex(body, "authorization", &value) && json_object_get_boolean(value);
	json_object_put(body);
	told_free(&told);
}

/* What became of a stream that we left: "gone" where the worker has heard of it, "running" where it has not yet, "done"
   where we were so slow that it had ended before; "" when nobody knows. */
static void
leave_stream(struct patient *p, char *state, size_t size)
{
	struct told told;
	char path[120];
	bool authorized;
	int64_t end, pause_ms = ABORT_EVERY_MS;

	if (getrandom(&p->stream_id, sizeof(p->stream_id), 0) != (ssize_t)sizeof(p->stream_id))
		p->stream_id = (uint64_t)clock_ms(CLOCK_REALTIME);
	p->stream_id |= 1;
	snprintf(path, sizeof(path), "/api/health/stream?events=%d&every=%d&id=%" PRIx64, p->held_back ? 1 : ABORT_EVENTS, ABORT_EVERY_MS, p->stream_id);
	ask_within_limit(&(struct ask){.method = "GET", .url = url_of(p, path), .ca_file = p->ca_file, .leave_after = p->held_back ? 0 : 2}, &told);
	told_free(&told);
	end = clock_ms(CLOCK_MONOTONIC) + ABORT_WAIT_MS;
	do {
		nanosleep(&(struct timespec){.tv_nsec = pause_ms * 1000000}, NULL);
		read_fate(p, state, size, &authorized);
		if (pause_ms < 500)
			pause_ms *= 2;          /* each of these questions counts */
	} while (strcmp(state, "running") == 0 && clock_ms(CLOCK_MONOTONIC) < end);
}

static void
check_abort(struct patient *p)
{
	char state[16] = "done";

	for (int i = 0; i < (p->held_back ? 1 : TRIES) && strcmp(state, "done") == 0; i++)
		leave_stream(p, state, sizeof(state));
	if (p->held_back)
		printf("?     %-15s cannot be told while streams are held back\n", "abort");
	else if (strcmp(state, "gone") == 0)
		say_fine("abort", "when a client leaves, the worker hears of it");
	else if (state[0] == '\0')
		printf("?     %-15s could not be told: another host, or a limit, answered the question\n", "abort");
	else
		say_found(p, "abort", FINDING_ABORT, "the client has left, and %d ms later the worker still sends (%s)", ABORT_WAIT_MS, state);
}

/* ---- headers ---- */

static void
check_headers(struct patient *p)
{
	static const char *const wanted[] = {"X-Frame-Options", "X-Content-Type-Options", "X-XSS-Protection", "Referrer-Policy",
	                                     "Content-Security-Policy", "Permissions-Policy"};
	static const char *const paths[] = {"/", "/api/health/live", "/api/nothing", "/nothing"};
	char value[1024];
	unsigned missing = 0;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct told told;

		get(p, paths[i], NULL, &told);
		for (size_t j = 0; j < sizeof(wanted) / sizeof(wanted[0]); j++) {
			unsigned times = told_header(&told, wanted[j], value, sizeof(value));

			if (told.answered && times != 1 && missing++ < 3)
				say_found(p, "headers", FINDING_HEADERS, "%s: %s %s", paths[i], wanted[j], times == 0 ? "is missing" : "is there twice");
		}
		if (told.answered && p->tls && told_header(&told, "Strict-Transport-Security", value, sizeof(value)) == 0)
			say_found(p, "headers", FINDING_HSTS, "%s: Strict-Transport-Security is missing", paths[i]);
		told_free(&told);
	}
	if (missing == 0)
		say_fine("headers", "the security headers are on pages, answers and errors");
}

static void
check_request_id(struct patient *p)
{
	struct told told;
	char id[160];
	unsigned times;

	get(p, "/api/nothing", NULL, &told);
	times = told_header(&told, "X-Request-Id", id, sizeof(id));
	/* a worker that was given none makes a UUID */
	if (times != 1 || (strlen(id) == 36 && id[8] == '-' && id[13] == '-'))
		say_found(p, "request id", FINDING_REQUEST_ID, "%s", times == 1 ? "the front gives requests no id of its own" : "X-Request-Id is not there once");
	else
		say_fine("request id", "the front's is the client's and the workers'");
	told_free(&told);
}

static void
check_authorization(struct patient *p)
{
	char state[16];
	bool authorized;

	read_fate(p, state, sizeof(state), &authorized);
	if (state[0] == '\0')
		printf("?     %-15s could not be told\n", "authorization");
	else if (authorized)
		say_fine("authorization", "reaches the workers");
	else
		say_found(p, "authorization", FINDING_AUTHORIZATION, "a token does not reach the workers");
}

static void
check_cors(struct patient *p)
{
	static const char *const foreign[] = {"Origin: https://bakame-doctor.invalid", NULL};
	struct told told;
	char value[160];

	get(p, "/api/health/live", foreign, &told);
	if (told_header(&told, "Access-Control-Allow-Origin", value, sizeof(value)) > 0)
		say_found(p, "cors", FINDING_CORS, "any site may read answers (Access-Control-Allow-Origin: %s)", value);
	else
		say_fine("cors", "a site that is not configured is refused");
	told_free(&told);
}

static void
check_metrics(struct patient *p)
{
	struct told told;

	get(p, "/metrics", NULL, &told);
	if (told.status != 200)
		say_fine("metrics", "are not for everybody (%ld)", told.status);
	else if (told.from_here)
		say_fine("metrics", "are there, for this host");
	else
		say_found(p, "metrics", FINDING_METRICS, "anybody can read /metrics");
	told_free(&told);
}

/* ---- bodies ---- */

static void
check_bodies(struct patient *p)
{
	static const char *const json[] = {"Content-Type: application/json", NULL};
	static const char *const large[] = {LARGE_UPLOAD, "Content-Type: application/octet-stream", NULL};
	char *body = mem_alloc(SMALL_BODY);
	struct told told;

	memset(body, ' ', SMALL_BODY);
	ask(&(struct ask){.method = "POST", .url = url_of(p, "/api/chat"), .headers = json, .ca_file = p->ca_file, .body = body, .body_len = SMALL_BODY}, &told);
	if (told.status == 400 || told.status == 429)
		say_fine("body limits", "a chat of 900 KiB gets through");
	else
		say_found(p, "body limits", FINDING_BODY_REFUSED, "a chat of 900 KiB is answered %ld%s%s", told.status,
		          told.answered ? "" : ": ", told.answered ? "" : told.fault);
	told_free(&told);
	/* the head is enough: who takes it waits for 26 MiB, who does not says so */
	ask(&(struct ask){.method = "POST", .url = url_of(p, "/api/upload"), .headers = large, .ca_file = p->ca_file, .body = "", .head_only = true,
	                  .timeout_ms = REFUSAL_MS}, &told);
	if (told.status == 413)
		say_fine("body limits", "an upload of 26 MiB is refused before it is sent (413)");
	else
		say_found(p, "body limits", FINDING_BODY_TAKEN, "an upload of 26 MiB is not refused by 413 (%ld)", told.status);
	told_free(&told);
	free(body);
}

/* ---- clock, TLS ---- */

static void
check_clock(struct patient *p)
{
	struct told told;
	char date[64];
	time_t theirs, before = time(NULL), after;
	long long apart;

	get(p, "/api/health/live", NULL, &told);
	after = time(NULL);             /* an answer that is long on its way says when it left */
	(void)told_header(&told, "Date", date, sizeof(date));
	theirs = curl_getdate(date, NULL);
	apart = theirs < before ? (long long)theirs - (long long)before : theirs > after ? (long long)theirs - (long long)after : 0;
	if (theirs == -1)
		printf("?     %-15s the answer has no date\n", "clock");
	else if (apart > CLOCK_MAX_SECS || apart < -CLOCK_MAX_SECS)
		say_found(p, "clock", FINDING_CLOCK, "the server's is %lld s %s ours: tokens expire at the wrong time", apart < 0 ? -apart : apart,
		          apart < 0 ? "behind" : "ahead of");
	else
		say_fine("clock", "theirs and ours agree");
	told_free(&told);
}

static void
check_tls(struct patient *p)
{
	struct told told;
	char plain[URL_MAX], location[URL_MAX];

	if (!p->tls) {
		printf("?     %-15s not asked for: the address is http\n", "tls");
		return;
	}
	get(p, "/api/health/live", NULL, &told);
	if (told.certificate_days != INT64_MIN && told.certificate_days < CERTIFICATE_MIN_DAYS)
		say_found(p, "tls", FINDING_CERTIFICATE, "the certificate ends in %" PRId64 " days", told.certificate_days);
	else
		say_fine("tls", "the certificate is good for %" PRId64 " days", told.certificate_days);
	if (told.http_version >= 20)
		say_fine("http/2", "is spoken");
	else
		say_found(p, "http/2", FINDING_HTTP2, "is not spoken: a browser opens six streams at most");
	told_free(&told);
	if (strchr(p->base + strlen("https://"), ':') != NULL)
		return;                 /* with a port of its own: where the plain one is nobody knows */
	snprintf(plain, sizeof(plain), "http://%s/", p->base + strlen("https://"));
	ask(&(struct ask){.method = "GET", .url = plain}, &told);
	(void)told_header(&told, "Location", location, sizeof(location));
	if (told.answered && !text_has_prefix_nocase(location, "https://"))
		say_found(p, "tls", FINDING_PLAIN, "the plain address answers %ld and does not lead to the other", told.status);
	told_free(&told);
}

/* ---- what the workers depend on ---- */

static void
tell_service(struct patient *p, struct json_object *services, const char *name, enum finding finding)
{
	struct json_object *service, *status;
	const char *text;

	if (!json_object_object_get_ex(services, name, &service) || !json_object_object_get_ex(service, "status", &status))
		return;
	text = json_object_get_string(status);
	if (strcmp(text, "healthy") == 0)
		say_fine(name, "is healthy");
	else if (strcmp(text, "disabled") == 0)
		printf("-     %-15s is not configured\n", name);
	else
		say_found(p, name, finding, "is %s", text);
}

static void
check_services(struct patient *p)
{
	struct told told;
	struct err err;
	struct json_object *body, *services;

	get(p, "/api/health", NULL, &told);
	body = told.body.len > 0 ? json_parse(told.body.data, told.body.len, &err) : NULL;
	if (body == NULL || !json_object_object_get_ex(body, "services", &services)) {
		say_found(p, "health", FINDING_DOWN, "/api/health answers %ld, and not as it should", told.status);
	} else {
		tell_service(p, services, "database", FINDING_DATABASE);
		tell_service(p, services, "redis", FINDING_REDIS);
		tell_service(p, services, "openai", FINDING_MODEL);
	}
	json_object_put(body);
	told_free(&told);
}

static void (*const checks[])(struct patient *p) = {
    check_pace, check_abort, check_headers, check_request_id, check_authorization, check_cors,
    check_metrics, check_bodies, check_clock, check_tls, check_services,
};

/* Of several hops, outermost first: the one that holds streams back is the last that does. */
static void
tell_hop(const char *outer, bool outer_holds, const char *inner, bool inner_holds)
{
	if (outer_holds && !inner_holds)
		printf("\nWhat holds streams back stands between %s and %s.\n", outer, inner);
}

static unsigned
visit(const char *address, const char *ca_file, bool whole, bool *held_back_r)
{
	char base[URL_MAX];
	struct patient p = {.base = base, .ca_file = ca_file};
	size_t len;

	text_copy(base, sizeof(base), address);
	for (len = strlen(base); len > 0 && base[len - 1] == '/'; len--)
		base[len - 1] = '\0';
	p.tls = text_has_prefix_nocase(base, "https://");
	printf("%s\n", base);
	*held_back_r = false;
	if (!check_reached(&p))
		return p.findings;
	for (size_t i = 0; i < (whole ? sizeof(checks) / sizeof(checks[0]) : 1); i++) {
		checks[i](&p);
		fflush(stdout);
	}
	*held_back_r = p.held_back;
	return p.findings;
}

static int
refuse(void)
{
	fputs("bakamectl: doctor wants the public address, as https://chat.example.org\n", stderr);
	return EX_USAGE;
}

int
ctl_doctor(int argc, char **argv)
{
	unsigned findings = 0;
	bool held_back = false, held_back_before = false;
	const char *ca_file = NULL;
	int first = 1;

	if (argc > 2 && strcmp(argv[1], "--ca") == 0) {
		ca_file = argv[2];
		first = 3;
	}
	if (first >= argc)
		return refuse();
	for (int i = first; i < argc; i++)
		if (!text_has_prefix_nocase(argv[i], "http://") && !text_has_prefix_nocase(argv[i], "https://"))
			return refuse();
	http_client_start(1);           /* sets up libcurl, and what stands between it and libnghttp2 */
	for (int i = first; i < argc; i++) {
		findings += visit(argv[i], ca_file, i == first, &held_back);
		if (i > first)
			tell_hop(argv[i - 1], held_back_before, argv[i], held_back);
		held_back_before = held_back;
	}
	http_client_stop();
	loop_close();
	if (findings == 0)
		puts("\nNothing to mend.");
	else
		printf("\n%u to mend; what mends it stands below each.\n", findings);
	return findings == 0 ? EX_OK : FOUND_SOMETHING;
}
