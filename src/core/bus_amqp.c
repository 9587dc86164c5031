/*
 * The bus over one connection to the broker, which comes and goes beneath it.
 *
 * It owns the connection while there is one, the outbox, the calls (requests whose answer it waits
 * for), the inboxes (what is served) and the visits: requests of others, in the hands of a server
 * until it answers, which may be after the bus has closed.
 */
#include "core/bus_amqp.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/amqp_calls.h"
#include "core/amqp_connection.h"
#include "core/amqp_hold.h"
#include "core/backoff.h"
#include "core/bus_impl.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/tls.h"

#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 10000
#define FAILURES_MAX   32

#define REPLY_KEEP_MS      60000 /* nobody waits longer for an answer */
#define VISITS_MAX         HMS_BUS_AMQP_CALLS_MAX
#define PASSWORD_MAX_BYTES 1024

/* Lines about bad messages, by which a peer could fill the log. */
#define COMPLAINTS_PERIOD_MS 60000
#define COMPLAINTS_BURST     5

#define REPLY_TAG "reply"

/* What is served for one address of a role. */
struct inbox {
    TAILQ_ENTRY(inbox) link;
    enum hms_bus_role role;
    char *address;
    char *tag;
    hms_bus_serve_fn fn;
    void *arg;
};

/* A request of somebody else. */
struct visit {
    struct hms_bus_call public;
    char *reply_key;
    char *correlation_id;
    char *address; /* of the one who asks, or NULL */
};

TAILQ_HEAD(inbox_list, inbox);

struct bus_amqp {
    struct hms_bus public;
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_amqp_url url;
    struct hms_tls_context *tls_context; /* or NULL */
    char *password;
    char *password_file;
    int heartbeat_s;
    enum hms_bus_role role;
    char *address;
    char *reply_key;

    struct hms_amqp_connection *connection; /* or NULL */
    int is_open;                            /* what is served can be told to the broker */
    int is_settled;                         /* the broker has confirmed all */
    int is_lost;                            /* it is being closed */
    int failures;                           /* to get or keep contact, in a row */
    int64_t settled_ms;
    char *told; /* why there is no contact, as the log has it; NULL: not told */
    uv_timer_t retry;
    uv_idle_t pump; /* active while something is to be done in the next turn */

    struct hms_amqp_outbox outbox;
    struct hms_amqp_calls calls;
    struct inbox_list inboxes;
    unsigned last_tag;
    struct hms_amqp_hold hold;
    size_t visits;
    struct hms_log_limit complaints;

    int open_parts; /* handles and connections */
    int closing;
    int closed; /* the parts are; visits keep the struct */
    void (*closed_fn)(void *arg);
    void *closed_arg;
};

static void on_pump(uv_idle_t *pump);
static void on_retry(uv_timer_t *retry);

static struct bus_amqp *of(struct hms_bus *bus)
{
    return hms_container_of(bus, struct bus_amqp, public);
}

static int64_t now_of(const struct bus_amqp *bus)
{
    return (int64_t)uv_now(bus->loop);
}

static char *key_of(enum hms_bus_role role, const char *address)
{
    const char *name = hms_bus_role_name(role);

    return address ? hms_asprintf("%s.%s", name, address) : hms_strdup(name);
}

/* ---- sending ---- */

