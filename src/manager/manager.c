/*
 * The manager: wires tracker, rounds, healer and report around one inventory. Data flows one way:
 * the engine's facts and the probes' results into the inventory, from there to the healer, and what
 * changed to the report.
 */
#include "manager/manager.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/bus.h"
#include "core/clock.h"
#include "core/docker.h"
#include "core/error.h"
#include "core/icmp.h"
#include "core/json.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/store.h"
#include "manager/commands.h"
#include "manager/healer.h"
#include "manager/inventory.h"
#include "manager/memory.h"
#include "manager/options.h"
#include "manager/report.h"
#include "manager/rounds.h"
#include "manager/tracker.h"

/* Events older than this are not asked for, even if nothing newer is known. */
#define REPLAY_NS (24 * INT64_C(3600) * INT64_C(1000000000))
/* Facts that may be lost by a crash without harm are written at most so often. */
#define LAZY_WRITE_MS 1000

struct hms_manager {
    struct hms_manager_options options;
    struct hms_guard_limits limits;
    char *address;
    uv_loop_t *loop;
    struct hms_loop *hms_loop;
    struct hms_log *log;
    struct hms_bus *bus;
    struct hms_store *store;
    struct hms_docker *docker;
    struct hms_icmp *icmp;
    struct hms_inventory *inventory;
    struct hms_memory memory;
    struct hms_tracker *tracker;
    struct hms_rounds *rounds;
    struct hms_healer *healer;
    struct hms_report *report;
    struct hms_commands commands;
    char engine_problem[160]; /* "" while the engine answers */
    int is_ready;             /* the engine's containers are known */
    int parts_open;
    void (*closed)(void *arg);
    void *closed_arg;
};

static json_t *snapshot(void *arg)
{
    struct hms_manager *manager = arg;

    if (manager->tracker != NULL && hms_tracker_last_event_ns(manager->tracker) != 0)
        manager->memory.last_event_ns = hms_tracker_last_event_ns(manager->tracker);
    return hms_memory_document(manager->inventory, &manager->memory);
}

static void remember_now(void *arg, void (*settled)(void *waiter, int error), void *waiter)
{
    struct hms_manager *manager = arg;

    hms_store_write(manager->store, 0, snapshot, manager);
    hms_store_sync(manager->store, settled, waiter);
}

static void remember_soon(void *arg)
{
    struct hms_manager *manager = arg;

    hms_store_write(manager->store, LAZY_WRITE_MS, snapshot, manager);
}

/* Decides and reports anew about a container of which something has changed. */
static void reconsider(void *arg, struct hms_container *container)
{
    struct hms_manager *manager = arg;

    container->supervision =
        hms_supervision_of(&container->info, &container->labels, manager->options.supervise,
                           container->is_ignored, container->is_seen);
    hms_healer_consider(manager->healer, container);
    hms_report_touch(manager->report, container);
}

static void on_container_changed(void *arg, struct hms_container *container)
{
    struct hms_manager *manager = arg;

    if (container->state != HMS_DOCKER_RUNNING || !container->is_address_known)
        hms_rounds_give_up(manager->rounds, container);
    reconsider(arg, container);
    remember_soon(arg);
}

static void on_container_removed(void *arg, struct hms_container *container)
{
    struct hms_manager *manager = arg;

    hms_rounds_give_up(manager->rounds, container);
    hms_report_remove(manager->report, container);
    remember_soon(manager);
}

static void on_synced(void *arg)
{
    struct hms_manager *manager = arg;

    manager->engine_problem[0] = '\0';
    manager->is_ready = 1;
    hms_healer_set_synced(manager->healer, 1);
    hms_report_touch_host(manager->report);
}

static void on_engine_down(void *arg, const char *reason)
{
    struct hms_manager *manager = arg;

    snprintf(manager->engine_problem, sizeof(manager->engine_problem),
             "the Docker Engine does not answer: %s", reason);
    hms_healer_set_synced(manager->healer, 0);
    hms_report_touch_host(manager->report);
}

static void on_result(void *arg, struct hms_container *container)
{
    struct hms_manager *manager = arg;

    hms_healer_prove(manager->healer, container, container->health.bad_rounds == 0);
    hms_healer_consider(manager->healer, container);
    hms_report_touch(manager->report, container);
}

static void on_storm(void *arg, int is_active)
{
    struct hms_manager *manager = arg;

    hms_healer_set_storm(manager->healer, is_active);
    hms_report_touch_host(manager->report);
}

/* The ends of calls that are given up while we close are nobody's news any more. */
static void on_decision(void *arg, struct hms_container *container)
{
    struct hms_manager *manager = arg;

    if (manager->tracker != NULL)
        hms_report_touch(manager->report, container);
}

