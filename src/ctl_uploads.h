/*
 * ctl_uploads.h - the subcommand `uploads` of bakamectl.
 */
#ifndef CTL_UPLOADS_H
#define CTL_UPLOADS_H

/* argv[0] is "uploads", then what to do.  Returns an exit status. */
int ctl_uploads(int argc, char **argv);

#endif
