/* Monotonic and wall time, and RFC 3339 text. */
#include "core/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

#include "core/error.h"

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

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

char *hms_clock_format(int64_t wall_ns, char text[HMS_CLOCK_TEXT_SIZE])
{
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    int ms = (int)(wall_ns % NS_PER_S / NS_PER_MS);
    struct tm utc;

    gmtime_r(&seconds, &utc);
    snprintf(text, HMS_CLOCK_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
             (unsigned)(utc.tm_year + 1900) % 10000u, (unsigned)(utc.tm_mon + 1) % 100u,
             (unsigned)utc.tm_mday % 100u, (unsigned)utc.tm_hour % 100u,
             (unsigned)utc.tm_min % 100u, (unsigned)utc.tm_sec % 100u, (unsigned)ms % 1000u);
    return text;
}

int hms_clock_parse(const char *text, int64_t *wall_ns)
{
    struct tm utc = {0};
    int64_t fraction_ns = 0;
    int64_t scale_ns = NS_PER_S;
    int offset_min = 0;
    const char *rest;

    rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
    if (rest == NULL)
        return HMS_EINVAL;
    if (*rest == '.') {
        rest++;
        if (!isdigit((unsigned char)*rest))
            return HMS_EINVAL;
        for (; isdigit((unsigned char)*rest); rest++) {
            scale_ns /= 10;
            fraction_ns += (*rest - '0') * scale_ns;
        }
    }
    if (*rest == '+' || *rest == '-') {
        int sign = *rest == '+' ? 1 : -1;
        int hours, minutes, used = 0;

        if (sscanf(rest + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || used != 5)
            return HMS_EINVAL;
        offset_min = sign * (hours * 60 + minutes);
        rest += 6;
    } else if (*rest == 'Z') {
        rest++;
    } else {
        return HMS_EINVAL;
    }
    if (*rest != '\0')
        return HMS_EINVAL;
    if (utc.tm_year + 1900 < 1970) {
        *wall_ns = 0;
        return HMS_OK;
    }
    *wall_ns = ((int64_t)timegm(&utc) - offset_min * 60) * NS_PER_S + fraction_ns;
    return HMS_OK;
}
