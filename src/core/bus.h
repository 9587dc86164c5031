/*
 * The bus that joins managers, controller, antagonists and interfaces (protocol.md, section 1).
 * Users see this interface only; bus_local and bus_amqp stand behind it.
 *
 * A message is a JSON object with `command`; the bus adds `sender`. Callbacks never run inside the
 * call that causes them, but in a later turn of the loop. A message or reply that was handed over
 * must not be changed afterwards: receivers may keep references to it or to parts of it.
 */
#ifndef HMS_CORE_BUS_H
#define HMS_CORE_BUS_H

#include <jansson.h>
#include <stdint.h>
#include <sys/queue.h>

/* STANDBY is ours: controllers that wait to take over. */
enum hms_bus_role {
    HMS_BUS_MANAGER,
    HMS_BUS_ANTAGONIST,
    HMS_BUS_CONTROLLER,
    HMS_BUS_INTERFACE,
    HMS_BUS_STANDBY,
};

struct hms_bus;
struct hms_bus_call;

/*
 * The answer to a request, exactly once. error is 0 and reply the message (borrowed), or
 * HMS_EUNREACHABLE (nobody serves there), HMS_ETIMEDOUT or HMS_ECANCELED and reply is NULL.
 */
typedef void (*hms_bus_reply_fn)(void *arg, int error, const json_t *reply);

/*
 * A message for a server. `message` is borrowed and holds until the return. call is NULL for a
 * notification; for a request it is the server's until hms_bus_reply(), which it must call.
 */
typedef void (*hms_bus_serve_fn)(void *arg, const json_t *message, struct hms_bus_call *call);

/* Traffic, both directions together; bytes are those on the wire (a local bus: of the bodies). */
struct hms_bus_traffic {
    uint64_t messages;
    uint64_t bytes;
};

/* What went wrong since the start. */
struct hms_bus_troubles {
    uint64_t malformed;  /* messages received and dropped: no JSON object, no `command`, ... */
    uint64_t oversized;  /* messages received and dropped: longer than the limit */
    uint64_t unexpected; /* replies that nobody waits for (any more) */
    uint64_t refused;    /* messages not accepted for sending, or dropped before they were sent */
    uint64_t disconnects;
};

enum hms_bus_contact {
    HMS_BUS_DOWN,      /* no connection, or one to a broker that passes nothing on at present */
    HMS_BUS_CONGESTED, /* connected, but what is handed over now has to wait */
    HMS_BUS_READY,     /* what is handed over now goes out at once */
};

/* Somebody who wants to know; owned by that one and linked into the bus while it watches. */
struct hms_bus_watch {
    void (*fn)(void *arg, enum hms_bus_contact contact); /* at each change, from the loop */
    void *arg;
    LIST_ENTRY(hms_bus_watch) link;
};

/*
 * Sends a request to role.address and waits at most timeout_ms. Takes over `message`.
 * Returns 0, or HMS_ELIMIT (too many requests under way), HMS_EINVAL; then reply_fn never runs.
 */
int hms_bus_request(struct hms_bus *bus, enum hms_bus_role role, const char *address,
                    json_t *message, int64_t timeout_ms, hms_bus_reply_fn reply_fn, void *arg);

/*
 * Sends a notification to role.address, or to every server of the role if address is NULL. Takes
 * over `message`. One that still waits to be sent is replaced by a newer one to the same receivers
 * with the same `command` and `address`. Returns 0, HMS_ELIMIT or HMS_EINVAL.
 */
int hms_bus_notify(struct hms_bus *bus, enum hms_bus_role role, const char *address,
                   json_t *message);

/*
 * Serves messages for `role` and `role.address` (copied) with fn until hms_bus_unserve().
 * Returns 0, or HMS_EBUSY if that address is served already.
 */
int hms_bus_serve(struct hms_bus *bus, enum hms_bus_role role, const char *address,
                  hms_bus_serve_fn fn, void *arg);
void hms_bus_unserve(struct hms_bus *bus, enum hms_bus_role role, const char *address);

/* Answers a request; takes over `reply`. The call is released. */
void hms_bus_reply(struct hms_bus_call *call, json_t *reply);

/* Of all, and with one address (all zero if nothing is known of it). */
struct hms_bus_traffic hms_bus_traffic(const struct hms_bus *bus);
struct hms_bus_traffic hms_bus_peer_traffic(const struct hms_bus *bus, const char *address);
struct hms_bus_troubles hms_bus_troubles(const struct hms_bus *bus);

/* The contact now, and its changes until hms_bus_unwatch(). */
enum hms_bus_contact hms_bus_contact(const struct hms_bus *bus);
void hms_bus_watch(struct hms_bus *bus, struct hms_bus_watch *watch);
void hms_bus_unwatch(struct hms_bus_watch *watch);

/*
 * Becomes the one holder of `name` (copied) among all that are on the bus, or waits for it: fn(arg,
 * 1) when it is held, fn(arg, 0) when that was lost (the connection broke; it then waits again).
 * Never runs before the return. At most one name for each bus.
 */
void hms_bus_hold(struct hms_bus *bus, const char *name, void (*fn)(void *arg, int is_held),
                  void *arg);

/* Gives it up, or waits for it no longer; fn does not run any more. */
void hms_bus_unhold(struct hms_bus *bus);

/*
 * Cancels every request under way whose arg is `arg` (its callback runs with HMS_ECANCELED before
 * the return). For an owner that goes away.
 */
void hms_bus_cancel(struct hms_bus *bus, void *arg);

/* Closes it: outstanding requests end with HMS_ECANCELED, then closed(arg) runs from the loop. */
void hms_bus_close(struct hms_bus *bus, void (*closed)(void *arg), void *arg);

/* "manager", "antagonist", "controller", "interface", "standby". */
const char *hms_bus_role_name(enum hms_bus_role role);

/* The address in the message's `sender` ("role.callback.ADDRESS"); borrowed, or NULL. */
const char *hms_bus_sender_address(const json_t *message);

/* Reply bodies of protocol.md; new references. `type` is one of its error types. */
json_t *hms_bus_ok(const char *description);
json_t *hms_bus_error(const char *type, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
