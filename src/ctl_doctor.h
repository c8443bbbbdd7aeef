/*
 * ctl_doctor.h - the subcommand `doctor` of bakamectl: what the way from a client to the workers does to requests.
 */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

/* argv[0] is "doctor", then addresses: the public one first, then those of hops behind it.  Returns an exit status:
   EX_OK when nothing was found, 1 when something was. */
int ctl_doctor(int argc, char **argv);

#endif
