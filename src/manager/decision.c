/* Decision records: a ring per container, and their JSON. */
#include "manager/decision.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/json.h"

static const char *const trigger_names[] = {"stopped", "failed", "loss", "requested"};
static const char *const action_names[] = {"none", "start", "restart"};
static const char *const outcome_names[] = {"",        "done", "already-running",
                                            "refused", "lost", "observed"};

const char *hms_trigger_name(enum hms_trigger trigger)
{
    return trigger_names[trigger];
}

struct hms_decision *hms_decisions_add(struct hms_decisions *decisions)
{
    struct hms_decision *decision = &decisions->ring[decisions->count++ % HMS_DECISIONS];

    memset(decision, 0, sizeof(*decision));
    decision->number = decisions->count;
    decision->helped = -1;
    return decision;
}

struct hms_decision *hms_decisions_last(struct hms_decisions *decisions)
{
    return hms_decisions_find(decisions, decisions->count);
}

struct hms_decision *hms_decisions_find(struct hms_decisions *decisions, uint64_t number)
{
    struct hms_decision *decision;

    if (number == 0)
        return NULL;
    decision = &decisions->ring[(number - 1) % HMS_DECISIONS];
    return decision->number == number ? decision : NULL;
}

static const char *verb_of(enum hms_cause cause)
{
    switch (cause) {
    case HMS_CAUSE_STOPPED:
        return "was stopped";
    case HMS_CAUSE_KILLED:
        return "was killed";
    case HMS_CAUSE_CRASHED:
        return "crashed";
    case HMS_CAUSE_OOM:
        return "ran out of memory";
    case HMS_CAUSE_COMPLETED:
        return "finished";
    case HMS_CAUSE_OURS:
        return "was left down by a restart";
    case HMS_CAUSE_NONE:
    case HMS_CAUSE_UNKNOWN:
        break;
    }
    return "is down";
}

char *hms_decision_occasion(const struct hms_decision *decision,
                            char text[HMS_DECISION_OCCASION_SIZE])
{
    struct hms_exit end = {.exit_code = decision->exit_code};
    const char *verb = verb_of(decision->cause);

    if (decision->trigger == HMS_TRIGGER_LOSS)
        snprintf(text, HMS_DECISION_OCCASION_SIZE, "loses %.1f %% of its packets",
                 decision->sample_count > 0 ? (double)decision->samples_pct[0] : 0.0);
    else if (decision->trigger == HMS_TRIGGER_REQUESTED)
        snprintf(text, HMS_DECISION_OCCASION_SIZE, "is wanted");
    else if (decision->cause == HMS_CAUSE_CRASHED && hms_exit_signal(&end) != 0)
        snprintf(text, HMS_DECISION_OCCASION_SIZE, "%s (signal %d)", verb, hms_exit_signal(&end));
    else if (decision->cause == HMS_CAUSE_CRASHED)
        snprintf(text, HMS_DECISION_OCCASION_SIZE, "%s (exit code %d)", verb, decision->exit_code);
    else
        snprintf(text, HMS_DECISION_OCCASION_SIZE, "%s", verb);
    return text;
}

static void set_time(json_t *object, const char *key, int64_t wall_ns)
{
    char text[HMS_CLOCK_TEXT_SIZE];

    if (wall_ns != 0)
        json_object_set_new(object, key, json_string(hms_clock_format(wall_ns, text)));
}

static void set_end(json_t *object, const struct hms_decision *decision)
{
    struct hms_exit end = {.exit_code = decision->exit_code};
    int signal = hms_exit_signal(&end);

    json_object_set_new(object, "cause", json_string(hms_cause_name(decision->cause)));
    if (decision->exit_code >= 0)
        json_object_set_new(object, "exit_code", json_integer(decision->exit_code));
    if (signal != 0)
        json_object_set_new(object, "signal", json_integer(signal));
}

static void set_samples(json_t *object, const struct hms_decision *decision)
{
    json_t *samples = json_array();
    size_t i;

    for (i = 0; i < decision->sample_count; i++)
        json_array_append_new(samples, json_real(round(decision->samples_pct[i] * 10.0) / 10));
    json_object_set_new(object, "loss_pct", samples);
}

json_t *hms_decision_json(const struct hms_decision *decision)
{
    json_t *object = json_object();

    json_object_set_new(object, "number", json_integer((json_int_t)decision->number));
    set_time(object, "time", decision->time_ns);
    json_object_set_new(object, "rule", json_string(hms_trigger_name(decision->trigger)));
    if (decision->trigger == HMS_TRIGGER_LOSS)
        set_samples(object, decision);
    else
        set_end(object, decision);
    json_object_set_new(object, "action", json_string(action_names[decision->action]));
    json_object_set_new(object, "reason", json_string(hms_reason_word(decision->reason)));
    json_object_set_new(object, "why", json_string(hms_reason_text(decision->reason)));
    if (decision->outcome != HMS_OUTCOME_NONE)
        json_object_set_new(object, "outcome", json_string(outcome_names[decision->outcome]));
    if (decision->text[0] != '\0')
        json_object_set_new(object, "error", hms_json_text(decision->text));
    if (decision->helped >= 0)
        json_object_set_new(object, "helped", json_boolean(decision->helped));
    set_time(object, "event_time", decision->event_ns);
    if (decision->event_ns != 0 && decision->action != HMS_ACTION_NONE)
        json_object_set_new(object, "event_to_ask_ms",
                            json_real((double)(decision->time_ns - decision->event_ns) / 1e6));
    if (decision->done_ns != 0)
        json_object_set_new(object, "ask_to_done_ms",
                            json_real((double)(decision->done_ns - decision->time_ns) / 1e6));
    return object;
}

json_t *hms_decisions_json(const struct hms_decisions *decisions)
{
    json_t *array = json_array();
    uint64_t kept = decisions->count < HMS_DECISIONS ? decisions->count : HMS_DECISIONS;
    uint64_t i;

    for (i = 0; i < kept; i++)
        json_array_append_new(
            array, hms_decision_json(&decisions->ring[(decisions->count - 1 - i) % HMS_DECISIONS]));
    return array;
}
