/*
 * The probing rounds: every running container at once, a pause, and again. Updates each container's
 * measure and health, and the storm guard.
 */
#ifndef HMS_MANAGER_ROUNDS_H
#define HMS_MANAGER_ROUNDS_H

#include <stdint.h>
#include <uv.h>

#include "manager/options.h"

struct hms_container;
struct hms_icmp;
struct hms_inventory;
struct hms_log;
struct hms_rounds;
struct hms_tracker;

struct hms_rounds_handlers {
    /* A complete round's result has been applied to a container. */
    void (*on_result)(void *arg, struct hms_container *container);
    /* The storm guard became active or inactive. */
    void (*on_storm)(void *arg, int is_active);
};

struct hms_rounds_counters {
    uint64_t rounds;     /* completed */
    uint64_t incomplete; /* results that say nothing, because the prober itself was disturbed */
    double last_wall_ms; /* from the first request to the end of the last round */
    int last_targets;
};

/* Everything is borrowed and outlives it; *threshold_pct may change meanwhile. Never NULL. */
struct hms_rounds *hms_rounds_new(uv_loop_t *loop, struct hms_log *log, struct hms_icmp *icmp,
                                  struct hms_inventory *inventory, struct hms_tracker *tracker,
                                  const struct hms_manager_options *options,
                                  const double *threshold_pct,
                                  const struct hms_rounds_handlers *handlers, void *arg);

/* The container has ended or is gone: the round under way sends nothing more to it. */
void hms_rounds_give_up(struct hms_rounds *rounds, struct hms_container *container);

int hms_rounds_is_storm(const struct hms_rounds *rounds);
struct hms_rounds_counters hms_rounds_counters(const struct hms_rounds *rounds);

/* Begins no round any more; closed(arg) runs from the loop. Close icmp first. */
void hms_rounds_close(struct hms_rounds *rounds, void (*closed)(void *arg), void *arg);

#endif
