/*
 * Rounds. Owns the pause timer and the list of who is probed in the round under way; a container
 * that was stopped, started or removed meanwhile is not judged by it.
 */
#include "manager/rounds.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/icmp.h"
#include "core/log.h"
#include "manager/inventory.h"
#include "manager/tracker.h"

#define IDLE_MS 100

struct probe {
    char id[HMS_DOCKER_ID_SIZE];
    uint64_t life;
    int is_judged; /* by the round that has just ended */
};

struct hms_rounds {
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_icmp *icmp;
    struct hms_inventory *inventory;
    struct hms_tracker *tracker;
    const struct hms_manager_options *options;
    const double *threshold_pct;
    struct hms_rounds_handlers handlers;
    void *arg;
    uv_timer_t timer;
    struct probe *probes;
    union hms_icmp_address *targets;
    size_t capacity;
    size_t count; /* of the round under way */
    uint64_t number;
    int64_t began_ms; /* monotonic, as the loop has it */
    uint64_t began_ns;
    struct hms_storm storm;
    struct hms_rounds_counters counters;
    struct hms_log_limit limit;
    int is_running;
    int is_closing;
    int is_timer_closed;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void on_pause_over(uv_timer_t *timer);

static void pause_then_probe(struct hms_rounds *rounds)
{
    uv_timer_start(&rounds->timer, on_pause_over, (uint64_t)rounds->options->round_pause_ms, 0);
}

/* Nothing could be probed: looks again a moment later, however short the pause is. */
static void idle_then_probe(struct hms_rounds *rounds)
{
    uint64_t pause_ms = (uint64_t)rounds->options->round_pause_ms;

    uv_timer_start(&rounds->timer, on_pause_over, pause_ms > IDLE_MS ? pause_ms : IDLE_MS, 0);
}

static int read_address(const char *text, union hms_icmp_address *address)
{
    memset(address, 0, sizeof(*address));
    if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        return 1;
    }
    if (inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1) {
        address->v6.sin6_family = AF_INET6;
        return 1;
    }
    return 0;
}

static int is_to_be_probed(const struct hms_container *container)
{
    return container->is_inspected && container->state == HMS_DOCKER_RUNNING &&
           container->is_address_known && container->acting == 0 &&
           container->supervision != HMS_REASON_IGNORED &&
           container->supervision != HMS_REASON_IGNORED_BY_LABEL;
}

static size_t gather_targets(struct hms_rounds *rounds)
{
    size_t network_count, count = 0;
    const struct hms_docker_network *networks =
        hms_tracker_networks(rounds->tracker, &network_count);
    struct hms_container *container;
    const char *address, *why;

    if (hms_inventory_count(rounds->inventory) > rounds->capacity) {
        rounds->capacity = hms_inventory_count(rounds->inventory);
        rounds->probes = hms_realloc(rounds->probes, rounds->capacity * sizeof(*rounds->probes));
        rounds->targets = hms_realloc(rounds->targets, rounds->capacity * sizeof(*rounds->targets));
    }
    for (container = hms_inventory_first(rounds->inventory); container != NULL;
         container = container->hh.next) {
        if (!is_to_be_probed(container) ||
            !hms_supervision_address(&container->info, networks, network_count, &address, &why) ||
            !read_address(address, &rounds->targets[count]))
            continue;
        memcpy(rounds->probes[count].id, container->id, sizeof(container->id));
        rounds->probes[count].life = container->life;
        container->place_in_round = count++;
    }
    return count;
}

static double threshold_of(const struct hms_rounds *rounds, const struct hms_container *container)
{
    return container->labels.threshold_pct >= 0 ? container->labels.threshold_pct
                                                : *rounds->threshold_pct;
}

static void apply_result(struct hms_rounds *rounds, struct hms_container *container,
                         const struct hms_icmp_result *result)
{
    double loss_pct = 100.0 * (double)(result->sent - result->received) / (double)result->sent;

    container->measure = (struct hms_measure){
        .is_known = 1,
        .loss_pct = loss_pct,
        .rtt_min_ms = result->rtt_min_us / 1000.0,
        .rtt_avg_ms = result->rtt_avg_us / 1000.0,
        .rtt_max_ms = result->rtt_max_us / 1000.0,
    };
    hms_health_round(&container->health, rounds->number, loss_pct, threshold_of(rounds, container),
                     rounds->options->fall, rounds->options->rise);
}

/* The container that was probed, unless it has ended, begun or gone since then. */
static struct hms_container *still_there(struct hms_rounds *rounds, size_t i)
{
    struct hms_container *container = hms_inventory_find(rounds->inventory, rounds->probes[i].id);

    if (container == NULL || container->life != rounds->probes[i].life || container->acting != 0)
        return NULL;
    return container;
}

/* Whether a result tells the container's loss. */
static int is_telling(struct hms_rounds *rounds, const struct hms_container *container,
                      const struct hms_icmp_result *result)
{
    if (!result->complete || result->sent == 0) {
        rounds->counters.incomplete++;
        return 0;
    }
    /* The neighbour entry of an address that changed hands can take a second to settle. */
    return result->received == result->sent ||
           rounds->began_ms >= container->guard.up_since_ms + rounds->options->start_grace_ms;
}

