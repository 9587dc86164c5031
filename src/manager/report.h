/*
 * The monitor log: one entry per container (protocol.md, section 1), and the update flag that tells
 * the controller when an operator would see something new in it.
 */
#ifndef HMS_MANAGER_REPORT_H
#define HMS_MANAGER_REPORT_H

#include <jansson.h>
#include <uv.h>

#include "manager/options.h"

struct hms_bus;
struct hms_container;
struct hms_inventory;
struct hms_report;
struct hms_tracker;

/*
 * Everything is borrowed and outlives it. Announces changes with `update`, and once per heartbeat
 * period `live`, to the controllers on the bus. Never NULL.
 */
struct hms_report *hms_report_new(uv_loop_t *loop, struct hms_bus *bus,
                                  struct hms_inventory *inventory, struct hms_tracker *tracker,
                                  const struct hms_manager_options *options);

/* Something about the container, the list of containers or the host has changed. */
void hms_report_touch(struct hms_report *report, struct hms_container *container);
void hms_report_announce(struct hms_report *report);

/* The monitor log; a new reference. Lowers the update flag. */
json_t *hms_report_content(struct hms_report *report);

void hms_report_close(struct hms_report *report, void (*closed)(void *arg), void *arg);

#endif
