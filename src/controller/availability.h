/*
 * Availability over the last 24 hours: the time-weighted share of things (containers, hosts) that
 * were as they should be, kept in one-minute buckets. Pure; times are monotonic milliseconds.
 */
#ifndef HMS_CONTROLLER_AVAILABILITY_H
#define HMS_CONTROLLER_AVAILABILITY_H

#include <stddef.h>
#include <stdint.h>

#define HMS_AVAILABILITY_MINUTES 1440

/* Milliseconds of one minute, times things. */
struct hms_availability_bucket {
    int64_t minute; /* since the clock's origin; an old one is empty */
    int64_t total_ms;
    int64_t good_ms;
};

struct hms_availability {
    struct hms_availability_bucket buckets[HMS_AVAILABILITY_MINUTES];
    int64_t since_ms; /* the counts below hold from then on */
    size_t total;
    size_t good;
};

void hms_availability_init(struct hms_availability *availability, int64_t now_ms);

/* From now_ms on, `good` of `total` things are as they should be. */
void hms_availability_set(struct hms_availability *availability, int64_t now_ms, size_t total,
                          size_t good);

/*
 * The share in percent over the 24 hours before now_ms, as far as they are known. Returns 0, or
 * HMS_ENOENT if there was nothing in that time.
 */
int hms_availability_pct(struct hms_availability *availability, int64_t now_ms, double *pct);

#endif
