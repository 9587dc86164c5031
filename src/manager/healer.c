/*
 * The healer. Owns the timer that looks at waiting containers again, and the calls under way. A
 * call finds its container by id and decision number, since either may be gone when the answer
 * comes.
 */
#include "manager/healer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/docker.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "manager/rules.h"

/* A call that got no answer, or that met a container on its way out, is repeated after this. */
#define RETRY_MS 1000

struct hms_healer {
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_docker *docker;
    struct hms_inventory *inventory;
    const struct hms_manager_options *options;
    struct hms_rule_options rules;
    struct hms_healer_handlers handlers;
    void *arg;
    uv_timer_t timer;
    int64_t timer_due_ms; /* 0: not running */
    int is_synced;
    int is_storm;
    int running;          /* calls under way ... */
    int running_for_loss; /* ... and those of them that restart for loss */
    uint64_t last_queued;
    int is_closing;
    int is_timer_closed;
    void (*closed)(void *arg);
    void *closed_arg;
};

struct action {
    struct hms_healer *healer;
    char id[HMS_DOCKER_ID_SIZE];
    uint64_t number;  /* of the decision */
    int64_t begun_ns; /* the container's last start when it was asked for */
    enum hms_trigger trigger;
};

static int64_t now_ms(const struct hms_healer *healer)
{
    return (int64_t)uv_now(healer->loop);
}

static void gather_facts(struct hms_healer *healer, struct hms_container *container,
                         struct hms_facts *facts)
{
    memset(facts, 0, sizeof(*facts));
    facts->state = container->state;
    facts->supervision = container->supervision;
    facts->restart = container->labels.restart;
    facts->end = &container->end;
    facts->guard = &container->guard;
    facts->has_docker_policy = strcmp(container->info.restart_policy, "no") != 0;
    facts->is_requested = container->is_requested;
    facts->is_bad = container->health.is_bad;
    facts->is_stopping = hms_container_is_stopping(container, now_ms(healer));
    facts->is_storm = healer->is_storm;
    facts->ended_ms = container->ended_ms;
    /* These two walk the inventory: not for each of thousands that are not supervised. */
    if (container->state == HMS_DOCKER_EXITED && container->supervision == HMS_REASON_CLEAR) {
        facts->is_superseded = hms_inventory_is_superseded(healer->inventory, container);
        facts->stop = hms_inventory_stop_of(healer->inventory, container,
                                            healer->rules.stop_grace_ms, now_ms(healer));
    }
}

/* A new decision record; samples or cause according to the trigger. */
static struct hms_decision *record(struct hms_container *container, enum hms_trigger trigger,
                                   enum hms_reason reason)
{
    struct hms_decision *decision = hms_decisions_add(&container->decisions);

    decision->time_ns = hms_clock_wall_ns();
    decision->trigger = trigger;
    decision->reason = reason;
    if (trigger == HMS_TRIGGER_LOSS) {
        decision->sample_count = container->health.sample_count;
        memcpy(decision->samples_pct, container->health.samples_pct, sizeof(decision->samples_pct));
    } else {
        decision->event_ns = container->end_event_ns;
        decision->cause = container->end.cause;
        decision->exit_code = container->end.exit_code;
    }
    return decision;
}

/* "c003 was killed: start asked for", and all of the record for programs. */
static void log_decision(struct hms_healer *healer, const struct hms_container *container,
                         const struct hms_decision *decision, enum hms_log_level level,
                         const char *what)
{
    char occasion[HMS_DECISION_OCCASION_SIZE];
    json_t *fields;

    if (!hms_log_enabled(healer->log, level))
        return;
    fields = hms_decision_json(decision);
    json_object_del(fields, "time");
    json_object_set_new(fields, "container", hms_json_text(container->info.name));
    json_object_set_new(fields, "id", json_stringn(container->id, HMS_DOCKER_SHORT_ID_DIGITS));
    hms_log_fields(healer->log, level, "healer", fields, "%s %s: %s", container->info.name,
                   hms_decision_occasion(decision, occasion), what);
}

