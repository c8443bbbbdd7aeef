/*
 * in_fiber.h - for tests of what waits: a fiber and a loop to run it.
 */
#ifndef TESTS_IN_FIBER_H
#define TESTS_IN_FIBER_H

/* Run fn(arg) in a fiber, and the loop until it has returned.  The program is
   aborted when that takes longer than a minute or an assertion fails meanwhile. */
void in_fiber(void (*fn)(void *arg), void *arg);

/* cmocka's group teardown: free the pooled stacks and the loop. */
int in_fiber_teardown(void **state);

#endif
