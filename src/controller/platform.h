/*
 * The platform as a whole: hosts and containers by state, availability, traffic. Fed by the
 * controller; times are monotonic milliseconds.
 */
#ifndef HMS_CONTROLLER_PLATFORM_H
#define HMS_CONTROLLER_PLATFORM_H

#include <jansson.h>
#include <stdint.h>

struct hms_platform;
struct hms_registry;

/* Totals since the start. */
struct hms_platform_totals {
    uint64_t bus_messages; /* between managers and controller */
    uint64_t bus_bytes;
    uint64_t rest_bytes; /* sent to users */
};

/* The registry is borrowed and outlives it. Never returns NULL. Free with hms_platform_free(). */
struct hms_platform *hms_platform_new(const struct hms_registry *registry, int64_t now_ms);
void hms_platform_free(struct hms_platform *platform);

/* The registry may have changed: takes note of who is up. */
void hms_platform_observe(struct hms_platform *platform, int64_t now_ms);

/* To be called once a second: rates are taken over the last ten calls. */
void hms_platform_sample(struct hms_platform *platform, int64_t now_ms,
                         const struct hms_platform_totals *totals);

/* The body of GET /platform; a new reference. */
json_t *hms_platform_json(struct hms_platform *platform, int64_t now_ms);

#endif
