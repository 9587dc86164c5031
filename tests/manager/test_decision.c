/* Decision records: the ring, their JSON, and the sentence that people read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "manager/decision.h"

static void test_ring(void **state)
{
    struct hms_decisions decisions = {0};
    json_t *all;
    uint64_t i;

    assert_null(hms_decisions_last(&decisions));
    for (i = 1; i <= HMS_DECISIONS + 3; i++)
        assert_int_equal(hms_decisions_add(&decisions)->number, i);
    assert_int_equal(hms_decisions_last(&decisions)->number, HMS_DECISIONS + 3);
    assert_null(hms_decisions_find(&decisions, 3)); /* replaced */
    assert_int_equal(hms_decisions_find(&decisions, 4)->number, 4);
    assert_null(hms_decisions_find(&decisions, 0));
    all = hms_decisions_json(&decisions);
    assert_int_equal(json_array_size(all), HMS_DECISIONS);
    assert_int_equal(hms_json_int(json_array_get(all, 0), "number", 0), HMS_DECISIONS + 3);
    assert_int_equal(hms_json_int(json_array_get(all, HMS_DECISIONS - 1), "number", 0), 4);
    json_decref(all);
}

static void test_json(void **state)
{
    struct hms_decision decision = {
        .number = 2,
        .time_ns = INT64_C(1700000000250000000),
        .event_ns = INT64_C(1700000000000000000),
        .done_ns = INT64_C(1700000000750000000),
        .trigger = HMS_TRIGGER_FAILED,
        .cause = HMS_CAUSE_CRASHED,
        .exit_code = 137,
        .action = HMS_ACTION_START,
        .outcome = HMS_OUTCOME_DONE,
        .helped = -1,
    };
    json_t *object = hms_decision_json(&decision);

    assert_string_equal(hms_json_string(object, "time"), "2023-11-14T22:13:20.250Z");
    assert_string_equal(hms_json_string(object, "rule"), "failed");
    assert_string_equal(hms_json_string(object, "cause"), "crashed");
    assert_string_equal(hms_json_string(object, "outcome"), "done");
    assert_int_equal(hms_json_int(object, "signal", 0), 9);
    assert_true(json_real_value(json_object_get(object, "event_to_ask_ms")) == 250);
    assert_true(json_real_value(json_object_get(object, "ask_to_done_ms")) == 500);
    assert_null(json_object_get(object, "helped"));
    assert_null(json_object_get(object, "loss_pct"));
    json_decref(object);
}

static void test_occasions(void **state)
{
    static const struct {
        struct hms_decision decision;
        const char *text;
    } table[] = {
        {{.trigger = HMS_TRIGGER_STOPPED, .cause = HMS_CAUSE_KILLED, .exit_code = 137},
         "was killed"},
        {{.trigger = HMS_TRIGGER_STOPPED, .cause = HMS_CAUSE_UNKNOWN}, "is down"},
        {{.trigger = HMS_TRIGGER_FAILED, .cause = HMS_CAUSE_CRASHED, .exit_code = 3},
         "crashed (exit code 3)"},
        {{.trigger = HMS_TRIGGER_FAILED, .cause = HMS_CAUSE_CRASHED, .exit_code = 139},
         "crashed (signal 11)"},
        {{.trigger = HMS_TRIGGER_FAILED, .cause = HMS_CAUSE_COMPLETED}, "finished"},
        {{.trigger = HMS_TRIGGER_LOSS, .samples_pct = {85}, .sample_count = 1},
         "loses 85.0 % of its packets"},
        {{.trigger = HMS_TRIGGER_REQUESTED}, "is wanted"},
    };
    char text[HMS_DECISION_OCCASION_SIZE];
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_string_equal(hms_decision_occasion(&table[i].decision, text), table[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_occasions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