static void need_pump(struct bus_amqp *bus)
{
    uv_idle_start(&bus->pump, on_pump);
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

/* Sends what there is room for. Runs no callback. */
static void drain(struct bus_amqp *bus)
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

static void update_contact(struct bus_amqp *bus)
{
    enum hms_bus_contact contact = HMS_BUS_READY;

    if (!bus->is_settled)
        contact = HMS_BUS_DOWN;
    else if (hms_amqp_outbox_first(&bus->outbox) != NULL ||
             !hms_amqp_connection_has_room(bus->connection))
        contact = HMS_BUS_CONGESTED;
    hms_bus_set_contact(&bus->public, contact);
}

static void expire(struct bus_amqp *bus)
{
    bus->public.troubles.refused += hms_amqp_outbox_expire(&bus->outbox, now_of(bus));
}

static void on_pump(uv_idle_t *pump)
{
    struct bus_amqp *bus = pump->data;

    uv_idle_stop(pump);
    drain(bus);
    update_contact(bus);
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
    int result = hms_amqp_outbox_push(&bus->outbox, parcel, topic);

    if (result != HMS_OK) {
        bus->public.troubles.refused++;
        hms_amqp_parcel_free(parcel);
        return result;
    }
    need_pump(bus);
    return HMS_OK;
}

/* ---- requests of ours ---- */

/* A request that nobody waits for is not sent any more, unless a part of it is out. */
static void on_call_end(void *arg, struct hms_amqp_call *call)
{
    struct bus_amqp *bus = arg;

    if (call->parcel == NULL || call->parcel->has_begun)
        return;
    hms_amqp_outbox_remove(&bus->outbox, call->parcel);
    hms_amqp_parcel_free(call->parcel);
    if (!bus->closing)
        need_pump(bus);
}

static int is_address(const char *address)
{
    return address == NULL || strlen(address) < INET6_ADDRSTRLEN;
}

static int amqp_request(struct hms_bus *public, enum hms_bus_role role, const char *address,
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
    parcel = parcel_new(bus, HMS_AMQP_REQUEST, key_of(role, address), address, message);
    hms_amqp_calls_make_id(&bus->calls, id);
    parcel->correlation_id = hms_strdup(id);
    result = enqueue(bus, parcel, NULL);
    if (result != HMS_OK)
        return result;
    hms_amqp_calls_add(&bus->calls, id, address, timeout_ms, reply_fn, arg)->parcel = parcel;
    drain(bus);
    return HMS_OK;
}

static int amqp_notify(struct hms_bus *public, enum hms_bus_role role, const char *address,
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
    parcel = parcel_new(bus, HMS_AMQP_NOTIFICATION, key_of(role, address), address, message);
    result = enqueue(bus, parcel, topic);
    free(topic);
    drain(bus);
    return result;
}

static void amqp_cancel(struct hms_bus *public, void *arg)
{
    hms_amqp_calls_cancel(&of(public)->calls, arg);
}

/* ---- requests of others ---- */

static void maybe_free(struct bus_amqp *bus)
{
    if (!bus->closed || bus->visits > 0)
        return;
    hms_bus_release(&bus->public);
    hms_amqp_url_free(&bus->url);
    hms_tls_context_free(bus->tls_context);
    free(bus->password);
    free(bus->password_file);
    free(bus->address);
    free(bus->reply_key);
    free(bus->told);
    free(bus);
}

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

static void amqp_reply(struct hms_bus_call *public, json_t *reply)
{
    struct visit *visit = hms_container_of(public, struct visit, public);
    struct bus_amqp *bus = of(public->bus);
    struct hms_amqp_parcel *parcel;

    if (bus->closing) {
        json_decref(reply);
        free(visit->reply_key);
        free(visit->correlation_id);
    } else {
        parcel = parcel_new(bus, HMS_AMQP_REPLY, visit->reply_key, visit->address, reply);
        parcel->correlation_id = visit->correlation_id;
        enqueue(bus, parcel, NULL);
        drain(bus);
    }
    free(visit->address);
    free(visit);
    bus->visits--;
    maybe_free(bus);
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

static void on_content(void *arg, const struct hms_amqp_content *content)
{
    struct bus_amqp *bus = arg;

    if (content->is_returned) {
        on_returned(bus, content);
    } else if (content->is_oversized) {
        hms_bus_count(&bus->public, NULL, content->wire_bytes);
        bus->public.troubles.oversized++;
        complain(bus, "it is too long");
    } else if (content->is_unreadable) {
        hms_bus_count(&bus->public, NULL, content->wire_bytes);
        drop_malformed(bus, "its properties cannot be read");
    } else if (strcmp(content->tag, REPLY_TAG) == 0) {
        on_reply(bus, content);
    } else {
        on_message(bus, content);
    }
}

/* ---- serving ---- */

static void consume(struct bus_amqp *bus, const struct inbox *inbox)
{
    char *key = key_of(inbox->role, inbox->address);
    const char *keys[] = {hms_bus_role_name(inbox->role), key};

    hms_amqp_connection_consume(bus->connection, inbox->tag, keys, 2);
    free(key);
}

static struct inbox *find_inbox(struct bus_amqp *bus, enum hms_bus_role role, const char *address)
{
    struct inbox *inbox;

    TAILQ_FOREACH(inbox, &bus->inboxes, link)
    if (inbox->role == role && strcmp(inbox->address, address) == 0)
        return inbox;
    return NULL;
}

static void inbox_remove(struct bus_amqp *bus, struct inbox *inbox)
{
    TAILQ_REMOVE(&bus->inboxes, inbox, link);
    free(inbox->address);
    free(inbox->tag);
    free(inbox);
}

static int amqp_serve(struct hms_bus *public, enum hms_bus_role role, const char *address,
                      hms_bus_serve_fn fn, void *arg)
{
    struct bus_amqp *bus = of(public);
    struct inbox *inbox;

    assert(!bus->closing && is_address(address));
    if (find_inbox(bus, role, address) != NULL)
        return HMS_EBUSY;
    inbox = hms_calloc(1, sizeof(*inbox));
    inbox->role = role;
    inbox->address = hms_strdup(address);
    inbox->tag = hms_asprintf("serve-%u", ++bus->last_tag);
    inbox->fn = fn;
    inbox->arg = arg;
    TAILQ_INSERT_TAIL(&bus->inboxes, inbox, link);
    if (bus->is_open)
        consume(bus, inbox);
    return HMS_OK;
}

static void amqp_unserve(struct hms_bus *public, enum hms_bus_role role, const char *address)
{
    struct bus_amqp *bus = of(public);
    struct inbox *inbox = find_inbox(bus, role, address);

    if (inbox == NULL)
        return;
    if (bus->is_open)
        hms_amqp_connection_ignore(bus->connection, inbox->tag);
    inbox_remove(bus, inbox);
}

static void amqp_hold(struct hms_bus *public, const char *name, void (*fn)(void *arg, int is_held),
                      void *arg)
{
    hms_amqp_hold_want(&of(public)->hold, name, fn, arg);
}

static void amqp_unhold(struct hms_bus *public)
{
    hms_amqp_hold_give_up(&of(public)->hold);
}

/* ---- contact ---- */

static void on_open(void *arg)
{
    struct bus_amqp *bus = arg;
    const char *reply_key = bus->reply_key;
    struct inbox *inbox;

    bus->is_open = 1;
    hms_amqp_connection_consume(bus->connection, REPLY_TAG, &reply_key, 1);
    TAILQ_FOREACH(inbox, &bus->inboxes, link)
    consume(bus, inbox);
}

static void on_room(void *arg)
{
    struct bus_amqp *bus = arg;

    drain(bus);
    update_contact(bus);
}

static void on_settled(void *arg)
{
    struct bus_amqp *bus = arg;

    bus->is_settled = 1;
    bus->settled_ms = now_of(bus);
    free(bus->told);
    bus->told = NULL;
    hms_log(bus->log, HMS_LOG_INFO, "amqp", "contact with the broker at %s:%s", bus->url.host,
            bus->url.port);
    hms_amqp_hold_connected(&bus->hold, bus->connection);
    on_room(bus);
}

static void on_blocked(void *arg, const char *reason)
{
    struct bus_amqp *bus = arg;

    if (reason != NULL)
        hms_log(bus->log, HMS_LOG_WARN, "amqp", "the broker takes no messages for now: %s", reason);
    else
        hms_log(bus->log, HMS_LOG_INFO, "amqp", "the broker takes messages again");
    on_room(bus);
}

static void on_hold_told(void *arg, amqp_method_number_t method, const void *fields)
{
    hms_amqp_hold_told(&((struct bus_amqp *)arg)->hold, method, fields);
}

/* A message of which the broker has a part only is sent again, if it is still wanted. */
static void rewind_first(struct bus_amqp *bus)
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

static void tell_lost(struct bus_amqp *bus, const char *why)
{
    int is_news = bus->told == NULL || strcmp(bus->told, why) != 0;

    hms_log(bus->log, is_news ? HMS_LOG_WARN : HMS_LOG_DEBUG, "amqp",
            "no contact with the broker at %s:%s: %s", bus->url.host, bus->url.port, why);
    if (!is_news)
        return;
    free(bus->told);
    bus->told = hms_strdup(why);
}

/* The next attempt comes after a while; a contact that soon breaks is one more failure. */
static void retry_later(struct bus_amqp *bus)
{
    if (bus->failures < FAILURES_MAX)
        bus->failures++;
    uv_timer_start(&bus->retry, on_retry,
                   (uint64_t)hms_backoff_ms(bus->failures, BACKOFF_MIN_MS, BACKOFF_MAX_MS), 0);
}

static void on_part_closed(struct bus_amqp *bus);

static void on_connection_closed(void *arg)
{
    struct bus_amqp *bus = arg;

    bus->connection = NULL;
    bus->is_lost = 0;
    if (!bus->closing)
        retry_later(bus);
    on_part_closed(bus);
}

static void on_lost(void *arg, const char *why)
{
    struct bus_amqp *bus = arg;

    tell_lost(bus, why);
    if (bus->is_settled) {
        bus->public.troubles.disconnects++;
        if (now_of(bus) - bus->settled_ms >= BACKOFF_MAX_MS)
            bus->failures = 0;
    }
    bus->is_open = bus->is_settled = 0;
    bus->is_lost = 1;
    hms_amqp_connection_close(bus->connection, on_connection_closed, bus);
    rewind_first(bus);
    update_contact(bus);
    hms_amqp_hold_lost(&bus->hold);
}

static const struct hms_amqp_connection_handlers connection_handlers = {
    .on_open = on_open,
    .on_settled = on_settled,
    .on_blocked = on_blocked,
    .on_room = on_room,
    .on_content = on_content,
    .on_hold = on_hold_told,
    .on_lost = on_lost,
};

/* Returns whether there is a password; else why not in error. */
static int read_password(const struct bus_amqp *bus, char password[PASSWORD_MAX_BYTES + 2],
                         char *error, size_t error_size)
{
    const char *path = bus->password_file;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t size = fd >= 0 ? read(fd, password, PASSWORD_MAX_BYTES + 1) : -1;

    if (size < 0)
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (size < 0)
        return 0;
    while (size > 0 && (password[size - 1] == '\n' || password[size - 1] == '\r'))
        size--;
    if (size == 0 || size > PASSWORD_MAX_BYTES) {
        snprintf(error, error_size, "%s: it must have 1 to %d bytes", path, PASSWORD_MAX_BYTES);
        return 0;
    }
    password[size] = '\0';
    return 1;
}

static void connect_now(struct bus_amqp *bus)
{
    char password[PASSWORD_MAX_BYTES + 2], error[512];
    char *name;
    struct hms_amqp_connection_options options = {
        .url = &bus->url,
        .tls_context = bus->tls_context,
        .password = bus->password,
        .heartbeat_s = bus->heartbeat_s,
        .body_max_bytes = HMS_BUS_AMQP_BODY_MAX_BYTES,
    };

    if (bus->password_file != NULL) {
        if (!read_password(bus, password, error, sizeof(error))) {
            tell_lost(bus, error);
            retry_later(bus);
            return;
        }
        options.password = password;
    }
    name = hms_asprintf("hms %s %s", hms_bus_role_name(bus->role), bus->address);
    options.name = name;
    bus->connection =
        hms_amqp_connection_open(bus->loop, bus->log, &options, &connection_handlers, bus);
    bus->open_parts++;
    free(name);
}

static void on_retry(uv_timer_t *retry)
{
    struct bus_amqp *bus = retry->data;

    expire(bus);
    connect_now(bus);
}

/* ---- life ---- */

static void on_part_closed(struct bus_amqp *bus)
{
    void (*closed_fn)(void *) = bus->closed_fn;
    void *closed_arg = bus->closed_arg;

    if (--bus->open_parts > 0)
        return;
    bus->closed = 1;
    maybe_free(bus);
    closed_fn(closed_arg);
}

static void on_handle_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void amqp_close(struct hms_bus *public, void (*closed)(void *arg), void *arg)
{
    struct bus_amqp *bus = of(public);

    assert(!bus->closing);
    bus->closing = 1;
    bus->closed_fn = closed;
    bus->closed_arg = arg;
    while (!TAILQ_EMPTY(&bus->inboxes))
        inbox_remove(bus, TAILQ_FIRST(&bus->inboxes));
    hms_amqp_hold_close(&bus->hold, on_handle_closed);
    hms_amqp_calls_close(&bus->calls, on_handle_closed);
    hms_amqp_outbox_clear(&bus->outbox);
    if (bus->connection != NULL && !bus->is_lost)
        hms_amqp_connection_close(bus->connection, on_connection_closed, bus);
    uv_close((uv_handle_t *)&bus->retry, on_handle_closed);
    uv_close((uv_handle_t *)&bus->pump, on_handle_closed);
}

static const struct hms_bus_ops amqp_ops = {
    .request = amqp_request,
    .notify = amqp_notify,
    .serve = amqp_serve,
    .unserve = amqp_unserve,
    .reply = amqp_reply,
    .cancel = amqp_cancel,
    .hold = amqp_hold,
    .unhold = amqp_unhold,
    .close = amqp_close,
};

const char *hms_bus_amqp_check(const char *text)
{
    struct hms_amqp_url url;
    const char *refusal = hms_amqp_url_read(text, &url);

    if (refusal == NULL)
        hms_amqp_url_free(&url);
    return refusal;
}

static int check(const struct hms_bus_amqp_options *options, char *error, size_t error_size)
{
    struct in_addr address;

    if (options->password == NULL && options->password_file == NULL)
        snprintf(error, error_size, "a password for the broker is needed");
    else if (options->password != NULL && strlen(options->password) > PASSWORD_MAX_BYTES)
        snprintf(error, error_size, "the broker's password must have at most %d bytes",
                 PASSWORD_MAX_BYTES);
    else if (inet_pton(AF_INET, options->address, &address) != 1)
        snprintf(error, error_size, "%s: the address must be an IPv4 address", options->address);
    else if (options->heartbeat_s < 1 || options->heartbeat_s > 3600)
        snprintf(error, error_size, "a heartbeat of %d s: it must be from 1 to 3600",
                 options->heartbeat_s);
    else
        return HMS_OK;
    return HMS_EINVAL;
}

static char *copy(const char *text)
{
    return text ? hms_strdup(text) : NULL;
}

int hms_bus_amqp_open(struct hms_bus **public, uv_loop_t *loop, struct hms_log *log,
                      const struct hms_bus_amqp_options *options, char *error, size_t error_size)
{
    struct hms_tls_context *tls_context = NULL;
    struct bus_amqp *bus;
    struct hms_amqp_url url;
    const char *refusal = hms_amqp_url_read(options->url, &url);
    int result;

    if (refusal != NULL) {
        snprintf(error, error_size, "the broker's URL must be %s", refusal);
        return HMS_EINVAL;
    }
    result = check(options, error, error_size);
    if (result == HMS_OK && url.is_tls)
        result = hms_tls_context_new(&tls_context, options->ca_file, options->cert_file,
                                     options->key_file, error, error_size);
    if (result != HMS_OK) {
        hms_amqp_url_free(&url);
        return result;
    }
    bus = hms_calloc(1, sizeof(*bus));
    hms_bus_init(&bus->public, &amqp_ops, HMS_BUS_DOWN);
    bus->loop = loop;
    bus->log = log;
    bus->url = url;
    bus->tls_context = tls_context;
    bus->password = copy(options->password);
    bus->password_file = copy(options->password_file);
    bus->heartbeat_s = options->heartbeat_s;
    bus->role = options->role;
    bus->address = hms_strdup(options->address);
    bus->reply_key =
        hms_asprintf("%s.callback.%s", hms_bus_role_name(options->role), options->address);
    bus->complaints =
        (struct hms_log_limit){.period_ms = COMPLAINTS_PERIOD_MS, .burst = COMPLAINTS_BURST};
    hms_amqp_outbox_init(&bus->outbox, HMS_BUS_AMQP_QUEUE_MESSAGES, HMS_BUS_AMQP_QUEUE_BYTES);
    hms_amqp_calls_init(&bus->calls, loop, on_call_end, bus);
    bus->calls.timer.data = bus;
    TAILQ_INIT(&bus->inboxes);
    hms_amqp_hold_init(&bus->hold, loop, log);
    bus->hold.timer.data = bus;
    uv_timer_init(loop, &bus->retry);
    uv_idle_init(loop, &bus->pump);
    bus->retry.data = bus;
    bus->pump.data = bus;
    bus->open_parts = 4;
    uv_timer_start(&bus->retry, on_retry, 0, 0);
    *public = &bus->public;
    return HMS_OK;
}
