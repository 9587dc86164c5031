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
    bucket->supervised_ms += span_ms * (int64_t)availability->supervised;
    bucket->up_ms += span_ms * (int64_t)availability->up;
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

void hms_availability_set(struct hms_availability *availability, int64_t now_ms, size_t supervised,
                          size_t up)
{
    advance(availability, now_ms);
    availability->supervised = supervised;
    availability->up = up;
}

int hms_availability_pct(struct hms_availability *availability, int64_t now_ms, double *pct)
{
    int64_t oldest = now_ms / MINUTE_MS - HMS_AVAILABILITY_MINUTES + 1;
    int64_t supervised_ms = 0, up_ms = 0;
    size_t i;

    advance(availability, now_ms);
    for (i = 0; i < HMS_AVAILABILITY_MINUTES; i++) {
        if (availability->buckets[i].minute < oldest)
            continue;
        supervised_ms += availability->buckets[i].supervised_ms;
        up_ms += availability->buckets[i].up_ms;
    }
    if (supervised_ms == 0)
        return HMS_ENOENT;
    *pct = 100.0 * (double)up_ms / (double)supervised_ms;
    return HMS_OK;
}