static void log_outcome(struct hms_healer *healer, const struct hms_container *container,
                        const struct hms_decision *decision, int is_fine)
{
    char what[sizeof(decision->text) + 64];

    if (decision->outcome == HMS_OUTCOME_DONE)
        snprintf(what, sizeof(what), "runs again after %.0f ms",
                 (double)(decision->done_ns - decision->time_ns) / 1e6);
    else if (decision->outcome == HMS_OUTCOME_ALREADY)
        snprintf(what, sizeof(what), "runs already, somebody else was first");
    else
        snprintf(what, sizeof(what), "could not be started: %s", decision->text);
    log_decision(healer, container, decision, is_fine ? HMS_LOG_INFO : HMS_LOG_WARN, what);
}

static void arm_timer(struct hms_healer *healer, int64_t due_ms);

static void on_timer(uv_timer_t *timer)
{
    struct hms_healer *healer = timer->data;
    struct hms_container *container;
    int64_t next_ms = 0;

    healer->timer_due_ms = 0;
    for (container = hms_inventory_first(healer->inventory); container != NULL;
         container = container->hh.next) {
        if (container->due_ms != 0 && container->due_ms <= now_ms(healer))
            hms_healer_consider(healer, container);
        if (container->due_ms != 0 && (next_ms == 0 || container->due_ms < next_ms))
            next_ms = container->due_ms;
    }
    if (next_ms != 0)
        arm_timer(healer, next_ms);
}

static void arm_timer(struct hms_healer *healer, int64_t due_ms)
{
    int64_t wait_ms = due_ms - now_ms(healer);

    if (healer->is_closing || (healer->timer_due_ms != 0 && healer->timer_due_ms <= due_ms))
        return;
    healer->timer_due_ms = due_ms;
    uv_timer_start(&healer->timer, on_timer, wait_ms > 1 ? (uint64_t)wait_ms : 1, 0);
}

static int stop_timeout_s(const struct hms_container *container)
{
    return container->labels.stop_timeout_s >= 0 ? container->labels.stop_timeout_s
                                                 : container->info.stop_timeout_s;
}

static void on_answer(void *arg, const struct hms_docker_answer *answer);

static void act(struct hms_healer *healer, struct hms_container *container,
                enum hms_trigger trigger)
{
    struct hms_decision *decision = record(container, trigger, HMS_REASON_CLEAR);
    struct action *action = hms_calloc(1, sizeof(*action));

    action->healer = healer;
    memcpy(action->id, container->id, sizeof(action->id));
    action->number = decision->number;
    action->begun_ns = container->begun_ns;
    action->trigger = trigger;
    healer->running++;
    healer->running_for_loss += trigger == HMS_TRIGGER_LOSS;
    container->acting = decision->number;
    container->queued = 0;
    container->end_event_ns = 0;
    if (trigger == HMS_TRIGGER_LOSS) {
        decision->action = HMS_ACTION_RESTART;
        container->loss_decision = decision->number;
        hms_exit_own_stop(&container->end, 1);
        hms_docker_restart(healer->docker, container->id, stop_timeout_s(container), on_answer,
                           action);
    } else {
        decision->action = HMS_ACTION_START;
        hms_docker_start(healer->docker, container->id, on_answer, action);
    }
    hms_guard_acted(&container->guard, trigger, now_ms(healer));
    container->standing = HMS_REASON_RESTARTED;
    log_decision(healer, container, decision, HMS_LOG_INFO,
                 trigger == HMS_TRIGGER_LOSS ? "restart asked for" : "start asked for");
    healer->handlers.on_changed(healer->arg, container);
}

/* Whether one more may be (re)started. A restart for loss can take as long as the container's stop
 * timeout: half of the places are kept free of them, for containers that are down. */
static int has_place(const struct hms_healer *healer, enum hms_trigger trigger)
{
    int places = healer->options->concurrent_restarts;

    if (trigger == HMS_TRIGGER_LOSS && healer->running_for_loss >= (places + 1) / 2)
        return 0;
    return healer->running < places;
}

