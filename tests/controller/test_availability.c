/* Availability as an integral over time, worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "controller/availability.h"
#include "core/error.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define START_MS  (1000 * HOUR_MS + 12345)

static struct hms_availability *fresh(void)
{
    struct hms_availability *availability = malloc(sizeof(*availability));

    hms_availability_init(availability, START_MS);
    return availability;
}

static void expect_pct(struct hms_availability *availability, int64_t at_ms, double expected)
{
    double pct = -1;

    assert_int_equal(hms_availability_pct(availability, at_ms, &pct), HMS_OK);
    assert_true(pct > expected - 0.1 && pct < expected + 0.1);
}

static void nothing_to_count_is_unknown(void **state)
{
    struct hms_availability *availability = fresh();
    double pct;

    (void)state;
    assert_int_equal(hms_availability_pct(availability, START_MS, &pct), HMS_ENOENT);
    hms_availability_set(availability, START_MS + HOUR_MS, 0, 0);
    assert_int_equal(hms_availability_pct(availability, START_MS + 2 * HOUR_MS, &pct), HMS_ENOENT);
    free(availability);
}

static void it_is_weighted_by_time(void **state)
{
    struct hms_availability *availability = fresh();

    (void)state;
    hms_availability_set(availability, START_MS, 10, 10);
    hms_availability_set(availability, START_MS + 90 * MINUTE_MS, 10, 5);
    hms_availability_set(availability, START_MS + 100 * MINUTE_MS, 10, 10);
    expect_pct(availability, START_MS + 100 * MINUTE_MS, 95.0);
    expect_pct(availability, START_MS + 200 * MINUTE_MS, 97.5);
    free(availability);
}

static void a_short_outage_counts(void **state)
{
    struct hms_availability *availability = fresh();

    (void)state;
    hms_availability_set(availability, START_MS, 1, 1);
    hms_availability_set(availability, START_MS + 9900, 1, 0);
    hms_availability_set(availability, START_MS + 10000, 1, 1);
    expect_pct(availability, START_MS + 10000, 99.0);
    free(availability);
}

static void a_day_is_forgotten(void **state)
{
    struct hms_availability *availability = fresh();

    (void)state;
    hms_availability_set(availability, START_MS, 4, 0);
    hms_availability_set(availability, START_MS + 12 * HOUR_MS, 4, 4);
    expect_pct(availability, START_MS + 24 * HOUR_MS - MINUTE_MS, 50.0);
    expect_pct(availability, START_MS + 37 * HOUR_MS, 100.0);
    free(availability);
}

static void a_long_silence_is_counted_at_most_a_day(void **state)
{
    struct hms_availability *availability = fresh();

    (void)state;
    hms_availability_set(availability, START_MS, 4, 1);
    expect_pct(availability, START_MS + 1000 * HOUR_MS, 25.0);
    hms_availability_set(availability, START_MS + 999 * HOUR_MS, 4, 4); /* never backwards */
    expect_pct(availability, START_MS + 1000 * HOUR_MS, 25.0);
    free(availability);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_count_is_unknown),
        cmocka_unit_test(it_is_weighted_by_time),
        cmocka_unit_test(a_short_outage_counts),
        cmocka_unit_test(a_day_is_forgotten),
        cmocka_unit_test(a_long_silence_is_counted_at_most_a_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
