/*
 * ctl_doctor_ask.h - one HTTP request of the doctor's, as a client outside would send it.
 *
 * Each is a connection of its own, over libcurl's easy interface; it blocks.
 */
#ifndef CTL_DOCTOR_ASK_H
#define CTL_DOCTOR_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

#define ASK_PIECES_MAX 256

struct ask {
	const char *method;
	const char *url;
	const char *const *headers;     /* "Name: value", ended by NULL; or NULL */
	const char *body;               /* or NULL */
	size_t body_len;
	const char *ca_file;            /* certificates to trust instead of the system's; or NULL */
	bool head_only;                 /* of the body only the length is told: not to be had over HTTP/2 */
	long timeout_ms;                /* 0: long */
	unsigned leave_after;           /* pieces: then close, as a client does that has gone; 0: never */
};

/* What came back.  Free with told_free(). */
struct told {
	bool answered;                  /* else `fault` says why not */
	bool certificate_bad;
	bool from_here;                 /* over the loopback: who asks is this host itself */
	char fault[256];
	long status;
	long http_version;              /* 10, 11, 20, 30 */
	int64_t certificate_days;       /* that are left of the server's; INT64_MIN without TLS */
	struct buffer head;             /* of the last response */
	struct buffer body;
	unsigned pieces;                /* of the body, as they came */
	int64_t piece_ms[ASK_PIECES_MAX];       /* when each came, from the request's start */
};

void ask(const struct ask *question, struct told *told);

/* The value of a header into `value`; how many of that name there are. */
unsigned told_header(const struct told *told, const char *name, char *value, size_t size);

void told_free(struct told *told);

#endif
