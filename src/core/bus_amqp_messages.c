/*
 * Messages of the bus over RabbitMQ: those that go out, wait in the outbox or are refused, and
 * those that come in, which are strangers' work and are believed nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/bus_amqp.h"
#include "core/bus_amqp_private.h"
#include "core/error.h"
#include "core/json.h"

#define REPLY_KEEP_MS 60000 /* nobody waits longer for an answer */
#define VISITS_MAX    HMS_BUS_AMQP_CALLS_MAX

/* A request of somebody else. */
struct visit {
    struct hms_bus_call public;
    char *reply_key;
    char *correlation_id;
    char *address; /* of the one who asks, or NULL */
};

static struct bus_amqp *of(struct hms_bus *bus)
{
    return hms_container_of(bus, struct bus_amqp, public);
}

static int64_t now_of(const struct bus_amqp *bus)
{
    return (int64_t)uv_now(bus->loop);
}

/* ---- sending ---- */

char *hms_bus_amqp_key(enum hms_bus_role role, const char *address)
{
    const char *name = hms_bus_role_name(role);

    return address ? hms_asprintf("%s.%s", name, address) : hms_strdup(name);
}

static void parcel_sent(struct bus_amqp *bus, struct hms_amqp_parcel *parcel)
{
    struct hms_amqp_call *call = NULL;

    hms_bus_count(&bus->public, parcel->address, parcel->wire_bytes);
    if (parcel->kind == HMS_AMQP_REQUEST)
        call = hms_amqp_calls_find(&bus->calls, parcel->correlation_id);
    if (call != NULL)
        call->parcel = NULL;
    hms_amqp_outbox_remove(&bus->outbox, parcel);
    hms_amqp_parcel_free(parcel);
}

void hms_bus_amqp_drain(struct bus_amqp *bus)
{
    struct hms_amqp_parcel *parcel;

    while (bus->is_settled && (parcel = hms_amqp_outbox_first(&bus->outbox)) != NULL &&
           hms_amqp_connection_has_room(bus->connection)) {
        if (!parcel->has_begun)
            hms_amqp_outbox_begin(&bus->outbox, parcel);
        if (!hms_amqp_connection_publish(bus->connection, parcel))
            return;
        parcel_sent(bus, parcel);
    }
}

void hms_bus_amqp_expire(struct bus_amqp *bus)
{
    bus->public.troubles.refused += hms_amqp_outbox_expire(&bus->outbox, now_of(bus));
}

void hms_bus_amqp_rewind(struct bus_amqp *bus)
{
    struct hms_amqp_parcel *parcel = hms_amqp_outbox_first(&bus->outbox);

    if (parcel == NULL || !parcel->has_begun)
        return;
    parcel->has_begun = 0;
    parcel->sent_bytes = parcel->wire_bytes = 0;
    if (parcel->kind != HMS_AMQP_REQUEST ||
        hms_amqp_calls_find(&bus->calls, parcel->correlation_id) != NULL)
        return;
    hms_amqp_outbox_remove(&bus->outbox, parcel);
    hms_amqp_parcel_free(parcel);
}

/* Other references to a message that was handed over must not see it change. */
static json_t *with_sender(struct bus_amqp *bus, json_t *message)
{
    json_t *copy;

    if (json_object_get(message, "sender") != NULL)
        return message;
    if (message->refcount > 1) {
        copy = json_copy(message);
        json_decref(message);
        message = copy;
    }
    json_object_set_new(message, "sender", json_string(bus->reply_key));
    return message;
}

/* Takes over `message`. */
static struct hms_amqp_parcel *parcel_new(struct bus_amqp *bus, enum hms_amqp_parcel_kind kind,
                                          char *routing_key, const char *address, json_t *message)
{
    struct hms_amqp_parcel *parcel = hms_calloc(1, sizeof(*parcel));

    message = with_sender(bus, message);
    parcel->kind = kind;
    parcel->routing_key = routing_key;
    parcel->address = address ? hms_strdup(address) : NULL;
    parcel->body = json_dumps(message, HMS_JSON_DUMP);
    parcel->size_bytes = strlen(parcel->body);
    parcel->expires_ms = now_of(bus) + REPLY_KEEP_MS;
    json_decref(message);
    return parcel;
}

/* Takes over the parcel; what follows is drain() and need_pump(). */
static int enqueue(struct bus_amqp *bus, struct hms_amqp_parcel *parcel, const char *topic)
{
    int result = HMS_ELIMIT;

    if (parcel->size_bytes <= HMS_BUS_AMQP_SENT_MAX_BYTES)
        result = hms_amqp_outbox_push(&bus->outbox, parcel, topic);
    if (result != HMS_OK) {
        bus->public.troubles.refused++;
        hms_amqp_parcel_free(parcel);
        return result;
    }
    hms_bus_amqp_need_pump(bus);
    return HMS_OK;
}

