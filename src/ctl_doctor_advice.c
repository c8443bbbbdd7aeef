/* ctl_doctor_advice.c - see ctl_doctor_advice.h */
#include "ctl_doctor_advice.h"

#include <stddef.h>
#include <stdio.h>

#include "base/text.h"

struct advice {
	const char *nginx;
	const char *apache_proxy;       /* mod_proxy_fcgi */
	const char *apache_fcgid;
	const char *host;               /* whatever the front: .env is bakame.env */
};

#define BOTH_APACHE(text) .apache_proxy = (text), .apache_fcgid = (text)

static const struct advice table[FINDING_COUNT] = {
    [FINDING_BUFFERED] = {.nginx = "fastcgi_buffering off;  in the location of /api/ (bakame/worker.conf)",
                          .apache_proxy = "ProxySet flushpackets=on  in <Proxy \"fcgi://bakame/\"> (bakame/proxy-fcgi.conf)",
                          .apache_fcgid = "FcgidOutputBufferSize 0  (bakame/fcgid.conf)",
                          .host = "a proxy before it must not buffer either: NGINX: proxy_buffering off; HAProxy: no option http-buffer-response"},
    [FINDING_COMPRESSED] = {.nginx = "gzip_types  without text/event-stream",
                            BOTH_APACHE("AddOutputFilterByType DEFLATE  without text/event-stream"),
                            .host = "a proxy before it must leave Cache-Control: no-transform answers as they are"},
    [FINDING_ABORT] = {.nginx = "fastcgi_ignore_client_abort off;",
                       BOTH_APACHE("Apache looks for its client only when a worker writes: PING_SECONDS=15 or less in bakame.env"),
                       .host = "a proxy before it must pass on that a client has gone: NGINX: proxy_ignore_client_abort off;"},
    [FINDING_HEADERS] = {.nginx = "include bakame/headers.conf;  in the server, and in each location with an add_header of its own",
                         BOTH_APACHE("Include bakame/headers.conf  in the <VirtualHost>; a2enmod headers")},
    [FINDING_HSTS] = {.nginx = "add_header Strict-Transport-Security $bakame_hsts always;  (bakame/headers.conf); behind a proxy, its address in geo $bakame_proxied",
                      BOTH_APACHE("Header always set Strict-Transport-Security ... env=BAKAME_HTTPS  (bakame/headers.conf); behind a proxy, SetEnvIfExpr ... BAKAME_PROXIED=yes")},
    [FINDING_REQUEST_ID] = {.nginx = "fastcgi_param REQUEST_ID $request_id;",
                            BOTH_APACHE("RewriteRule ^ - [E=REQUEST_ID:%{ENV:UNIQUE_ID}]  (bakame/common.conf); a2enmod unique_id rewrite")},
    [FINDING_AUTHORIZATION] = {.nginx = "include /etc/nginx/fastcgi_params;  and no fastcgi_pass_request_headers off;",
                               BOTH_APACHE("CGIPassAuth On  in the <LocationMatch> of the workers"),
                               .host = "a proxy before it must pass on the header Authorization"},
    [FINDING_BODY_REFUSED] = {.nginx = "client_max_body_size 2m;  in the location of /api/, 25m; in that of /api/upload",
                              .apache_proxy = "RewriteCond expr \"req_novary('Content-Length') -gt 2097152\"  (bakame/common.conf), and no LimitRequestBody",
                              .apache_fcgid = "FcgidMaxRequestLen 67108864  (bakame/fcgid.conf), and no LimitRequestBody"},
    [FINDING_BODY_TAKEN] = {.nginx = "client_max_body_size 25m;  in the location of /api/upload",
                            BOTH_APACHE("RewriteCond expr \"req_novary('Content-Length') -gt 26214400\" and RewriteRule ^/api/upload - [R=413,L]  (bakame/common.conf)")},
    [FINDING_METRICS] = {.nginx = "allow 127.0.0.0/8; allow ::1; deny all;  in location = /metrics",
                         BOTH_APACHE("Require ip 127.0.0.0/8 ::1  in <Location \"/metrics\">"),
                         .host = "a proxy on the same host must name its client: X-Forwarded-For"},
    [FINDING_CORS] = {.nginx = "map $http_origin $bakame_cors_origin { default \"\"; ... }  with the origins that may, and no other",
                      BOTH_APACHE("SetEnvIf Origin \"^https://app\\.example\\.org$\" BAKAME_CORS_ORIGIN=$0  for each that may, and no other")},
    [FINDING_PLAIN] = {.nginx = "return 301 https://$host$request_uri;  in the server of port 80 (site-tls.conf)",
                       BOTH_APACHE("RewriteRule ^ https://%{SERVER_NAME}%{REQUEST_URI} [R=301,L,NE]  in the <VirtualHost *:80> (site-tls.conf)")},
    [FINDING_CERTIFICATE] = {.nginx = "certbot renew, and: nginx -s reload", BOTH_APACHE("certbot renew, and: apachectl graceful")},
    [FINDING_HTTP2] = {.nginx = "listen 443 ssl http2;", BOTH_APACHE("Protocols h2 http/1.1; a2enmod http2, with mpm_event")},
    [FINDING_CLOCK] = {.host = "timedatectl set-ntp true  on the one of the two hosts that is wrong"},
    [FINDING_DATABASE] = {.host = "SUPABASE_DB_POOLER_URL or DATABASE_URL in bakame.env; bakamectl migrate --status tells what is wrong"},
    [FINDING_REDIS] = {.host = "REDIS_URL in bakame.env; redis-cli -u \"$REDIS_URL\" ping"},
    [FINDING_MODEL] = {.host = "OPENAI_API_KEY and OPENAI_BASE_URL in bakame.env; what it answered: journalctl -u 'bakame@*' -p warning"},
    [FINDING_DOWN] = {.nginx = "fastcgi_pass to the socket of the workers; systemctl status 'bakame@*', journalctl -u 'bakame@*'",
                      .apache_proxy = "SetHandler \"proxy:unix:/run/bakame/app.sock|fcgi://bakame/\"; systemctl status 'bakame@*'",
                      .apache_fcgid = "FcgidWrapper, FcgidIPCDir; the workers complain in Apache's error log"},
    [FINDING_SILENT] = {.host = "does the front run, and listen there?  systemctl status nginx apache2; ss -ltn; a firewall before it"},
};

enum front
advice_front(const char *server)
{
	if (text_has_prefix_nocase(server, "nginx"))
		return FRONT_NGINX;
	return text_has_prefix_nocase(server, "apache") ? FRONT_APACHE : FRONT_OTHER;
}

static void
print_line(const char *whose, const char *line)
{
	if (line != NULL)
		printf("      %-15s %s\n", whose, line);
}

void
advice_print(enum finding finding, enum front front)
{
	const struct advice *a = &table[finding];

	if (front != FRONT_APACHE)
		print_line("NGINX", a->nginx);
	if (front != FRONT_NGINX) {
		print_line("mod_proxy_fcgi", a->apache_proxy);
		print_line("mod_fcgid", a->apache_fcgid);
	}
	print_line("the host", a->host);
}
