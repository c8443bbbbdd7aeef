/*
 * ctl_limits.h - the subcommand `limits` of bakamectl.
 */
#ifndef CTL_LIMITS_H
#define CTL_LIMITS_H

/* argv[0] is "limits", then a key of doc/limits.md, then perhaps "--forget".  Returns an exit status. */
int ctl_limits(int argc, char **argv);

#endif
