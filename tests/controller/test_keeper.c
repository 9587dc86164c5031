/* When the controller acts by itself: histories of one host, looked at every second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "controller/keeper.h"

#define GRACE_MS 15000

/* Looks every second from *now_ms on until an attempt is due; returns after how long. */
static int64_t until_due(struct hms_keeper *keeper, int64_t *now_ms, int64_t grace_ms)
{
    int64_t begin_ms = *now_ms;

    while (!hms_keeper_is_due(keeper, *now_ms, 0, grace_ms)) {
        *now_ms += 1000;
        assert_true(*now_ms - begin_ms <= 2 * HMS_KEEPER_BACKOFF_MAX_MS);
    }
    return *now_ms - begin_ms;
}

static void be_well(struct hms_keeper *keeper, int64_t *now_ms, int64_t for_ms)
{
    int64_t end_ms = *now_ms + for_ms;

    for (; *now_ms <= end_ms; *now_ms += 1000)
        assert_false(hms_keeper_is_due(keeper, *now_ms, 1, GRACE_MS));
}

static void silence_is_waited_for_then_acted_on(void **state)
{
    static const int64_t waits_ms[] = {GRACE_MS, 10000,  20000,  40000,
                                       80000,    160000, 300000, 300000};
    struct hms_keeper keeper = {0};
    int64_t now_ms = 5000;
    size_t i;

    (void)state;
    be_well(&keeper, &now_ms, 10000);
    for (i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
        assert_int_equal(until_due(&keeper, &now_ms, GRACE_MS), waits_ms[i]);
        hms_keeper_attempt(&keeper);
        now_ms += 60000; /* the attempt itself does not count */
    }
}

static void a_short_silence_is_nothing(void **state)
{
    struct hms_keeper keeper = {0};
    int64_t now_ms = 0;

    (void)state;
    assert_false(hms_keeper_is_due(&keeper, now_ms, 0, GRACE_MS));
    now_ms += GRACE_MS - 1;
    assert_false(hms_keeper_is_due(&keeper, now_ms, 0, GRACE_MS));
    be_well(&keeper, &now_ms, 0);
    assert_int_equal(until_due(&keeper, &now_ms, GRACE_MS), GRACE_MS);
}

static void the_backoff_begins_anew_after_a_stable_while(void **state)
{
    struct hms_keeper keeper = {0};
    int64_t now_ms = 0;

    (void)state;
    until_due(&keeper, &now_ms, 0);
    hms_keeper_attempt(&keeper);
    be_well(&keeper, &now_ms, HMS_KEEPER_STABLE_MS - 1000);
    assert_int_equal(until_due(&keeper, &now_ms, 0), HMS_KEEPER_BACKOFF_MIN_MS);
    hms_keeper_attempt(&keeper);
    be_well(&keeper, &now_ms, HMS_KEEPER_STABLE_MS);
    assert_int_equal(until_due(&keeper, &now_ms, 0), 0);
}

static void what_cannot_be_told_is_no_silence(void **state)
{
    struct hms_keeper keeper = {0};
    int64_t now_ms = 0;

    (void)state;
    assert_false(hms_keeper_is_due(&keeper, now_ms, 0, GRACE_MS));
    now_ms += 100 * GRACE_MS;
    hms_keeper_pause(&keeper);
    assert_int_equal(until_due(&keeper, &now_ms, GRACE_MS), GRACE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_waited_for_then_acted_on),
        cmocka_unit_test(a_short_silence_is_nothing),
        cmocka_unit_test(the_backoff_begins_anew_after_a_stable_while),
        cmocka_unit_test(what_cannot_be_told_is_no_silence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
