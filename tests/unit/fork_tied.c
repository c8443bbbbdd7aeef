/* fork_tied.c - see fork_tied.h */
#include "fork_tied.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

pid_t
fork_tied(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == -1)
		abort();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)        /* it has ended already */
		_exit(1);
	return 0;
}
