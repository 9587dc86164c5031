/*
 * How ssh is called: its arguments and its environment. Pure.
 */
#ifndef HMS_CORE_SSH_COMMAND_H
#define HMS_CORE_SSH_COMMAND_H

#include <stddef.h>

#define HMS_SSH_COMMAND_MAX 64

struct hms_ssh_forward_options;

struct hms_ssh_words {
    char *list[HMS_SSH_COMMAND_MAX + 1]; /* ended by NULL */
    size_t count;
};

struct hms_ssh_command {
    struct hms_ssh_words arguments; /* the first is the program */
    struct hms_ssh_words environment;
};

/*
 * Makes the command that forwards local_path. key_fd and known_fd are files of this process that
 * hold the private key (-1: it is in a file of its own, or there is none) and the host's key (-1:
 * none is given). Secrets stand neither in the arguments nor in the environment. Free it with the
 * function below.
 */
void hms_ssh_command_make(struct hms_ssh_command *command,
                          const struct hms_ssh_forward_options *options, const char *local_path,
                          int key_fd, int known_fd);
void hms_ssh_command_free(struct hms_ssh_command *command);

#endif
