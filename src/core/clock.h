/*
 * Time. Decisions use the loop's monotonic clock, handed to them in milliseconds; wall time is for
 * people, for files and for Docker's event stamps.
 */
#ifndef HMS_CORE_CLOCK_H
#define HMS_CORE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Monotonic time in milliseconds (nanoseconds); the origin is arbitrary. */
int64_t hms_clock_mono_ms(void);
int64_t hms_clock_mono_ns(void);

/* Wall time in nanoseconds since 1970-01-01T00:00:00Z. */
int64_t hms_clock_wall_ns(void);

/* "2026-01-31T23:59:59.123Z" and "2026-01-31T23:59:59.123456Z" with their terminating 0. */
#define HMS_CLOCK_TEXT_SIZE    25
#define HMS_CLOCK_TEXT_US_SIZE 28

/* Writes wall time as RFC 3339 in UTC with milliseconds (microseconds). Returns text. */
char *hms_clock_format(int64_t wall_ns, char text[HMS_CLOCK_TEXT_SIZE]);
char *hms_clock_format_us(int64_t wall_ns, char text[HMS_CLOCK_TEXT_US_SIZE]);

/*
 * Reads RFC 3339 with up to nine fractional digits and Z or an offset, as Docker writes it, up to
 * the year 2261. Returns 0, or HMS_EINVAL (then *wall_ns is untouched). Times before 1970 give 0:
 * Docker's zero time is the year 1.
 */
int hms_clock_parse(const char *text, int64_t *wall_ns);

#endif
