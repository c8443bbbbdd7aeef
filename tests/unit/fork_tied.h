/*
 * fork_tied.h - fork(2) for tests: the child is killed when this process ends.
 *
 * An assertion that fails jumps out of the test, past whatever would have ended its children: without this those that
 * work or wait until they are told would be left behind.
 */
#ifndef TESTS_FORK_TIED_H
#define TESTS_FORK_TIED_H

#include <sys/types.h>

pid_t fork_tied(void);

#endif
