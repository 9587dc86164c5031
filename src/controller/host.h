/*
 * One Docker host as the controller knows it: the contact with its manager, and its containers.
 * Owned by the registry.
 */
#ifndef HMS_CONTROLLER_HOST_H
#define HMS_CONTROLLER_HOST_H

#include <jansson.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/sync.h"
#include "controller/totals.h"

struct hms_buffer;
struct hms_gather_ask;
struct hms_host_text;

enum hms_host_state {
    HMS_HOST_ONLINE,
    HMS_HOST_STALE, /* see HMS_CONTACT_STALE */
    HMS_HOST_OFFLINE,
    HMS_HOST_DEGRADED, /* online, but its manager says that something is wrong with it */
};

/* Read it as you like; change it with the functions of registry.h only. */
struct hms_host {
    char address[INET_ADDRSTRLEN];
    struct hms_sync sync;
    enum hms_host_state state;
    int64_t state_since_ns; /* wall time */
    int64_t last_alive_ns;  /* wall time */
    json_t *content;        /* LOG of protocol.md; empty until the first answer, never NULL */
    json_t *report;         /* what the manager says of its host; NULL if it says nothing */
    int has_content;        /* it has answered once */
    struct hms_totals totals;

    uint64_t notifications; /* heard from it */
    uint64_t asks;          /* give_content sent to it ... */
    uint64_t asks_failed;   /* ... and those that brought nothing */

    struct hms_host_text *texts; /* of entries, as they were last written out */
    struct hms_gather_ask *ask;  /* give_content under way; gather.c's */
    struct hms_totals counted;   /* what the registry's totals have of it ... */
    int is_counted_present;      /* ... */
    int is_counted_updated;
    int is_removed; /* no longer in the registry */
    size_t holds;   /* see hms_registry_hold() */
};

/* Never NULL. The address is IPv4 text. */
struct hms_host *hms_host_new(const char *address);
void hms_host_free(struct hms_host *host);

/* Replaces the content; both are taken over by reference. report may be NULL. */
void hms_host_set_content(struct hms_host *host, json_t *content, json_t *report);

/*
 * Takes out the containers whose keys are in the array `removed`, then puts in the entries of the
 * object `changed`, by reference; each of them may be NULL. Costs as much as there is in them.
 */
void hms_host_change(struct hms_host *host, const json_t *removed, const json_t *changed);

/* Takes it over by reference; NULL leaves what was said before. */
void hms_host_set_report(struct hms_host *host, json_t *report);

/* How many containers there would be after that, keys in both counted as staying. */
size_t hms_host_count_after(const struct hms_host *host, const json_t *removed,
                            const json_t *changed);

/* Sets measurements (docs/wire.md, `measures`); those of containers that are not there are left. */
void hms_host_measure(struct hms_host *host, const json_t *measures);

/*
 * The container that is meant: short id, full id, name, or the first four digits or more of the id.
 * Returns 0 and its key in the content (borrowed from it) and entry; HMS_ENOENT; or HMS_EBUSY if
 * several fit.
 */
int hms_host_resolve(const struct hms_host *host, const char *wanted, const char **key,
                     json_t **entry);

/* Appends the content as JSON text. Returns 0 or HMS_ELIMIT. */
int hms_host_append_text(struct hms_host *host, struct hms_buffer *buffer);

/* "online", "stale", "offline", "degraded". */
const char *hms_host_state_name(enum hms_host_state state);

#endif
