/*
 * What the controller knows: every host it has heard of and its containers. Knows no bus.
 *
 * A host stays for the life of the registry, so pointers to it may be kept.
 */
#ifndef HMS_CONTROLLER_REGISTRY_H
#define HMS_CONTROLLER_REGISTRY_H

#include <jansson.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/sync.h"

#define HMS_REGISTRY_HOSTS_MAX      1024
#define HMS_REGISTRY_CONTAINERS_MAX 65536 /* of one host, as in the list of an engine */

struct hms_registry;
struct hms_gather_ask;

enum hms_host_state {
    HMS_HOST_ONLINE,
    HMS_HOST_STALE, /* see HMS_CONTACT_STALE */
    HMS_HOST_OFFLINE,
    HMS_HOST_DEGRADED, /* online, but its manager says that something is wrong with it */
};

/* Read it as you like; change it with the functions below only. */
struct hms_host {
    char address[INET_ADDRSTRLEN];
    struct hms_sync sync;
    enum hms_host_state state;
    int64_t last_alive_ns; /* wall time */
    json_t *content;       /* LOG of protocol.md; empty until the first answer, never NULL */
    json_t *report;        /* what the manager says of its host; NULL if it says nothing */
    int has_content;       /* it has answered once */
    size_t supervised;     /* containers under supervision ... */
    size_t up;             /* ... and those of them that are up */

    uint64_t notifications; /* heard from it */
    uint64_t asks;          /* give_content sent to it ... */
    uint64_t asks_failed;   /* ... and those that brought nothing */

    char *text;                 /* the content as JSON text, NULL when it has to be made anew; */
    size_t text_size;           /* see hms_host_text() */
    struct hms_gather_ask *ask; /* give_content under way; gather.c's */
};

/* Never returns NULL. Free with hms_registry_free(). */
struct hms_registry *hms_registry_new(void);
void hms_registry_free(struct hms_registry *registry);

/* The host at that address (IPv4 text), or NULL if it was never heard of. */
struct hms_host *hms_registry_find(const struct hms_registry *registry, const char *address);

/*
 * The same, but a new host is added. Returns 0; HMS_EINVAL if the address is no IPv4 text;
 * HMS_ELIMIT if there are too many hosts.
 */
int hms_registry_enter(struct hms_registry *registry, const char *address, struct hms_host **host);

/* Hosts in the order of their addresses; index is below hms_registry_count(). */
size_t hms_registry_count(const struct hms_registry *registry);
struct hms_host *hms_registry_at(const struct hms_registry *registry, size_t index);

/*
 * Changes with everything in the registry that readers see; equal versions of one registry mean
 * equal answers.
 */
uint64_t hms_registry_version(const struct hms_registry *registry);

/* The host was heard from: hms_sync_heard() and the wall time of it. */
void hms_registry_heard(struct hms_registry *registry, struct hms_host *host, int64_t now_ms,
                        int64_t wall_ns, int64_t period_ms);

/* A command of ours changed something at the host: hms_sync_changed(). */
void hms_registry_changed(struct hms_registry *registry, struct hms_host *host);

/* A give_content was sent to the host, or brought nothing. */
void hms_registry_asked(struct hms_host *host);
void hms_registry_ask_failed(struct hms_registry *registry, struct hms_host *host, int64_t now_ms);

/*
 * The answer to give_content: takes over content and report from the message by reference. Returns
 * 0, or HMS_EPROTO (not the shape of an answer, or of another host) or HMS_ELIMIT (too many
 * containers); then the host is as after a failed one, with the reason in error.
 */
int hms_registry_answered(struct hms_registry *registry, struct hms_host *host,
                          const json_t *message, int64_t now_ms, int64_t wall_ns, char *error,
                          size_t error_size);

/* Brings the host's state up to date: hms_sync_check() and the manager's report. */
void hms_registry_check(struct hms_registry *registry, struct hms_host *host, int64_t now_ms,
                        int64_t expiry_ms);

/* Containers of all hosts; those of an offline host are not known to be up, so not counted so. */
void hms_registry_availability(const struct hms_registry *registry, size_t *supervised, size_t *up);

/*
 * The container that is meant: short id, full id, name, or the first four digits or more of the id.
 * Returns 0 and its key in the content (borrowed from it) and entry; HMS_ENOENT; or HMS_EBUSY if
 * several fit.
 */
int hms_host_resolve(const struct hms_host *host, const char *wanted, const char **key,
                     json_t **entry);

/* The content as JSON text, kept until it changes; borrowed. */
const char *hms_host_text(struct hms_host *host, size_t *size_bytes);

/* "online", "stale", "offline", "degraded". */
const char *hms_host_state_name(enum hms_host_state state);

#endif