static void judge_storm(struct hms_rounds *rounds, const struct hms_storm_tally *tally)
{
    if (!hms_storm_round(&rounds->storm, tally, (size_t)rounds->options->storm_min_probed,
                         rounds->options->storm_pct))
        return;
    if (rounds->storm.is_active)
        hms_log(rounds->log, HMS_LOG_WARN, "rounds",
                "storm guard: %zu of %zu containers turned bad at once; restarts for loss are held",
                tally->newly_bad, tally->judged);
    else
        hms_log(rounds->log, HMS_LOG_INFO, "rounds", "storm guard: over, %zu of %zu are bad",
                tally->bad, tally->judged);
    rounds->handlers.on_storm(rounds->arg, rounds->storm.is_active);
}

static void apply_results(struct hms_rounds *rounds, const struct hms_icmp_result *results,
                          size_t count)
{
    struct hms_storm_tally tally = {0};
    struct hms_container *container;
    size_t i;

    for (i = 0; i < count; i++) {
        container = still_there(rounds, i);
        rounds->probes[i].is_judged =
            container != NULL && is_telling(rounds, container, &results[i]);
        if (rounds->probes[i].is_judged)
            apply_result(rounds, container, &results[i]);
        if (container != NULL)
            hms_storm_count(&tally, &container->health, rounds->number,
                            rounds->probes[i].is_judged);
    }
    judge_storm(rounds, &tally); /* before anybody is restarted */
    for (i = 0; i < count; i++)
        if (rounds->probes[i].is_judged)
            rounds->handlers.on_result(rounds->arg,
                                       hms_inventory_find(rounds->inventory, rounds->probes[i].id));
}

static void finish_close(struct hms_rounds *rounds)
{
    if (!rounds->is_closing || !rounds->is_timer_closed || rounds->is_running)
        return;
    free(rounds->probes);
    free(rounds->targets);
    rounds->closed(rounds->closed_arg);
    free(rounds);
}

static void on_round_done(void *arg, int error, const struct hms_icmp_result *results, size_t count)
{
    struct hms_rounds *rounds = arg;

    rounds->is_running = 0;
    if (rounds->is_closing) {
        finish_close(rounds);
        return;
    }
    if (error == HMS_OK) {
        rounds->counters.rounds++;
        rounds->counters.last_wall_ms = (double)(uv_hrtime() - rounds->began_ns) / 1e6;
        rounds->counters.last_targets = (int)count;
        apply_results(rounds, results, count);
    } else if (hms_log_limit_pass(&rounds->limit, (int64_t)uv_now(rounds->loop))) {
        hms_log(rounds->log, HMS_LOG_WARN, "rounds", "round failed: %s", hms_strerror(error));
    }
    pause_then_probe(rounds);
}

static void on_pause_over(uv_timer_t *timer)
{
    struct hms_rounds *rounds = timer->data;
    struct hms_icmp_schedule schedule = {
        .count = rounds->options->probe_count,
        .interval_ms = rounds->options->probe_interval_ms,
        .timeout_ms = rounds->options->probe_timeout_ms,
    };
    int error;

    rounds->count = gather_targets(rounds);
    if (rounds->count == 0) {
        judge_storm(rounds, &(struct hms_storm_tally){0}); /* nobody is left to be bad */
        idle_then_probe(rounds);
        return;
    }
    rounds->number++;
    rounds->began_ms = (int64_t)uv_now(rounds->loop);
    rounds->began_ns = uv_hrtime();
    error = hms_icmp_round(rounds->icmp, &schedule, rounds->targets, rounds->count, on_round_done,
                           rounds);
    if (error == HMS_OK) {
        rounds->is_running = 1;
        return;
    }
    if (hms_log_limit_pass(&rounds->limit, (int64_t)uv_now(rounds->loop)))
        hms_log(rounds->log, HMS_LOG_ERROR, "rounds", "round not begun: %s", hms_strerror(error));
    idle_then_probe(rounds);
}

struct hms_rounds *hms_rounds_new(uv_loop_t *loop, struct hms_log *log, struct hms_icmp *icmp,
                                  struct hms_inventory *inventory, struct hms_tracker *tracker,
                                  const struct hms_manager_options *options,
                                  const double *threshold_pct,
                                  const struct hms_rounds_handlers *handlers, void *arg)
{
    struct hms_rounds *rounds = hms_calloc(1, sizeof(*rounds));

    rounds->loop = loop;
    rounds->log = log;
    rounds->icmp = icmp;
    rounds->inventory = inventory;
    rounds->tracker = tracker;
    rounds->options = options;
    rounds->threshold_pct = threshold_pct;
    rounds->handlers = *handlers;
    rounds->arg = arg;
    rounds->limit = (struct hms_log_limit){.period_ms = 60000, .burst = 1};
    uv_timer_init(loop, &rounds->timer);
    rounds->timer.data = rounds;
    pause_then_probe(rounds);
    return rounds;
}

void hms_rounds_give_up(struct hms_rounds *rounds, struct hms_container *container)
{
    size_t place = container->place_in_round;

    if (rounds->is_running && place < rounds->count &&
        strcmp(rounds->probes[place].id, container->id) == 0)
        hms_icmp_give_up(rounds->icmp, place);
}

int hms_rounds_is_storm(const struct hms_rounds *rounds)
{
    return rounds->storm.is_active;
}

struct hms_rounds_counters hms_rounds_counters(const struct hms_rounds *rounds)
{
    return rounds->counters;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct hms_rounds *rounds = handle->data;

    rounds->is_timer_closed = 1;
    finish_close(rounds);
}

void hms_rounds_close(struct hms_rounds *rounds, void (*closed)(void *arg), void *arg)
{
    rounds->is_closing = 1;
    rounds->closed = closed;
    rounds->closed_arg = arg;
    uv_close((uv_handle_t *)&rounds->timer, on_timer_closed);
}
