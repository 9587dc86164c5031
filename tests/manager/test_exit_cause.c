/* How a container ended: histories of Docker's events, and the cause that must come out. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "manager/exit_cause.h"

#define S INT64_C(1000000000)

/* An event of a history: 'k' kill (value: signal), 'o' oom, 'd' die (value: exit code), 's' stop,
 * 'r' start, 'b' and 'e' begin and end of a restart of ours. 0 ends the history. */
struct step {
    char what;
    int value;
    int64_t at_ns;
};

static enum hms_cause replay(const struct step *step, struct hms_exit *end)
{
    *end = (struct hms_exit){.exit_code = -1};
    for (; step->what != 0; step++) {
        switch (step->what) {
        case 'k':
            hms_exit_on_kill(end, step->value, step->at_ns);
            break;
        case 'o':
            hms_exit_on_oom(end, step->at_ns);
            break;
        case 'd':
            hms_exit_on_die(end, step->value, step->at_ns);
            break;
        case 's':
            hms_exit_on_stop(end);
            break;
        case 'r':
            hms_exit_on_start(end);
            break;
        case 'b':
        case 'e':
            hms_exit_own_stop(end, step->what == 'b');
            break;
        }
    }
    return end->cause;
}

static void test_histories(void **state)
{
    static const struct {
        const char *name;
        struct step steps[8];
        enum hms_cause cause;
    } table[] = {
        {"finished by itself", {{'d', 0, 1 * S}}, HMS_CAUSE_COMPLETED},
        {"crashed", {{'d', 3, 1 * S}}, HMS_CAUSE_CRASHED},
        {"killed on the host", {{'d', 137, 1 * S}}, HMS_CAUSE_CRASHED},
        {"docker kill", {{'k', SIGKILL, S}, {'d', 137, S + 1}}, HMS_CAUSE_KILLED},
        {"docker stop, obeyed",
         {{'k', SIGTERM, S}, {'d', 0, 2 * S}, {'s', 0, 2 * S}},
         HMS_CAUSE_STOPPED},
        {"docker stop, forced",
         {{'k', SIGTERM, S}, {'k', SIGKILL, 11 * S}, {'d', 137, 11 * S}},
         HMS_CAUSE_STOPPED},
        {"docker stop, very patient", {{'k', SIGTERM, S}, {'d', 143, 600 * S}}, HMS_CAUSE_STOPPED},
        {"own stop signal", {{'k', SIGQUIT, S}, {'d', 0, 2 * S}}, HMS_CAUSE_STOPPED},
        {"reloaded, crashed later", {{'k', SIGHUP, S}, {'d', 1, 60 * S}}, HMS_CAUSE_CRASHED},
        {"reloaded, finished later", {{'k', SIGHUP, S}, {'d', 0, 60 * S}}, HMS_CAUSE_COMPLETED},
        {"the kill event was lost", {{'d', 143, S}, {'s', 0, S}}, HMS_CAUSE_STOPPED},
        {"out of memory", {{'o', 0, S}, {'d', 137, 2 * S}}, HMS_CAUSE_OOM},
        {"a child was out of memory long ago", {{'o', 0, S}, {'d', 1, 60 * S}}, HMS_CAUSE_CRASHED},
        {"a child was out of memory, the job went on",
         {{'o', 0, S}, {'d', 0, 2 * S}},
         HMS_CAUSE_COMPLETED},
        {"our restart", {{'b', 0, 0}, {'k', SIGTERM, S}, {'d', 143, S}}, HMS_CAUSE_OURS},
        {"our restart, then a crash",
         {{'b', 0, 0}, {'k', SIGTERM, S}, {'d', 143, S}, {'r', 0, S}, {'e', 0, 0}, {'d', 1, 2 * S}},
         HMS_CAUSE_CRASHED},
        {"our restart, then a crash before the engine has answered",
         {{'b', 0, 0}, {'k', SIGTERM, S}, {'d', 143, S}, {'r', 0, S}, {'d', 1, 2 * S}},
         HMS_CAUSE_CRASHED},
        {"our restart, then a stop by others",
         {{'b', 0, 0},
          {'d', 143, S},
          {'r', 0, S},
          {'e', 0, 0},
          {'k', SIGTERM, 2 * S},
          {'d', 0, 3 * S}},
         HMS_CAUSE_STOPPED},
        {"a kill of an earlier life",
         {{'k', SIGTERM, S}, {'r', 0, 2 * S}, {'d', 1, 3 * S}},
         HMS_CAUSE_CRASHED},
        {"runs", {{'d', 1, S}, {'r', 0, 2 * S}}, HMS_CAUSE_NONE},
    };
    struct hms_exit end;
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        print_message("%s\n", table[i].name);
        assert_string_equal(hms_cause_name(replay(table[i].steps, &end)),
                            hms_cause_name(table[i].cause));
    }
}

static void test_reconcile(void **state)
{
    static const struct {
        const char *name;
        struct hms_exit known;
        int exit_code;
        int64_t finished_ns;
        int oom_killed;
        enum hms_cause cause;
    } table[] = {
        {"no event tells", {.cause = HMS_CAUSE_NONE}, 0, 9 * S, 0, HMS_CAUSE_UNKNOWN},
        {"the same end",
         {.cause = HMS_CAUSE_COMPLETED, .ended_ns = 9 * S},
         0,
         9 * S + 7,
         0,
         HMS_CAUSE_COMPLETED},
        {"a later end",
         {.cause = HMS_CAUSE_COMPLETED, .ended_ns = 9 * S},
         0,
         60 * S,
         0,
         HMS_CAUSE_UNKNOWN},
        {"stopped while we watched",
         {.cause = HMS_CAUSE_STOPPED, .ended_ns = 9 * S},
         0,
         9 * S,
         0,
         HMS_CAUSE_STOPPED},
        {"the oom event came late",
         {.cause = HMS_CAUSE_CRASHED, .ended_ns = 9 * S},
         137,
         9 * S,
         1,
         HMS_CAUSE_OOM},
    };
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct hms_exit end = table[i].known;

        print_message("%s\n", table[i].name);
        hms_exit_reconcile(&end, table[i].exit_code, table[i].finished_ns, table[i].oom_killed);
        assert_string_equal(hms_cause_name(end.cause), hms_cause_name(table[i].cause));
        assert_int_equal(end.exit_code, table[i].exit_code);
    }
}

static void test_pending(void **state)
{
    static const struct step asked[] = {{'k', SIGTERM, S}, {0}};
    static const struct step ended[] = {{'k', SIGTERM, S}, {'d', 0, S}, {0}};
    static const struct step reloaded[] = {{'k', SIGHUP, S}, {0}};
    struct hms_exit end;

    replay(asked, &end);
    assert_true(hms_exit_is_pending(&end));
    replay(ended, &end);
    assert_false(hms_exit_is_pending(&end));
    replay(reloaded, &end);
    assert_false(hms_exit_is_pending(&end));
}

static void test_names(void **state)
{
    struct hms_exit end = {.exit_code = 137};

    assert_int_equal(hms_cause_parse("out-of-memory"), HMS_CAUSE_OOM);
    assert_int_equal(hms_cause_parse("what"), HMS_CAUSE_UNKNOWN);
    assert_int_equal(hms_exit_signal(&end), SIGKILL);
    end.exit_code = 1;
    assert_int_equal(hms_exit_signal(&end), 0);
    end.exit_code = 255;
    assert_int_equal(hms_exit_signal(&end), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histories),
        cmocka_unit_test(test_reconcile),
        cmocka_unit_test(test_pending),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
