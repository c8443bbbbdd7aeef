/*
 * reader.h - reads a reply byte by byte as it comes: HTTP/1.1 framing, server-sent
 * events in it, and the mock model's content (answer.h) in those, whose order and
 * completeness are checked.  Events whose "choices" are empty and comments pass.
 */
#ifndef BENCH_READER_H
#define BENCH_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
	/* The reply. */
	int status;
	bool complete; /* it has come as a whole */
	bool malformed; /* it is not HTTP as we know it; nothing more is read */

	/* The answer in it. */
	long chunks; /* content chunks seen */
	bool out_of_order; /* a gap, a repetition or a swap */
	bool last_seen; /* the chunk that the model marked as its last */
	bool done; /* data: [DONE] */
	bool failed; /* an error event */

	/* Private. */
	int state;
	bool chunked;
	uint64_t left; /* bytes of the body, or of the HTTP chunk */
	char head[128]; /* the line of the head being read; its rest is dropped */
	size_t head_length;
	char *line; /* the part of an event's line that has come */
	size_t line_length;
};

/* Called for each content chunk, with the time at which the model sent it. */
typedef void reader_chunk_cb(void *arg, long sequence, int64_t sent_us);

/* Makes ready for a reply; all zeroes will do for the first. */
void reader_reset(struct reader *reader);

/* Takes in what was received. */
void reader_feed(struct reader *reader, const char *data, size_t length, reader_chunk_cb *chunk, void *arg);

/* Was it a whole answer, in order to its end? */
bool reader_answer_whole(const struct reader *reader);

#endif
