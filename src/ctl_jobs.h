/*
 * ctl_jobs.h - the subcommand `jobs` of bakamectl.
 */
#ifndef CTL_JOBS_H
#define CTL_JOBS_H

/* argv[0] is "jobs", then what to do and to which.  Returns an exit status. */
int ctl_jobs(int argc, char **argv);

#endif
