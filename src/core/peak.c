#include "core/peak.h"

#include <string.h>

#define MINUTE_MS 60000

void hms_peak_note(struct hms_peak *peak, int64_t now_ms, double value)
{
    int64_t minute = now_ms / MINUTE_MS;
    double *most = &peak->most[minute % HMS_PEAK_MINUTES];

    if (minute - peak->minute >= HMS_PEAK_MINUTES) {
        memset(peak->most, 0, sizeof(peak->most));
        peak->minute = minute;
    }
    while (peak->minute < minute)
        peak->most[++peak->minute % HMS_PEAK_MINUTES] = 0;
    if (value > *most)
        *most = value;
}

double hms_peak_get(const struct hms_peak *peak, int64_t now_ms)
{
    int64_t oldest = now_ms / MINUTE_MS - HMS_PEAK_MINUTES + 1, minute;
    double most = 0;

    for (minute = peak->minute; minute >= oldest && minute > peak->minute - HMS_PEAK_MINUTES;
         minute--)
        if (peak->most[(minute + HMS_PEAK_MINUTES) % HMS_PEAK_MINUTES] > most)
            most = peak->most[(minute + HMS_PEAK_MINUTES) % HMS_PEAK_MINUTES];
    return most;
}
