/*
 * What the controller knows: every host it has heard of and its containers. Knows no bus.
 */
#ifndef HMS_CONTROLLER_REGISTRY_H
#define HMS_CONTROLLER_REGISTRY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/host.h"
#include "core/json.h"

#define HMS_REGISTRY_HOSTS_MAX 1024

struct hms_notice;
struct hms_registry;

struct hms_registry_totals {
    struct hms_totals containers; /* those of an offline host are not known to be up: not so here */
    int64_t hosts_present;        /* not offline ... */
    int64_t hosts_updated;        /* ... and without an update that is known and not yet here */
};

/* For hms_registry_check(); see hms_sync_check(). */
struct hms_registry_times {
    int64_t now_ms;
    int64_t wall_ns;
    int64_t hearing_ms;
    int64_t expiry_ms;
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

/*
 * Takes a host out: it is not found any more and counts for nothing. Its memory stays as long as
 * somebody holds it. Nothing may be asked of it (gather.h: hms_gather_forget()).
 */
void hms_registry_remove(struct hms_registry *registry, struct hms_host *host);

/* For who keeps a pointer to a host across turns of the loop. */
void hms_registry_hold(struct hms_host *host);
void hms_registry_release(struct hms_host *host);

/* Hosts in the order of their addresses; index is below hms_registry_count(). */
size_t hms_registry_count(const struct hms_registry *registry);
struct hms_host *hms_registry_at(const struct hms_registry *registry, size_t index);

/* Of all hosts; borrowed. Costs nothing: every change brings it up to date. */
const struct hms_registry_totals *hms_registry_totals(const struct hms_registry *registry);

/*
 * Changes with everything in the registry that readers see; equal versions of one registry mean
 * equal answers.
 */
uint64_t hms_registry_version(const struct hms_registry *registry);

/*
 * The host was heard from: hms_sync_heard(), and what the notice tells is applied if it follows.
 * Costs as much as there is in it, unless somebody holds a reference to the host's content.
 */
enum hms_sync_step hms_registry_heard(struct hms_registry *registry, struct hms_host *host,
                                      const struct hms_notice *notice, int64_t now_ms,
                                      int64_t wall_ns);

/* hms_sync_changed(). */
void hms_registry_changed(struct hms_registry *registry, struct hms_host *host);

/* A give_content was sent to the host, or brought nothing. */
void hms_registry_asked(struct hms_host *host);
void hms_registry_ask_failed(struct hms_registry *registry, struct hms_host *host);

/*
 * The answer to give_content: takes over content and report from the message by reference, unless
 * updates have brought the host further. Returns 0, or HMS_EPROTO (not the shape of an answer, or
 * of another host); then the host is as after a failed one, with the reason in error.
 */
int hms_registry_answered(struct hms_registry *registry, struct hms_host *host,
                          const json_t *message, int64_t now_ms, int64_t wall_ns,
                          char error[HMS_JSON_ERROR_SIZE]);

/* Brings the host's state up to date: hms_sync_check() and the manager's report. */
void hms_registry_check(struct hms_registry *registry, struct hms_host *host,
                        const struct hms_registry_times *times);

#endif
