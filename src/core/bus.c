/* What all buses share: checks, counting, contact, the bodies of replies. */
#include "core/bus.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "core/alloc.h"
#include "core/bus_impl.h"
#include "core/error.h"
#include "core/json.h"

struct hms_bus_peer {
    char address[INET_ADDRSTRLEN];
    struct hms_bus_traffic traffic;
    UT_hash_handle hh;
};

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

void hms_bus_cancel(struct hms_bus *bus, void *arg)
{
    bus->ops->cancel(bus, arg);
}

void hms_bus_hold(struct hms_bus *bus, const char *name, void (*fn)(void *arg, int is_held),
                  void *arg)
{
    bus->ops->hold(bus, name, fn, arg);
}

void hms_bus_unhold(struct hms_bus *bus)
{
    bus->ops->unhold(bus);
}

void hms_bus_close(struct hms_bus *bus, void (*closed)(void *arg), void *arg)
{
    bus->ops->close(bus, closed, arg);
}

const char *hms_bus_role_name(enum hms_bus_role role)
{
    static const char *const names[] = {
        [HMS_BUS_MANAGER] = "manager",       [HMS_BUS_ANTAGONIST] = "antagonist",
        [HMS_BUS_CONTROLLER] = "controller", [HMS_BUS_INTERFACE] = "interface",
        [HMS_BUS_STANDBY] = "standby",
    };

    return names[role];
}

const char *hms_bus_sender_address(const json_t *message)
{
    static const char mark[] = ".callback.";
    const char *sender = hms_json_string(message, "sender");
    const char *found = sender ? strstr(sender, mark) : NULL;

    return found ? found + sizeof(mark) - 1 : NULL;
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

/* ---- for implementations ---- */

void hms_bus_init(struct hms_bus *bus, const struct hms_bus_ops *ops, enum hms_bus_contact contact)
{
    bus->ops = ops;
    bus->contact = contact;
    LIST_INIT(&bus->watches);
}

void hms_bus_release(struct hms_bus *bus)
{
    struct hms_bus_peer *peer = bus->peers, *next;

    assert(LIST_EMPTY(&bus->watches));
    HASH_CLEAR(hh, bus->peers); /* the table only: the peers are still linked */
    for (; peer != NULL; peer = next) {
        next = peer->hh.next;
        free(peer);
    }
}

static struct hms_bus_peer *find_peer(const struct hms_bus *bus, const char *address)
{
    struct hms_bus_peer *peer;

    HASH_FIND_STR(bus->peers, address, peer);
    return peer;
}

/* NULL if there are too many. */
static struct hms_bus_peer *enter_peer(struct hms_bus *bus, const char *address)
{
    struct hms_bus_peer *peer = find_peer(bus, address);

    if (peer != NULL || HASH_COUNT(bus->peers) >= HMS_BUS_PEERS_MAX ||
        strlen(address) >= sizeof(peer->address))
        return peer;
    peer = hms_calloc(1, sizeof(*peer));
    snprintf(peer->address, sizeof(peer->address), "%s", address);
    HASH_ADD_STR(bus->peers, address, peer);
    return peer;
}

static void add(struct hms_bus_traffic *traffic, size_t size_bytes)
{
    traffic->messages++;
    traffic->bytes += size_bytes;
}

void hms_bus_count(struct hms_bus *bus, const char *address, size_t size_bytes)
{
    struct hms_bus_peer *peer = address ? enter_peer(bus, address) : NULL;

    add(&bus->traffic, size_bytes);
    if (peer != NULL)
        add(&peer->traffic, size_bytes);
}

void hms_bus_set_contact(struct hms_bus *bus, enum hms_bus_contact contact)
{
    struct hms_bus_watch *watch, *next;

    if (contact == bus->contact)
        return;
    bus->contact = contact;
    for (watch = LIST_FIRST(&bus->watches); watch != NULL; watch = next) {
        next = LIST_NEXT(watch, link);
        watch->fn(watch->arg, contact);
    }
}

/* ---- what can be asked of a bus ---- */

struct hms_bus_traffic hms_bus_traffic(const struct hms_bus *bus)
{
    return bus->traffic;
}

struct hms_bus_traffic hms_bus_peer_traffic(const struct hms_bus *bus, const char *address)
{
    static const struct hms_bus_traffic nothing;
    const struct hms_bus_peer *peer = find_peer(bus, address);

    return peer ? peer->traffic : nothing;
}

struct hms_bus_troubles hms_bus_troubles(const struct hms_bus *bus)
{
    return bus->troubles;
}

enum hms_bus_contact hms_bus_contact(const struct hms_bus *bus)
{
    return bus->contact;
}

void hms_bus_watch(struct hms_bus *bus, struct hms_bus_watch *watch)
{
    LIST_INSERT_HEAD(&bus->watches, watch, link);
}

void hms_bus_unwatch(struct hms_bus_watch *watch)
{
    LIST_REMOVE(watch, link);
}
