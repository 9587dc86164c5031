/* The rules. See rules.h. */
#include "manager/rules.h"

static struct hms_ruling leave(enum hms_reason reason)
{
    return (struct hms_ruling){.kind = HMS_RULING_LEAVE, .reason = reason};
}

static struct hms_ruling wait_until(enum hms_reason reason, int64_t not_before_ms)
{
    return (struct hms_ruling){
        .kind = HMS_RULING_WAIT, .reason = reason, .not_before_ms = not_before_ms};
}

static int is_own_failure(enum hms_cause cause)
{
    return cause == HMS_CAUSE_CRASHED || cause == HMS_CAUSE_OOM;
}

static enum hms_trigger trigger_of(const struct hms_facts *facts)
{
    if (facts->is_requested)
        return HMS_TRIGGER_REQUESTED;
    if (is_own_failure(facts->end->cause) || facts->end->cause == HMS_CAUSE_COMPLETED)
        return HMS_TRIGGER_FAILED;
    return HMS_TRIGGER_STOPPED;
}

/* Whether state, labels and options let it stay down; CLEAR if not. */
static enum hms_reason may_stay_down(const struct hms_facts *facts,
                                     const struct hms_rule_options *options)
{
    enum hms_cause cause = facts->end->cause;

    if (facts->supervision != HMS_REASON_CLEAR)
        return facts->supervision;
    if (facts->state == HMS_DOCKER_CREATED)
        return facts->is_requested ? HMS_REASON_CLEAR : HMS_REASON_NOT_STARTED;
    if (facts->state != HMS_DOCKER_EXITED)
        return HMS_REASON_STATE;
    if (facts->is_requested)
        return HMS_REASON_CLEAR;
    if (facts->restart == HMS_RESTART_NO)
        return HMS_REASON_LABEL_NO;
    if (cause == HMS_CAUSE_COMPLETED && facts->restart != HMS_RESTART_ALWAYS)
        return HMS_REASON_COMPLETED;
    if (is_own_failure(cause) || cause == HMS_CAUSE_COMPLETED || cause == HMS_CAUSE_OURS)
        return HMS_REASON_CLEAR;
    if (facts->restart == HMS_RESTART_ON_FAILURE)
        return HMS_REASON_LABEL_ON_FAILURE;
    if (options->on_stop == HMS_ON_STOP_RESPECT && facts->restart != HMS_RESTART_ALWAYS)
        return HMS_REASON_RESPECTED;
    return HMS_REASON_CLEAR;
}

/* When whoever stopped it has had the time to remove or restart it; 0 if that is now. */
static int64_t grace_end_ms(const struct hms_facts *facts, int64_t grace_ms, int64_t now_ms)
{
    int64_t latest_ms = facts->ended_ms + HMS_RULES_BATCH_MS;
    int64_t end_ms;

    if (grace_ms == 0)
        return 0;
    if (facts->touched_ms == INT64_MAX)
        end_ms = now_ms + grace_ms;
    else
        end_ms =
            (facts->touched_ms > facts->ended_ms ? facts->touched_ms : facts->ended_ms) + grace_ms;
    if (end_ms > latest_ms)
        end_ms = latest_ms;
    return now_ms < end_ms ? end_ms : 0;
}

struct hms_ruling hms_rules_down(const struct hms_facts *facts,
                                 const struct hms_rule_options *options, int64_t now_ms,
                                 enum hms_trigger *trigger)
{
    enum hms_reason stay = may_stay_down(facts, options);
    int64_t end_ms;

    *trigger = trigger_of(facts);
    if (stay != HMS_REASON_CLEAR)
        return leave(stay);
    if (*trigger == HMS_TRIGGER_STOPPED) {
        if (facts->is_superseded)
            return leave(HMS_REASON_SUPERSEDED);
        end_ms = grace_end_ms(facts, options->stop_grace_ms, now_ms);
        if (end_ms != 0)
            return wait_until(HMS_REASON_STOP_GRACE, end_ms);
    } else if (*trigger == HMS_TRIGGER_FAILED && facts->has_docker_policy &&
               now_ms < facts->ended_ms + HMS_RULES_POLICY_MS) {
        return wait_until(HMS_REASON_DOCKER_POLICY, facts->ended_ms + HMS_RULES_POLICY_MS);
    }
    return hms_guard_ask(facts->guard, *trigger, now_ms);
}

struct hms_ruling hms_rules_loss(const struct hms_facts *facts, int64_t now_ms)
{
    if (!facts->is_bad)
        return leave(HMS_REASON_CLEAR);
    if (facts->supervision != HMS_REASON_CLEAR)
        return leave(facts->supervision);
    if (facts->restart == HMS_RESTART_NO)
        return leave(HMS_REASON_LABEL_NO);
    if (facts->state != HMS_DOCKER_RUNNING)
        return leave(HMS_REASON_STATE);
    if (facts->is_stopping)
        return leave(HMS_REASON_STOPPING);
    if (facts->is_storm)
        return leave(HMS_REASON_STORM);
    return hms_guard_ask(facts->guard, HMS_TRIGGER_LOSS, now_ms);
}
