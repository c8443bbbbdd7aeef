/* ctl_doctor_ask.c - see ctl_doctor_ask.h */
#include "ctl_doctor_ask.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/text.h"

#define TIMEOUT_MS 30000L
#define CONNECT_TIMEOUT_MS 10000L
#define HEAD_MAX ((size_t)64 * 1024)
#define BODY_MAX ((size_t)256 * 1024)
#define SECONDS_A_DAY 86400

struct asking {
	const struct ask *question;
	struct told *told;
	int64_t began_ms;
};

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static size_t
head_cb(char *data, size_t size, size_t count, void *arg)
{
	struct asking *a = arg;

	if (size * count > 5 && strncmp(data, "HTTP/", 5) == 0)
		buffer_free(&a->told->head);    /* an interim response's (RFC 9110, 15.2) is of no interest */
	return buffer_append(&a->told->head, data, size * count) == 0 ? size * count : 0;
}

static size_t
body_cb(char *data, size_t size, size_t count, void *arg)
{
	struct asking *a = arg;
	struct told *told = a->told;

	if (told->pieces < ASK_PIECES_MAX)
		told->piece_ms[told->pieces++] = now_ms() - a->began_ms;
	if (a->question->leave_after > 0 && told->pieces >= a->question->leave_after)
		return 0;
	return buffer_append(&told->body, data, size * count) == 0 ? size * count : 0;
}

/* Of the certificate that the server itself showed. */
static int64_t
days_left(CURL *curl)
{
	struct curl_certinfo *info = NULL;

	if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &info) != CURLE_OK || info == NULL || info->num_of_certs < 1)
		return INT64_MIN;
	for (const struct curl_slist *line = info->certinfo[0]; line != NULL; line = line->next)
		if (strncmp(line->data, "Expire date:", 12) == 0)
			return ((int64_t)curl_getdate(line->data + 12, NULL) - (int64_t)time(NULL)) / SECONDS_A_DAY;
	return INT64_MIN;
}

static bool
came_from_here(CURL *curl)
{
	const char *address = NULL;

	return curl_easy_getinfo(curl, CURLINFO_PRIMARY_IP, &address) == CURLE_OK && address != NULL &&
	       (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0);
}

static struct curl_slist *
list_headers(const char *const *headers)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");

	for (; headers != NULL && *headers != NULL; headers++)
		list = curl_slist_append(list, *headers);
	return list;
}

static void
set_up(CURL *curl, struct asking *a, struct curl_slist *headers)
{
	const struct ask *q = a->question;

	curl_easy_setopt(curl, CURLOPT_URL, q->url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, q->method);
	if (strcmp(q->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	if (q->body != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, q->body);
	}
	if (q->ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, q->ca_file);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "bakamectl-doctor");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, q->timeout_ms > 0 ? q->timeout_ms : TIMEOUT_MS);
	if (q->head_only)
		curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, a->told->fault);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, head_cb);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, a);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, body_cb);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
}

void
ask(const struct ask *question, struct told *told)
{
	struct asking a = {.question = question, .told = told};
	struct curl_slist *headers = list_headers(question->headers);
	CURL *curl = curl_easy_init();
	CURLcode rc = CURLE_FAILED_INIT;

	*told = (struct told){.certificate_days = INT64_MIN, .head = BUFFER_INIT(HEAD_MAX), .body = BUFFER_INIT(BODY_MAX)};
	if (curl != NULL) {
		a.began_ms = now_ms();
		set_up(curl, &a, headers);
		rc = curl_easy_perform(curl);
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &told->status);
		curl_easy_getinfo(curl, CURLINFO_HTTP_VERSION, &told->http_version);
		told->http_version = told->http_version == CURL_HTTP_VERSION_2_0   ? 20
		                     : told->http_version == CURL_HTTP_VERSION_1_0 ? 10
		                     : told->http_version == CURL_HTTP_VERSION_3   ? 30
		                                                                   : 11;
		told->certificate_days = days_left(curl);
		told->from_here = came_from_here(curl);
		curl_easy_cleanup(curl);
	}
	curl_slist_free_all(headers);
	/* a refusal may come, and the connection be closed, while we still send */
	told->answered = rc == CURLE_OK || told->status >= 400 || (rc == CURLE_WRITE_ERROR && question->leave_after > 0);
	told->certificate_bad = rc == CURLE_PEER_FAILED_VERIFICATION;
	if (!told->answered && told->fault[0] == '\0')
		text_copy(told->fault, sizeof(told->fault), curl_easy_strerror(rc));
}

unsigned
told_header(const struct told *told, const char *name, char *value, size_t size)
{
	size_t len = strlen(name);
	unsigned found = 0;

	value[0] = '\0';
	for (const char *line = told->head.data; line != NULL && *line != '\0'; line += strcspn(line, "\n") + 1) {
		const char *text = line + len + 1;

		if (strncasecmp(line, name, len) == 0 && line[len] == ':' && found++ == 0) {
			text += strspn(text, " \t");
			snprintf(value, size, "%.*s", (int)strcspn(text, "\r\n"), text);
		}
		if (line[strcspn(line, "\n")] == '\0')
			break;
	}
	return found;
}

void
told_free(struct told *told)
{
	buffer_free(&told->head);
	buffer_free(&told->body);
}
