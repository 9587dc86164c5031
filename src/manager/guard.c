/* The restart guard. See guard.h. */
#include "manager/guard.h"

#include <string.h>

static struct hms_ruling rule(enum hms_ruling_kind kind, enum hms_reason reason,
                              int64_t not_before_ms)
{
    return (struct hms_ruling){.kind = kind, .reason = reason, .not_before_ms = not_before_ms};
}

static void history_add(struct hms_guard_history *history, int64_t now_ms)
{
    memmove(history->at_ms + 1, history->at_ms,
            (HMS_GUARD_LIMIT_MAX - 1) * sizeof(history->at_ms[0]));
    history->at_ms[0] = now_ms;
    if (history->count < HMS_GUARD_LIMIT_MAX)
        history->count++;
}

/* Whether `limit` (0: none) events lie within the window; *free_ms: when the next may happen. */
static int history_is_full(const struct hms_guard_history *history, int limit, int64_t window_ms,
                           int64_t now_ms, int64_t *free_ms)
{
    if (limit <= 0 || history->count < limit)
        return 0;
    *free_ms = history->at_ms[limit - 1] + window_ms;
    return now_ms < *free_ms;
}

/* The wait before attempt number failures + 1: none, then backoff_min_ms doubling up to the most.
 */
static int64_t backoff_ms(const struct hms_guard_limits *limits, int failures)
{
    int64_t wait_ms = limits->backoff_min_ms;

    if (failures <= 0)
        return 0;
    while (--failures > 0 && wait_ms < limits->backoff_max_ms)
        wait_ms *= 2;
    return wait_ms < limits->backoff_max_ms ? wait_ms : limits->backoff_max_ms;
}

static struct hms_ruling ask_start(const struct hms_guard *guard, enum hms_trigger trigger,
                                   int64_t now_ms)
{
    const struct hms_guard_limits *limits = guard->limits;
    int failures = trigger == HMS_TRIGGER_FAILED ? guard->failures : guard->refused;
    int64_t free_ms;

    if (guard->is_quarantined || ((trigger == HMS_TRIGGER_FAILED || guard->refused > 0) &&
                                  history_is_full(&guard->failure_starts, limits->restart_limit,
                                                  limits->window_ms, now_ms, &free_ms)))
        return rule(HMS_RULING_LEAVE, HMS_REASON_QUARANTINE, 0);
    free_ms = guard->last_attempt_ms > guard->down_since_ms ? guard->last_attempt_ms
                                                            : guard->down_since_ms;
    free_ms += backoff_ms(limits, failures);
    if (failures > 0 && now_ms < free_ms)
        return rule(HMS_RULING_WAIT, HMS_REASON_BACKOFF, free_ms);
    return rule(HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
}

static struct hms_ruling ask_loss(const struct hms_guard *guard, int64_t now_ms)
{
    const struct hms_guard_limits *limits = guard->limits;
    int64_t free_ms;

    if (guard->is_quarantined)
        return rule(HMS_RULING_LEAVE, HMS_REASON_QUARANTINE, 0);
    free_ms = guard->up_since_ms + limits->start_grace_ms;
    if (now_ms < free_ms)
        return rule(HMS_RULING_WAIT, HMS_REASON_START_GRACE, free_ms);
    if (history_is_full(&guard->loss_restarts, limits->loss_restart_limit, limits->window_ms,
                        now_ms, &free_ms))
        return rule(HMS_RULING_WAIT, HMS_REASON_LOSS_BUDGET, free_ms);
    free_ms = guard->last_attempt_ms + backoff_ms(limits, guard->unhelpful);
    if (guard->unhelpful > 0 && now_ms < free_ms)
        return rule(HMS_RULING_WAIT, HMS_REASON_BACKOFF, free_ms);
    return rule(HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
}

void hms_guard_init(struct hms_guard *guard, const struct hms_guard_limits *limits)
{
    memset(guard, 0, sizeof(*guard));
    guard->limits = limits;
}

struct hms_ruling hms_guard_ask(const struct hms_guard *guard, enum hms_trigger trigger,
                                int64_t now_ms)
{
    if (now_ms < guard->restarted_until_ms)
        return rule(HMS_RULING_WAIT, HMS_REASON_RESTARTED, guard->restarted_until_ms);
    if (trigger == HMS_TRIGGER_REQUESTED && guard->refused == 0)
        return rule(HMS_RULING_ACT, HMS_REASON_CLEAR, 0);
    return trigger == HMS_TRIGGER_LOSS ? ask_loss(guard, now_ms)
                                       : ask_start(guard, trigger, now_ms);
}

void hms_guard_acted(struct hms_guard *guard, enum hms_trigger trigger, int64_t now_ms)
{
    guard->restarted_until_ms = INT64_MAX;
    guard->last_attempt_ms = now_ms;
    if (trigger == HMS_TRIGGER_FAILED) {
        guard->failures++;
        history_add(&guard->failure_starts, now_ms);
    } else if (trigger == HMS_TRIGGER_LOSS) {
        guard->loss_unproven = 1;
        history_add(&guard->loss_restarts, now_ms);
    }
}

void hms_guard_answered(struct hms_guard *guard, enum hms_trigger trigger, int ok, int64_t now_ms)
{
    guard->restarted_until_ms = 0;
    if (ok) {
        guard->refused = 0;
        return;
    }
    guard->refused++;
    guard->last_attempt_ms = now_ms;
    guard->loss_unproven = 0;
    if (trigger != HMS_TRIGGER_FAILED) /* that one counts already */
        history_add(&guard->failure_starts, now_ms);
}

void hms_guard_up(struct hms_guard *guard, int64_t now_ms)
{
    guard->up_since_ms = now_ms;
}

static int was_stable(const struct hms_guard *guard, int64_t now_ms)
{
    return guard->up_since_ms != 0 && now_ms - guard->up_since_ms >= guard->limits->stable_ms;
}

void hms_guard_down(struct hms_guard *guard, int64_t now_ms)
{
    if (was_stable(guard, now_ms))
        guard->failures = guard->refused = 0;
    guard->up_since_ms = 0;
    guard->down_since_ms = now_ms;
}

int hms_guard_settle(struct hms_guard *guard, int64_t now_ms)
{
    if (!guard->is_quarantined || !was_stable(guard, now_ms))
        return 0;
    hms_guard_release(guard);
    return 1;
}

int hms_guard_proved(struct hms_guard *guard, int is_good)
{
    if (is_good)
        guard->unhelpful = 0;
    if (!guard->loss_unproven)
        return -1;
    guard->loss_unproven = 0;
    if (!is_good)
        guard->unhelpful++;
    return is_good;
}

void hms_guard_quarantine(struct hms_guard *guard)
{
    guard->is_quarantined = 1;
}

void hms_guard_release(struct hms_guard *guard)
{
    guard->is_quarantined = 0;
    guard->failures = guard->refused = guard->unhelpful = 0;
    guard->failure_starts.count = guard->loss_restarts.count = 0;
}
