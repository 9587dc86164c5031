/* Makes entries of the monitor log. */
#include "manager/entry.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/hash.h"
#include "core/json.h"
#include "manager/inventory.h"

/* A round trip's mean is told anew when it moved by this and by a quarter. */
#define RTT_STEP_MS 0.1

static int is_ignored(const struct hms_container *container)
{
    return container->supervision == HMS_REASON_IGNORED ||
           container->supervision == HMS_REASON_IGNORED_BY_LABEL;
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

/*
 * One sentence for people: how it is, and what holds HMS back if anything does. probed tells how it
 * is probed. Free it.
 */
static char *describe(const struct hms_container *container, const char *probed)
{
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
    return hms_strdup(container->state == HMS_DOCKER_RUNNING ? probed : "supervised");
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

json_t *hms_entry_make(struct hms_container *container, const struct hms_docker_network *networks,
                       size_t network_count)
{
    struct hms_decision *last = hms_decisions_last(&container->decisions);
    const char *address = "", *probed = "supervised";
    char since[HMS_CLOCK_TEXT_SIZE];
    json_t *entry = json_object();
    char *details;

    hms_supervision_address(&container->info, networks, network_count, &address, &probed);
    details = describe(container, probed);
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
    json_object_set_new(entry, "address", json_string(address));
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

uint64_t hms_entry_sign(struct hms_container *container, const struct hms_docker_network *networks,
                        size_t network_count)
{
    const struct hms_decision *last = hms_decisions_last(&container->decisions);
    const char *address = "", *probed = "";
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
        last ? last->outcome : 0,
        last ? last->helped : 0,
        last ? last->done_ns : 0,
        container->measure.is_known,
    };
    uint64_t value = HMS_HASH_SEED;

    hms_supervision_address(&container->info, networks, network_count, &address, &probed);
    value = hms_hash(value, parts, sizeof(parts));
    value = hms_hash(value, address, strlen(address));
    value = hms_hash(value, probed, strlen(probed));
    return hms_hash(value, container->info.name, strlen(container->info.name));
}

int hms_entry_is_loss_news(const struct hms_container *container, double step_pct)
{
    double now_pct = container->measure.loss_pct;
    double told_pct = container->announced_loss_pct;

    if (now_pct == told_pct)
        return 0;
    return fabs(now_pct - told_pct) >= step_pct || (now_pct > 0) != (told_pct > 0);
}

int hms_entry_is_measure_news(const struct hms_container *container)
{
    const struct hms_measure *now = &container->measure, *told = &container->told;
    double moved_ms = fabs(now->rtt_avg_ms - told->rtt_avg_ms);

    if (!now->is_known || is_ignored(container))
        return 0;
    return now->loss_pct != told->loss_pct ||
           (moved_ms >= RTT_STEP_MS && moved_ms >= told->rtt_avg_ms / 4);
}

json_t *hms_entry_measure(const struct hms_container *container)
{
    const struct hms_measure *measure = &container->measure;

    return json_pack("[o, o, o, o]", rounded(measure->loss_pct, 10),
                     rounded(measure->rtt_min_ms, 1000), rounded(measure->rtt_avg_ms, 1000),
                     rounded(measure->rtt_max_ms, 1000));
}
