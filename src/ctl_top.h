/*
 * ctl_top.h - the subcommand `top` of bakamectl: what the workers of this host do, live.
 */
#ifndef CTL_TOP_H
#define CTL_TOP_H

/* argv[0] is "top", then the seconds between two looks and how many there shall be.  Returns an exit status. */
int ctl_top(int argc, char **argv);

#endif