/* ---- requests of ours ---- */

/* A request that nobody waits for is not sent any more, unless a part of it is out. */
void hms_bus_amqp_call_ended(void *arg, struct hms_amqp_call *call)
{
    struct bus_amqp *bus = arg;

    if (call->parcel == NULL || call->parcel->has_begun)
        return;
    hms_amqp_outbox_remove(&bus->outbox, call->parcel);
    hms_amqp_parcel_free(call->parcel);
    if (!bus->closing)
        hms_bus_amqp_need_pump(bus);
}

static int is_address(const char *address)
{
    return address == NULL || strlen(address) < INET6_ADDRSTRLEN;
}

int hms_bus_amqp_request(struct hms_bus *public, enum hms_bus_role role, const char *address,
                         json_t *message, int64_t timeout_ms, hms_bus_reply_fn reply_fn, void *arg)
{
    struct bus_amqp *bus = of(public);
    char id[HMS_AMQP_CALL_ID_SIZE];
    struct hms_amqp_parcel *parcel;
    int result;

    if (bus->closing || !is_address(address) ||
        hms_amqp_calls_count(&bus->calls) >= HMS_BUS_AMQP_CALLS_MAX) {
        json_decref(message);
        public->troubles.refused++;
        return is_address(address) ? HMS_ELIMIT : HMS_EINVAL;
    }
    parcel = parcel_new(bus, HMS_AMQP_REQUEST, hms_bus_amqp_key(role, address), address, message);
    hms_amqp_calls_make_id(&bus->calls, id);
    parcel->correlation_id = hms_strdup(id);
    result = enqueue(bus, parcel, NULL);
    if (result != HMS_OK)
        return result;
    hms_amqp_calls_add(&bus->calls, id, address, timeout_ms, reply_fn, arg)->parcel = parcel;
    hms_bus_amqp_drain(bus);
    return HMS_OK;
}

int hms_bus_amqp_notify(struct hms_bus *public, enum hms_bus_role role, const char *address,
                        json_t *message)
{
    struct bus_amqp *bus = of(public);
    struct hms_amqp_parcel *parcel;
    const char *about;
    char *topic;
    int result;

    if (bus->closing || !is_address(address)) {
        json_decref(message);
        public->troubles.refused++;
        return is_address(address) ? HMS_ELIMIT : HMS_EINVAL;
    }
    about = hms_json_string(message, "address");
    topic = hms_asprintf("%s %s", hms_json_string(message, "command"), about ? about : "");
    parcel =
        parcel_new(bus, HMS_AMQP_NOTIFICATION, hms_bus_amqp_key(role, address), address, message);
    result = enqueue(bus, parcel, topic);
    free(topic);
    hms_bus_amqp_drain(bus);
    return result;
}

void hms_bus_amqp_cancel(struct hms_bus *public, void *arg)
{
    hms_amqp_calls_cancel(&of(public)->calls, arg);
}

/* ---- requests of others ---- */

static struct visit *visit_new(struct bus_amqp *bus, const struct hms_amqp_content *content,
                               const json_t *message)
{
    struct visit *visit = hms_calloc(1, sizeof(*visit));
    const char *address = hms_bus_sender_address(message);

    visit->public.bus = &bus->public;
    visit->reply_key = hms_strdup(hms_json_string(message, "sender"));
    visit->correlation_id = hms_strdup(content->correlation_id);
    visit->address = address ? hms_strdup(address) : NULL;
    bus->visits++;
    return visit;
}

/* Whoever waits for an answer that cannot be sent is told so. Takes over `reply`. */
static struct hms_amqp_parcel *reply_new(struct bus_amqp *bus, const struct visit *visit,
                                         json_t *reply)
{
    struct hms_amqp_parcel *parcel =
        parcel_new(bus, HMS_AMQP_REPLY, visit->reply_key, visit->address, reply);

    if (parcel->size_bytes > HMS_BUS_AMQP_SENT_MAX_BYTES) {
        bus->public.troubles.refused++;
        reply = hms_bus_error("INTERNAL_ERROR", "the answer has %zu bytes: %u can be sent",
                              parcel->size_bytes, HMS_BUS_AMQP_SENT_MAX_BYTES);
        parcel->routing_key = NULL;
        hms_amqp_parcel_free(parcel);
        parcel = parcel_new(bus, HMS_AMQP_REPLY, visit->reply_key, visit->address, reply);
    }
    parcel->correlation_id = visit->correlation_id;
    return parcel;
}

