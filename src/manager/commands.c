/* The manager's commands: a table of names and what they do. */
#include "manager/commands.h"

#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/bus.h"
#include "core/json.h"
#include "manager/inventory.h"
#include "manager/memory.h"
#include "manager/report.h"

/* Finds the container that the message names; NULL with the error reply in *reply. */
static struct hms_container *find_container(struct hms_commands *commands, const json_t *message,
                                            json_t **reply)
{
    const char *text = hms_json_string(message, "containerID");
    struct hms_container *container;
    int is_ambiguous;

    if (text == NULL) {
        *reply = json_object_get(message, "containerID")
                     ? hms_bus_error("invalid_param", "containerID must be a text")
                     : hms_bus_error("missing_par", "containerID is missing (the id or the name)");
        return NULL;
    }
    container = hms_inventory_resolve(commands->inventory, text, &is_ambiguous);
    if (is_ambiguous)
        *reply = hms_bus_error("invalid_param", "containerID %.64s fits several containers", text);
    else if (container == NULL || !container->is_inspected)
        *reply = hms_bus_error("CONTAINER_NOT_PRESENT", "containerID not present: %.64s", text);
    else
        return container;
    return NULL;
}

static json_t *give_content(struct hms_commands *commands, const json_t *message)
{
    return hms_report_reply(commands->report);
}

static json_t *container_ignore(struct hms_commands *commands, const json_t *message)
{
    json_t *error;
    struct hms_container *container = find_container(commands, message, &error);

    if (container == NULL)
        return error;
    if (container->is_ignored)
        return hms_bus_error("invalid_op", "already ignored: %s", container->info.name);
    container->is_ignored = 1;
    container->is_requested = 0;
    commands->reconsider(commands->arg, container);
    return hms_bus_ok("ignored from now on");
}

static json_t *container_add(struct hms_commands *commands, const json_t *message)
{
    json_t *error;
    struct hms_container *container = find_container(commands, message, &error);

    if (container == NULL)
        return error;
    if (!container->is_ignored && container->supervision != HMS_REASON_NOT_SEEN)
        return hms_bus_error("invalid_op", "not removed from the service: %s (%s)",
                             container->info.name, hms_reason_text(container->supervision));
    container->is_ignored = 0;
    container->is_seen = 1;
    container->is_requested = !hms_container_is_up(container);
    hms_guard_release(&container->guard);
    commands->reconsider(commands->arg, container);
    return hms_bus_ok(container->supervision == HMS_REASON_CLEAR
                          ? "supervised from now on"
                          : hms_reason_text(container->supervision));
}

static json_t *container_release(struct hms_commands *commands, const json_t *message)
{
    json_t *error;
    struct hms_container *container = find_container(commands, message, &error);

    if (container == NULL)
        return error;
    if (!container->guard.is_quarantined)
        return hms_bus_error("invalid_op", "not in quarantine: %s", container->info.name);
    hms_guard_release(&container->guard);
    commands->reconsider(commands->arg, container);
    return hms_bus_ok("released from quarantine");
}

static json_t *container_threshold(struct hms_commands *commands, const json_t *message)
{
    char problem[HMS_JSON_ERROR_SIZE];
    double threshold_pct;

    if (json_object_get(message, "threshold") == NULL)
        return hms_bus_error("missing_par", "threshold is missing (a number from 0 to 100)");
    if (hms_json_number(message, "threshold", 0, 100, &threshold_pct, problem) != 0)
        return hms_bus_error("invalid_param", "%s", problem);
    commands->memory->threshold_pct = threshold_pct;
    hms_report_touch_host(commands->report);
    return hms_bus_ok("threshold set");
}

static json_t *give_decisions(struct hms_commands *commands, const json_t *message)
{
    json_t *error;
    struct hms_container *container = find_container(commands, message, &error);

    if (container == NULL)
        return error;
    return json_pack("{s:s, s:s, s:o}", "command", "ok", "address", commands->address, "content",
                     hms_decisions_json(&container->decisions));
}

/* A reply that waits until what it confirms is on disk. */
struct promise {
    struct hms_bus_call *call;
    json_t *reply;
};

static void on_settled(void *arg, int error)
{
    struct promise *promise = arg;

    if (error != 0) {
        json_decref(promise->reply);
        promise->reply = hms_bus_error("INTERNAL_ERROR",
                                       "in force, but not kept: the state file cannot be written");
    }
    hms_bus_reply(promise->call, promise->reply);
    free(promise);
}

static int is_ok(const json_t *reply)
{
    return strcmp(hms_json_string(reply, "command"), "ok") == 0;
}

static void answer(struct hms_commands *commands, struct hms_bus_call *call, json_t *reply,
                   int is_setting)
{
    struct promise *promise;

    if (!is_setting || !is_ok(reply)) {
        hms_bus_reply(call, reply);
        return;
    }
    promise = hms_malloc(sizeof(*promise));
    promise->call = call;
    promise->reply = reply;
    commands->remember(commands->arg, on_settled, promise);
}

static const struct {
    const char *name;
    json_t *(*run)(struct hms_commands *commands, const json_t *message);
    int is_setting; /* has to survive a restart before it is confirmed */
} table[] = {
    {"give_content", give_content, 0},
    {"container_ignore", container_ignore, 1},
    {"container_add", container_add, 1},
    {"container_release", container_release, 1},
    {"container_threshold", container_threshold, 1},
    {"give_decisions", give_decisions, 0},
};

void hms_commands_serve(void *arg, const json_t *message, struct hms_bus_call *call)
{
    const char *name = hms_json_string(message, "command");
    size_t i;

    if (call == NULL || name == NULL)
        return; /* a manager has no use for notifications */
    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(name, table[i].name) == 0) {
            answer(arg, call, table[i].run(arg, message), table[i].is_setting);
            return;
        }
    }
    hms_bus_reply(call, hms_bus_error("INVALID_REQUEST", "unknown command %.64s", name));
}
