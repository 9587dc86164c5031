/*
 * Gathers what the managers have to tell: hears their notifications, applies what is pushed with
 * them, sends give_content every aggregation time to those that are due (sync.h), at most one at a
 * time to each, and keeps the registry's view of who is online.
 */
#ifndef HMS_CONTROLLER_GATHER_H
#define HMS_CONTROLLER_GATHER_H

#include <jansson.h>
#include <stdint.h>
#include <uv.h>

#include "core/sync_mode.h"

struct hms_bus;
struct hms_gather;
struct hms_host;
struct hms_log;
struct hms_registry;
struct hms_strangers;

/* Whether a manager that announces itself unasked is taken in. */
enum hms_accept { HMS_ACCEPT_AUTO, HMS_ACCEPT_REGISTERED };

/* Who is asked for content. */
enum hms_gather_source {
    HMS_GATHER_NOBODY,     /* nothing can be heard either: every host is stale */
    HMS_GATHER_MANAGERS,   /* with give_content */
    HMS_GATHER_CONTROLLER, /* the active one, by one that stands by: with get_host_containers */
};

struct hms_gather_options {
    enum hms_accept accept;  /* registered: hosts that are in the registry already */
    enum hms_sync_mode sync; /* pulling: what is pushed counts as a flag only */
    int64_t aggregation_ms;
    int64_t reply_timeout_ms;
    int64_t expiry_ms; /* hms_sync_check() */
};

/* Notifications that changed nothing since the start, and why; and those that came after a loss. */
struct hms_gather_drops {
    uint64_t malformed; /* a field is missing or wrong */
    uint64_t unknown;   /* no such command */
    uint64_t strangers; /* of a host that is not accepted, or beyond HMS_REGISTRY_HOSTS_MAX */
    uint64_t repeated;  /* of a version that we had */
    uint64_t gaps;      /* not dropped, but asked for anew: something before them was missing */
    uint64_t rivals;    /* not dropped: of a manager that takes turns with another of its address */
};

/*
 * on_change(arg) runs after every change that may count for availability. All pointers are borrowed
 * and outlive it. Never returns NULL. Nothing happens until hms_gather_start(); from then on it is
 * freed by hms_gather_close(), before by hms_gather_free().
 */
struct hms_gather *hms_gather_new(uv_loop_t *loop, struct hms_log *log, struct hms_bus *bus,
                                  struct hms_registry *registry,
                                  const struct hms_gather_options *options,
                                  void (*on_change)(void *arg), void *arg);
void hms_gather_free(struct hms_gather *gather);
void hms_gather_start(struct hms_gather *gather);

/*
 * Nobody at first. `controller` is the address of the one to be asked (copied), else NULL.
 * Questions under way are given up; silence counts from now.
 */
void hms_gather_set_source(struct hms_gather *gather, enum hms_gather_source source,
                           const char *controller);

/* A notification to the controller arrived; anything but a well-formed `live` or `update` is
 * counted and dropped, with a line in the log now and then. */
void hms_gather_notified(struct hms_gather *gather, const json_t *message);

/* Borrowed. */
const struct hms_gather_drops *hms_gather_drops(const struct hms_gather *gather);

/* Those that were not accepted; borrowed. */
const struct hms_strangers *hms_gather_strangers(const struct hms_gather *gather);

/* Takes the host out of the registry; who waits for its content gets HMS_ECANCELED first. */
void hms_gather_forget(struct hms_gather *gather, struct hms_host *host);

/* A command of ours changed something at the host. */
void hms_gather_changed(struct hms_gather *gather, struct hms_host *host);

enum hms_gather_health {
    /* Ends, for good, when every host has told a content that it calls complete; after three
     * seconds on the bus it is enough that one has, or that there is none to be waited for. */
    HMS_GATHER_STARTING,
    HMS_GATHER_DISCONNECTED, /* the bus has no contact */
    HMS_GATHER_HEALTHY,
};

/* Whether what is known of the platform can be trusted as a whole. */
enum hms_gather_health hms_gather_health(struct hms_gather *gather);

/* A wait for fresh content; embedded in the waiter's own request struct. */
struct hms_gather_wait {
    struct hms_gather_wait *next;
    void (*fn)(void *arg, int error);
    void *arg;
};

/*
 * Asks a host that is pending at once, or joins the question under way, and calls fn(arg, error)
 * when everything that was known to be new when this was called has arrived, or when the host has
 * failed to answer. Takes at most two reply timeouts. Returns 0; or HMS_ELIMIT, or
 * HMS_EUNREACHABLE while the bus has no contact, and then fn never runs.
 */
int hms_gather_refresh(struct hms_gather *gather, struct hms_host *host,
                       struct hms_gather_wait *wait, void (*fn)(void *arg, int error), void *arg);

/* Ends all waits with HMS_ECANCELED before the return; closed(arg) runs from the loop. */
void hms_gather_close(struct hms_gather *gather, void (*closed)(void *arg), void *arg);

#endif
