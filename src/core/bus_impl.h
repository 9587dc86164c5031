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

/* Addresses whose traffic is kept; that of further ones is counted in the total only. */
#define HMS_BUS_PEERS_MAX 2048

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
    void (*hold)(struct hms_bus *bus, const char *name, void (*fn)(void *arg, int is_held),
                 void *arg);
    void (*unhold)(struct hms_bus *bus);
    void (*close)(struct hms_bus *bus, void (*closed)(void *arg), void *arg);
};

struct hms_bus_peer;

struct hms_bus {
    const struct hms_bus_ops *ops;
    struct hms_bus_troubles troubles;

    /* Kept by the functions below. */
    struct hms_bus_traffic traffic;
    struct hms_bus_peer *peers; /* uthash, by address */
    enum hms_bus_contact contact;
    LIST_HEAD(, hms_bus_watch) watches;
};

struct hms_bus_call {
    struct hms_bus *bus;
};

/* To be called first, and before the memory is released. */
void hms_bus_init(struct hms_bus *bus, const struct hms_bus_ops *ops, enum hms_bus_contact contact);
void hms_bus_release(struct hms_bus *bus);

/* Adds a message that was sent or received to the traffic; address is its other end, or NULL. */
void hms_bus_count(struct hms_bus *bus, const char *address, size_t size_bytes);

/* Sets the contact and tells those who watch, if it has changed. They may close nothing. */
void hms_bus_set_contact(struct hms_bus *bus, enum hms_bus_contact contact);

#endif
