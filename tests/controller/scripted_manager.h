/*
 * A manager for tests: serves the bus like one, from a content and with answers that the test sets.
 */
#ifndef HMS_TESTS_SCRIPTED_MANAGER_H
#define HMS_TESTS_SCRIPTED_MANAGER_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bus.h"
#include "core/json.h"

#define SCRIPTED_HELD_MAX 64

struct scripted_manager {
    struct hms_bus *bus;
    const char *address;
    json_t *content;
    int64_t epoch; /* 0: tells no versions */
    int64_t version;
    int hold;               /* keep calls instead of answering */
    const char *error_type; /* answer orders with this error, unless NULL */
    int asks;               /* give_content so far */
    char order[256];        /* the last other message, without its sender */
    struct hms_bus_call *held[SCRIPTED_HELD_MAX];
    size_t held_count;
};

static inline json_t *scripted_content(const struct scripted_manager *manager)
{
    json_t *reply = json_pack("{s:s, s:s, s:o, s:{s:s, s:b}}", "command", "ok", "address",
                              manager->address, "content", json_deep_copy(manager->content), "host",
                              "state", "online", "ready", 1);

    if (manager->epoch != 0) {
        json_object_set_new(reply, "epoch", json_integer(manager->epoch));
        json_object_set_new(reply, "version", json_integer(manager->version));
    }
    return reply;
}

static inline json_t *scripted_reply(struct scripted_manager *manager, const json_t *message)
{
    const char *command = hms_json_string(message, "command");
    json_t *order;
    char *text;

    if (strcmp(command, "give_content") == 0) {
        manager->asks++;
        return scripted_content(manager);
    }
    order = json_copy((json_t *)message);
    json_object_del(order, "sender");
    text = json_dumps(order, JSON_COMPACT | JSON_SORT_KEYS);
    snprintf(manager->order, sizeof(manager->order), "%s", text);
    free(text);
    json_decref(order);
    if (manager->error_type != NULL)
        return hms_bus_error(manager->error_type, "scripted");
    if (strcmp(command, "give_decisions") == 0)
        return json_pack("{s:s, s:[{s:s}]}", "command", "ok", "content", "rule", "exit");
    return hms_bus_ok("scripted");
}

static inline void scripted_on_message(void *arg, const json_t *message, struct hms_bus_call *call)
{
    struct scripted_manager *manager = arg;
    json_t *reply = scripted_reply(manager, message);

    if (manager->hold && manager->held_count < SCRIPTED_HELD_MAX) {
        manager->held[manager->held_count++] = call;
        json_decref(reply);
    } else {
        hms_bus_reply(call, reply);
    }
}

/* Two containers, web and db, are its content at first. */
static inline void scripted_open(struct scripted_manager *manager, struct hms_bus *bus,
                                 const char *address)
{
    memset(manager, 0, sizeof(*manager));
    manager->bus = bus;
    manager->address = address;
    manager->content =
        json_pack("{s:{s:s, s:s, s:s}, s:{s:s, s:s, s:s}}", "aaaa11112222", "id",
                  "aaaa111122223333", "name", "web", "container_state", "running", "aaaa99992222",
                  "id", "aaaa999922223333", "name", "db", "container_state", "exited");
    hms_bus_serve(bus, HMS_BUS_MANAGER, address, scripted_on_message, manager);
}

/* Several managers share one local bus, which cannot tell whose message it is. */
static inline void scripted_tell(struct scripted_manager *manager, json_t *message)
{
    json_object_set_new(message, "sender", json_sprintf("manager.callback.%s", manager->address));
    hms_bus_notify(manager->bus, HMS_BUS_CONTROLLER, NULL, message);
}

static inline void scripted_notify(struct scripted_manager *manager, const char *command)
{
    scripted_tell(manager, json_pack("{s:s, s:s, s:i}", "command", command, "address",
                                     manager->address, "period_ms", 10000));
}

/* Changes a container's state and pushes that; is_lost: the message does not arrive. */
static inline void scripted_push(struct scripted_manager *manager, const char *key,
                                 const char *state, int is_lost)
{
    json_t *entry = json_copy(json_object_get(manager->content, key)), *message;

    json_object_set_new(entry, "container_state", json_string(state));
    json_object_set_new(manager->content, key, entry);
    message = json_pack("{s:s, s:s, s:I, s:I, s:I, s:{s:O}}", "command", "update", "address",
                        manager->address, "epoch", (json_int_t)manager->epoch, "base",
                        (json_int_t)manager->version, "version", (json_int_t)manager->version + 1,
                        "changed", key, entry);
    manager->version++;
    if (is_lost)
        json_decref(message);
    else
        scripted_tell(manager, message);
}

/* `live` as of a manager that pushes. */
static inline void scripted_live(struct scripted_manager *manager, int64_t period_ms)
{
    scripted_tell(manager,
                  json_pack("{s:s, s:s, s:I, s:I, s:I}", "command", "live", "address",
                            manager->address, "period_ms", (json_int_t)period_ms, "epoch",
                            (json_int_t)manager->epoch, "version", (json_int_t)manager->version));
}

/* Answers what was held, as give_content is answered. */
static inline void scripted_release(struct scripted_manager *manager)
{
    while (manager->held_count > 0)
        hms_bus_reply(manager->held[--manager->held_count], scripted_content(manager));
}

static inline void scripted_close(struct scripted_manager *manager)
{
    scripted_release(manager);
    hms_bus_unserve(manager->bus, HMS_BUS_MANAGER, manager->address);
    json_decref(manager->content);
}

#endif
