/* The manager's commands: a table of names and what they do. */
#include "manager/commands.h"

#include <string.h>

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
        *reply = hms_bus_error("missing_par", "containerID is missing (the id or the name)");
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
    json_t *reply = json_object();

    json_object_set_new(reply, "command", json_string("ok"));
    json_object_set_new(reply, "address", json_string(commands->address));
    json_object_set_new(reply, "content", hms_report_content(commands->report));
    json_object_set_new(reply, "host", commands->describe_host(commands->arg));
    return reply;
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
    commands->remember(commands->arg);
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
    commands->remember(commands->arg);
    commands->reconsider(commands->arg, container);
    if (container->supervision != HMS_REASON_CLEAR)
        return hms_bus_error("invalid_op", "%s cannot be supervised: %s", container->info.name,
                             hms_reason_text(container->supervision));
    return hms_bus_ok("supervised from now on");
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
    commands->remember(commands->arg);
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
    commands->remember(commands->arg);
    hms_report_announce(commands->report);
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

static const struct {
    const char *name;
    json_t *(*run)(struct hms_commands *commands, const json_t *message);
} table[] = {
    {"give_content", give_content},
    {"container_ignore", container_ignore},
    {"container_add", container_add},
    {"container_release", container_release},
    {"container_threshold", container_threshold},
    {"give_decisions", give_decisions},
};

void hms_commands_serve(void *arg, const json_t *message, struct hms_bus_call *call)
{
    const char *name = hms_json_string(message, "command");
    size_t i;

    if (call == NULL || name == NULL)
        return; /* a manager has no use for notifications */
    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(name, table[i].name) == 0) {
            hms_bus_reply(call, table[i].run(arg, message));
            return;
        }
    }
    hms_bus_reply(call, hms_bus_error("INVALID_REQUEST", "unknown command %.64s", name));
}