static void on_doubt(void *arg, struct hms_container *container)
{
    struct hms_manager *manager = arg;

    hms_tracker_refresh(manager->tracker, container);
}

static json_t *describe_rounds(const struct hms_manager *manager)
{
    struct hms_rounds_counters rounds = hms_rounds_counters(manager->rounds);

    return json_pack("{s:I, s:I, s:i, s:f}", "completed", (json_int_t)rounds.rounds,
                     "incomplete_results", (json_int_t)rounds.incomplete, "targets",
                     rounds.last_targets, "wall_ms", rounds.last_wall_ms);
}

static json_t *describe_prober(const struct hms_manager *manager)
{
    struct hms_icmp_counters prober = hms_icmp_counters(manager->icmp);

    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "backend",
                     hms_icmp_backend_name(manager->icmp), "sent", (json_int_t)prober.sent,
                     "received", (json_int_t)prober.received, "late", (json_int_t)prober.late,
                     "foreign", (json_int_t)prober.foreign, "retries", (json_int_t)prober.retries,
                     "kernel_drops", (json_int_t)prober.kernel_drops, "shifted_ms",
                     (json_int_t)prober.shifted_ms);
}

static json_t *describe_host(void *arg)
{
    struct hms_manager *manager = arg;
    const char *problem = manager->engine_problem;

    if (problem[0] == '\0' && hms_rounds_is_storm(manager->rounds))
        problem = hms_reason_text(HMS_REASON_STORM);
    return json_pack("{s:s, s:o, s:b, s:f, s:b, s:o, s:o, s:f, s:I, s:I}", "state",
                     problem[0] != '\0' ? "degraded" : "online", "reason", hms_json_text(problem),
                     "ready", manager->is_ready, "threshold", manager->memory.threshold_pct,
                     "observe", manager->options.observe, "rounds", describe_rounds(manager),
                     "prober", describe_prober(manager), "loop_lag_max_ms",
                     hms_loop_lag_max_ms(manager->hms_loop), "state_write_failures",
                     (json_int_t)hms_store_failures(manager->store), "log_lines_dropped",
                     (json_int_t)hms_log_dropped(manager->log));
}

static const struct hms_docker_network *networks(void *arg, size_t *count)
{
    struct hms_manager *manager = arg;

    return hms_tracker_networks(manager->tracker, count);
}

static void set_limits(struct hms_manager *manager)
{
    const struct hms_manager_options *options = &manager->options;

    manager->limits = (struct hms_guard_limits){
        .backoff_min_ms = options->backoff_min_ms,
        .backoff_max_ms = options->backoff_max_ms,
        .stable_ms = options->stable_ms,
        .window_ms = options->restart_window_ms,
        .restart_limit = options->restart_limit,
        .loss_restart_limit = options->loss_restart_limit,
        .start_grace_ms = options->start_grace_ms,
    };
}

static int recall(struct hms_manager *manager, char *error, size_t error_size)
{
    json_t *document;
    int left_out;
    int result =
        hms_store_open(&manager->store, manager->loop, manager->log, manager->options.state_dir,
                       "manager", &document, error, error_size);

    if (result != HMS_OK)
        return result;
    manager->memory.threshold_pct = manager->options.threshold_pct;
    if (document == NULL)
        return HMS_OK;
    left_out = hms_memory_recall(document, manager->inventory, &manager->memory);
    json_decref(document);
    if (left_out > 0)
        hms_log(manager->log, HMS_LOG_ERROR, "manager",
                "%d entries of the state file were not understood and left out", left_out);
    return HMS_OK;
}

static void start_parts(struct hms_manager *manager)
{
    static const struct hms_tracker_handlers tracker_handlers = {
        .on_changed = on_container_changed,
        .on_removed = on_container_removed,
        .on_synced = on_synced,
        .on_down = on_engine_down,
    };
    static const struct hms_rounds_handlers rounds_handlers = {
        .on_result = on_result,
        .on_storm = on_storm,
    };
    static const struct hms_healer_handlers healer_handlers = {
        .on_changed = on_decision,
        .on_doubt = on_doubt,
        .on_remember = remember_soon,
    };
    const struct hms_report_sources report_sources = {
        .networks = networks,
        .describe_host = describe_host,
        .arg = manager,
    };
    int64_t oldest_ns = hms_clock_wall_ns() - REPLAY_NS;
    struct hms_tracker_options tracker_options = {
        .since_ns =
            manager->memory.last_event_ns > oldest_ns ? manager->memory.last_event_ns : oldest_ns,
        .is_newcomer = manager->memory.last_event_ns == 0,
        .list_period_ms = manager->options.reconcile_ms,
    };

    manager->healer =
        hms_healer_new(manager->loop, manager->log, manager->docker, manager->inventory,
                       &manager->options, &healer_handlers, manager);
    manager->tracker =
        hms_tracker_new(manager->loop, manager->log, manager->docker, manager->inventory,
                        &tracker_options, &tracker_handlers, manager);
    manager->rounds = hms_rounds_new(manager->loop, manager->log, manager->icmp, manager->inventory,
                                     manager->tracker, &manager->options,
                                     &manager->memory.threshold_pct, &rounds_handlers, manager);
    manager->report = hms_report_new(manager->loop, manager->log, manager->bus, manager->inventory,
                                     &report_sources, &manager->options);
}

