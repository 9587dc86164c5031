/* Adds up the registry for GET /platform; owns the availability rings and the last samples. */
#include "controller/platform.h"

#include <stdlib.h>

#include "controller/availability.h"
#include "controller/gather.h"
#include "controller/registry.h"
#include "controller/standby.h"
#include "core/alloc.h"
#include "core/bus.h"
#include "core/error.h"
#include "core/json.h"
#include "core/loop.h"

/* Ten seconds between the oldest and the newest. */
#define SAMPLES 11

struct sample {
    int64_t at_ms;
    struct hms_platform_totals totals;
};

struct hms_platform {
    struct hms_platform_sources sources;
    struct hms_availability containers;  /* those under supervision that are up */
    struct hms_availability information; /* hosts of which no update is pending */
    struct hms_availability complete;    /* the registry, while that is so of all of them */
    struct sample samples[SAMPLES];      /* a ring */
    size_t sample_count;                 /* taken so far */
};

struct hms_platform *hms_platform_new(const struct hms_platform_sources *sources, int64_t now_ms)
{
    struct hms_platform *platform = hms_calloc(1, sizeof(*platform));

    platform->sources = *sources;
    hms_availability_init(&platform->containers, now_ms);
    hms_availability_init(&platform->information, now_ms);
    hms_availability_init(&platform->complete, now_ms);
    return platform;
}

void hms_platform_free(struct hms_platform *platform)
{
    free(platform);
}

void hms_platform_observe(struct hms_platform *platform, int64_t now_ms)
{
    const struct hms_registry_totals *totals = hms_registry_totals(platform->sources.registry);

    hms_availability_set(&platform->containers, now_ms, (size_t)totals->containers.supervised,
                         (size_t)totals->containers.up);
    hms_availability_set(&platform->information, now_ms, (size_t)totals->hosts_present,
                         (size_t)totals->hosts_updated);
    hms_availability_set(&platform->complete, now_ms, totals->hosts_present > 0,
                         totals->hosts_present > 0 &&
                             totals->hosts_updated == totals->hosts_present);
}

void hms_platform_sample(struct hms_platform *platform, int64_t now_ms,
                         const struct hms_platform_totals *totals)
{
    platform->samples[platform->sample_count % SAMPLES] =
        (struct sample){.at_ms = now_ms, .totals = *totals};
    platform->sample_count++;
}

/* ---- GET /platform ---- */

static json_t *hosts_json(const struct hms_registry *registry)
{
    static const enum hms_host_state states[] = {HMS_HOST_ONLINE, HMS_HOST_STALE, HMS_HOST_OFFLINE,
                                                 HMS_HOST_DEGRADED};
    json_t *object = json_pack("{s:I}", "total", (json_int_t)hms_registry_count(registry));
    size_t i, s, count;

    for (s = 0; s < sizeof(states) / sizeof(states[0]); s++) {
        for (i = count = 0; i < hms_registry_count(registry); i++)
            count += hms_registry_at(registry, i)->state == states[s];
        json_object_set_new(object, hms_host_state_name(states[s]),
                            json_integer((json_int_t)count));
    }
    return object;
}

static json_t *containers_json(const struct hms_registry *registry)
{
    const struct hms_totals *totals = &hms_registry_totals(registry)->containers;
    json_t *by_state = json_object();
    size_t i;

    for (i = 0; i < HMS_TOTALS_STATES; i++)
        if (totals->by_state[i] > 0)
            json_object_set_new(by_state, hms_totals_state_name(i),
                                json_integer(totals->by_state[i]));
    return json_pack("{s:I, s:I, s:I, s:o}", "total", (json_int_t)totals->containers, "supervised",
                     (json_int_t)totals->supervised, "up", (json_int_t)totals->up, "by_state",
                     by_state);
}

/* null while there is nothing to take a share of. */
static json_t *day_pct(struct hms_availability *availability, int64_t now_ms)
{
    double pct;

    if (hms_availability_pct(availability, now_ms, &pct) != HMS_OK)
        return json_null();
    return json_real(pct);
}

static json_t *availability_json(struct hms_availability *availability, int64_t now_ms)
{
    json_t *now_pct = json_null();

    if (availability->total > 0)
        now_pct = json_real(100.0 * (double)availability->good / (double)availability->total);
    return json_pack("{s:o, s:o}", "now_pct", now_pct, "last_24h_pct",
                     day_pct(availability, now_ms));
}

static json_t *information_json(struct hms_platform *platform, int64_t now_ms)
{
    json_t *object = availability_json(&platform->information, now_ms);

    json_object_set_new(object, "all_hosts_last_24h_pct", day_pct(&platform->complete, now_ms));
    return object;
}

