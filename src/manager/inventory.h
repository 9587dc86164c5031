/*
 * The inventory: every container of the host, what the engine says of it and what the policy
 * remembers of it. Owned by the manager; everyone else borrows.
 */
#ifndef HMS_MANAGER_INVENTORY_H
#define HMS_MANAGER_INVENTORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#include "core/docker.h"
#include "manager/decision.h"
#include "manager/exit_cause.h"
#include "manager/guard.h"
#include "manager/health.h"
#include "manager/options.h"
#include "manager/stop.h"
#include "manager/supervision.h"

struct hms_measure {
    int is_known; /* there was a complete round in this life */
    double loss_pct;
    double rtt_min_ms, rtt_avg_ms, rtt_max_ms; /* 0 if nothing came back */
};

struct hms_container {
    char id[HMS_DOCKER_ID_SIZE];
    UT_hash_handle hh;

    /* facts from the engine */
    struct hms_docker_container info; /* of the last inspect; valid if is_inspected */
    int is_inspected;
    const char *compose_project; /* labels of docker compose, NULL if there are none */
    const char *compose_service;
    const char *compose_number;
    int is_inspecting;      /* a call is under way ... */
    int must_inspect_again; /* ... whose answer will be out of date */
    enum hms_docker_state state;
    int64_t since_ns;      /* wall time at which it got into this state */
    int64_t begun_ns;      /* wall time of its last start; 0: none known */
    int64_t event_ms;      /* monotonic time of its last event: older lists say nothing new */
    int is_address_known;  /* inspected since it was started: each start may bring a new address */
    int64_t addressed_ms;  /* monotonic; when its addresses last changed */
    size_t place_in_round; /* of its probes, if the round under way has any */
    uint64_t life; /* counts starts, ends and whatever else makes a round under way pointless */
    struct hms_exit end;
    int64_t end_event_ns;     /* wall time of the `die` event not yet answered; 0: none */
    int64_t ended_ms;         /* monotonic */
    int64_t asked_to_stop_ms; /* monotonic; last TERM from outside, 0: none since its start */
    int64_t touched_ms;       /* monotonic; last act from outside that a stop may belong to */
    int64_t signal_ms;        /* monotonic; last signal from outside */

    /* policy */
    struct hms_labels labels;
    enum hms_reason supervision;
    int is_ignored;
    int is_seen;
    int is_requested;
    struct hms_guard guard;
    struct hms_health health;
    struct hms_measure measure;
    struct hms_decisions decisions;
    enum hms_reason standing; /* of the last ruling: what holds it back, CLEAR if nothing does */
    uint64_t decided;         /* summary of the last ruling recorded, so that none repeats */
    int64_t due_ms;           /* monotonic; when to look at it again; 0: not before an event */
    uint64_t queued;          /* place in the queue for a restart; 0: not in it */
    enum hms_trigger queued_for;
    uint64_t acting;        /* number of the decision whose (re)start is under way; 0: none */
    uint64_t loss_decision; /* number of the last restart for loss; 0: none */
    uint64_t restarts;      /* asked for by us and done */

    /* report */
    json_t *entry;      /* of the monitor log; never changed once made; NULL: to be made */
    uint64_t signature; /* of what an operator would call its state, as last announced */
    double announced_loss_pct;
    struct hms_measure told; /* of the entry last made, or told since */
    int is_changed;          /* since the last update was sent; on the report's list then */
    TAILQ_ENTRY(hms_container) changed_link;
};

struct hms_inventory;

/* Takes over what `inspect` told. */
void hms_container_set_info(struct hms_container *container, struct hms_docker_container *info);

/* Whether it runs as far as is known (paused counts). */
int hms_container_is_up(const struct hms_container *container);

/* After so long a process that still runs has ignored the signal: nobody is stopping it. */
#define HMS_STOPPING_MS 600000

/* Whether somebody else is stopping it: it was sent TERM or KILL and has not ended yet. */
int hms_container_is_stopping(const struct hms_container *container, int64_t now_ms);

/* Never NULL; all containers go with it. limits (borrowed) are those of every guard. */
struct hms_inventory *hms_inventory_new(const struct hms_guard_limits *limits);
void hms_inventory_free(struct hms_inventory *inventory);

/* The container of that full id, or NULL; with _add, made if missing. */
struct hms_container *hms_inventory_find(struct hms_inventory *inventory, const char *id);
struct hms_container *hms_inventory_add(struct hms_inventory *inventory, const char *id);
void hms_inventory_remove(struct hms_inventory *inventory, struct hms_container *container);

/* For walking: the first container, then container->hh.next. Order of arrival. */
struct hms_container *hms_inventory_first(struct hms_inventory *inventory);
size_t hms_inventory_count(const struct hms_inventory *inventory);

/*
 * The container that `text` names: a name, a full id, or a prefix of an id (4 digits or more).
 * NULL if there is none, or if several match (*ambiguous is 1 then).
 */
struct hms_container *hms_inventory_resolve(struct hms_inventory *inventory, const char *text,
                                            int *ambiguous);

/* What belongs to the stop of this container. window_ms: how far apart stops of one command may be
 * asked for. */
struct hms_stop hms_inventory_stop_of(struct hms_inventory *inventory,
                                      const struct hms_container *container, int64_t window_ms,
                                      int64_t now_ms);

/* Somebody removed the container: whoever stopped its neighbours may be about to remove them too.
 */
void hms_inventory_note_removal(struct hms_inventory *inventory,
                                const struct hms_container *container, int64_t now_ms);

/* Whether a newer container of the same compose project, service and number exists. */
int hms_inventory_is_superseded(struct hms_inventory *inventory,
                                const struct hms_container *container);

#endif