/* The container that waits longest among those for which there is a place, or NULL. */
static struct hms_container *next_in_queue(struct hms_healer *healer)
{
    struct hms_container *container, *next = NULL;

    for (container = hms_inventory_first(healer->inventory); container != NULL;
         container = container->hh.next)
        if (container->queued != 0 && has_place(healer, container->queued_for) &&
            (next == NULL || container->queued < next->queued))
            next = container;
    return next;
}

static void serve_queue(struct hms_healer *healer)
{
    struct hms_container *next;

    while (!healer->is_closing && (next = next_in_queue(healer)) != NULL)
        hms_healer_consider(healer, next); /* acts, or takes it out of the queue */
}

static enum hms_outcome outcome_of(const struct hms_docker_answer *answer)
{
    if (answer->error == HMS_OK)
        return answer->status == 304 ? HMS_OUTCOME_ALREADY : HMS_OUTCOME_DONE;
    return answer->status != 0 ? HMS_OUTCOME_REFUSED : HMS_OUTCOME_LOST;
}

/* The engine says so of a container that is being removed: no failure, it just goes. */
static int is_vanishing(const struct hms_docker_answer *answer)
{
    return answer->error == HMS_ENOENT || strstr(answer->message, "marked for removal") != NULL;
}

/* Whether the engine's events already tell of the (re)start. */
static int is_seen_in_events(const struct hms_container *container, const struct action *action)
{
    return container->begun_ns != action->begun_ns;
}

/* Settles the guard; from here on the container may be acted on again. */
static void settle(struct hms_healer *healer, struct hms_container *container,
                   const struct action *action, const struct hms_docker_answer *answer,
                   enum hms_outcome outcome)
{
    struct hms_guard *guard = &container->guard;

    container->acting = 0;
    if (outcome == HMS_OUTCOME_LOST || is_vanishing(answer)) {
        guard->restarted_until_ms = now_ms(healer) + RETRY_MS;
        hms_exit_own_stop(&container->end, 0);
        return;
    }
    hms_guard_answered(guard, action->trigger, answer->error == HMS_OK, now_ms(healer));
    if (answer->error != HMS_OK || is_seen_in_events(container, action)) {
        hms_exit_own_stop(&container->end, 0);
        return;
    }
    guard->restarted_until_ms = now_ms(healer) + healer->options->restarted_ms;
    healer->handlers.on_doubt(healer->arg, container);
}

static void take_answer(struct hms_healer *healer, struct hms_container *container,
                        const struct action *action, const struct hms_docker_answer *answer)
{
    struct hms_decision *decision = hms_decisions_find(&container->decisions, action->number);
    enum hms_outcome outcome = outcome_of(answer);
    int is_fine = answer->error == HMS_OK || is_vanishing(answer);

    settle(healer, container, action, answer, outcome);
    if (outcome == HMS_OUTCOME_DONE)
        container->restarts++;
    if (answer->error == HMS_OK)
        container->is_requested = 0;
    if (decision != NULL) {
        decision->outcome = outcome;
        decision->done_ns = hms_clock_wall_ns();
        snprintf(decision->text, sizeof(decision->text), "%s", answer->message);
        log_outcome(healer, container, decision, is_fine);
    }
    healer->handlers.on_remember(healer->arg);
    healer->handlers.on_changed(healer->arg, container);
}

static void finish_close(struct hms_healer *healer)
{
    if (!healer->is_closing || !healer->is_timer_closed || healer->running > 0)
        return;
    healer->closed(healer->closed_arg);
    free(healer);
}

