/*
 * Owns the hosts, sorted by address: look-ups are binary searches. Every change of a host ends in
 * note(), which brings the totals up to date by what that host had in them before.
 */
#include "controller/registry.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/notice.h"
#include "core/alloc.h"
#include "core/error.h"
#include "core/json.h"

struct hms_registry {
    struct hms_host **hosts;
    size_t count;
    uint64_t version;
    struct hms_registry_totals totals;
};

struct hms_registry *hms_registry_new(void)
{
    return hms_calloc(1, sizeof(struct hms_registry));
}

void hms_registry_free(struct hms_registry *registry)
{
    size_t i;

    for (i = 0; i < registry->count; i++)
        hms_host_free(registry->hosts[i]);
    free(registry->hosts);
    free(registry);
}

/* ---- hosts ---- */

static int address_number(const char *address, uint32_t *number)
{
    struct in_addr in;

    if (inet_pton(AF_INET, address, &in) != 1)
        return HMS_EINVAL;
    *number = ntohl(in.s_addr);
    return HMS_OK;
}

/* The place of the address among the hosts, or where it would be inserted. */
static size_t place_of(const struct hms_registry *registry, uint32_t wanted, int *found)
{
    size_t low = 0, high = registry->count;

    *found = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint32_t number = 0;

        address_number(registry->hosts[middle]->address, &number);
        if (number == wanted) {
            *found = 1;
            return middle;
        }
        if (number < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct hms_host *hms_registry_find(const struct hms_registry *registry, const char *address)
{
    uint32_t number;
    size_t place;
    int found;

    if (address_number(address, &number) != HMS_OK)
        return NULL;
    place = place_of(registry, number, &found);
    return found ? registry->hosts[place] : NULL;
}

static struct hms_host *insert(struct hms_registry *registry, size_t place, const char *address)
{
    struct hms_host *host = hms_host_new(address);

    registry->hosts =
        hms_realloc(registry->hosts, (registry->count + 1) * sizeof(registry->hosts[0]));
    memmove(&registry->hosts[place + 1], &registry->hosts[place],
            (registry->count - place) * sizeof(registry->hosts[0]));
    registry->hosts[place] = host;
    registry->count++;
    registry->version++;
    return host;
}

int hms_registry_enter(struct hms_registry *registry, const char *address, struct hms_host **host)
{
    uint32_t number;
    size_t place;
    int found;

    if (address_number(address, &number) != HMS_OK)
        return HMS_EINVAL;
    place = place_of(registry, number, &found);
    if (!found && registry->count >= HMS_REGISTRY_HOSTS_MAX)
        return HMS_ELIMIT;
    *host = found ? registry->hosts[place] : insert(registry, place, address);
    return HMS_OK;
}

void hms_registry_remove(struct hms_registry *registry, struct hms_host *host)
{
    struct hms_registry_totals *totals = &registry->totals;
    uint32_t number = 0;
    size_t place;
    int found;

    address_number(host->address, &number);
    place = place_of(registry, number, &found);
    assert(found && registry->hosts[place] == host && host->ask == NULL);
    hms_totals_add(&totals->containers, &host->counted, -1);
    totals->hosts_present -= host->is_counted_present;
    totals->hosts_updated -= host->is_counted_updated;
    registry->count--;
    memmove(&registry->hosts[place], &registry->hosts[place + 1],
            (registry->count - place) * sizeof(registry->hosts[0]));
    registry->version++;
    host->is_removed = 1;
    hms_registry_hold(host);
    hms_registry_release(host);
}

void hms_registry_hold(struct hms_host *host)
{
    host->holds++;
}

void hms_registry_release(struct hms_host *host)
{
    if (--host->holds == 0 && host->is_removed)
        hms_host_free(host);
}

size_t hms_registry_count(const struct hms_registry *registry)
{
    return registry->count;
}

struct hms_host *hms_registry_at(const struct hms_registry *registry, size_t index)
{
    return registry->hosts[index];
}

uint64_t hms_registry_version(const struct hms_registry *registry)
{
    return registry->version;
}

const struct hms_registry_totals *hms_registry_totals(const struct hms_registry *registry)
{
    return &registry->totals;
}

/* ---- events ---- */

static void note(struct hms_registry *registry, struct hms_host *host)
{
    struct hms_registry_totals *totals = &registry->totals;
    int is_present = host->state != HMS_HOST_OFFLINE;
    int is_updated = is_present && host->sync.status == HMS_STATUS_UPDATED;

    if (host->is_removed)
        return;
    hms_totals_add(&totals->containers, &host->counted, -1);
    totals->hosts_present += is_present - host->is_counted_present;
    totals->hosts_updated += is_updated - host->is_counted_updated;
    host->counted = host->totals;
    if (!is_present)
        host->counted.up = 0;
    host->is_counted_present = is_present;
    host->is_counted_updated = is_updated;
    hms_totals_add(&totals->containers, &host->counted, 1);
    registry->version++;
}

/* What comes without a version of its own: good for the life that the content is of. */
static void take_measures(struct hms_host *host, const struct hms_notice *notice)
{
    if (notice->point.epoch == 0 || notice->point.epoch != host->sync.content.epoch)
        return;
    hms_host_set_report(host, json_incref((json_t *)notice->host));
    if (notice->measures != NULL)
        hms_host_measure(host, notice->measures);
}

enum hms_sync_step hms_registry_heard(struct hms_registry *registry, struct hms_host *host,
                                      const struct hms_notice *notice, int64_t now_ms,
                                      int64_t wall_ns)
{
    enum hms_sync_step step =
        hms_sync_heard(&host->sync, now_ms, notice->period_ms, notice->point, notice->base);

    host->last_alive_ns = wall_ns;
    host->notifications++;
    if (step == HMS_SYNC_FOLLOWS)
        hms_host_change(host, notice->removed, notice->changed);
    if (step == HMS_SYNC_FOLLOWS || notice->kind == HMS_NOTICE_LIVE)
        take_measures(host, notice);
    note(registry, host);
    return step;
}

void hms_registry_changed(struct hms_registry *registry, struct hms_host *host)
{
    hms_sync_changed(&host->sync);
    note(registry, host);
}

void hms_registry_asked(struct hms_host *host)
{
    hms_sync_asked(&host->sync);
    host->asks++;
}

void hms_registry_ask_failed(struct hms_registry *registry, struct hms_host *host)
{
    hms_sync_failed(&host->sync);
    host->asks_failed++;
    note(registry, host);
}

static int check_answer(const struct hms_host *host, const json_t *message,
                        char error[HMS_JSON_ERROR_SIZE])
{
    const char *command = hms_json_string(message, "command");
    const json_t *address = json_object_get(message, "address");
    const json_t *report = json_object_get(message, "host");

    if (command == NULL || strcmp(command, "ok") != 0) {
        const char *description = hms_json_string(message, "description");

        snprintf(error, HMS_JSON_ERROR_SIZE, "%s",
                 description ? description : "refused without a reason");
        return HMS_EPROTO;
    }
    if (address != NULL &&
        (!json_is_string(address) || strcmp(json_string_value(address), host->address) != 0)) {
        snprintf(error, HMS_JSON_ERROR_SIZE, "address is not that of the host");
        return HMS_EPROTO;
    }
    if (report != NULL && !json_is_object(report)) {
        snprintf(error, HMS_JSON_ERROR_SIZE, "host must be an object");
        return HMS_EPROTO;
    }
    return hms_notice_check_content(json_object_get(message, "content"), "content", error);
}

int hms_registry_answered(struct hms_registry *registry, struct hms_host *host,
                          const json_t *message, int64_t now_ms, int64_t wall_ns,
                          char error[HMS_JSON_ERROR_SIZE])
{
    json_t *report = json_object_get(message, "host");
    struct hms_sync_point point = {0};
    int result = check_answer(host, message, error);

    if (result == HMS_OK)
        result = hms_notice_read_point(message, &point, error);
    if (result != HMS_OK) {
        hms_registry_ask_failed(registry, host);
        return result;
    }
    if (hms_sync_answered(&host->sync, now_ms, point))
        hms_host_set_content(host, json_incref(json_object_get(message, "content")),
                             json_incref(report));
    host->last_alive_ns = wall_ns;
    note(registry, host);
    return HMS_OK;
}

static enum hms_host_state state_of(const struct hms_host *host, enum hms_contact contact)
{
    const char *word = hms_json_string(host->report, "state");

    switch (contact) {
    case HMS_CONTACT_OFFLINE:
        return HMS_HOST_OFFLINE;
    case HMS_CONTACT_STALE:
        return HMS_HOST_STALE;
    case HMS_CONTACT_ONLINE:
        break;
    }
    return word != NULL && strcmp(word, "degraded") == 0 ? HMS_HOST_DEGRADED : HMS_HOST_ONLINE;
}

void hms_registry_check(struct hms_registry *registry, struct hms_host *host,
                        const struct hms_registry_times *times)
{
    enum hms_manager_status status = host->sync.status;
    enum hms_host_state state = state_of(
        host, hms_sync_check(&host->sync, times->now_ms, times->hearing_ms, times->expiry_ms));

    if (host->state_since_ns == 0 || state != host->state)
        host->state_since_ns = times->wall_ns;
    else if (status == host->sync.status)
        return;
    host->state = state;
    note(registry, host);
}