/* All that needed the state file is closed, and so is that. */
static void on_store_closed(void *arg)
{
    struct hms_manager *manager = arg;

    hms_inventory_free(manager->inventory);
    free(manager->address);
    if (manager->closed != NULL)
        manager->closed(manager->closed_arg);
    free(manager);
}

static void on_part_closed(void *arg)
{
    struct hms_manager *manager = arg;

    if (--manager->parts_open > 0)
        return;
    if (manager->store != NULL)
        hms_store_close(manager->store, on_store_closed, manager);
    else
        on_store_closed(manager);
}

/* Closes what is open. The ones that wait for calls come before those that carry the calls. */
static void close_parts(struct hms_manager *manager)
{
    manager->parts_open = 1; /* this function itself */
    if (manager->tracker != NULL) {
        int64_t last_event_ns = hms_tracker_last_event_ns(manager->tracker);

        if (last_event_ns != 0)
            manager->memory.last_event_ns = last_event_ns;
        manager->parts_open += 4;
        hms_tracker_close(manager->tracker, on_part_closed, manager);
        hms_healer_close(manager->healer, on_part_closed, manager);
        hms_rounds_close(manager->rounds, on_part_closed, manager);
        hms_report_close(manager->report, on_part_closed, manager);
        manager->tracker = NULL;
        remember_soon(manager);
    }
    if (manager->icmp != NULL) {
        manager->parts_open++;
        hms_icmp_close(manager->icmp, on_part_closed, manager);
    }
    if (manager->docker != NULL) {
        manager->parts_open++;
        hms_docker_close(manager->docker, on_part_closed, manager);
    }
    on_part_closed(manager);
}

static int open_parts(struct hms_manager *manager, char *error, size_t error_size)
{
    struct hms_icmp_options icmp_options = {.netns = manager->options.probe_netns,
                                            .backend = HMS_ICMP_AUTO};
    int result = hms_docker_open(&manager->docker, manager->loop, manager->log,
                                 manager->options.docker_url, error, error_size);

    if (result == HMS_OK)
        result = hms_icmp_open(&manager->icmp, manager->loop, manager->log, &icmp_options, error,
                               error_size);
    if (result == HMS_OK)
        result = recall(manager, error, error_size);
    if (result == HMS_OK)
        result = hms_bus_serve(manager->bus, HMS_BUS_MANAGER, manager->address, hms_commands_serve,
                               &manager->commands);
    return result;
}

int hms_manager_open(struct hms_manager **manager_out, struct hms_loop *loop, struct hms_log *log,
                     struct hms_bus *bus, const struct hms_manager_options *options, char *error,
                     size_t error_size)
{
    struct hms_manager *manager = hms_calloc(1, sizeof(*manager));
    int result;

    manager->options = *options;
    manager->address = hms_strdup(options->address);
    manager->options.address = manager->address;
    manager->hms_loop = loop;
    manager->loop = hms_loop_uv(loop);
    manager->log = log;
    manager->bus = bus;
    set_limits(manager);
    manager->inventory = hms_inventory_new(&manager->limits);
    result = open_parts(manager, error, error_size);
    if (result != HMS_OK) {
        close_parts(manager);
        return result;
    }
    start_parts(manager);
    manager->commands = (struct hms_commands){
        .address = manager->address,
        .inventory = manager->inventory,
        .report = manager->report,
        .memory = &manager->memory,
        .reconsider = reconsider,
        .remember = remember_now,
        .arg = manager,
    };
    *manager_out = manager;
    return HMS_OK;
}

void hms_manager_close(struct hms_manager *manager, void (*closed)(void *arg), void *arg)
{
    manager->closed = closed;
    manager->closed_arg = arg;
    hms_bus_unserve(manager->bus, HMS_BUS_MANAGER, manager->address);
    close_parts(manager);
}
