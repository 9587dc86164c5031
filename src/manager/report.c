/*
 * The monitor log. Owns the heartbeat timer. An entry is made when it is asked for and then never
 * changed, so that it can be handed out by reference.
 */
#include "manager/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/bus.h"
#include "core/clock.h"
#include "core/hash.h"
#include "core/json.h"
#include "manager/inventory.h"
#include "manager/tracker.h"

/* Loss is news when it moved by so many points, or to or from nothing at all. */
#define LOSS_STEP_PCT 5.0
/* Measurements alone raise no update, but are never older than this at the controller. */
#define REFRESH_MS 5000

struct hms_report {
    uv_loop_t *loop;
    struct hms_bus *bus;
    struct hms_inventory *inventory;
    struct hms_tracker *tracker;
    const struct hms_manager_options *options;
    char *address;
    int is_update_flag_up;
    uv_timer_t heartbeat;
    int64_t refreshed_ms;
    void (*closed)(void *arg);
    void *closed_arg;
};

static int is_ignored(const struct hms_container *container)
{
    return container->supervision == HMS_REASON_IGNORED ||
           container->supervision == HMS_REASON_IGNORED_BY_LABEL;
}

/* Where a container is probed; "" if it is not, with *why in words. */
static const char *address_of(const struct hms_report *report,
                              const struct hms_container *container, const char **why)
{
    size_t count;
    const struct hms_docker_network *networks = hms_tracker_networks(report->tracker, &count);
    const char *address = "";

    hms_supervision_address(&container->info, networks, count, &address, why);
    return address;
}

static char *describe_end(const struct hms_container *container)
{
    const char *cause = hms_cause_name(container->end.cause);
    const char *reason = hms_reason_text(container->standing);
    int signal = hms_exit_signal(&container->end);

    if (signal != 0)
        return hms_asprintf("%s (signal %d): %s", cause, signal, reason);
    if (container->end.exit_code >= 0)
        return hms_asprintf("%s (exit code %d): %s", cause, container->end.exit_code, reason);
    return hms_asprintf("%s: %s", cause, reason);
}

/* One sentence for people: how it is, and what holds HMS back if anything does. Free it. */
static char *describe(const struct hms_report *report, const struct hms_container *container)
{
    const char *why = "supervised";

    if (container->labels.problem[0] != '\0')
        return hms_strdup(container->labels.problem);
    if (is_ignored(container))
        return hms_asprintf("ignored: %s", hms_reason_text(container->supervision));
    if (!hms_container_is_up(container) && container->end.cause != HMS_CAUSE_NONE)
        return describe_end(container);
    if (container->standing != HMS_REASON_CLEAR)
        return hms_strdup(hms_reason_text(container->standing));
    if (container->health.is_bad)
        return hms_asprintf("loses %.1f %% of its packets", container->measure.loss_pct);
    if (container->state == HMS_DOCKER_RUNNING)
        address_of(report, container, &why);
    return hms_strdup(why);
}

/* To a fraction of 1 / parts; a multiple of 0.1 or 0.001 would show more digits than it has. */
static json_t *rounded(double value, double parts)
{
    return json_real(round(value * parts) / parts);
}

static void set_measure(json_t *entry, const struct hms_container *container)
{
    const struct hms_measure *measure = &container->measure;
    char text[16] = "n/a";

    if (!measure->is_known) {
        json_object_set_new(entry, "packet_loss", json_string(text));
        json_object_set_new(entry, "loss_pct", json_null());
        json_object_set_new(entry, "rtt_ms", json_null());
        return;
    }
    snprintf(text, sizeof(text), "%.1f%%", measure->loss_pct);
    json_object_set_new(entry, "packet_loss", json_string(text));
    json_object_set_new(entry, "loss_pct", rounded(measure->loss_pct, 10));
    json_object_set_new(entry, "rtt_ms",
                        json_pack("{s:o, s:o, s:o}", "min", rounded(measure->rtt_min_ms, 1000),
                                  "avg", rounded(measure->rtt_avg_ms, 1000), "max",
                                  rounded(measure->rtt_max_ms, 1000)));
}

