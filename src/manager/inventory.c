/* The inventory. See inventory.h. */
#include "manager/inventory.h"

#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/json.h"

#define COMPOSE_PROJECT   "com.docker.compose.project"
#define COMPOSE_SERVICE   "com.docker.compose.service"
#define COMPOSE_NUMBER    "com.docker.compose.container-number"
#define MIN_PREFIX_DIGITS 4

struct hms_inventory {
    struct hms_container *by_id;
    const struct hms_guard_limits *limits;
    int64_t removed_ms; /* last removal from outside of a container that stays when it ends */
};

void hms_container_set_info(struct hms_container *container, struct hms_docker_container *info)
{
    if (container->is_inspected)
        hms_docker_container_clear(&container->info);
    container->info = *info;
    container->is_inspected = 1;
    container->compose_project = hms_json_string(info->labels, COMPOSE_PROJECT);
    container->compose_service = hms_json_string(info->labels, COMPOSE_SERVICE);
    container->compose_number = hms_json_string(info->labels, COMPOSE_NUMBER);
    hms_labels_read(info->labels, &container->labels);
}

int hms_container_is_up(const struct hms_container *container)
{
    return container->state == HMS_DOCKER_RUNNING || container->state == HMS_DOCKER_PAUSED;
}

int hms_container_is_stopping(const struct hms_container *container, int64_t now_ms)
{
    return hms_exit_is_pending(&container->end) && now_ms - container->signal_ms < HMS_STOPPING_MS;
}

struct hms_inventory *hms_inventory_new(const struct hms_guard_limits *limits)
{
    struct hms_inventory *inventory = hms_calloc(1, sizeof(*inventory));

    inventory->limits = limits;
    return inventory;
}

void hms_inventory_free(struct hms_inventory *inventory)
{
    struct hms_container *container, *next;

    HASH_ITER(hh, inventory->by_id, container, next)
    {
        hms_inventory_remove(inventory, container);
    }
    free(inventory);
}

struct hms_container *hms_inventory_find(struct hms_inventory *inventory, const char *id)
{
    struct hms_container *container;

    HASH_FIND_STR(inventory->by_id, id, container);
    return container;
}

struct hms_container *hms_inventory_add(struct hms_inventory *inventory, const char *id)
{
    struct hms_container *container = hms_inventory_find(inventory, id);

    if (container != NULL)
        return container;
    container = hms_calloc(1, sizeof(*container));
    memcpy(container->id, id, strnlen(id, sizeof(container->id) - 1));
    container->end.exit_code = -1;
    hms_guard_init(&container->guard, inventory->limits);
    container->supervision = HMS_REASON_NOT_SEEN;
    HASH_ADD_STR(inventory->by_id, id, container);
    return container;
}

void hms_inventory_remove(struct hms_inventory *inventory, struct hms_container *container)
{
    HASH_DEL(inventory->by_id, container);
    if (container->is_inspected)
        hms_docker_container_clear(&container->info);
    json_decref(container->entry);
    free(container);
}

struct hms_container *hms_inventory_first(struct hms_inventory *inventory)
{
    return inventory->by_id;
}

size_t hms_inventory_count(const struct hms_inventory *inventory)
{
    return HASH_COUNT(inventory->by_id);
}

struct hms_container *hms_inventory_resolve(struct hms_inventory *inventory, const char *text,
                                            int *ambiguous)
{
    struct hms_container *container, *next, *match = NULL;
    size_t length = strlen(text);

    *ambiguous = 0;
    if (length == 0 || (container = hms_inventory_find(inventory, text)) != NULL)
        return length == 0 ? NULL : container;
    HASH_ITER(hh, inventory->by_id, container, next)
    {
        if (container->is_inspected && strcmp(container->info.name, text) == 0) {
            *ambiguous = 0; /* names are unique, and come before prefixes as in Docker */
            return container;
        }
        if (length >= MIN_PREFIX_DIGITS && strncmp(container->id, text, length) == 0) {
            *ambiguous |= match != NULL;
            match = container;
        }
    }
    return *ambiguous ? NULL : match;
}

static int is_same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* Whether both were asked to stop by what looks like one command. */
static int is_same_batch(const struct hms_container *a, const struct hms_container *b,
                         int64_t window_ms)
{
    int64_t apart_ms = a->asked_to_stop_ms - b->asked_to_stop_ms;

    return a->asked_to_stop_ms != 0 && b->asked_to_stop_ms != 0 && apart_ms <= window_ms &&
           -apart_ms <= window_ms;
}

int64_t hms_inventory_touched_ms(struct hms_inventory *inventory,
                                 const struct hms_container *container, int64_t window_ms,
                                 int64_t now_ms)
{
    int64_t touched_ms = container->touched_ms;
    struct hms_container *other, *next;

    if (container->asked_to_stop_ms != 0 && inventory->removed_ms > touched_ms)
        touched_ms = inventory->removed_ms;
    HASH_ITER(hh, inventory->by_id, other, next)
    {
        if (other == container || (!is_same_batch(container, other, window_ms) &&
                                   !is_same(container->compose_project, other->compose_project)))
            continue;
        if (other->asked_to_stop_ms != 0 && hms_container_is_stopping(other, now_ms))
            return INT64_MAX;
        if (other->touched_ms > touched_ms)
            touched_ms = other->touched_ms;
    }
    return touched_ms;
}

void hms_inventory_note_removal(struct hms_inventory *inventory,
                                const struct hms_container *container, int64_t now_ms)
{
    if (container->is_inspected && !container->info.auto_remove)
        inventory->removed_ms = now_ms;
}

int hms_inventory_is_superseded(struct hms_inventory *inventory,
                                const struct hms_container *container)
{
    struct hms_container *other, *next;

    if (container->compose_service == NULL)
        return 0;
    HASH_ITER(hh, inventory->by_id, other, next)
    {
        if (other != container && is_same(container->compose_service, other->compose_service) &&
            is_same(container->compose_project, other->compose_project) &&
            is_same(container->compose_number, other->compose_number) &&
            other->info.created_ns > container->info.created_ns)
            return 1;
    }
    return 0;
}
