/* Monotonic and wall time, and RFC 3339 text. */
#include "core/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

#include "core/error.h"

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_US INT64_C(1000)
#define YEAR_MAX  2261 /* nanoseconds since 1970 end in 2262 */

/* "2026-01-31T23:59:59" and its terminating 0. */
#define SECONDS_SIZE 20

static int64_t read_ns(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t hms_clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t hms_clock_mono_ms(void)
{
    return hms_clock_mono_ns() / NS_PER_MS;
}

int64_t hms_clock_wall_ns(void)
{
    return read_ns(CLOCK_REALTIME);
}

/* Writes the seconds; returns the nanoseconds that are left. */
static int64_t format_seconds(int64_t wall_ns, char text[SECONDS_SIZE])
{
    int64_t in_second_ns = (wall_ns % NS_PER_S + NS_PER_S) % NS_PER_S; /* also before 1970 */
    time_t seconds = (time_t)((wall_ns - in_second_ns) / NS_PER_S);
    struct tm utc;

    gmtime_r(&seconds, &utc);
    snprintf(text, SECONDS_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u",
             (unsigned)(utc.tm_year + 1900) % 10000u, (unsigned)(utc.tm_mon + 1) % 100u,
             (unsigned)utc.tm_mday % 100u, (unsigned)utc.tm_hour % 100u,
             (unsigned)utc.tm_min % 100u, (unsigned)utc.tm_sec % 100u);
    return in_second_ns;
}

char *hms_clock_format(int64_t wall_ns, char text[HMS_CLOCK_TEXT_SIZE])
{
    char seconds[SECONDS_SIZE];
    int64_t rest_ns = format_seconds(wall_ns, seconds);

    snprintf(text, HMS_CLOCK_TEXT_SIZE, "%s.%03uZ", seconds,
             (unsigned)(rest_ns / NS_PER_MS) % 1000u);
    return text;
}

char *hms_clock_format_us(int64_t wall_ns, char text[HMS_CLOCK_TEXT_US_SIZE])
{
    char seconds[SECONDS_SIZE];
    int64_t rest_ns = format_seconds(wall_ns, seconds);

    snprintf(text, HMS_CLOCK_TEXT_US_SIZE, "%s.%06uZ", seconds,
             (unsigned)(rest_ns / NS_PER_US) % 1000000u);
    return text;
}

/* Reads exactly `digits` digits, a number from min to max, and the character that ends them. */
static int read_number(const char **text, int digits, int min, int max, char end, int *number)
{
    const char *at = *text;

    *number = 0;
    for (int i = 0; i < digits; i++, at++) {
        if (!isdigit((unsigned char)*at))
            return HMS_EINVAL;
        *number = *number * 10 + (*at - '0');
    }
    if (*number < min || *number > max || (end != '\0' && *at++ != end))
        return HMS_EINVAL;
    *text = at;
    return HMS_OK;
}

static int read_date_and_time(const char **text, struct tm *utc)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, is_leap;

    if (read_number(text, 4, 0, YEAR_MAX, '-', &year) != HMS_OK ||
        read_number(text, 2, 1, 12, '-', &month) != HMS_OK)
        return HMS_EINVAL;
    is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    utc->tm_year = year - 1900;
    utc->tm_mon = month - 1;
    if (read_number(text, 2, 1, month_days[month - 1] + (month == 2 && is_leap), 'T',
                    &utc->tm_mday) != HMS_OK ||
        read_number(text, 2, 0, 23, ':', &utc->tm_hour) != HMS_OK ||
        read_number(text, 2, 0, 59, ':', &utc->tm_min) != HMS_OK)
        return HMS_EINVAL;
    return read_number(text, 2, 0, 60, '\0', &utc->tm_sec); /* 60: a leap second */
}

/* One to nine digits after a point, or nothing. */
static int read_fraction(const char **text, int64_t *fraction_ns)
{
    const char *at = *text;
    int64_t scale_ns = NS_PER_S;

    *fraction_ns = 0;
    if (*at != '.')
        return HMS_OK;
    for (at++; isdigit((unsigned char)*at) && scale_ns > 1; at++) {
        scale_ns /= 10;
        *fraction_ns += (*at - '0') * scale_ns;
    }
    if (scale_ns == NS_PER_S || isdigit((unsigned char)*at))
        return HMS_EINVAL;
    *text = at;
    return HMS_OK;
}

/* "Z", "+HH:MM" or "-HH:MM". */
static int read_offset(const char **text, int *offset_s)
{
    int sign = **text == '-' ? -1 : 1;
    int hours, minutes;

    *offset_s = 0;
    if (**text == 'Z') {
        ++*text;
        return HMS_OK;
    }
    if (**text != '+' && **text != '-')
        return HMS_EINVAL;
    ++*text;
    if (read_number(text, 2, 0, 23, ':', &hours) != HMS_OK ||
        read_number(text, 2, 0, 59, '\0', &minutes) != HMS_OK)
        return HMS_EINVAL;
    *offset_s = sign * (hours * 60 + minutes) * 60;
    return HMS_OK;
}

int hms_clock_parse(const char *text, int64_t *wall_ns)
{
    struct tm utc = {0};
    int64_t fraction_ns, ns;
    int offset_s;

    if (read_date_and_time(&text, &utc) != HMS_OK || read_fraction(&text, &fraction_ns) != HMS_OK ||
        read_offset(&text, &offset_s) != HMS_OK || *text != '\0')
        return HMS_EINVAL;
    if (utc.tm_year + 1900 < 1970) {
        *wall_ns = 0;
        return HMS_OK;
    }
    ns = ((int64_t)timegm(&utc) - offset_s) * NS_PER_S + fraction_ns;
    *wall_ns = ns < 0 ? 0 : ns;
    return HMS_OK;
}
