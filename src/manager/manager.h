/*
 * The manager: supervises every container of one Docker host and serves the bus.
 */
#ifndef HMS_MANAGER_MANAGER_H
#define HMS_MANAGER_MANAGER_H

#include <stddef.h>

struct hms_bus;
struct hms_log;
struct hms_loop;
struct hms_manager;
struct hms_manager_options; /* manager/options.h */

/*
 * Opens the state file, the prober's sockets and the contact with the engine, and serves
 * manager.ADDRESS on the bus. loop, log and bus are borrowed and outlive it; options are copied.
 * Returns 0, or a negative error with a text in error; what was opened by then is closed when the
 * loop runs next. An engine that does not answer is no error: it is waited for.
 */
int hms_manager_open(struct hms_manager **manager, struct hms_loop *loop, struct hms_log *log,
                     struct hms_bus *bus, const struct hms_manager_options *options, char *error,
                     size_t error_size);

/* Starts no more actions, saves its state, closes; closed(arg) runs from the loop. */
void hms_manager_close(struct hms_manager *manager, void (*closed)(void *arg), void *arg);

#endif
