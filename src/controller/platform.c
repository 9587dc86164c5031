/* Adds up the registry for GET /platform; owns the availability ring and the last samples. */
#include "controller/platform.h"

#include <stdlib.h>
#include <string.h>

#include "controller/availability.h"
#include "controller/registry.h"
#include "core/alloc.h"
#include "core/error.h"
#include "core/json.h"

/* Ten seconds between the oldest and the newest. */
#define SAMPLES 11

struct sample {
    int64_t at_ms;
    struct hms_platform_totals totals;
};

struct hms_platform {
    const struct hms_registry *registry;
    struct hms_availability availability;
    struct sample samples[SAMPLES]; /* a ring */
    size_t sample_count;            /* taken so far */
};

struct hms_platform *hms_platform_new(const struct hms_registry *registry, int64_t now_ms)
{
    struct hms_platform *platform = hms_calloc(1, sizeof(*platform));

    platform->registry = registry;
    hms_availability_init(&platform->availability, now_ms);
    return platform;
}

void hms_platform_free(struct hms_platform *platform)
{
    free(platform);
}

void hms_platform_observe(struct hms_platform *platform, int64_t now_ms)
{
    size_t supervised, up;

    hms_registry_availability(platform->registry, &supervised, &up);
    hms_availability_set(&platform->availability, now_ms, supervised, up);
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

/* Docker's words, and protocol.md's; what else a peer may say is counted together. */
static const char *known_state(const char *word)
{
    static const char *const words[] = {"created", "running", "paused",   "restarting", "removing",
                                        "exited",  "dead",    "disabled", "restart",    "offline"};
    size_t i;

    for (i = 0; word != NULL && i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i], word) == 0)
            return words[i];
    return "other";
}

static json_t *containers_json(const struct hms_registry *registry)
{
    json_t *by_state = json_object();
    size_t i, total = 0, supervised, up;

    for (i = 0; i < hms_registry_count(registry); i++) {
        const json_t *content = hms_registry_at(registry, i)->content;
        const char *key;
        json_t *entry;

        total += json_object_size(content);
        json_object_foreach((json_t *)content, key, entry)
        {
            const char *state = known_state(hms_json_string(entry, "container_state"));

            json_object_set_new(by_state, state,
                                json_integer(hms_json_int(by_state, state, 0) + 1));
        }
    }
    hms_registry_availability(registry, &supervised, &up);
    return json_pack("{s:I, s:I, s:I, s:o}", "total", (json_int_t)total, "supervised",
                     (json_int_t)supervised, "up", (json_int_t)up, "by_state", by_state);
}

static json_t *availability_json(struct hms_platform *platform, int64_t now_ms)
{
    const struct hms_availability *current = &platform->availability;
    json_t *object = json_pack("{s:n, s:n}", "now_pct", "last_24h_pct");
    double pct;

    if (current->supervised > 0)
        json_object_set_new(object, "now_pct",
                            json_real(100.0 * (double)current->up / (double)current->supervised));
    if (hms_availability_pct(&platform->availability, now_ms, &pct) == HMS_OK)
        json_object_set_new(object, "last_24h_pct", json_real(pct));
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

static json_t *managers_json(const struct hms_registry *registry)
{
    json_t *list = json_array();
    size_t i;

    for (i = 0; i < hms_registry_count(registry); i++) {
        const struct hms_host *host = hms_registry_at(registry, i);

        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "address", host->address,
                            "manager_status", hms_sync_status_name(host->sync.status), "host_state",
                            hms_host_state_name(host->state), "containers",
                            (json_int_t)json_object_size(host->content), "notifications",
                            (json_int_t)host->notifications, "asks", (json_int_t)host->asks,
                            "asks_failed", (json_int_t)host->asks_failed));
    }
    return list;
}

json_t *hms_platform_json(struct hms_platform *platform, int64_t now_ms)
{
    json_t *description = json_object();

    json_object_set_new(description, "hosts", hosts_json(platform->registry));
    json_object_set_new(description, "containers", containers_json(platform->registry));
    json_object_set_new(description, "availability", availability_json(platform, now_ms));
    add_traffic(platform, description);
    json_object_set_new(description, "managers", managers_json(platform->registry));
    return json_pack("{s:s, s:o}", "command", "ok", "description", description);
}
