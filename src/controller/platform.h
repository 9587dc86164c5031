/*
 * The platform as a whole: hosts and containers by state, availability, traffic. Fed by the
 * controller; times are monotonic milliseconds.
 */
#ifndef HMS_CONTROLLER_PLATFORM_H
#define HMS_CONTROLLER_PLATFORM_H

#include <jansson.h>
#include <stdint.h>

struct hms_bus;
struct hms_gather;
struct hms_loop;
struct hms_platform;
struct hms_registry;
struct hms_standby;

/* What it tells of; all borrowed, and they outlive it. */
struct hms_platform_sources {
    const struct hms_registry *registry;
    const struct hms_gather *gather;
    const struct hms_standby *standby;
    const struct hms_bus *bus;
    const struct hms_loop *loop;
};

/* Totals since the start. */
struct hms_platform_totals {
    uint64_t bus_messages; /* between managers and controller */
    uint64_t bus_bytes;
    uint64_t rest_bytes; /* sent to users */
};

/* Never returns NULL. Free with hms_platform_free(). */
struct hms_platform *hms_platform_new(const struct hms_platform_sources *sources, int64_t now_ms);
void hms_platform_free(struct hms_platform *platform);

/* The registry may have changed: takes note of who is up, and of whom an update is pending. */
void hms_platform_observe(struct hms_platform *platform, int64_t now_ms);

/* To be called once a second: rates are taken over the last ten calls. */
void hms_platform_sample(struct hms_platform *platform, int64_t now_ms,
                         const struct hms_platform_totals *totals);

/* The body of GET /platform; a new reference. */
json_t *hms_platform_json(struct hms_platform *platform, int64_t now_ms);

#endif
