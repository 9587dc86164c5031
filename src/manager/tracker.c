/*
 * The tracker. Owns the watch of the engine and the inspect calls; the inventory is the manager's.
 *
 * An answer of the engine is older than any event that arrives after the question: such an answer
 * is dropped and the question repeated.
 */
#include "manager/tracker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/docker_watch.h"
#include "core/error.h"
#include "core/log.h"
#include "manager/inventory.h"

#define NS_PER_MS INT64_C(1000000)

struct hms_tracker {
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_docker *docker;
    struct hms_inventory *inventory;
    struct hms_tracker_handlers handlers;
    void *arg;
    struct hms_docker_watch *watch;
    struct hms_docker_network *networks;
    size_t network_count;
    int is_listed;     /* this contact's first list has come */
    int is_newcomer;   /* what is replayed happened before our time: it was not seen by us */
    int is_synced;     /* and all of it has been inspected */
    size_t inspecting; /* calls under way */
    int is_closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* An inspect under way; finds its container by id, since that may be gone when the answer comes. */
struct inspect {
    struct hms_tracker *tracker;
    char id[HMS_DOCKER_ID_SIZE];
};

static void inspect(struct hms_tracker *tracker, struct hms_container *container);

static int64_t wall_to_mono_ms(struct hms_tracker *tracker, int64_t wall_ns)
{
    int64_t ago_ms = (hms_clock_wall_ns() - wall_ns) / NS_PER_MS;
    int64_t now_ms = (int64_t)uv_now(tracker->loop);

    return ago_ms > 0 ? now_ms - ago_ms : now_ms;
}

static void tell_changed(struct hms_tracker *tracker, struct hms_container *container)
{
    if (container->is_inspected && tracker->is_listed)
        tracker->handlers.on_changed(tracker->arg, container);
}

static void drop(struct hms_tracker *tracker, struct hms_container *container)
{
    tracker->handlers.on_removed(tracker->arg, container);
    hms_inventory_remove(tracker->inventory, container);
}

/* What was measured says nothing about what comes now, nor does the round under way. */
static void forget_measure(struct hms_container *container)
{
    container->life++;
    hms_health_reset(&container->health);
    memset(&container->measure, 0, sizeof(container->measure));
}

static void begin_life(struct hms_container *container, int64_t at_ms, int64_t at_ns)
{
    container->state = HMS_DOCKER_RUNNING;
    container->since_ns = container->begun_ns = at_ns;
    container->addressed_ms = at_ms;
    container->is_seen = 1;
    container->asked_to_stop_ms = 0;
    container->end_event_ns = 0;
    container->is_requested = 0;
    hms_exit_on_start(&container->end);
    if (container->acting == 0) /* else the answer to our call ends this */
        container->guard.restarted_until_ms = 0;
    hms_guard_up(&container->guard, at_ms);
    forget_measure(container);
}

static void end_life(struct hms_container *container, int64_t at_ms, int64_t at_ns)
{
    container->state = HMS_DOCKER_EXITED;
    container->since_ns = at_ns;
    container->ended_ms = at_ms;
    hms_guard_down(&container->guard, at_ms);
    forget_measure(container);
}

static void on_kill(struct hms_container *container, const struct hms_docker_event *event,
                    int64_t at_ms)
{
    if (container->end.own_stop)
        return;
    hms_exit_on_kill(&container->end, event->signal, event->time_ns);
    container->signal_ms = at_ms;
    if (event->signal != SIGKILL) {
        container->asked_to_stop_ms = at_ms;
        container->touched_ms = at_ms;
    }
}

static void on_die(struct hms_container *container, const struct hms_docker_event *event,
                   int64_t at_ms)
{
    hms_exit_on_die(&container->end, event->exit_code, event->time_ns);
    container->end_event_ns = event->time_ns;
    end_life(container, at_ms, event->time_ns);
    if (container->asked_to_stop_ms != 0)
        container->touched_ms = at_ms;
}

/* Applies one event of a container; returns whether the engine has to be asked for the rest. */
static int apply_event(struct hms_container *container, const struct hms_docker_event *event,
                       int64_t at_ms)
{
    switch (event->action) {
    case HMS_DOCKER_ON_CREATE:
        container->state = HMS_DOCKER_CREATED;
        container->since_ns = event->time_ns;
        container->touched_ms = at_ms;
        return 1;
    case HMS_DOCKER_ON_START:
        if (container->acting == 0)
            container->touched_ms = at_ms;
        begin_life(container, at_ms, event->time_ns);
        container->is_address_known = 0;
        return 1;
    case HMS_DOCKER_ON_KILL:
        on_kill(container, event, at_ms);
        return 0;
    case HMS_DOCKER_ON_OOM:
        hms_exit_on_oom(&container->end, event->time_ns);
        return 0;
    case HMS_DOCKER_ON_DIE:
        on_die(container, event, at_ms);
        return container->is_inspected && strcmp(container->info.restart_policy, "no") != 0;
    case HMS_DOCKER_ON_STOP:
        hms_exit_on_stop(&container->end);
        if (!container->end.own_stop)
            container->touched_ms = at_ms;
        return container->state == HMS_DOCKER_RESTARTING; /* it ends without another `die` */
    case HMS_DOCKER_ON_PAUSE:
        container->state = HMS_DOCKER_PAUSED;
        container->since_ns = event->time_ns;
        forget_measure(container);
        return 1; /* the engine can tell pauses twice, or in the wrong order */
    case HMS_DOCKER_ON_UNPAUSE:
        container->state = HMS_DOCKER_RUNNING;
        container->since_ns = event->time_ns;
        forget_measure(container);
        return 1;
    case HMS_DOCKER_ON_RENAME:
        container->touched_ms = at_ms;
        return 1;
    case HMS_DOCKER_ON_NETWORK:
        if (hms_container_is_up(container)) {
            container->is_address_known = 0;
            container->addressed_ms = at_ms;
            forget_measure(container);
            return 1;
        }
        if (container->acting == 0) /* a start by somebody else begins with the network */
            container->touched_ms = at_ms;
        return 0;
    case HMS_DOCKER_ON_UPDATE:
        return 1;
    case HMS_DOCKER_ON_RESTART:
    case HMS_DOCKER_ON_DESTROY:
        return 0;
    }
    return 0;
}

static void on_event(void *arg, const struct hms_docker_event *event, int replayed)
{
    struct hms_tracker *tracker = arg;
    int64_t at_ms = wall_to_mono_ms(tracker, event->time_ns);
    struct hms_container *container;
    int must_ask, was_seen;

    if (event->id[0] == '\0')
        return;
    if (event->action == HMS_DOCKER_ON_DESTROY) {
        container = hms_inventory_find(tracker->inventory, event->id);
        if (container != NULL) {
            hms_inventory_note_removal(tracker->inventory, container, at_ms);
            drop(tracker, container);
        }
        return;
    }
    container = hms_inventory_add(tracker->inventory, event->id);
    was_seen = container->is_seen;
    must_ask = apply_event(container, event, at_ms);
    if (replayed) { /* the list that follows tells how things stand */
        if (tracker->is_newcomer)
            container->is_seen = was_seen;
        return;
    }
    container->event_ms = (int64_t)uv_now(tracker->loop);
    if (container->is_inspecting)
        container->must_inspect_again = 1;
    if (must_ask || !container->is_inspected)
        inspect(tracker, container);
    tell_changed(tracker, container);
}

/* A container is up according to `inspect`. */
static void settle_up(struct hms_tracker *tracker, struct hms_container *container)
{
    const struct hms_docker_container *info = &container->info;

    /* Docker stamps `start` after StartedAt: a later StartedAt is a start that no event told. */
    if (!hms_container_is_up(container) || info->started_ns > container->begun_ns)
        begin_life(container, wall_to_mono_ms(tracker, info->started_ns), info->started_ns);
    container->is_seen = 1;
    if (container->state != info->state)
        forget_measure(container);
    container->state = info->state;
    if (container->guard.up_since_ms == 0)
        hms_guard_up(&container->guard, wall_to_mono_ms(tracker, info->started_ns));
    if (container->since_ns == 0)
        container->since_ns = info->started_ns;
}

/* A container is down according to `inspect`. */
static void settle_down(struct hms_tracker *tracker, struct hms_container *container)
{
    const struct hms_docker_container *info = &container->info;

    if (container->state != HMS_DOCKER_EXITED || container->ended_ms == 0)
        end_life(container, (int64_t)uv_now(tracker->loop), info->finished_ns);
    hms_exit_reconcile(&container->end, info->exit_code, info->finished_ns, info->oom_killed);
    container->state = info->state;
}

static void apply_info(struct hms_tracker *tracker, struct hms_container *container,
                       struct hms_docker_container *info)
{
    hms_container_set_info(container, info);
    container->is_address_known = 1;
    switch (info->state) {
    case HMS_DOCKER_RUNNING:
    case HMS_DOCKER_PAUSED:
        settle_up(tracker, container);
        break;
    case HMS_DOCKER_EXITED:
    case HMS_DOCKER_DEAD:
        settle_down(tracker, container);
        break;
    case HMS_DOCKER_CREATED:
    case HMS_DOCKER_RESTARTING:
    case HMS_DOCKER_REMOVING:
        container->state = info->state;
        if (container->since_ns == 0)
            container->since_ns = info->created_ns;
        break;
    }
}

static void note_synced(struct hms_tracker *tracker)
{
    if (!tracker->is_listed || tracker->is_synced || tracker->inspecting > 0)
        return;
    tracker->is_synced = 1;
    tracker->handlers.on_synced(tracker->arg);
}

static void finish_close(struct hms_tracker *tracker)
{
    if (!tracker->is_closing || tracker->watch != NULL || tracker->inspecting > 0)
        return;
    hms_docker_networks_free(tracker->networks, tracker->network_count);
    tracker->closed(tracker->closed_arg);
    free(tracker);
}

static void take_answer(struct hms_tracker *tracker, struct hms_container *container,
                        const struct hms_docker_answer *answer)
{
    struct hms_docker_container info;

    container->is_inspecting = 0;
    if (container->must_inspect_again && answer->error != HMS_ENOENT) {
        /* Keep the answer of one never seen, else a busy container would stay unknown. */
        if (!container->is_inspected && answer->error == HMS_OK &&
            hms_docker_read_container(answer->body, &info) == HMS_OK)
            hms_container_set_info(container, &info);
        inspect(tracker, container);
        return;
    }
    if (answer->error == HMS_ENOENT) {
        drop(tracker, container);
    } else if (answer->error != HMS_OK) {
        hms_log(tracker->log, HMS_LOG_WARN, "tracker", "inspect of %.12s failed: %s", container->id,
                answer->message);
    } else if (hms_docker_read_container(answer->body, &info) != HMS_OK) {
        hms_log(tracker->log, HMS_LOG_ERROR, "tracker", "inspect of %.12s: not understood",
                container->id);
    } else {
        apply_info(tracker, container, &info);
        tell_changed(tracker, container);
    }
}

static void on_inspected(void *arg, const struct hms_docker_answer *answer)
{
    struct inspect *call = arg;
    struct hms_tracker *tracker = call->tracker;
    struct hms_container *container = hms_inventory_find(tracker->inventory, call->id);

    free(call);
    tracker->inspecting--;
    if (tracker->is_closing) {
        finish_close(tracker);
        return;
    }
    if (container != NULL && container->is_inspecting)
        take_answer(tracker, container, answer);
    note_synced(tracker);
}

static void inspect(struct hms_tracker *tracker, struct hms_container *container)
{
    struct inspect *call;

    if (container->is_inspecting) {
        container->must_inspect_again = 1;
        return;
    }
    container->is_inspecting = 1;
    container->must_inspect_again = 0;
    tracker->inspecting++;
    call = hms_calloc(1, sizeof(*call));
    call->tracker = tracker;
    memcpy(call->id, container->id, sizeof(call->id));
    hms_docker_inspect(tracker->docker, call->id, on_inspected, call);
}

static void on_networks(void *arg, const struct hms_docker_network *networks, size_t count)
{
    struct hms_tracker *tracker = arg;
    struct hms_container *container;
    size_t i;

    hms_docker_networks_free(tracker->networks, tracker->network_count);
    tracker->networks = hms_calloc(count, sizeof(*tracker->networks));
    tracker->network_count = count;
    for (i = 0; i < count; i++) {
        tracker->networks[i] = networks[i];
        tracker->networks[i].name = hms_strdup(networks[i].name);
        tracker->networks[i].driver = hms_strdup(networks[i].driver);
    }
    for (container = hms_inventory_first(tracker->inventory); container != NULL;
         container = container->hh.next)
        tell_changed(tracker, container);
}

static int compare_rows(const void *a, const void *b)
{
    return strcmp(((const struct hms_docker_row *)a)->id, ((const struct hms_docker_row *)b)->id);
}

static void on_list(void *arg, const struct hms_docker_row *rows, size_t count, int64_t asked_ms,
                    int first)
{
    struct hms_tracker *tracker = arg;
    struct hms_docker_row *sorted = hms_malloc(count * sizeof(*sorted));
    struct hms_container *container, *next;
    struct hms_docker_row key;
    size_t i;

    if (first) {
        tracker->is_listed = 1;
        tracker->is_newcomer = 0;
        tracker->is_synced = 0;
    }
    for (i = 0; i < count; i++) {
        container = hms_inventory_add(tracker->inventory, rows[i].id);
        if (first || !container->is_inspected || !container->is_address_known ||
            (container->event_ms <= asked_ms && container->state != rows[i].state))
            inspect(tracker, container);
    }
    memcpy(sorted, rows, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_rows);
    for (container = hms_inventory_first(tracker->inventory); container != NULL; container = next) {
        next = container->hh.next;
        memcpy(key.id, container->id, sizeof(key.id));
        if (container->event_ms <= asked_ms &&
            bsearch(&key, sorted, count, sizeof(*sorted), compare_rows) == NULL)
            drop(tracker, container);
    }
    free(sorted);
    note_synced(tracker);
}

static void on_down(void *arg, const char *reason)
{
    struct hms_tracker *tracker = arg;

    tracker->is_listed = 0;
    tracker->is_synced = 0;
    tracker->handlers.on_down(tracker->arg, reason);
}

struct hms_tracker *hms_tracker_new(uv_loop_t *loop, struct hms_log *log, struct hms_docker *docker,
                                    struct hms_inventory *inventory,
                                    const struct hms_tracker_options *options,
                                    const struct hms_tracker_handlers *handlers, void *arg)
{
    static const struct hms_docker_watch_handlers watch_handlers = {
        .on_event = on_event,
        .on_networks = on_networks,
        .on_list = on_list,
        .on_down = on_down,
    };
    struct hms_docker_watch_options watch_options = {
        .since_ns = options->since_ns,
        .list_period_ms = options->list_period_ms,
        .backoff_min_ms = 100,
        .backoff_max_ms = 5000,
    };
    struct hms_tracker *tracker = hms_calloc(1, sizeof(*tracker));

    tracker->loop = loop;
    tracker->log = log;
    tracker->docker = docker;
    tracker->inventory = inventory;
    tracker->is_newcomer = options->is_newcomer;
    tracker->handlers = *handlers;
    tracker->arg = arg;
    tracker->watch =
        hms_docker_watch_new(loop, log, docker, &watch_options, &watch_handlers, tracker);
    return tracker;
}

int64_t hms_tracker_last_event_ns(const struct hms_tracker *tracker)
{
    return tracker->watch ? hms_docker_watch_last_event_ns(tracker->watch) : 0;
}

const struct hms_docker_network *hms_tracker_networks(const struct hms_tracker *tracker,
                                                      size_t *count)
{
    *count = tracker->network_count;
    return tracker->networks;
}

void hms_tracker_refresh(struct hms_tracker *tracker, struct hms_container *container)
{
    inspect(tracker, container);
}

static void on_watch_closed(void *arg)
{
    struct hms_tracker *tracker = arg;

    tracker->watch = NULL;
    finish_close(tracker);
}

void hms_tracker_close(struct hms_tracker *tracker, void (*closed)(void *arg), void *arg)
{
    tracker->is_closing = 1;
    tracker->closed = closed;
    tracker->closed_arg = arg;
    hms_docker_watch_close(tracker->watch, on_watch_closed, tracker);
}
