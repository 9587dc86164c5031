/* A ring of minutes, addressed by the minute's number; buckets of the last round count as empty. */
#include "controller/availability.h"

#include <string.h>

#include "core/error.h"

#define MINUTE_MS INT64_C(60000)
#define WINDOW_MS (HMS_AVAILABILITY_MINUTES * MINUTE_MS)

void hms_availability_init(struct hms_availability *availability, int64_t now_ms)
{
    memset(availability, 0, sizeof(*availability));
    availability->since_ms = now_ms;
}

static void add(struct hms_availability *availability, int64_t minute, int64_t span_ms)
{
    struct hms_availability_bucket *bucket =
        &availability->buckets[minute % HMS_AVAILABILITY_MINUTES];

    if (bucket->minute != minute)
        *bucket = (struct hms_availability_bucket){.minute = minute};
    bucket->total_ms += span_ms * (int64_t)availability->total;
    bucket->good_ms += span_ms * (int64_t)availability->good;
}

/* Spreads the time since the last change over its minutes. */
static void advance(struct hms_availability *availability, int64_t now_ms)
{
    int64_t from_ms = availability->since_ms;

    if (now_ms <= from_ms)
        return;
    if (from_ms < now_ms - WINDOW_MS)
        from_ms = now_ms - WINDOW_MS;
    while (from_ms < now_ms) {
        int64_t minute = from_ms / MINUTE_MS;
        int64_t until_ms = (minute + 1) * MINUTE_MS;

        if (until_ms > now_ms)
            until_ms = now_ms;
        add(availability, minute, until_ms - from_ms);
        from_ms = until_ms;
    }
    availability->since_ms = now_ms;
}

void hms_availability_set(struct hms_availability *availability, int64_t now_ms, size_t total,
                          size_t good)
{
    advance(availability, now_ms);
    availability->total = total;
    availability->good = good;
}

int hms_availability_pct(struct hms_availability *availability, int64_t now_ms, double *pct)
{
    int64_t oldest = now_ms / MINUTE_MS - HMS_AVAILABILITY_MINUTES + 1;
    int64_t total_ms = 0, good_ms = 0;
    size_t i;

    advance(availability, now_ms);
    for (i = 0; i < HMS_AVAILABILITY_MINUTES; i++) {
        if (availability->buckets[i].minute < oldest)
            continue;
        total_ms += availability->buckets[i].total_ms;
        good_ms += availability->buckets[i].good_ms;
    }
    if (total_ms == 0)
        return HMS_ENOENT;
    *pct = 100.0 * (double)good_ms / (double)total_ms;
    return HMS_OK;
}
