/*
 * worker_status.h - the line that a supervisor shows of a worker.
 */
#ifndef WORKER_STATUS_H
#define WORKER_STATUS_H

/* Tell it; call about once a second. */
void worker_status_tell(void);

#endif
