/*
 * The hosts that the controller is responsible for, by an operator's word, and how each is reached.
 * It survives restarts in STATE_DIR/controller.json, which has mode 600: keys are in it, passwords
 * never are.
 */
#ifndef HMS_CONTROLLER_ROSTER_H
#define HMS_CONTROLLER_ROSTER_H

#include <jansson.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>
#include <uv.h>

#include "controller/reach.h"

#define HMS_ROSTER_HOSTS_MAX 1024

struct hms_log;
struct hms_post;
struct hms_roster;

enum hms_membership {
    HMS_JOINING, /* a manager is to be brought there */
    HMS_JOINED,
    HMS_LEAVING, /* what was brought there is to be taken away */
};

/* Change it as you like; then hms_roster_save(). */
struct hms_roster_host {
    char address[INET_ADDRSTRLEN];
    enum hms_membership membership;
    struct hms_reach reach;
    int wants_antagonist;
    struct hms_post *post; /* deployer.c's */
    UT_hash_handle hh;
};

/*
 * Reads what an earlier run left in state_dir (NULL: nothing is kept); before the loop runs. A host
 * that cannot be understood is left out with a line in the log. Returns 0, or an error of
 * hms_store_open() with a text in error.
 */
int hms_roster_open(struct hms_roster **roster, uv_loop_t *loop, struct hms_log *log,
                    const char *state_dir, char *error, size_t error_size);

/* Writes what was to be saved, then releases everything; closed(arg) runs from the loop. */
void hms_roster_close(struct hms_roster *roster, void (*closed)(void *arg), void *arg);

/* IPv4 text in the form that the registry uses; NULL if the host is not on the roster. */
struct hms_roster_host *hms_roster_find(const struct hms_roster *roster, const char *address);

/* A new host, joining; or NULL if there are too many. The address is no other host's. */
struct hms_roster_host *hms_roster_add(struct hms_roster *roster, const char *address);
void hms_roster_remove(struct hms_roster *roster, struct hms_roster_host *host);

/* Hosts in the order of their joining; the next is host->hh.next. */
struct hms_roster_host *hms_roster_first(const struct hms_roster *roster);
size_t hms_roster_count(const struct hms_roster *roster);

/* Has the roster written; saved(arg) runs from the loop when it is on disk (or, if that failed,
 * when it is being tried again). saved may be NULL. */
void hms_roster_save(struct hms_roster *roster, void (*saved)(void *arg), void *arg);

/* Changes with every save. */
uint64_t hms_roster_version(const struct hms_roster *roster);

/*
 * Rosters that follow one another have one origin: the controller that first became active without
 * any. hms_roster_found() gives it one, unless it has; hms_roster_share() tells whether a roster of
 * that origin (NULL: none) may take this one's place, and takes the origin over: it may not if this
 * one has hosts and is of another origin.
 */
void hms_roster_found(struct hms_roster *roster);
int hms_roster_share(struct hms_roster *roster, const char *origin);
const char *hms_roster_origin(const struct hms_roster *roster); /* "": none */

/* What another controller may know of the hosts, by address: all but secrets. A new reference. */
json_t *hms_roster_public(const struct hms_roster *roster);

/* Sets a host to what such an object says of it. What it says already keeps its secrets. Returns 0,
 * or HMS_EINVAL with a text in error; the host is then as it was. */
int hms_roster_learn(struct hms_roster_host *host, const json_t *object, char *error,
                     size_t error_size);

/* "joining", "joined", "leaving". */
const char *hms_membership_name(enum hms_membership membership);

#endif
