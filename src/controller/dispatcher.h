/*
 * Carries out the commands of protocol.md, "Interface -> controller". REST and the bus are two
 * doors to it: both hand it the message {"command": ..., "address": ..., ...}. What concerns hosts
 * as a whole is the deployer's: add_host, remove_host, and ours get_hosts and get_host {address}.
 *
 * Beyond protocol.md: get_decisions {address, containerID}, the records of what was decided about
 * a container, and release_container {address, containerID}, which ends its quarantine.
 */
#ifndef HMS_CONTROLLER_DISPATCHER_H
#define HMS_CONTROLLER_DISPATCHER_H

#include <jansson.h>
#include <stdint.h>

#include "controller/verdict.h"

/* Commands under way at once; further ones end with HMS_VERDICT_BUSY. */
#define HMS_DISPATCHER_COMMANDS_MAX 1024

struct hms_bus;
struct hms_deployer;
struct hms_dispatcher;
struct hms_gather;
struct hms_registry;
struct hms_view;

/* Exactly one of body and view is set; both are borrowed for the call. */
struct hms_dispatcher_result {
    enum hms_verdict verdict;
    json_t *body;                /* the reply body */
    const struct hms_view *view; /* what a read found (view.h makes the body) */
};

typedef void (*hms_dispatcher_done_fn)(void *arg, const struct hms_dispatcher_result *result);

/* The others are borrowed and outlive it. Never returns NULL. */
struct hms_dispatcher *hms_dispatcher_new(struct hms_bus *bus, struct hms_registry *registry,
                                          struct hms_gather *gather, struct hms_deployer *deployer,
                                          int64_t reply_timeout_ms);

/*
 * Carries out a command; `message` is borrowed for the call. done runs exactly once, possibly
 * before the return.
 */
void hms_dispatcher_run(struct hms_dispatcher *dispatcher, const json_t *message,
                        hms_dispatcher_done_fn done, void *arg);

/*
 * Ends every command under way, and every later one, with HMS_VERDICT_STOPPING; those of hosts as a
 * whole are ended by hms_deployer_close(). The gather must have been closed before.
 */
void hms_dispatcher_stop(struct hms_dispatcher *dispatcher);

/* Frees it; nothing may be under way. */
void hms_dispatcher_free(struct hms_dispatcher *dispatcher);

#endif
