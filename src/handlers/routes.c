/* routes.c - see handlers/routes.h */
#include "handlers/routes.h"

#include "guard/guard.h"

#define KIB ((size_t)1024)

/* clang-format off */
const struct route routes[] = {
	/* method  path                    guard                 handler               body         answered even when full */
	{"POST",  "/api/chat",            guard_guest_or_user,  handle_chat,          1024 * KIB,  false},
	{"POST",  "/v1/chat/completions", guard_guest_or_user,  handle_openai_chat,   1024 * KIB,  false},
	{"GET",   "/v1/models",           guard_guest_or_user,  handle_openai_models, 0,           false},
	{"GET",   "/api/tools",           guard_guest_or_user,  handle_tools,         0,           false},
	{"GET",   "/api/health",          NULL,                 handle_health,        0,           true},
	{"POST",  "/api/auth/signup",     NULL,                 handle_signup,        16 * KIB,    false},
	{"POST",  "/api/auth/login",      NULL,                 handle_login,         16 * KIB,    false},
	{"POST",  "/api/auth/logout",     guard_address,        handle_logout,        16 * KIB,    false},
	{"POST",  "/api/auth/refresh",    guard_address,        handle_refresh,       16 * KIB,    false},
	{"POST",  "/api/auth/password",   guard_user,           handle_password,      16 * KIB,    false},
	{"GET",   "/api/auth/me",         guard_user,           handle_me,            0,           false},
	{"DELETE", "/api/auth/me",        guard_user,           handle_me_delete,     0,           false},
	{"GET",   "/api/auth/export",     guard_user,           handle_export,        0,           false},
	{"GET",   "/api/auth/keys",       guard_user,           handle_keys,          0,           false},
	{"POST",  "/api/auth/keys",       guard_user,           handle_keys_add,      16 * KIB,    false},
	{"DELETE", "/api/auth/keys/{id}", guard_user,           handle_keys_revoke,   0,           false},
	{"GET",   "/api/conversations",   guard_user,           handle_conversations, 0,           false},
	{"GET",   "/api/conversations/{id}", guard_user,        handle_conversation,  0,           false},
	{"PATCH", "/api/conversations/{id}", guard_user,        handle_conversation_change, 16 * KIB, false},
	{"DELETE", "/api/conversations/{id}", guard_user,       handle_conversation_delete, 0,     false},
	{"POST",  "/api/upload",          guard_user,           handle_upload,        0,           false},
	{"GET",   "/api/upload",          guard_user,           handle_uploads,       0,           false},
	{"GET",   "/api/upload/{id}",     guard_user,           handle_upload_get,    0,           false},
	{"GET",   "/api/upload/{id}/meta", guard_user,          handle_upload_meta,   0,           false},
	{"DELETE", "/api/upload/{id}",    guard_user,           handle_upload_delete, 0,           false},
	{"GET",   "/api/admin/users",     guard_admin,          handle_admin_users,   0,           false},
	{"PATCH", "/api/admin/users/{id}", guard_admin,         handle_admin_user_change, 16 * KIB, false},
	{"GET",   "/api/admin/usage",     guard_admin,          handle_admin_usage,   0,           false},
	{"GET",   "/api/admin/audit",     guard_admin,          handle_admin_audit,   0,           false},
	{"GET",   "/api/admin/services",  guard_admin,          handle_admin_services, 0,          false},
	{"POST",  "/api/admin/services/{id}/reset", guard_admin, handle_admin_service_reset, 0,    false},
	{"GET",   "/api/health/live",     NULL,                 handle_health_live,   0,           true},
	{"GET",   "/api/health/ready",    NULL,                 handle_health_ready,  0,           true},
	{"GET",   "/api/health/stream",   guard_address,        handle_probe,         0,           false},
	{"GET",   "/api/health/stream/{id}", guard_address,     handle_probe_result,  0,           false},
	{"GET",   "/metrics",             NULL,                 handle_metrics,       0,           true},
	{0},
};
/* clang-format on */
