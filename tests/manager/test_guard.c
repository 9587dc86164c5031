/* The restart guard: histories of failures and restarts, and what it rules at each moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "manager/guard.h"

static const struct hms_guard_limits limits = {
    .backoff_min_ms = 1000,
    .backoff_max_ms = 8000,
    .stable_ms = 60000,
    .window_ms = 600000,
    .restart_limit = 6,
    .loss_restart_limit = 3,
    .start_grace_ms = 500,
};

static void expect(const struct hms_guard *guard, enum hms_trigger trigger, int64_t now_ms,
                   enum hms_ruling_kind kind, enum hms_reason reason, int64_t not_before_ms)
{
    struct hms_ruling ruling = hms_guard_ask(guard, trigger, now_ms);

    assert_int_equal(ruling.kind, kind);
    assert_string_equal(hms_reason_word(ruling.reason), hms_reason_word(reason));
    if (kind == HMS_RULING_WAIT)
        assert_int_equal(ruling.not_before_ms, not_before_ms);
}

/* One start that the engine does at once, and the end of the container `up_ms` later. */
static int64_t live(struct hms_guard *guard, enum hms_trigger trigger, int64_t at_ms, int64_t up_ms)
{
    hms_guard_acted(guard, trigger, at_ms);
    hms_guard_answered(guard, trigger, 1, at_ms);
    hms_guard_up(guard, at_ms);
    hms_guard_down(guard, at_ms + up_ms);
    return at_ms + up_ms;
}

