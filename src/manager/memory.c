/* The manager's memory as a JSON document. */
#include "manager/memory.h"

#include <string.h>

#include "core/json.h"
#include "manager/inventory.h"

#define VERSION 1

static json_t *container_document(const struct hms_container *container)
{
    json_t *object = json_object();

    if (container->is_ignored)
        json_object_set_new(object, "ignored", json_true());
    if (container->is_seen)
        json_object_set_new(object, "seen", json_true());
    if (container->guard.is_quarantined)
        json_object_set_new(object, "quarantined", json_true());
    if (container->restarts > 0)
        json_object_set_new(object, "restarts", json_integer((json_int_t)container->restarts));
    if (hms_exit_is_pending(&container->end))
        json_object_set_new(object, "kill",
                            json_pack("{s:i, s:I}", "signal", container->end.kill_signal, "time_ns",
                                      (json_int_t)container->end.kill_ns));
    if (container->end.cause != HMS_CAUSE_NONE)
        json_object_set_new(
            object, "end",
            json_pack("{s:s, s:i, s:I}", "cause", hms_cause_name(container->end.cause), "exit_code",
                      container->end.exit_code, "time_ns", (json_int_t)container->end.ended_ns));
    return object;
}

json_t *hms_memory_document(struct hms_inventory *inventory, const struct hms_memory *memory)
{
    json_t *containers = json_object();
    struct hms_container *container;

    for (container = hms_inventory_first(inventory); container != NULL;
         container = container->hh.next)
        json_object_set_new(containers, container->id, container_document(container));
    return json_pack("{s:i, s:f, s:I, s:o}", "version", VERSION, "threshold", memory->threshold_pct,
                     "last_event_ns", (json_int_t)memory->last_event_ns, "containers", containers);
}

static int is_full_id(const char *id)
{
    return strlen(id) == HMS_DOCKER_ID_SIZE - 1 &&
           strspn(id, "0123456789abcdef") == HMS_DOCKER_ID_SIZE - 1;
}

static void recall_container(struct hms_container *container, const json_t *object)
{
    const json_t *end = json_object_get(object, "end");
    const json_t *kill = json_object_get(object, "kill");
    const char *cause = hms_json_string(end, "cause");

    container->is_ignored = hms_json_bool(object, "ignored", 0);
    container->is_seen = hms_json_bool(object, "seen", 0);
    container->guard.is_quarantined = hms_json_bool(object, "quarantined", 0);
    container->restarts = (uint64_t)hms_json_int(object, "restarts", 0);
    if (kill != NULL)
        hms_exit_on_kill(&container->end, (int)hms_json_int(kill, "signal", 0),
                         hms_json_int(kill, "time_ns", 0));
    if (cause != NULL) {
        container->end.cause = hms_cause_parse(cause);
        container->end.exit_code = (int)hms_json_int(end, "exit_code", -1);
        container->end.ended_ns = hms_json_int(end, "time_ns", 0);
    }
}

int hms_memory_recall(const json_t *document, struct hms_inventory *inventory,
                      struct hms_memory *memory)
{
    char error[HMS_JSON_ERROR_SIZE];
    const json_t *object;
    const char *id;
    int left_out = 0;

    if (hms_json_int(document, "version", 0) != VERSION)
        left_out++;
    if (hms_json_number(document, "threshold", 0, 100, &memory->threshold_pct, error) != 0)
        left_out++;
    memory->last_event_ns = hms_json_int(document, "last_event_ns", 0);
    json_object_foreach((json_t *)json_object_get(document, "containers"), id, object)
    {
        if (is_full_id(id))
            recall_container(hms_inventory_add(inventory, id), object);
        else
            left_out++;
    }
    return left_out;
}
