/* redis_tls.c - see net/redis_tls.h */
#include "net/redis_tls.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#ifdef HAVE_HIREDIS_SSL

#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <uv.h>

#include "config/config.h"

/* Of all connections of this process: the system's certificates take a while to read. */
static SSL_CTX *trust;

static SSL_CTX *
load_trust(void)
{
	const char *file = config()->redis_ca_file;
	SSL_CTX *made = SSL_CTX_new(TLS_client_method());
	bool ok;

	if (made == NULL)
		return NULL;
	ok = file[0] != '\0' ? SSL_CTX_load_verify_locations(made, file, NULL) == 1
	                     : SSL_CTX_set_default_verify_paths(made) == 1;
	if (!ok || SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION) != 1) {
		SSL_CTX_free(made);
		return NULL;
	}
	SSL_CTX_set_verify(made, SSL_VERIFY_PEER, NULL);
	return made;
}

static bool
expect_host(SSL *ssl, const char *host)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	if (uv_inet_pton(AF_INET, host, bytes) == 0 || uv_inet_pton(AF_INET6, host, bytes) == 0)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

static const char *
fault_of(const SSL *ssl)
{
	long verdict = SSL_get_verify_result(ssl);
	unsigned long code;

	if (verdict != X509_V_OK)
		return X509_verify_cert_error_string(verdict);
	code = ERR_peek_last_error();
	return code != 0 ? ERR_reason_error_string(code) : NULL;
}

const char *
redis_tls_start(redisAsyncContext *ac, const char *host)
{
	const char *fault;
	SSL *ssl;

	if (trust == NULL)
		trust = load_trust();
	if (trust == NULL)
		return "the certificates to trust (REDIS_CA_FILE) cannot be read";
	ERR_clear_error();
	ssl = SSL_new(trust);
	if (ssl == NULL)
		return "out of memory";
	if (expect_host(ssl, host) && redisInitiateSSL(&ac->c, ssl) == REDIS_OK) {
		ac->data = ssl;         /* which hiredis owns from now on */
		return NULL;
	}
	fault = fault_of(ssl);
	SSL_free(ssl);
	if (fault != NULL)
		return fault;
	return ac->c.err != 0 ? ac->c.errstr : "TLS cannot be started";
}

void
redis_tls_prepare(const redisAsyncContext *ac)
{
	if (ac->data != NULL)
		ERR_clear_error();
}

const char *
redis_tls_fault(const redisAsyncContext *ac)
{
	return ac->data != NULL ? fault_of(ac->data) : NULL;
}

void
redis_tls_forget(void)
{
	SSL_CTX_free(trust);
	trust = NULL;
}

#else

const char *
redis_tls_start(redisAsyncContext *ac, const char *host)
{
	(void)ac;
	(void)host;
	return "this build's Redis client has no TLS";
}

void
redis_tls_prepare(const redisAsyncContext *ac)
{
	(void)ac;
}

const char *
redis_tls_fault(const redisAsyncContext *ac)
{
	(void)ac;
	return NULL;
}

void
redis_tls_forget(void)
{
}

#endif
