/* http2_window.c - see net/http2_window.h */
#include "net/http2_window.h"

#include <dlfcn.h>
#include <nghttp2/nghttp2.h>
#include <string.h>

#define SETTINGS_MAX 16

/* libnghttp2's own functions of the names that are defined below. */
static int (*real_submit_settings)(nghttp2_session *, uint8_t, const nghttp2_settings_entry *, size_t);
static int (*real_set_window)(nghttp2_session *, uint8_t, int32_t, int32_t);

void
http2_window_init(void)
{
	/* POSIX's way to make a function of what dlsym() finds */
	*(void **)&real_submit_settings = dlsym(RTLD_NEXT, "nghttp2_submit_settings");
	*(void **)&real_set_window = dlsym(RTLD_NEXT, "nghttp2_session_set_local_window_size");
}

int
nghttp2_submit_settings(nghttp2_session *session, uint8_t flags, const nghttp2_settings_entry *given,
                        size_t count)
{
	nghttp2_settings_entry settings[SETTINGS_MAX];

	if (count > SETTINGS_MAX)
		return real_submit_settings(session, flags, given, count);
	memcpy(settings, given, count * sizeof(*given));
	for (size_t i = 0; i < count; i++)
		if (settings[i].settings_id == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE &&
		    settings[i].value > HTTP2_STREAM_WINDOW_BYTES)
			settings[i].value = HTTP2_STREAM_WINDOW_BYTES;
	return real_submit_settings(session, flags, settings, count);
}

int
nghttp2_session_set_local_window_size(nghttp2_session *session, uint8_t flags, int32_t stream, int32_t size)
{
	if (stream != 0 && size > HTTP2_STREAM_WINDOW_BYTES)
		size = HTTP2_STREAM_WINDOW_BYTES;
	return real_set_window(session, flags, stream, size);
}