static double per_second(const struct sample *first, const struct sample *last, uint64_t before,
                         uint64_t after)
{
    int64_t span_ms = last->at_ms - first->at_ms;

    return span_ms > 0 ? (double)(after - before) * 1000.0 / (double)span_ms : 0.0;
}

static void add_traffic(const struct hms_platform *platform, json_t *object)
{
    static const struct sample nothing;
    size_t count = platform->sample_count;
    const struct sample *first = count > 0 ? &platform->samples[0] : &nothing;
    const struct sample *last = count > 0 ? &platform->samples[(count - 1) % SAMPLES] : &nothing;
    const struct hms_platform_totals *from, *to;

    if (count > SAMPLES)
        first = &platform->samples[count % SAMPLES];
    from = &first->totals;
    to = &last->totals;
    json_object_set_new(object, "monitoring",
                        json_pack("{s:I, s:I, s:f, s:f}", "messages", (json_int_t)to->bus_messages,
                                  "bytes", (json_int_t)to->bus_bytes, "messages_per_s",
                                  per_second(first, last, from->bus_messages, to->bus_messages),
                                  "bytes_per_s",
                                  per_second(first, last, from->bus_bytes, to->bus_bytes)));
    json_object_set_new(object, "rest",
                        json_pack("{s:I, s:f}", "bytes", (json_int_t)to->rest_bytes, "bytes_per_s",
                                  per_second(first, last, from->rest_bytes, to->rest_bytes)));
}

static json_t *manager_json(const struct hms_bus *bus, const struct hms_host *host)
{
    struct hms_bus_traffic traffic = hms_bus_peer_traffic(bus, host->address);

    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "address", host->address,
                     "manager_status", hms_sync_status_name(host->sync.status), "host_state",
                     hms_host_state_name(host->state), "containers",
                     (json_int_t)json_object_size(host->content), "notifications",
                     (json_int_t)host->notifications, "asks", (json_int_t)host->asks, "asks_failed",
                     (json_int_t)host->asks_failed, "messages", (json_int_t)traffic.messages,
                     "bytes", (json_int_t)traffic.bytes);
}

static json_t *managers_json(const struct hms_platform_sources *sources)
{
    json_t *list = json_array();
    size_t i;

    for (i = 0; i < hms_registry_count(sources->registry); i++)
        json_array_append_new(list,
                              manager_json(sources->bus, hms_registry_at(sources->registry, i)));
    return list;
}

static json_t *bus_json(const struct hms_platform_sources *sources)
{
    static const char *const contacts[] = {
        [HMS_BUS_DOWN] = "down", [HMS_BUS_CONGESTED] = "congested", [HMS_BUS_READY] = "ready"};
    struct hms_bus_troubles troubles = hms_bus_troubles(sources->bus);

    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "contact",
                     contacts[hms_bus_contact(sources->bus)], "malformed",
                     (json_int_t)troubles.malformed, "oversized", (json_int_t)troubles.oversized,
                     "unexpected", (json_int_t)troubles.unexpected, "refused",
                     (json_int_t)troubles.refused, "disconnects", (json_int_t)troubles.disconnects);
}

static json_t *notifications_json(const struct hms_gather_drops *drops)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "malformed", (json_int_t)drops->malformed,
                     "unknown", (json_int_t)drops->unknown, "strangers",
                     (json_int_t)drops->strangers, "repeated", (json_int_t)drops->repeated, "gaps",
                     (json_int_t)drops->gaps, "rivals", (json_int_t)drops->rivals);
}

static json_t *controller_json(const struct hms_platform_sources *sources)
{
    const struct hms_standby *standby = sources->standby;

    return json_pack(
        "{s:s, s:s?, s:f}", "role", hms_standby_is_active(standby) ? "active" : "standby", "active",
        hms_standby_active(standby), "loop_lag_max_ms", hms_loop_lag_max_ms(sources->loop));
}

json_t *hms_platform_json(struct hms_platform *platform, int64_t now_ms)
{
    const struct hms_platform_sources *sources = &platform->sources;
    json_t *description = json_object();

    json_object_set_new(description, "controller", controller_json(sources));
    json_object_set_new(description, "hosts", hosts_json(sources->registry));
    json_object_set_new(description, "containers", containers_json(sources->registry));
    json_object_set_new(description, "availability",
                        availability_json(&platform->containers, now_ms));
    json_object_set_new(description, "information_availability",
                        information_json(platform, now_ms));
    add_traffic(platform, description);
    json_object_set_new(description, "bus", bus_json(sources));
    json_object_set_new(description, "notifications",
                        notifications_json(hms_gather_drops(sources->gather)));
    json_object_set_new(description, "managers", managers_json(sources));
    return json_pack("{s:s, s:o}", "command", "ok", "description", description);
}
