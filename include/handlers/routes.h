/*
 * routes.h - every address of the product: the table, and the handlers in it.
 *
 * A handler answers the request, or returns -1 with *err for the router to send.
 */
#ifndef HANDLERS_ROUTES_H
#define HANDLERS_ROUTES_H

#include "http/router.h"

extern const struct route routes[];

int handle_chat(struct request *rq, struct err *err);                   /* chat.c */
int handle_openai_chat(struct request *rq, struct err *err);            /* openai.c */
int handle_openai_models(struct request *rq, struct err *err);
int handle_health(struct request *rq, struct err *err);                 /* health.c */
int handle_health_live(struct request *rq, struct err *err);
int handle_signup(struct request *rq, struct err *err);                 /* auth.c */
int handle_login(struct request *rq, struct err *err);
int handle_logout(struct request *rq, struct err *err);
int handle_refresh(struct request *rq, struct err *err);
int handle_password(struct request *rq, struct err *err);
int handle_me(struct request *rq, struct err *err);                     /* account.c */
int handle_me_delete(struct request *rq, struct err *err);
int handle_export(struct request *rq, struct err *err);                 /* export.c */
int handle_keys(struct request *rq, struct err *err);                   /* keys.c */
int handle_keys_add(struct request *rq, struct err *err);
int handle_keys_revoke(struct request *rq, struct err *err);
int handle_health_live(struct request *rq, struct err *err);            /* health.c */
int handle_health_ready(struct request *rq, struct err *err);
int handle_probe(struct request *rq, struct err *err);                  /* probe.c */
int handle_probe_result(struct request *rq, struct err *err);
int handle_tools(struct request *rq, struct err *err);                  /* tools.c */
int handle_metrics(struct request *rq, struct err *err);                /* metrics.c */

int handle_conversations(struct request *rq, struct err *err);          /* conversations.c */
int handle_conversation(struct request *rq, struct err *err);
int handle_conversation_change(struct request *rq, struct err *err);
int handle_conversation_delete(struct request *rq, struct err *err);
int handle_upload(struct request *rq, struct err *err);                 /* upload.c */
int handle_uploads(struct request *rq, struct err *err);
int handle_upload_get(struct request *rq, struct err *err);
int handle_upload_meta(struct request *rq, struct err *err);
int handle_upload_delete(struct request *rq, struct err *err);
int handle_admin_users(struct request *rq, struct err *err);            /* admin.c */
int handle_admin_user_change(struct request *rq, struct err *err);
int handle_admin_usage(struct request *rq, struct err *err);
int handle_admin_audit(struct request *rq, struct err *err);
int handle_admin_services(struct request *rq, struct err *err);
int handle_admin_service_reset(struct request *rq, struct err *err);

#endif
