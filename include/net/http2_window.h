/*
 * http2_window.h - how much of an answer an HTTP/2 server may send ahead.
 *
 * libcurl lets a server send 32 MiB ahead on each stream (10 MiB from 8.0 on) and
 * has no option for less.  Of a paused transfer all of it would pile up in our
 * memory: one slow phone could cost a worker 32 MiB.  So the two calls by which
 * libcurl tells libnghttp2 are passed on from here, with a stream's window cut to
 * HTTP2_STREAM_WINDOW_BYTES.  Windows of whole connections are left alone: they
 * are what streams share.  RFC 9113, 5.2 and 6.9.
 */
#ifndef NET_HTTP2_WINDOW_H
#define NET_HTTP2_WINDOW_H

#define HTTP2_STREAM_WINDOW_BYTES (64 * 1024)

/* Once, before libcurl's first connection. */
void http2_window_init(void);

#endif
