/*
 * ssh has no option for a password: it runs a program of the caller's choice that prints it. That
 * is this program itself, with a mark in its environment; the password is on the standard input
 * that it shares with ssh, and so neither in an argument, nor in the environment, nor on a disk.
 */
#ifndef HMS_CORE_SSH_ASKPASS_H
#define HMS_CORE_SSH_ASKPASS_H

#define HMS_SSH_ASKPASS_MARK "HMS_SSH_ASKPASS" /* the environment variable */
#define HMS_SSH_PASSWORD_MAX 1000              /* bytes; ssh reads 1024 */

/* Whether ssh has started this process to be told the password: main() asks before all else. */
int hms_ssh_askpass_is_wanted(void);

/* Passes one line of standard input on to standard output. Returns main()'s exit status. */
int hms_ssh_askpass_main(void);

#endif