void hms_bus_amqp_reply(struct hms_bus_call *public, json_t *reply)
{
    struct visit *visit = hms_container_of(public, struct visit, public);
    struct bus_amqp *bus = of(public->bus);

    if (bus->closing) {
        json_decref(reply);
        free(visit->reply_key);
        free(visit->correlation_id);
    } else {
        enqueue(bus, reply_new(bus, visit, reply), NULL);
        hms_bus_amqp_drain(bus);
    }
    free(visit->address);
    free(visit);
    bus->visits--;
    hms_bus_amqp_maybe_free(bus);
}

/* ---- messages that come in ---- */

static void complain(struct bus_amqp *bus, const char *why)
{
    uint64_t suppressed = bus->complaints.suppressed;

    if (hms_log_limit_pass(&bus->complaints, now_of(bus)))
        hms_log(bus->log, HMS_LOG_WARN, "amqp", "dropped a message: %s (%llu more since the last)",
                why, (unsigned long long)suppressed);
}

static void drop_malformed(struct bus_amqp *bus, const char *why)
{
    bus->public.troubles.malformed++;
    complain(bus, why);
}

static void take_message(struct bus_amqp *bus, const struct hms_amqp_content *content,
                         const json_t *message)
{
    const char *sender = hms_json_string(message, "sender");
    struct visit *visit = NULL;
    struct inbox *inbox;

    TAILQ_FOREACH(inbox, &bus->inboxes, link)
    if (strcmp(inbox->tag, content->tag) == 0)
        break;
    if (inbox == NULL)
        return; /* it is not served any more */
    if (sender == NULL || sender[0] == '\0' || strlen(sender) > HMS_AMQP_SHORT_MAX_BYTES) {
        drop_malformed(bus, "it has no sender of 1 to 255 bytes");
        return;
    }
    if (content->correlation_id[0] != '\0') {
        visit = visit_new(bus, content, message);
        if (bus->visits > VISITS_MAX) {
            hms_bus_reply(&visit->public,
                          hms_bus_error("INTERNAL_ERROR", "too many requests under way"));
            return;
        }
    }
    inbox->fn(inbox->arg, message, visit ? &visit->public : NULL);
}

/* An object with a command, else NULL (that is counted and told then). */
static json_t *read_message(struct bus_amqp *bus, const struct hms_buffer *body)
{
    char error[HMS_JSON_ERROR_SIZE] = "it is empty";
    json_t *message = NULL;

    if (body->size_bytes > 0)
        message = hms_json_parse(body->data, body->size_bytes, error);
    if (message != NULL && hms_json_string(message, "command") != NULL)
        return message;
    drop_malformed(bus, message ? "it has no command" : error);
    json_decref(message);
    return NULL;
}

static void on_message(struct bus_amqp *bus, const struct hms_amqp_content *content)
{
    json_t *message = read_message(bus, &content->body);

    hms_bus_count(&bus->public, message ? hms_bus_sender_address(message) : NULL,
                  content->wire_bytes);
    if (message != NULL)
        take_message(bus, content, message);
    json_decref(message);
}

/* Peers of version 1 put no sender into replies: the call tells whose it is. */
static void on_reply(struct bus_amqp *bus, const struct hms_amqp_content *content)
{
    struct hms_amqp_call *call = hms_amqp_calls_find(&bus->calls, content->correlation_id);
    json_t *message;

    hms_bus_count(&bus->public, call ? call->address : NULL, content->wire_bytes);
    if (call == NULL) {
        bus->public.troubles.unexpected++;
        complain(bus, "a reply that nobody waits for");
        return;
    }
    message = read_message(bus, &content->body);
    if (message != NULL)
        hms_amqp_calls_finish(&bus->calls, call, HMS_OK, message);
    json_decref(message);
}

/* The broker found nobody: what comes back so are requests of ours. */
static void on_returned(struct bus_amqp *bus, const struct hms_amqp_content *content)
{
    struct hms_amqp_call *call = hms_amqp_calls_find(&bus->calls, content->correlation_id);

    hms_bus_count(&bus->public, call ? call->address : NULL, content->wire_bytes);
    if (call != NULL)
        hms_amqp_calls_finish(&bus->calls, call, HMS_EUNREACHABLE, NULL);
}

void hms_bus_amqp_take(struct bus_amqp *bus, const struct hms_amqp_content *content)
{
    if (content->is_returned) {
        on_returned(bus, content);
    } else if (content->is_oversized) {
        hms_bus_count(&bus->public, NULL, content->wire_bytes);
        bus->public.troubles.oversized++;
        complain(bus, "it is too long");
    } else if (content->is_unreadable) {
        hms_bus_count(&bus->public, NULL, content->wire_bytes);
        drop_malformed(bus, "its properties cannot be read");
    } else if (strcmp(content->tag, HMS_BUS_AMQP_REPLY_TAG) == 0) {
        on_reply(bus, content);
    } else {
        on_message(bus, content);
    }
}
