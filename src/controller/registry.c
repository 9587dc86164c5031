/* Owns the hosts, their content and its text. Sorted by address: look-ups are binary searches. */
#include "controller/registry.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/json.h"

/* Fewer digits of an id are taken for a mistake, not for a container. */
#define PREFIX_MIN_DIGITS 4

struct hms_registry {
    struct hms_host **hosts;
    size_t count;
    uint64_t version;
};

struct hms_registry *hms_registry_new(void)
{
    return hms_calloc(1, sizeof(struct hms_registry));
}

void hms_registry_free(struct hms_registry *registry)
{
    size_t i;

    for (i = 0; i < registry->count; i++) {
        struct hms_host *host = registry->hosts[i];

        json_decref(host->content);
        json_decref(host->report);
        free(host->text);
        free(host);
    }
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
    struct hms_host *host = hms_calloc(1, sizeof(*host));

    snprintf(host->address, sizeof(host->address), "%s", address);
    host->state = HMS_HOST_OFFLINE;
    host->content = json_object();
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

/* ---- events ---- */

void hms_registry_heard(struct hms_registry *registry, struct hms_host *host, int64_t now_ms,
                        int64_t wall_ns, int64_t period_ms)
{
    hms_sync_heard(&host->sync, now_ms, period_ms);
    host->last_alive_ns = wall_ns;
    host->notifications++;
    registry->version++;
}

void hms_registry_changed(struct hms_registry *registry, struct hms_host *host)
{
    hms_sync_changed(&host->sync);
    registry->version++;
}

void hms_registry_asked(struct hms_host *host)
{
    hms_sync_asked(&host->sync);
    host->asks++;
}

void hms_registry_ask_failed(struct hms_registry *registry, struct hms_host *host, int64_t now_ms)
{
    hms_sync_answered(&host->sync, now_ms, 0);
    host->asks_failed++;
    registry->version++;
}

static int check_answer(const struct hms_host *host, const json_t *message, char *error,
                        size_t error_size)
{
    const char *command = hms_json_string(message, "command");
    const char *address = hms_json_string(message, "address");
    json_t *content = json_object_get(message, "content");
    const char *key;
    json_t *entry;

    if (command == NULL || strcmp(command, "ok") != 0) {
        const char *description = hms_json_string(message, "description");

        snprintf(error, error_size, "%s", description ? description : "refused without a reason");
        return HMS_EPROTO;
    }
    if (address != NULL && strcmp(address, host->address) != 0) {
        snprintf(error, error_size, "the answer is that of %s", address);
        return HMS_EPROTO;
    }
    if (!json_is_object(content)) {
        snprintf(error, error_size, "content is missing or no object");
        return HMS_EPROTO;
    }
    if (json_object_size(content) > HMS_REGISTRY_CONTAINERS_MAX) {
        snprintf(error, error_size, "%zu containers: %d are the limit", json_object_size(content),
                 HMS_REGISTRY_CONTAINERS_MAX);
        return HMS_ELIMIT;
    }
    json_object_foreach(content, key, entry)
    {
        if (*key == '\0' || !json_is_object(entry)) {
            snprintf(error, error_size, "the entry of \"%s\" is no container", key);
            return HMS_EPROTO;
        }
    }
    return HMS_OK;
}

/* A peer tells neither `supervised` nor `up`: then Docker's word for the state decides. */
static void count_containers(struct hms_host *host)
{
    const char *key;
    json_t *entry;

    host->supervised = host->up = 0;
    json_object_foreach(host->content, key, entry)
    {
        const char *state = hms_json_string(entry, "container_state");
        int is_disabled = state != NULL && strcmp(state, "disabled") == 0;
        int is_running = state != NULL && strcmp(state, "running") == 0;

        if (!hms_json_bool(entry, "supervised", !is_disabled))
            continue;
        host->supervised++;
        host->up += hms_json_bool(entry, "up", is_running) != 0;
    }
}

int hms_registry_answered(struct hms_registry *registry, struct hms_host *host,
                          const json_t *message, int64_t now_ms, int64_t wall_ns, char *error,
                          size_t error_size)
{
    json_t *report = json_object_get(message, "host");
    int result = check_answer(host, message, error, error_size);

    if (result != HMS_OK) {
        hms_registry_ask_failed(registry, host, now_ms);
        return result;
    }
    hms_sync_answered(&host->sync, now_ms, 1);
    json_decref(host->content);
    json_decref(host->report);
    host->content = json_incref(json_object_get(message, "content"));
    host->report = json_is_object(report) ? json_incref(report) : NULL;
    host->has_content = 1;
    host->last_alive_ns = wall_ns;
    free(host->text);
    host->text = NULL;
    count_containers(host);
    registry->version++;
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

void hms_registry_check(struct hms_registry *registry, struct hms_host *host, int64_t now_ms,
                        int64_t expiry_ms)
{
    enum hms_manager_status status = host->sync.status;
    enum hms_host_state state = state_of(host, hms_sync_check(&host->sync, now_ms, expiry_ms));

    if (state != host->state || status != host->sync.status)
        registry->version++;
    host->state = state;
}

void hms_registry_availability(const struct hms_registry *registry, size_t *supervised, size_t *up)
{
    size_t i;

    *supervised = *up = 0;
    for (i = 0; i < registry->count; i++) {
        const struct hms_host *host = registry->hosts[i];

        *supervised += host->supervised;
        if (host->state != HMS_HOST_OFFLINE)
            *up += host->up;
    }
}

/* ---- containers ---- */

static int has_name(const json_t *entry, const char *wanted)
{
    const char *name = hms_json_string(entry, "name");

    return name != NULL && strcmp(name, wanted) == 0;
}

static int is_hex(const char *text)
{
    for (; *text != '\0'; text++)
        if (!isxdigit((unsigned char)*text))
            return 0;
    return 1;
}

/* Either is the beginning of the other: a peer keys by ten digits of a full id it does not tell. */
static int fits_id(const char *key, const json_t *entry, const char *wanted, size_t length)
{
    const char *id = hms_json_string(entry, "id");

    if (id != NULL)
        return strncmp(id, wanted, length) == 0;
    return strncmp(key, wanted, length) == 0 || strncmp(key, wanted, strlen(key)) == 0;
}

int hms_host_resolve(const struct hms_host *host, const char *wanted, const char **key,
                     json_t **entry)
{
    size_t length = strlen(wanted);
    int may_be_id = length >= PREFIX_MIN_DIGITS && is_hex(wanted);
    const char *fitting_key = NULL, *each_key;
    json_t *fitting = NULL, *each;
    size_t fits = 0;

    json_object_foreach(host->content, each_key, each)
    {
        if (strcmp(each_key, wanted) == 0 || has_name(each, wanted)) {
            *key = each_key;
            *entry = each;
            return HMS_OK;
        }
        if (may_be_id && fits_id(each_key, each, wanted, length)) {
            fitting_key = each_key;
            fitting = each;
            fits++;
        }
    }
    if (fits != 1)
        return fits == 0 ? HMS_ENOENT : HMS_EBUSY;
    *key = fitting_key;
    *entry = fitting;
    return HMS_OK;
}

const char *hms_host_text(struct hms_host *host, size_t *size_bytes)
{
    if (host->text == NULL) {
        host->text = json_dumps(host->content, HMS_JSON_DUMP);
        host->text_size = strlen(host->text);
    }
    *size_bytes = host->text_size;
    return host->text;
}

const char *hms_host_state_name(enum hms_host_state state)
{
    static const char *const names[] = {
        [HMS_HOST_ONLINE] = "online",
        [HMS_HOST_STALE] = "stale",
        [HMS_HOST_OFFLINE] = "offline",
        [HMS_HOST_DEGRADED] = "degraded",
    };

    return names[state];
}
