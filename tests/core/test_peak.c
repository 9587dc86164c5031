/* The greatest of ten minutes, whatever the gaps between measurements. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/peak.h"

#define MINUTE INT64_C(60000)

static void nothing_was_measured(void **state)
{
    const struct hms_peak peak = {0};

    assert_true(hms_peak_get(&peak, 0) == 0);
    assert_true(hms_peak_get(&peak, 1000 * MINUTE) == 0);
}

static void the_greatest_counts(void **state)
{
    struct hms_peak peak = {0};

    hms_peak_note(&peak, 5, 3);
    hms_peak_note(&peak, 6, 7);
    hms_peak_note(&peak, 7, 1);
    assert_true(hms_peak_get(&peak, 8) == 7);
    assert_true(hms_peak_get(&peak, 8) == 7); /* reading it changes nothing */
}

static void what_is_older_is_forgotten(void **state)
{
    static const struct {
        int64_t at_ms;
        double peak;
    } table[] = {
        {100 * MINUTE + 59999, 9}, {109 * MINUTE, 9},        {109 * MINUTE + 59999, 9},
        {110 * MINUTE, 4},         {113 * MINUTE + 1000, 4}, {114 * MINUTE, 2},
        {118 * MINUTE, 2},         {119 * MINUTE, 0},        {100000 * MINUTE, 0},
    };
    struct hms_peak peak = {0};
    size_t i;

    hms_peak_note(&peak, 100 * MINUTE, 9);
    hms_peak_note(&peak, 104 * MINUTE, 4);
    hms_peak_note(&peak, 109 * MINUTE, 2);
    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_true(hms_peak_get(&peak, table[i].at_ms) == table[i].peak);
}

static void a_long_pause_leaves_nothing(void **state)
{
    struct hms_peak peak = {0};
    int64_t minute;

    for (minute = 0; minute < 15; minute++)
        hms_peak_note(&peak, minute * MINUTE, 8);
    hms_peak_note(&peak, INT64_C(1000000) * MINUTE, 1);
    assert_true(hms_peak_get(&peak, INT64_C(1000000) * MINUTE) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_was_measured),
        cmocka_unit_test(the_greatest_counts),
        cmocka_unit_test(what_is_older_is_forgotten),
        cmocka_unit_test(a_long_pause_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
