/*
 * `hms standalone`: manager and controller of this Docker host on one loop.
 */
#ifndef HMS_STANDALONE_H
#define HMS_STANDALONE_H

/* Runs the command until it is told to stop; argv[0] is the command's word. Returns the program's
 * exit status: 0, 1 (could not start, or did not end cleanly) or 2 (refused options). */
int hms_standalone_main(int argc, char **argv);

#endif
