/*
 * ctl_database.h - the subcommands of bakamectl that look after the database.
 *
 * argv[0] is the subcommand.  Each returns an exit status.
 */
#ifndef CTL_DATABASE_H
#define CTL_DATABASE_H

int ctl_migrate(int argc, char **argv);         /* ctl_migrate.c */
int ctl_user(int argc, char **argv);            /* ctl_user.c */

#endif
