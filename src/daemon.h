/*
 * The commands that run until they are told to stop: one or two roles on one loop and one bus.
 */
#ifndef HMS_DAEMON_H
#define HMS_DAEMON_H

/*
 * Each runs the command of its name; argv[0] is the command's word. Returns the program's exit
 * status: 0, 1 (could not start, or did not end cleanly) or 2 (refused options).
 */
int hms_daemon_standalone(int argc, char **argv); /* both roles, joined by the local bus */
int hms_daemon_manager(int argc, char **argv);    /* over the broker, as is ... */
int hms_daemon_controller(int argc, char **argv);

#endif
