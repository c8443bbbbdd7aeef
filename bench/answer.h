/*
 * answer.h - the words of the mock model: what was asked of it, and its replies.
 *
 * The load client scripts an answer through the prompt, whatever lies between:
 *
 *   bench id=7 chunks=40 interval_us=2500000 first_us=0 pad=0
 *
 *   id           number of this stream in the model's records (none if absent)
 *   chunks       content chunks in the answer; 0: until POST /finish
 *   interval_us  time between chunks; 0: as fast as the reader takes them
 *   first_us     time before the first byte of the reply
 *   pad          bytes added to each chunk's content
 *
 * Content is "<sequence> <now_us()> " and, in the last chunk, "end".  Replies have
 * the shape of https://platform.openai.com/docs/api-reference/chat.
 */
#ifndef BENCH_ANSWER_H
#define BENCH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAD_MAX 2000

struct plan {
	long id; /* -1: none */
	long chunks;
	int64_t interval_us;
	int64_t first_us;
	int pad;
	bool stream;
	bool usage; /* stream_options.include_usage */
	char model[48];
};

/* Bytes to be sent, grown as needed. */
struct text {
	char *data;
	size_t length, room;
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads a request's JSON body (NUL-terminated).  What it does not say is taken
   from `defaults`. */
void plan_parse(const char *body, const struct plan *defaults, struct plan *plan);

/* A whole HTTP reply with a body of JSON. */
void answer_json(struct text *text, const char *status, const char *body);

/* The head of a streamed reply and its first event, that of the role. */
void answer_begin(struct text *text, const struct plan *plan);

/* One content chunk. */
void answer_chunk(struct text *text, const struct plan *plan, long sequence, bool last);

/* Finish reason, usage if it was asked for, [DONE] and the end of the reply. */
void answer_end(struct text *text, const struct plan *plan, long chunks);

/* A whole reply to a request without "stream": true. */
void answer_whole(struct text *text, const struct plan *plan);

#endif