static void test_backoff_then_quarantine(void **state)
{
    static const int64_t waits_ms[] = {0, 1000, 2000, 4000, 8000, 8000};
    struct hms_guard guard;
    int64_t now_ms = 1000;
    size_t i;

    hms_guard_init(&guard, &limits);
    for (i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
        if (waits_ms[i] > 0)
            expect(&guard, HMS_TRIGGER_FAILED, now_ms, HMS_RULING_WAIT, HMS_REASON_BACKOFF,
                   now_ms + waits_ms[i]);
        now_ms += waits_ms[i];
        expect(&guard, HMS_TRIGGER_FAILED, now_ms, HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
        now_ms = live(&guard, HMS_TRIGGER_FAILED, now_ms, 10);
    }
    expect(&guard, HMS_TRIGGER_FAILED, now_ms, HMS_RULING_LEAVE, HMS_REASON_QUARANTINE, 0);
    hms_guard_quarantine(&guard);
    expect(&guard, HMS_TRIGGER_FAILED, now_ms + 3600000, HMS_RULING_LEAVE, HMS_REASON_QUARANTINE,
           0);
    expect(&guard, HMS_TRIGGER_STOPPED, now_ms, HMS_RULING_LEAVE, HMS_REASON_QUARANTINE, 0);
    expect(&guard, HMS_TRIGGER_LOSS, now_ms, HMS_RULING_LEAVE, HMS_REASON_QUARANTINE, 0);
    expect(&guard, HMS_TRIGGER_REQUESTED, now_ms, HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
    hms_guard_release(&guard);
    expect(&guard, HMS_TRIGGER_FAILED, now_ms, HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
}

static void test_stable_time_forgives(void **state)
{
    struct hms_guard guard;
    int64_t now_ms = 1000;

    hms_guard_init(&guard, &limits);
    now_ms = live(&guard, HMS_TRIGGER_FAILED, now_ms, 10);
    now_ms = live(&guard, HMS_TRIGGER_FAILED, now_ms + 1000, limits.stable_ms - 1);
    expect(&guard, HMS_TRIGGER_FAILED, now_ms, HMS_RULING_WAIT, HMS_REASON_BACKOFF, now_ms + 2000);
    now_ms = live(&guard, HMS_TRIGGER_FAILED, now_ms + 2000, limits.stable_ms);
    expect(&guard, HMS_TRIGGER_FAILED, now_ms, HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
}

static void test_quarantine_ends_when_it_runs_steadily(void **state)
{
    struct hms_guard guard;

    hms_guard_init(&guard, &limits);
    hms_guard_quarantine(&guard);
    assert_false(hms_guard_settle(&guard, 5000)); /* it is down */
    hms_guard_up(&guard, 5000);
    assert_false(hms_guard_settle(&guard, 5000 + limits.stable_ms - 1));
    assert_true(hms_guard_settle(&guard, 5000 + limits.stable_ms));
    assert_false(guard.is_quarantined);
}

static void test_stops_from_outside_are_answered_however_often(void **state)
{
    struct hms_guard guard;
    int64_t now_ms = 1000;
    int i;

    hms_guard_init(&guard, &limits);
    for (i = 0; i < 100; i++) {
        expect(&guard, HMS_TRIGGER_STOPPED, now_ms, HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
        now_ms = live(&guard, HMS_TRIGGER_STOPPED, now_ms, 5);
    }
}

static void test_restarted_list(void **state)
{
    struct hms_guard guard;

    hms_guard_init(&guard, &limits);
    hms_guard_acted(&guard, HMS_TRIGGER_STOPPED, 1000);
    expect(&guard, HMS_TRIGGER_STOPPED, 1001, HMS_RULING_WAIT, HMS_REASON_RESTARTED, INT64_MAX);
    expect(&guard, HMS_TRIGGER_REQUESTED, 1001, HMS_RULING_WAIT, HMS_REASON_RESTARTED, INT64_MAX);
    guard.restarted_until_ms = 21000; /* answered, but its start has not been seen */
    expect(&guard, HMS_TRIGGER_STOPPED, 20999, HMS_RULING_WAIT, HMS_REASON_RESTARTED, 21000);
    expect(&guard, HMS_TRIGGER_STOPPED, 21000, HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
    /* a container that dies again right after its restart is handled at once */
    hms_guard_answered(&guard, HMS_TRIGGER_STOPPED, 1, 1300);
    expect(&guard, HMS_TRIGGER_STOPPED, 1301, HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
}

static void test_refused_starts_back_off(void **state)
{
    struct hms_guard guard;
    int64_t now_ms = 1000;
    int i;

    hms_guard_init(&guard, &limits);
    for (i = 0; i < limits.restart_limit; i++) {
        hms_guard_acted(&guard, HMS_TRIGGER_STOPPED, now_ms);
        hms_guard_answered(&guard, HMS_TRIGGER_STOPPED, 0, now_ms);
        if (i == 0)
            expect(&guard, HMS_TRIGGER_STOPPED, now_ms, HMS_RULING_WAIT, HMS_REASON_BACKOFF,
                   now_ms + 1000);
        if (i == 1)
            expect(&guard, HMS_TRIGGER_REQUESTED, now_ms, HMS_RULING_WAIT, HMS_REASON_BACKOFF,
                   now_ms + 2000);
        now_ms += 8000;
    }
    expect(&guard, HMS_TRIGGER_STOPPED, now_ms, HMS_RULING_LEAVE, HMS_REASON_QUARANTINE, 0);
    /* nor is one that an operator asked for repeated without end */
    expect(&guard, HMS_TRIGGER_REQUESTED, now_ms, HMS_RULING_LEAVE, HMS_REASON_QUARANTINE, 0);
    /* a start that the engine does in the end proves that it can be started */
    hms_guard_answered(&guard, HMS_TRIGGER_STOPPED, 1, now_ms);
    expect(&guard, HMS_TRIGGER_STOPPED, now_ms, HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
}

static void test_loss_has_grace_and_a_budget_of_its_own(void **state)
{
    struct hms_guard guard;
    int64_t now_ms = 1000;
    int i;

    hms_guard_init(&guard, &limits);
    hms_guard_up(&guard, now_ms);
    expect(&guard, HMS_TRIGGER_LOSS, now_ms + 1, HMS_RULING_WAIT, HMS_REASON_START_GRACE,
           now_ms + 500);
    for (i = 0; i < limits.loss_restart_limit; i++) {
        now_ms += 500;
        expect(&guard, HMS_TRIGGER_LOSS, now_ms, HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
        hms_guard_acted(&guard, HMS_TRIGGER_LOSS, now_ms);
        hms_guard_down(&guard, now_ms);
        hms_guard_up(&guard, now_ms);
        hms_guard_answered(&guard, HMS_TRIGGER_LOSS, 1, now_ms);
        assert_int_equal(hms_guard_proved(&guard, 1), 1);
        assert_int_equal(hms_guard_proved(&guard, 1), -1);
    }
    now_ms += 500;
    expect(&guard, HMS_TRIGGER_LOSS, now_ms, HMS_RULING_WAIT, HMS_REASON_LOSS_BUDGET,
           1500 + limits.window_ms);
    /* using it up suspends only restarts for loss */
    hms_guard_down(&guard, now_ms);
    expect(&guard, HMS_TRIGGER_STOPPED, now_ms, HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
    expect(&guard, HMS_TRIGGER_FAILED, now_ms, HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
}

static void test_restarts_that_do_not_help_back_off(void **state)
{
    struct hms_guard guard;

    hms_guard_init(&guard, &limits);
    hms_guard_up(&guard, 1000);
    hms_guard_acted(&guard, HMS_TRIGGER_LOSS, 2000);
    hms_guard_answered(&guard, HMS_TRIGGER_LOSS, 1, 2100);
    hms_guard_up(&guard, 2100);
    assert_int_equal(hms_guard_proved(&guard, 0), 0);
    expect(&guard, HMS_TRIGGER_LOSS, 2700, HMS_RULING_WAIT, HMS_REASON_BACKOFF, 3000);
    hms_guard_acted(&guard, HMS_TRIGGER_LOSS, 3000);
    hms_guard_answered(&guard, HMS_TRIGGER_LOSS, 1, 3100);
    hms_guard_up(&guard, 3100);
    assert_int_equal(hms_guard_proved(&guard, 0), 0);
    expect(&guard, HMS_TRIGGER_LOSS, 3700, HMS_RULING_WAIT, HMS_REASON_BACKOFF, 5000);
    /* a good round in between, and the next one is at once again */
    assert_int_equal(hms_guard_proved(&guard, 1), -1);
    expect(&guard, HMS_TRIGGER_LOSS, 3800, HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
}

static void test_no_limit(void **state)
{
    struct hms_guard_limits none = limits;
    struct hms_guard guard;
    int64_t now_ms = 1000;
    int i;

    none.restart_limit = none.loss_restart_limit = 0;
    hms_guard_init(&guard, &none);
    for (i = 0; i < 3 * HMS_GUARD_LIMIT_MAX; i++) {
        now_ms = live(&guard, HMS_TRIGGER_FAILED, now_ms + none.backoff_max_ms, 1);
        hms_guard_acted(&guard, HMS_TRIGGER_LOSS, now_ms);
        hms_guard_answered(&guard, HMS_TRIGGER_LOSS, 1, now_ms);
    }
    now_ms += none.backoff_max_ms;
    expect(&guard, HMS_TRIGGER_FAILED, now_ms, HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
    expect(&guard, HMS_TRIGGER_LOSS, now_ms, HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backoff_then_quarantine),
        cmocka_unit_test(test_stable_time_forgives),
        cmocka_unit_test(test_quarantine_ends_when_it_runs_steadily),
        cmocka_unit_test(test_stops_from_outside_are_answered_however_often),
        cmocka_unit_test(test_restarted_list),
        cmocka_unit_test(test_refused_starts_back_off),
        cmocka_unit_test(test_loss_has_grace_and_a_budget_of_its_own),
        cmocka_unit_test(test_restarts_that_do_not_help_back_off),
        cmocka_unit_test(test_no_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