static void on_answer(void *arg, const struct hms_docker_answer *answer)
{
    struct action *action = arg;
    struct hms_healer *healer = action->healer;
    struct hms_container *container = hms_inventory_find(healer->inventory, action->id);

    healer->running--;
    healer->running_for_loss -= action->trigger == HMS_TRIGGER_LOSS;
    if (container != NULL && container->acting == action->number)
        take_answer(healer, container, action, answer);
    else
        container = NULL;
    free(action);
    if (healer->is_closing) {
        finish_close(healer);
        return;
    }
    if (container != NULL)
        hms_healer_consider(healer, container);
    serve_queue(healer);
}

/* Whether such a ruling is worth a record: not the waits that every stop goes through, nor that a
 * container is not supervised. */
static int is_notable(const struct hms_container *container, const struct hms_ruling *ruling)
{
    if (container->supervision != HMS_REASON_CLEAR)
        return 0;
    switch (ruling->reason) {
    case HMS_REASON_STOP_GRACE:
    case HMS_REASON_RESTARTED:
    case HMS_REASON_START_GRACE:
    case HMS_REASON_DOCKER_POLICY:
    case HMS_REASON_STOPPING:
    case HMS_REASON_STATE:
    case HMS_REASON_NOT_STARTED:
        return 0;
    default:
        return 1;
    }
}

/* Records a ruling that is no action, unless it is the last one over again. */
static void note_ruling(struct hms_healer *healer, struct hms_container *container,
                        enum hms_trigger trigger, const struct hms_ruling *ruling)
{
    uint64_t key = (container->life << 16) | ((uint64_t)trigger << 12) |
                   ((uint64_t)ruling->kind << 8) | (uint64_t)ruling->reason;
    struct hms_decision *decision;
    char what[128];

    container->standing = ruling->reason;
    if (ruling->reason == HMS_REASON_QUARANTINE && !container->guard.is_quarantined) {
        hms_guard_quarantine(&container->guard);
        healer->handlers.on_remember(healer->arg);
    }
    if (is_notable(container, ruling) && container->decided != key) {
        container->decided = key;
        decision = record(container, trigger, ruling->reason);
        if (ruling->reason == HMS_REASON_OBSERVE) {
            decision->outcome = HMS_OUTCOME_OBSERVED;
            decision->action = trigger == HMS_TRIGGER_LOSS ? HMS_ACTION_RESTART : HMS_ACTION_START;
        }
        snprintf(what, sizeof(what), "%s: %s",
                 ruling->kind == HMS_RULING_WAIT ? "waiting" : "left alone",
                 hms_reason_text(ruling->reason));
        log_decision(healer, container, decision,
                     ruling->reason == HMS_REASON_QUARANTINE ? HMS_LOG_WARN : HMS_LOG_INFO, what);
        healer->handlers.on_remember(healer->arg);
    }
    healer->handlers.on_changed(healer->arg, container);
}

/* One that waits already keeps its place. */
static void enqueue(struct hms_healer *healer, struct hms_container *container,
                    enum hms_trigger trigger)
{
    if (container->queued == 0 || container->queued_for != trigger)
        container->queued = ++healer->last_queued;
    container->queued_for = trigger;
    container->standing = HMS_REASON_CONCURRENCY;
}

static void apply(struct hms_healer *healer, struct hms_container *container,
                  enum hms_trigger trigger, struct hms_ruling ruling)
{
    if (ruling.kind == HMS_RULING_ACT && healer->options->observe)
        ruling = (struct hms_ruling){.kind = HMS_RULING_LEAVE, .reason = HMS_REASON_OBSERVE};
    if (ruling.kind == HMS_RULING_ACT) {
        if (has_place(healer, trigger))
            act(healer, container, trigger);
        else
            enqueue(healer, container, trigger);
        return;
    }
    container->queued = 0;
    /* A running container is looked at after each round: only what is known then counts. */
    if (ruling.kind == HMS_RULING_WAIT && trigger != HMS_TRIGGER_LOSS) {
        container->due_ms = ruling.not_before_ms;
        arm_timer(healer, container->due_ms);
    }
    note_ruling(healer, container, trigger, &ruling);
}