static json_t *make_entry(const struct hms_report *report, struct hms_container *container)
{
    struct hms_decision *last = hms_decisions_last(&container->decisions);
    char since[HMS_CLOCK_TEXT_SIZE];
    char *details = describe(report, container);
    json_t *entry = json_object();
    const char *why;

    json_object_set_new(entry, "id", json_string(container->id));
    json_object_set_new(entry, "name", hms_json_text(container->info.name));
    json_object_set_new(entry, "image", hms_json_text(container->info.image));
    json_object_set_new(
        entry, "container_state",
        json_string(is_ignored(container) ? "disabled" : hms_docker_state_name(container->state)));
    json_object_set_new(
        entry, "service_state",
        json_string(container->supervision == HMS_REASON_CLEAR ? "enable" : "disable"));
    json_object_set_new(entry, "details", hms_json_text(details));
    free(details);
    if (is_ignored(container))
        return entry;
    json_object_set_new(entry, "address", json_string(address_of(report, container, &why)));
    set_measure(entry, container);
    json_object_set_new(entry, "up", json_boolean(hms_container_is_up(container)));
    json_object_set_new(entry, "supervised",
                        json_boolean(container->supervision == HMS_REASON_CLEAR));
    json_object_set_new(entry, "healthy", json_boolean(!container->health.is_bad));
    json_object_set_new(entry, "restarts", json_integer((json_int_t)container->restarts));
    json_object_set_new(entry, "since", json_string(hms_clock_format(container->since_ns, since)));
    json_object_set_new(entry, "guard", json_string(hms_reason_word(container->standing)));
    json_object_set_new(entry, "last_decision", last ? hms_decision_json(last) : json_null());
    return entry;
}

static uint64_t sign(const struct hms_report *report, const struct hms_container *container)
{
    const char *why, *address = address_of(report, container, &why);
    const int64_t parts[] = {
        container->state,
        container->supervision,
        container->standing,
        container->health.is_bad,
        container->end.cause,
        container->guard.is_quarantined,
        (int64_t)container->life,
        (int64_t)container->restarts,
        (int64_t)container->decisions.count,
        container->measure.is_known,
    };
    uint64_t value = HMS_HASH_SEED;

    value = hms_hash(value, parts, sizeof(parts));
    value = hms_hash(value, address, strlen(address));
    return hms_hash(value, container->info.name, strlen(container->info.name));
}

static int is_loss_news(const struct hms_container *container)
{
    double now_pct = container->measure.loss_pct;
    double told_pct = container->announced_loss_pct;

    return fabs(now_pct - told_pct) >= LOSS_STEP_PCT || (now_pct > 0) != (told_pct > 0);
}

void hms_report_announce(struct hms_report *report)
{
    if (report->is_update_flag_up)
        return;
    report->is_update_flag_up = 1;
    hms_bus_notify(report->bus, HMS_BUS_CONTROLLER, NULL,
                   json_pack("{s:s, s:s}", "command", "update", "address", report->address));
}

void hms_report_touch(struct hms_report *report, struct hms_container *container)
{
    uint64_t signature;

    if (!container->is_inspected)
        return;
    json_decref(container->entry);
    container->entry = NULL;
    signature = sign(report, container);
    if (signature == container->signature && !is_loss_news(container))
        return;
    container->signature = signature;
    container->announced_loss_pct = container->measure.loss_pct;
    hms_report_announce(report);
}

json_t *hms_report_content(struct hms_report *report)
{
    json_t *content = json_object();
    struct hms_container *container;
    char key[HMS_DOCKER_SHORT_ID_DIGITS + 1];

    for (container = hms_inventory_first(report->inventory); container != NULL;
         container = container->hh.next) {
        if (!container->is_inspected)
            continue;
        if (container->entry == NULL)
            container->entry = make_entry(report, container);
        snprintf(key, sizeof(key), "%.*s", HMS_DOCKER_SHORT_ID_DIGITS, container->id);
        json_object_set(content, key, container->entry);
    }
    report->is_update_flag_up = 0;
    report->refreshed_ms = (int64_t)uv_now(report->loop);
    return content;
}

static void on_heartbeat(uv_timer_t *timer)
{
    struct hms_report *report = timer->data;

    hms_bus_notify(report->bus, HMS_BUS_CONTROLLER, NULL,
                   json_pack("{s:s, s:s, s:I}", "command", "live", "address", report->address,
                             "period_ms", (json_int_t)report->options->heartbeat_ms));
    if ((int64_t)uv_now(report->loop) - report->refreshed_ms >= REFRESH_MS)
        hms_report_announce(report);
}

struct hms_report *hms_report_new(uv_loop_t *loop, struct hms_bus *bus,
                                  struct hms_inventory *inventory, struct hms_tracker *tracker,
                                  const struct hms_manager_options *options)
{
    struct hms_report *report = hms_calloc(1, sizeof(*report));

    report->loop = loop;
    report->bus = bus;
    report->inventory = inventory;
    report->tracker = tracker;
    report->options = options;
    report->address = hms_strdup(options->address);
    uv_timer_init(loop, &report->heartbeat);
    report->heartbeat.data = report;
    uv_timer_start(&report->heartbeat, on_heartbeat, 0, (uint64_t)options->heartbeat_ms);
    return report;
}

static void on_heartbeat_closed(uv_handle_t *handle)
{
    struct hms_report *report = handle->data;

    report->closed(report->closed_arg);
    free(report->address);
    free(report);
}

void hms_report_close(struct hms_report *report, void (*closed)(void *arg), void *arg)
{
    report->closed = closed;
    report->closed_arg = arg;
    uv_close((uv_handle_t *)&report->heartbeat, on_heartbeat_closed);
}
