/*
 * `hms hosts`: which hosts a controller is responsible for, adding and removing them.
 */
#ifndef HMS_CLI_HOSTS_H
#define HMS_CLI_HOSTS_H

/* Exit statuses of the operator's commands. */
enum {
    HMS_CLI_DONE = 0,
    HMS_CLI_FAILED = 1,    /* the controller refused, or what was asked for failed */
    HMS_CLI_WRONG_USE = 2, /* of the command line */
    HMS_CLI_NO_ANSWER = 3, /* the controller cannot be reached */
};

/* argv[0] is the command's word; returns the exit status. */
int hms_cli_hosts(int argc, char **argv);

#endif
