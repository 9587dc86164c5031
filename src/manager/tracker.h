/*
 * Keeps the inventory equal to the engine: applies its events, lists and inspects.
 */
#ifndef HMS_MANAGER_TRACKER_H
#define HMS_MANAGER_TRACKER_H

#include <stdint.h>
#include <uv.h>

#include "core/docker.h"

struct hms_container;
struct hms_inventory;
struct hms_log;
struct hms_tracker;

struct hms_tracker_handlers {
    /* What is known of a container has changed. Not before its first inspect. */
    void (*on_changed)(void *arg, struct hms_container *container);
    /* It is gone; the struct is freed after the return. */
    void (*on_removed)(void *arg, struct hms_container *container);
    /* Every container has been inspected since contact was made (again). */
    void (*on_synced)(void *arg);
    /* Contact with the engine is lost. */
    void (*on_down)(void *arg, const char *reason);
};

struct hms_tracker_options {
    int64_t since_ns; /* replay the engine's events after this wall time; 0: none */
    int is_newcomer;  /* nothing is remembered: who ran before is not taken for seen running */
    int64_t list_period_ms;
};

/* Begins to make contact. docker and inventory are borrowed. Never NULL. */
struct hms_tracker *hms_tracker_new(uv_loop_t *loop, struct hms_log *log, struct hms_docker *docker,
                                    struct hms_inventory *inventory,
                                    const struct hms_tracker_options *options,
                                    const struct hms_tracker_handlers *handlers, void *arg);

/* Wall time of the newest event applied; 0: none. */
int64_t hms_tracker_last_event_ns(const struct hms_tracker *tracker);

/* The host's networks; borrowed until the next turn of the loop. */
const struct hms_docker_network *hms_tracker_networks(const struct hms_tracker *tracker,
                                                      size_t *count);

/* Asks the engine about this container anew. */
void hms_tracker_refresh(struct hms_tracker *tracker, struct hms_container *container);

/* No handler runs any more; closed(arg) runs from the loop. Close before docker. */
void hms_tracker_close(struct hms_tracker *tracker, void (*closed)(void *arg), void *arg);

#endif
