/* The rules: one table of situations and what must be done in each. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "manager/rules.h"

static const struct hms_guard_limits limits = {.backoff_min_ms = 1000,
                                               .backoff_max_ms = 8000,
                                               .stable_ms = 60000,
                                               .window_ms = 600000,
                                               .restart_limit = 5,
                                               .loss_restart_limit = 5,
                                               .start_grace_ms = 500};

#define NOW    1000000
#define EXITED .state = HMS_DOCKER_EXITED, .ended_ms = NOW - 10000, .touched_ms = NOW - 10000
#define FRESH  .state = HMS_DOCKER_EXITED, .ended_ms = NOW, .touched_ms = NOW

struct situation {
    const char *name;
    struct hms_facts facts;
    enum hms_cause cause;
    enum hms_ruling_kind kind;
    enum hms_reason reason;
    int64_t not_before_ms;
};

static void run(const struct situation *table, size_t count, const struct hms_rule_options *options)
{
    size_t i;

    for (i = 0; i < count; i++) {
        struct hms_exit end = {.cause = table[i].cause};
        struct hms_facts facts = table[i].facts;
        enum hms_trigger trigger;
        struct hms_ruling ruling;
        struct hms_guard guard;

        print_message("%s\n", table[i].name);
        hms_guard_init(&guard, &limits);
        facts.end = &end;
        facts.guard = &guard;
        ruling = hms_rules_down(&facts, options, NOW, &trigger);
        assert_string_equal(hms_reason_word(ruling.reason), hms_reason_word(table[i].reason));
        assert_int_equal(ruling.kind, table[i].kind);
        if (ruling.kind == HMS_RULING_WAIT)
            assert_int_equal(ruling.not_before_ms, table[i].not_before_ms);
    }
}

#define ACT                 HMS_RULING_ACT, HMS_REASON_CLEAR, 0
#define LEAVE(reason)       HMS_RULING_LEAVE, HMS_REASON_##reason, 0
#define WAIT(reason, until) HMS_RULING_WAIT, HMS_REASON_##reason, until

static void test_down(void **state)
{
    static const struct situation table[] = {
        {"stopped from outside", {EXITED}, HMS_CAUSE_STOPPED, ACT},
        {"killed from outside", {EXITED}, HMS_CAUSE_KILLED, ACT},
        {"nothing is known", {EXITED}, HMS_CAUSE_UNKNOWN, ACT},
        {"crashed", {EXITED}, HMS_CAUSE_CRASHED, ACT},
        {"crashed a moment ago: no grace", {FRESH}, HMS_CAUSE_CRASHED, ACT},
        {"out of memory", {EXITED}, HMS_CAUSE_OOM, ACT},
        {"our restart left it down", {EXITED}, HMS_CAUSE_OURS, ACT},
        {"finished", {EXITED}, HMS_CAUSE_COMPLETED, LEAVE(COMPLETED)},
        {"finished, label always",
         {EXITED, .restart = HMS_RESTART_ALWAYS},
         HMS_CAUSE_COMPLETED,
         ACT},
        {"stopped, label on-failure",
         {EXITED, .restart = HMS_RESTART_ON_FAILURE},
         HMS_CAUSE_STOPPED,
         LEAVE(LABEL_ON_FAILURE)},
        {"crashed, label on-failure",
         {EXITED, .restart = HMS_RESTART_ON_FAILURE},
         HMS_CAUSE_CRASHED,
         ACT},
        {"crashed, label no",
         {EXITED, .restart = HMS_RESTART_NO},
         HMS_CAUSE_CRASHED,
         LEAVE(LABEL_NO)},
        {"not supervised",
         {EXITED, .supervision = HMS_REASON_NOT_SEEN},
         HMS_CAUSE_CRASHED,
         LEAVE(NOT_SEEN)},
        {"--rm",
         {EXITED, .supervision = HMS_REASON_AUTO_REMOVE},
         HMS_CAUSE_STOPPED,
         LEAVE(AUTO_REMOVE)},
        {"never started", {.state = HMS_DOCKER_CREATED}, HMS_CAUSE_NONE, LEAVE(NOT_STARTED)},
        {"never started, asked for",
         {.state = HMS_DOCKER_CREATED, .is_requested = 1},
         HMS_CAUSE_NONE,
         ACT},
        {"dead", {.state = HMS_DOCKER_DEAD}, HMS_CAUSE_CRASHED, LEAVE(STATE)},
        {"Docker restarts it", {.state = HMS_DOCKER_RESTARTING}, HMS_CAUSE_CRASHED, LEAVE(STATE)},
        {"Docker may restart it",
         {FRESH, .has_docker_policy = 1},
         HMS_CAUSE_CRASHED,
         WAIT(DOCKER_POLICY, NOW + HMS_RULES_POLICY_MS)},
        {"Docker gave up", {EXITED, .has_docker_policy = 1}, HMS_CAUSE_CRASHED, ACT},
        {"Docker's policy says nothing of stops",
         {EXITED, .has_docker_policy = 1},
         HMS_CAUSE_STOPPED,
         ACT},
        {"finished, asked for", {EXITED, .is_requested = 1}, HMS_CAUSE_COMPLETED, ACT},
        {"stopped a moment ago", {FRESH}, HMS_CAUSE_STOPPED, WAIT(STOP_GRACE, NOW + 250)},
        {"its project was touched a moment ago",
         {.state = HMS_DOCKER_EXITED, .ended_ms = NOW - 5000, .touched_ms = NOW - 100},
         HMS_CAUSE_STOPPED,
         WAIT(STOP_GRACE, NOW + 150)},
        {"a stop that belongs to it is under way",
         {.state = HMS_DOCKER_EXITED, .ended_ms = NOW - 5000, .touched_ms = INT64_MAX},
         HMS_CAUSE_STOPPED,
         WAIT(STOP_GRACE, NOW + 250)},
        {"... but not for ever",
         {.state = HMS_DOCKER_EXITED,
          .ended_ms = NOW - HMS_RULES_BATCH_MS,
          .touched_ms = INT64_MAX},
         HMS_CAUSE_STOPPED,
         ACT},
        {"replaced by compose", {EXITED, .is_superseded = 1}, HMS_CAUSE_STOPPED, LEAVE(SUPERSEDED)},
    };
    static const struct hms_rule_options options = {.on_stop = HMS_ON_STOP_START,
                                                    .stop_grace_ms = 250};

    run(table, sizeof(table) / sizeof(table[0]), &options);
}

static void test_down_without_grace(void **state)
{
    static const struct situation table[] = {
        {"stopped a moment ago", {FRESH}, HMS_CAUSE_STOPPED, ACT},
        {"a stop that belongs to it is under way",
         {.state = HMS_DOCKER_EXITED, .ended_ms = NOW, .touched_ms = INT64_MAX},
         HMS_CAUSE_KILLED,
         ACT},
    };
    static const struct hms_rule_options options = {.on_stop = HMS_ON_STOP_START};

    run(table, sizeof(table) / sizeof(table[0]), &options);
}

static void test_down_respecting_stops(void **state)
{
    static const struct situation table[] = {
        {"stopped", {EXITED}, HMS_CAUSE_STOPPED, LEAVE(RESPECTED)},
        {"killed", {EXITED}, HMS_CAUSE_KILLED, LEAVE(RESPECTED)},
        {"unknown", {EXITED}, HMS_CAUSE_UNKNOWN, LEAVE(RESPECTED)},
        {"crashed", {EXITED}, HMS_CAUSE_CRASHED, ACT},
        {"stopped, label always", {EXITED, .restart = HMS_RESTART_ALWAYS}, HMS_CAUSE_STOPPED, ACT},
    };
    static const struct hms_rule_options options = {.on_stop = HMS_ON_STOP_RESPECT,
                                                    .stop_grace_ms = 250};

    run(table, sizeof(table) / sizeof(table[0]), &options);
}

static void test_loss(void **state)
{
    static const struct {
        const char *name;
        struct hms_facts facts;
        enum hms_ruling_kind kind;
        enum hms_reason reason;
    } table[] = {
        {"good", {.state = HMS_DOCKER_RUNNING}, HMS_RULING_LEAVE, HMS_REASON_CLEAR},
        {"bad", {.state = HMS_DOCKER_RUNNING, .is_bad = 1}, HMS_RULING_ACT, HMS_REASON_CLEAR},
        {"bad, on-failure",
         {.state = HMS_DOCKER_RUNNING, .is_bad = 1, .restart = HMS_RESTART_ON_FAILURE},
         HMS_RULING_ACT,
         HMS_REASON_CLEAR},
        {"bad, label no",
         {.state = HMS_DOCKER_RUNNING, .is_bad = 1, .restart = HMS_RESTART_NO},
         HMS_RULING_LEAVE,
         HMS_REASON_LABEL_NO},
        {"bad, ignored",
         {.state = HMS_DOCKER_RUNNING, .is_bad = 1, .supervision = HMS_REASON_IGNORED},
         HMS_RULING_LEAVE,
         HMS_REASON_IGNORED},
        {"bad, paused",
         {.state = HMS_DOCKER_PAUSED, .is_bad = 1},
         HMS_RULING_LEAVE,
         HMS_REASON_STATE},
        {"bad, being stopped",
         {.state = HMS_DOCKER_RUNNING, .is_bad = 1, .is_stopping = 1},
         HMS_RULING_LEAVE,
         HMS_REASON_STOPPING},
        {"bad, in a storm",
         {.state = HMS_DOCKER_RUNNING, .is_bad = 1, .is_storm = 1},
         HMS_RULING_LEAVE,
         HMS_REASON_STORM},
    };
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct hms_exit end = {0};
        struct hms_facts facts = table[i].facts;
        struct hms_ruling ruling;
        struct hms_guard guard;

        print_message("%s\n", table[i].name);
        hms_guard_init(&guard, &limits);
        hms_guard_up(&guard, 1);
        facts.end = &end;
        facts.guard = &guard;
        ruling = hms_rules_loss(&facts, NOW);
        assert_int_equal(ruling.kind, table[i].kind);
        assert_string_equal(hms_reason_word(ruling.reason), hms_reason_word(table[i].reason));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_down),
        cmocka_unit_test(test_down_without_grace),
        cmocka_unit_test(test_down_respecting_stops),
        cmocka_unit_test(test_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
