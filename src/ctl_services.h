/*
 * ctl_services.h - the subcommand `services` of bakamectl.
 */
#ifndef CTL_SERVICES_H
#define CTL_SERVICES_H

/* argv[0] is "services", then nothing, or "reset" and a name.  Returns an exit status. */
int ctl_services(int argc, char **argv);

#endif
