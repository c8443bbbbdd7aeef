/*
 * ctl_doctor_advice.h - what mends what the doctor found: lines of configuration, for each front.
 */
#ifndef CTL_DOCTOR_ADVICE_H
#define CTL_DOCTOR_ADVICE_H

enum finding {
	FINDING_BUFFERED,
	FINDING_COMPRESSED,
	FINDING_ABORT,
	FINDING_HEADERS,
	FINDING_HSTS,
	FINDING_REQUEST_ID,
	FINDING_AUTHORIZATION,
	FINDING_BODY_REFUSED,
	FINDING_BODY_TAKEN,
	FINDING_METRICS,
	FINDING_CORS,
	FINDING_PLAIN,
	FINDING_CERTIFICATE,
	FINDING_HTTP2,
	FINDING_CLOCK,
	FINDING_DATABASE,
	FINDING_REDIS,
	FINDING_MODEL,
	FINDING_DOWN,                   /* the front answers, a worker does not */
	FINDING_SILENT,                 /* nobody answers */
	FINDING_COUNT,
};

/* As the header Server shows it. */
enum front { FRONT_NGINX, FRONT_APACHE, FRONT_OTHER };

enum front advice_front(const char *server);

/* Print it, for this front; for one that is not known, for all. */
void advice_print(enum finding finding, enum front front);

#endif