static void settle_quarantine(struct hms_healer *healer, struct hms_container *container)
{
    struct hms_guard *guard = &container->guard;

    if (!guard->is_quarantined)
        return;
    if (!hms_guard_settle(guard, now_ms(healer))) {
        container->due_ms = guard->up_since_ms + guard->limits->stable_ms;
        arm_timer(healer, container->due_ms);
        return;
    }
    container->standing = container->supervision;
    hms_log(healer->log, HMS_LOG_INFO, "healer", "%s runs steadily: out of quarantine",
            container->info.name);
    healer->handlers.on_remember(healer->arg);
    healer->handlers.on_changed(healer->arg, container);
}

void hms_healer_consider(struct hms_healer *healer, struct hms_container *container)
{
    enum hms_trigger trigger = HMS_TRIGGER_LOSS;
    struct hms_ruling ruling;
    struct hms_facts facts;

    container->due_ms = 0;
    if (healer->is_closing || !healer->is_synced || !container->is_inspected) {
        container->queued = 0;
        return;
    }
    if (container->acting != 0)
        return; /* its answer comes, however late, and then it is looked at again */
    gather_facts(healer, container, &facts);
    if (hms_container_is_up(container)) {
        settle_quarantine(healer, container);
        ruling = hms_rules_loss(&facts, now_ms(healer));
        if (ruling.kind == HMS_RULING_LEAVE && ruling.reason == HMS_REASON_CLEAR) {
            container->queued = 0;
            container->standing =
                container->guard.is_quarantined ? HMS_REASON_QUARANTINE : container->supervision;
            return;
        }
    } else {
        ruling = hms_rules_down(&facts, &healer->rules, now_ms(healer), &trigger);
    }
    apply(healer, container, trigger, ruling);
}

void hms_healer_prove(struct hms_healer *healer, struct hms_container *container, int is_good)
{
    int helped = hms_guard_proved(&container->guard, is_good);
    struct hms_decision *decision;

    if (helped < 0)
        return;
    decision = hms_decisions_find(&container->decisions, container->loss_decision);
    if (decision == NULL)
        return;
    decision->helped = helped;
    log_decision(healer, container, decision, helped ? HMS_LOG_INFO : HMS_LOG_WARN,
                 helped ? "the restart helped" : "the restart did not help");
    healer->handlers.on_changed(healer->arg, container);
}

static void consider_all(struct hms_healer *healer)
{
    struct hms_container *container;

    for (container = hms_inventory_first(healer->inventory); container != NULL;
         container = container->hh.next)
        hms_healer_consider(healer, container);
}

void hms_healer_set_synced(struct hms_healer *healer, int is_synced)
{
    healer->is_synced = is_synced;
    if (is_synced)
        consider_all(healer);
}

void hms_healer_set_storm(struct hms_healer *healer, int is_active)
{
    healer->is_storm = is_active;
}

struct hms_healer *hms_healer_new(uv_loop_t *loop, struct hms_log *log, struct hms_docker *docker,
                                  struct hms_inventory *inventory,
                                  const struct hms_manager_options *options,
                                  const struct hms_healer_handlers *handlers, void *arg)
{
    struct hms_healer *healer = hms_calloc(1, sizeof(*healer));

    healer->loop = loop;
    healer->log = log;
    healer->docker = docker;
    healer->inventory = inventory;
    healer->options = options;
    healer->handlers = *handlers;
    healer->arg = arg;
    healer->rules = (struct hms_rule_options){
        .on_stop = options->on_stop,
        .stop_grace_ms = options->stop_grace_ms,
    };
    uv_timer_init(loop, &healer->timer);
    healer->timer.data = healer;
    return healer;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct hms_healer *healer = handle->data;

    healer->is_timer_closed = 1;
    finish_close(healer);
}

void hms_healer_close(struct hms_healer *healer, void (*closed)(void *arg), void *arg)
{
    healer->is_closing = 1;
    healer->closed = closed;
    healer->closed_arg = arg;
    uv_close((uv_handle_t *)&healer->timer, on_timer_closed);
}
