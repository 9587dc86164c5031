/*
 * The monitor log: one entry per container (protocol.md, section 1), and how the controllers learn
 * of its changes: pushed to them, or as a flag that makes them ask (docs/wire.md).
 */
#ifndef HMS_MANAGER_REPORT_H
#define HMS_MANAGER_REPORT_H

#include <jansson.h>
#include <stddef.h>
#include <uv.h>

#include "manager/options.h"

struct hms_bus;
struct hms_container;
struct hms_docker_network;
struct hms_inventory;
struct hms_log;
struct hms_report;

/* Containers that went since the last update; past it, controllers are made to ask. */
#define HMS_REPORT_REMOVED_MAX 4096

/* Containers whose measurements one `live` tells; those of the others wait for the next. */
#define HMS_REPORT_MEASURES_MAX 1024

/* Where the report looks things up. */
struct hms_report_sources {
    /* The host's networks; borrowed until the next turn of the loop. */
    const struct hms_docker_network *(*networks)(void *arg, size_t *count);
    /* What the manager says of its host; a new reference. */
    json_t *(*describe_host)(void *arg);
    void *arg;
};

/*
 * Everything but the sources is borrowed and outlives it. Tells the controllers on the bus what
 * changes, and `live` once per heartbeat period. The sources are asked only from the loop and from
 * the functions below. Never NULL.
 */
struct hms_report *hms_report_new(uv_loop_t *loop, struct hms_log *log, struct hms_bus *bus,
                                  struct hms_inventory *inventory,
                                  const struct hms_report_sources *sources,
                                  const struct hms_manager_options *options);

/* Something about the container may have changed. */
void hms_report_touch(struct hms_report *report, struct hms_container *container);

/* It is gone; called before it leaves the inventory. */
void hms_report_remove(struct hms_report *report, struct hms_container *container);

/* The host's state or threshold has changed. */
void hms_report_touch_host(struct hms_report *report);

/* The reply to give_content; a new reference. Lowers the update flag. */
json_t *hms_report_reply(struct hms_report *report);

void hms_report_close(struct hms_report *report, void (*closed)(void *arg), void *arg);

#endif
