/*
 * The greatest of what was measured within the last ten minutes. Reading it changes nothing, so
 * that everybody who asks is told the same, and a report that gets lost takes nothing with it.
 */
#ifndef HMS_CORE_PEAK_H
#define HMS_CORE_PEAK_H

#include <stdint.h>

#define HMS_PEAK_MINUTES 10

/* All zero before the first measurement. */
struct hms_peak {
    int64_t minute;                /* of the newest */
    double most[HMS_PEAK_MINUTES]; /* of each minute, by its number modulo their count */
};

/* Takes note of a value, 0 or more, at a monotonic time in milliseconds that never goes back. */
void hms_peak_note(struct hms_peak *peak, int64_t now_ms, double value);

/* The greatest of the minute under way and of the nine before it; 0 if there is none. */
double hms_peak_get(const struct hms_peak *peak, int64_t now_ms);

#endif
