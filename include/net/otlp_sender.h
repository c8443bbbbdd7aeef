/*
 * otlp_sender.h - brings the spans of telemetry/trace.h to a collector, by OTLP over HTTP in JSON.
 *
 * A fiber sends what has gathered every few seconds.  A collector that is away costs the spans, not more: they are
 * dropped and counted.  opentelemetry.io/docs/specs/otlp, "OTLP/HTTP".
 */
#ifndef NET_OTLP_SENDER_H
#define NET_OTLP_SENDER_H

/* Record spans and send them to `endpoint` "/v1/traces" as those of `service`; the texts must live as long.
   After http_client_start(). */
void otlp_sender_start(const char *endpoint, const char *service, const char *version);

/* Send what is left, briefly, and end.  In a fiber. */
void otlp_sender_stop(void);

#endif
