/*
 * What a bus is made of, for those that implement one; users include core/bus.h.
 *
 * An implementation embeds struct hms_bus in its own struct, and struct hms_bus_call in its request
 * struct. Messages are checked (an object with `command`) before they get here and belong to the
 * function that is called.
 */
#ifndef HMS_CORE_BUS_IMPL_H
#define HMS_CORE_BUS_IMPL_H

#include "core/bus.h"

struct hms_bus_ops {
    int (*request)(struct hms_bus *bus, enum hms_bus_role role, const char *address,
                   json_t *message, int64_t timeout_ms, hms_bus_reply_fn reply_fn, void *arg);
    int (*notify)(struct hms_bus *bus, enum hms_bus_role role, const char *address,
                  json_t *message);
    int (*serve)(struct hms_bus *bus, enum hms_bus_role role, const char *address,
                 hms_bus_serve_fn fn, void *arg);
    void (*unserve)(struct hms_bus *bus, enum hms_bus_role role, const char *address);
    void (*reply)(struct hms_bus_call *call, json_t *reply);
    void (*cancel)(struct hms_bus *bus, void *arg);
    void (*close)(struct hms_bus *bus, void (*closed)(void *arg), void *arg);
};

struct hms_bus {
    const struct hms_bus_ops *ops;
    struct hms_bus_traffic traffic; /* counted with hms_bus_count() */
};

struct hms_bus_call {
    struct hms_bus *bus;
};

/* Adds a message that was sent or received to the bus's traffic. */
void hms_bus_count(struct hms_bus *bus, const json_t *message);

#endif
