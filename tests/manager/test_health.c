/* Hysteresis of a container's health, and the storm guard, round by round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "manager/health.h"

static void test_hysteresis(void **state)
{
    /* losses of the rounds in tenths of percent / 10; what is_bad is after each */
    static const struct {
        int fall, rise;
        double losses[10];
        const char *expected; /* b: bad, g: good */
    } table[] = {
        {1, 1, {0, 60, 60.1, 100, 0}, "ggbbg"},
        {2, 1, {100, 0, 100, 100, 0}, "gggbg"},
        {1, 3, {100, 0, 0, 100, 0, 0, 0}, "bbbbbbg"},
        {3, 2, {100, 100, 0, 100, 100, 100, 0, 100, 0, 0}, "gggggbbbbg"},
    };
    size_t i, round;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct hms_health health = {0};

        for (round = 0; round < strlen(table[i].expected); round++) {
            int was_bad = health.is_bad;
            int changed = hms_health_round(&health, round + 1, table[i].losses[round], 60,
                                           table[i].fall, table[i].rise);

            assert_int_equal(health.is_bad, table[i].expected[round] == 'b');
            assert_int_equal(changed, was_bad != health.is_bad);
        }
    }
}

static void test_threshold_bounds(void **state)
{
    struct hms_health health = {0};

    hms_health_round(&health, 1, 100, 100, 1, 1);
    assert_false(health.is_bad); /* nothing is more than 100 */
    hms_health_round(&health, 2, 0, 0, 1, 1);
    assert_false(health.is_bad); /* none is not more than none */
    hms_health_round(&health, 3, 5, 0, 1, 1);
    assert_true(health.is_bad);
}

static void test_samples(void **state)
{
    struct hms_health health = {0};
    int i;

    for (i = 1; i <= HMS_HEALTH_SAMPLES + 3; i++)
        hms_health_round(&health, (uint64_t)i, i, 60, 1, 1);
    assert_int_equal(health.sample_count, HMS_HEALTH_SAMPLES);
    assert_int_equal((int)health.samples_pct[0], HMS_HEALTH_SAMPLES + 3);
    assert_int_equal((int)health.samples_pct[HMS_HEALTH_SAMPLES - 1], 4);
    hms_health_reset(&health);
    assert_int_equal(health.sample_count, 0);
}

static void test_newly_bad(void **state)
{
    struct hms_health health = {0};

    assert_false(hms_health_is_newly_bad(&health, 1));
    hms_health_round(&health, 7, 100, 60, 1, 1);
    assert_true(hms_health_is_newly_bad(&health, 7));
    hms_health_round(&health, 8, 100, 60, 1, 1);
    assert_true(hms_health_is_newly_bad(&health, 8));
    hms_health_round(&health, 9, 100, 60, 1, 1);
    assert_false(hms_health_is_newly_bad(&health, 9));
}

static void test_storm(void **state)
{
    static const struct {
        const char *name;
        struct hms_storm_tally tally;
        int active;
    } rounds[] = {
        {"all is well", {10, 0, 0, 0}, 0},
        {"too few are probed", {4, 4, 4, 0}, 0},
        {"exactly the share", {10, 6, 6, 0}, 0},
        {"more than the share", {10, 7, 7, 0}, 1},
        {"no longer new, still bad", {10, 0, 7, 0}, 1},
        {"more than half of it", {10, 0, 4, 0}, 1},
        {"a disturbed round judged the good ones only", {6, 0, 0, 4}, 1},
        {"it judged nobody", {0, 0, 0, 4}, 1},
        {"few of the bad ones are unknown", {10, 0, 1, 2}, 0},
        {"it begins again", {10, 7, 7, 0}, 1},
        {"half of it", {10, 0, 3, 0}, 0},
        {"it begins again", {10, 7, 7, 0}, 1},
        {"nobody is probed", {0, 0, 0, 0}, 0},
    };
    struct hms_storm storm = {0};
    size_t i;

    for (i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
        int was_active = storm.is_active;
        int changed = hms_storm_round(&storm, &rounds[i].tally, 5, 60);

        print_message("%s\n", rounds[i].name);
        assert_int_equal(storm.is_active, rounds[i].active);
        assert_int_equal(changed, was_active != storm.is_active);
    }
}

static void test_storm_tally(void **state)
{
    struct hms_health good = {0}, bad = {0};
    struct hms_storm_tally tally = {0};

    hms_health_round(&good, 1, 0, 60, 1, 1);
    hms_health_round(&bad, 1, 100, 60, 1, 1);
    hms_storm_count(&tally, &good, 1, 1);
    hms_storm_count(&tally, &bad, 1, 1);
    hms_storm_count(&tally, &good, 1, 0);
    hms_storm_count(&tally, &bad, 1, 0);
    assert_int_equal(tally.judged, 2);
    assert_int_equal(tally.newly_bad, 1);
    assert_int_equal(tally.bad, 1);
    assert_int_equal(tally.unknown_bad, 1);
    hms_storm_count(&tally, &bad, 3, 1);
    assert_int_equal(tally.newly_bad, 1);
    assert_int_equal(tally.bad, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hysteresis), cmocka_unit_test(test_threshold_bounds),
        cmocka_unit_test(test_samples),    cmocka_unit_test(test_newly_bad),
        cmocka_unit_test(test_storm),      cmocka_unit_test(test_storm_tally),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
