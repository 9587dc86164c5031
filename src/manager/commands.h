/*
 * The manager's side of the bus: protocol.md, 'Controller → manager'.
 */
#ifndef HMS_MANAGER_COMMANDS_H
#define HMS_MANAGER_COMMANDS_H

#include <jansson.h>

struct hms_bus_call;
struct hms_container;
struct hms_inventory;
struct hms_memory;
struct hms_report;

/* What the commands work on; all borrowed from the manager. */
struct hms_commands {
    const char *address; /* of this host */
    struct hms_inventory *inventory;
    struct hms_report *report;
    struct hms_memory *memory;
    /* A setting of the container changed: decide and report anew. */
    void (*reconsider)(void *arg, struct hms_container *container);
    /* Settings have changed: keep them, and tell when they are safe (error: HMS_EIO, or 0). */
    void (*remember)(void *arg, void (*settled)(void *waiter, int error), void *waiter);
    void *arg;
};

/* Serves one message of the bus (hms_bus_serve_fn); arg is the struct hms_commands. */
void hms_commands_serve(void *arg, const json_t *message, struct hms_bus_call *call);

#endif
