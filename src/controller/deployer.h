/*
 * Takes hosts over and gives them up, on an operator's word (add_host and remove_host of
 * protocol.md) and by itself: hosts that are to have a manager and have none, managers that fell
 * silent, what could not be removed at once. A few deployments run at a time, one at most for each
 * host; the rest waits in order, but what an operator waits for comes first.
 */
#ifndef HMS_CONTROLLER_DEPLOYER_H
#define HMS_CONTROLLER_DEPLOYER_H

#include <jansson.h>
#include <stdint.h>
#include <uv.h>

#include "controller/manager_spec.h"
#include "controller/verdict.h"

/* Deployments at a time: those that nobody waits for, and all. */
#define HMS_DEPLOYER_CONCURRENT     4
#define HMS_DEPLOYER_CONCURRENT_MAX 8

struct hms_bus;
struct hms_deployer;
struct hms_gather;
struct hms_log;
struct hms_registry;
struct hms_roster;

/* Strings are borrowed. */
struct hms_deployer_options {
    const char *image_path;               /* archive with the managers' image */
    struct hms_manager_settings managers; /* without a broker no host can be taken over */
    int64_t life_timeout_ms;              /* until a manager that was started is heard of */
    int64_t silence_ms; /* a manager of ours that is offline for so long is restarted */
};

/* body is the reply of protocol.md; borrowed. */
typedef void (*hms_deployer_done_fn)(void *arg, enum hms_verdict verdict, json_t *body);

/* All pointers are borrowed and outlive it. Enters the roster's hosts into the registry. Never
 * returns NULL. Nothing happens until hms_deployer_start(); from then on it is freed by
 * hms_deployer_close(), before by hms_deployer_free(). */
struct hms_deployer *hms_deployer_new(uv_loop_t *loop, struct hms_log *log, struct hms_bus *bus,
                                      struct hms_registry *registry, struct hms_gather *gather,
                                      struct hms_roster *roster,
                                      const struct hms_deployer_options *options);

void hms_deployer_free(struct hms_deployer *deployer);
void hms_deployer_start(struct hms_deployer *deployer);

/* Whether it acts by itself; not at first. What is under way goes on. */
void hms_deployer_set_active(struct hms_deployer *deployer, int is_active);

/* Makes the roster that of another controller (hms_roster_public()), while this one is not active;
 * hosts that cannot be understood are left out, with a line in the log. */
void hms_deployer_follow(struct hms_deployer *deployer, const json_t *hosts);

/*
 * add_host {address, docker, ...} (reach.h), and "antagonist", "replace" (takes the place of the
 * manager of another host or platform, which is refused else), "async": with that true done runs
 * once the host is on the roster, and the deployment is tried until it succeeds. Without it done
 * runs at its end, and a failure leaves things as they were. done runs exactly once, possibly
 * before the return.
 */
void hms_deployer_add(struct hms_deployer *deployer, const json_t *message,
                      hms_deployer_done_fn done, void *arg);

/* remove_host {address}; with "force" true without going to the host. So done. */
void hms_deployer_remove(struct hms_deployer *deployer, const json_t *message,
                         hms_deployer_done_fn done, void *arg);

/* The roster, what goes on, and who else is known; or one host. A new reference; NULL if no host
 * is known at the address. */
json_t *hms_deployer_view(const struct hms_deployer *deployer, const char *address);

/* Ends what is under way where it is; whoever waits is told HMS_VERDICT_STOPPING before the return.
 * closed(arg) runs from the loop. */
void hms_deployer_close(struct hms_deployer *deployer, void (*closed)(void *arg), void *arg);

#endif
