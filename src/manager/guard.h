/*
 * The restart guard of one container: what keeps the cure from doing harm. Pure.
 *
 * It holds the restarted list's entry, the backoff and the quarantine of a container that fails by
 * itself, and the budget of restarts for packet loss. Times are the loop's monotonic milliseconds.
 */
#ifndef HMS_MANAGER_GUARD_H
#define HMS_MANAGER_GUARD_H

#include <stdint.h>

#include "manager/options.h"
#include "manager/reason.h"

struct hms_guard_limits {
    int64_t backoff_min_ms;
    int64_t backoff_max_ms;
    int64_t stable_ms; /* up for this long: failures are forgotten */
    int64_t window_ms;
    int restart_limit;      /* own failures within the window; 0: no limit */
    int loss_restart_limit; /* restarts for loss within the window; 0: no limit */
    int64_t start_grace_ms; /* no restart for loss so soon after a start */
};

/* Times of the last events of one kind, newest first. */
struct hms_guard_history {
    int64_t at_ms[HMS_GUARD_LIMIT_MAX];
    int count;
};

struct hms_guard {
    const struct hms_guard_limits *limits; /* borrowed; one set for all containers */
    int64_t restarted_until_ms;            /* on the restarted list until then; 0: not on it */
    int64_t up_since_ms;                   /* 0: down */
    int64_t down_since_ms;                 /* 0: has not been seen to end */
    int64_t last_attempt_ms;
    int failures;      /* own failures and refused starts since it was last stable */
    int refused;       /* starts refused by the engine in a row */
    int unhelpful;     /* restarts for loss in a row after which the loss was still there */
    int loss_unproven; /* a restart for loss waits for the round that shows whether it helped */
    int is_quarantined;
    struct hms_guard_history failure_starts;
    struct hms_guard_history loss_restarts;
};

enum hms_trigger {
    HMS_TRIGGER_STOPPED,   /* stopped from outside */
    HMS_TRIGGER_FAILED,    /* ended by itself */
    HMS_TRIGGER_LOSS,      /* loses packets */
    HMS_TRIGGER_REQUESTED, /* an operator asked for it */
};

enum hms_ruling_kind { HMS_RULING_ACT, HMS_RULING_WAIT, HMS_RULING_LEAVE };

struct hms_ruling {
    enum hms_ruling_kind kind;
    enum hms_reason reason;
    int64_t not_before_ms; /* WAIT: when to ask again */
};

/* A guard that has seen nothing yet. limits is borrowed for as long as the guard lives. */
void hms_guard_init(struct hms_guard *guard, const struct hms_guard_limits *limits);

/* May this container be started (or, for LOSS, restarted) now? */
struct hms_ruling hms_guard_ask(const struct hms_guard *guard, enum hms_trigger trigger,
                                int64_t now_ms);

/* It is being (re)started: puts it on the restarted list and counts it. */
void hms_guard_acted(struct hms_guard *guard, enum hms_trigger trigger, int64_t now_ms);

/* The (re)start is over; ok: the engine did it. Takes it off the restarted list. */
void hms_guard_answered(struct hms_guard *guard, enum hms_trigger trigger, int ok, int64_t now_ms);

/* It runs; it ended (after being up for stable_ms its earlier failures are forgotten). */
void hms_guard_up(struct hms_guard *guard, int64_t now_ms);
void hms_guard_down(struct hms_guard *guard, int64_t now_ms);

/* Up for stable_ms in quarantine: releases it. Returns 1 if it did. */
int hms_guard_settle(struct hms_guard *guard, int64_t now_ms);

/* A complete round of probes: whether a restart for loss before it has helped.
 * Returns 1 if it helped, 0 if it did not, -1 if there was none to judge. */
int hms_guard_proved(struct hms_guard *guard, int is_good);

void hms_guard_quarantine(struct hms_guard *guard);

/* Out of quarantine with a clean slate. */
void hms_guard_release(struct hms_guard *guard);

#endif
