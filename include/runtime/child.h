/*
 * child.h - another program, run once: bytes in, bytes out, and an end in any case.
 *
 * It gets an environment of its own (PATH and LANG), one open file as standard input, no standard error, and a
 * session of its own, which is killed as a whole when it takes too long or says too much.
 */
#ifndef RUNTIME_CHILD_H
#define RUNTIME_CHILD_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"

enum child_end {
	CHILD_ENDED,                    /* by itself: see `status` and `signal` */
	CHILD_SAID_TOO_MUCH,            /* and was killed; what it said first is in `output` */
	CHILD_TOOK_TOO_LONG,            /* likewise */
};

struct child_result {
	enum child_end end;
	int64_t status;                 /* of exit(3), */
	int signal;                     /* or what killed it; else 0 */
	struct buffer output;           /* buffer_free() it */
};

/* Run argv[0] (a path) with the arguments after it, ended by NULL, on the file `input`, at most until
   `deadline_ms`; keep at most `output_max` bytes of what it says.  -1 with *err, and nothing to free, when it
   could not be started or the fiber was cancelled; the child has ended then, too.  Waits. */
int child_run(const char *const *argv, int input, size_t output_max, int64_t deadline_ms,
              struct child_result *result_r, struct err *err) MUST_USE;

#endif
