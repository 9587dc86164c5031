/* What all buses share: checks, counting, the bodies of replies. */
#include "core/bus.h"

#include <stdarg.h>
#include <stdlib.h>

#include "core/alloc.h"
#include "core/bus_impl.h"
#include "core/error.h"
#include "core/json.h"

static int is_message(const json_t *message)
{
    return hms_json_string(message, "command") != NULL;
}

int hms_bus_request(struct hms_bus *bus, enum hms_bus_role role, const char *address,
                    json_t *message, int64_t timeout_ms, hms_bus_reply_fn reply_fn, void *arg)
{
    if (!is_message(message) || address == NULL || timeout_ms <= 0) {
        json_decref(message);
        return HMS_EINVAL;
    }
    return bus->ops->request(bus, role, address, message, timeout_ms, reply_fn, arg);
}

int hms_bus_notify(struct hms_bus *bus, enum hms_bus_role role, const char *address,
                   json_t *message)
{
    if (!is_message(message)) {
        json_decref(message);
        return HMS_EINVAL;
    }
    return bus->ops->notify(bus, role, address, message);
}

int hms_bus_serve(struct hms_bus *bus, enum hms_bus_role role, const char *address,
                  hms_bus_serve_fn fn, void *arg)
{
    return bus->ops->serve(bus, role, address, fn, arg);
}

void hms_bus_unserve(struct hms_bus *bus, enum hms_bus_role role, const char *address)
{
    bus->ops->unserve(bus, role, address);
}

void hms_bus_reply(struct hms_bus_call *call, json_t *reply)
{
    call->bus->ops->reply(call, reply);
}

struct hms_bus_traffic hms_bus_traffic(const struct hms_bus *bus)
{
    return bus->traffic;
}

void hms_bus_cancel(struct hms_bus *bus, void *arg)
{
    bus->ops->cancel(bus, arg);
}

void hms_bus_close(struct hms_bus *bus, void (*closed)(void *arg), void *arg)
{
    bus->ops->close(bus, closed, arg);
}

const char *hms_bus_role_name(enum hms_bus_role role)
{
    static const char *const names[] = {
        [HMS_BUS_MANAGER] = "manager",
        [HMS_BUS_ANTAGONIST] = "antagonist",
        [HMS_BUS_CONTROLLER] = "controller",
        [HMS_BUS_INTERFACE] = "interface",
    };

    return names[role];
}

json_t *hms_bus_ok(const char *description)
{
    json_t *body = json_pack("{s:s}", "command", "ok");

    if (description != NULL)
        json_object_set_new(body, "description", hms_json_text(description));
    return body;
}

json_t *hms_bus_error(const char *type, const char *format, ...)
{
    json_t *body = json_pack("{s:s, s:s}", "command", "error", "type", type);
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    json_object_set_new(body, "description", hms_json_text(text));
    free(text);
    return body;
}

void hms_bus_count(struct hms_bus *bus, const json_t *message)
{
    bus->traffic.messages++;
    bus->traffic.bytes += json_dumpb(message, NULL, 0, HMS_JSON_DUMP);
}
