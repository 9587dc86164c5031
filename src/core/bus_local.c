/*
 * Delivery inside one process. The bus owns its servers, its queue of messages on their way and the
 * calls (requests). A call is one struct from hms_bus_request() to the end of both its sides: the
 * requester, who may give up waiting, and the server, who may answer later.
 */
#include "core/bus_local.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/alloc.h"
#include "core/bus_impl.h"
#include "core/error.h"
#include "core/json.h"

/* Deliveries in one turn of the loop; the rest waits for the next turn. */
#define BATCH 64

/* Of a call whose reply is on its way: a late turn of the loop does not time it out. */
#define NO_DEADLINE INT64_MAX

/* A message on its way. */
struct parcel {
    TAILQ_ENTRY(parcel) queue_link;
    enum { PARCEL_NOTIFICATION, PARCEL_REQUEST, PARCEL_REPLY } kind;
    enum hms_bus_role role;
    char *address; /* NULL: every server of the role */
    json_t *message;
};

enum call_state {
    CALL_QUEUED,    /* its parcel carries the request */
    CALL_SERVED,    /* in the server's hands */
    CALL_ANSWERED,  /* its parcel carries the reply */
    CALL_ABANDONED, /* in the server's hands; the requester waits no longer */
};

struct call {
    struct hms_bus_call public;
    struct parcel parcel;
    enum call_state state;
    TAILQ_ENTRY(call) waiting_link; /* unless abandoned */
    uint64_t number;
    int64_t deadline_ms;
    hms_bus_reply_fn reply_fn;
    void *arg;
};

struct server {
    TAILQ_ENTRY(server) link;
    enum hms_bus_role role;
    char *address;
    hms_bus_serve_fn fn;
    void *arg;
    int removed; /* freed at the end of the turn: a delivery may be walking the list */
};

TAILQ_HEAD(parcel_list, parcel);
TAILQ_HEAD(call_list, call);
TAILQ_HEAD(server_list, server);

struct bus_local {
    struct hms_bus public;
    uv_loop_t *loop;
    uv_idle_t pump;   /* active while something is queued */
    uv_timer_t timer; /* runs for the earliest deadline */
    struct parcel_list queue;
    size_t queued;
    struct call_list waiting; /* by deadline */
    size_t call_count;        /* abandoned ones too */
    uint64_t last_number;
    struct server_list servers;
    void (*hold_fn)(void *arg, int is_held); /* to be told, in the next turn, that it holds */
    void *hold_arg;
    int open_handles;
    int closing;
    int closed; /* the handles are; calls that servers still hold keep the struct */
    void (*closed_fn)(void *arg);
    void *closed_arg;
};

static void on_pump(uv_idle_t *pump);
static void on_timer(uv_timer_t *timer);

static struct bus_local *of(struct hms_bus *bus)
{
    return hms_container_of(bus, struct bus_local, public);
}

/* ---- queue ---- */

static void enqueue(struct bus_local *bus, struct parcel *parcel)
{
    TAILQ_INSERT_TAIL(&bus->queue, parcel, queue_link);
    bus->queued++;
    uv_idle_start(&bus->pump, on_pump);
}

static void rest_pump(struct bus_local *bus)
{
    if (bus->queued == 0 && bus->hold_fn == NULL)
        uv_idle_stop(&bus->pump);
}

static void dequeue(struct bus_local *bus, struct parcel *parcel)
{
    TAILQ_REMOVE(&bus->queue, parcel, queue_link);
    assert(TAILQ_FIRST(&bus->queue) != parcel); /* static analysis does not see that */
    bus->queued--;
    rest_pump(bus);
}

static void count(struct bus_local *bus, const char *address, const json_t *message)
{
    hms_bus_count(&bus->public, address, json_dumpb(message, NULL, 0, HMS_JSON_DUMP));
}

static void parcel_clear(struct parcel *parcel)
{
    free(parcel->address);
    json_decref(parcel->message);
}

static const char *first_address(struct bus_local *bus, enum hms_bus_role role)
{
    struct server *server;

    TAILQ_FOREACH(server, &bus->servers, link)
    if (server->role == role && !server->removed)
        return server->address;
    return "127.0.0.1";
}

static void add_sender(struct bus_local *bus, enum hms_bus_role to, int is_request, json_t *message)
{
    enum hms_bus_role from = HMS_BUS_INTERFACE;

    if (json_object_get(message, "sender") != NULL)
        return;
    if (to == HMS_BUS_MANAGER || to == HMS_BUS_ANTAGONIST)
        from = HMS_BUS_CONTROLLER;
    else if (to == HMS_BUS_CONTROLLER && !is_request)
        from = HMS_BUS_MANAGER;
    json_object_set_new(
        message, "sender",
        json_sprintf("%s.callback.%s", hms_bus_role_name(from), first_address(bus, from)));
}

/* ---- calls ---- */

static void arm_timer(struct bus_local *bus)
{
    struct call *first = TAILQ_FIRST(&bus->waiting);
    int64_t left_ms;

    if (bus->closing || first == NULL || first->deadline_ms == NO_DEADLINE) {
        uv_timer_stop(&bus->timer);
        return;
    }
    left_ms = first->deadline_ms - (int64_t)uv_now(bus->loop);
    uv_timer_start(&bus->timer, on_timer, left_ms > 0 ? (uint64_t)left_ms : 0, 0);
}

/* Waiting times are mostly equal, so the place is found from the end. */
static void wait_for(struct bus_local *bus, struct call *call)
{
    struct call *before = TAILQ_LAST(&bus->waiting, call_list);

    while (before != NULL && before->deadline_ms > call->deadline_ms)
        before = TAILQ_PREV(before, call_list, waiting_link);
    if (before != NULL) {
        TAILQ_INSERT_AFTER(&bus->waiting, before, call, waiting_link);
    } else {
        TAILQ_INSERT_HEAD(&bus->waiting, call, waiting_link);
        arm_timer(bus);
    }
}

static void maybe_free(struct bus_local *bus)
{
    if (!bus->closed || bus->call_count > 0)
        return;
    hms_bus_release(&bus->public);
    free(bus);
}

static void call_free(struct bus_local *bus, struct call *call)
{
    bus->call_count--;
    parcel_clear(&call->parcel);
    free(call);
    maybe_free(bus);
}

/* The requester's side ends: exactly once per call. */
static void finish(struct bus_local *bus, struct call *call, int error)
{
    hms_bus_reply_fn reply_fn = call->reply_fn;
    void *arg = call->arg;
    json_t *reply = NULL;

    assert(call->state != CALL_ABANDONED);
    TAILQ_REMOVE(&bus->waiting, call, waiting_link);
    arm_timer(bus);
    if (call->state == CALL_SERVED) {
        call->state = CALL_ABANDONED;
    } else {
        dequeue(bus, &call->parcel);
        if (call->state == CALL_ANSWERED && error == HMS_OK)
            reply = json_incref(call->parcel.message);
        call_free(bus, call);
    }
    reply_fn(arg, error, reply);
    json_decref(reply);
}

static void on_timer(uv_timer_t *timer)
{
    struct bus_local *bus = timer->data;
    int64_t now_ms = (int64_t)uv_now(bus->loop);
    struct call *call;

    while ((call = TAILQ_FIRST(&bus->waiting)) != NULL && call->deadline_ms <= now_ms)
        finish(bus, call, HMS_ETIMEDOUT);
    arm_timer(bus);
}

/* Calls made meanwhile, by the callbacks, are left alone. */
static void cancel_calls(struct bus_local *bus, int of_all, void *arg)
{
    uint64_t last = bus->last_number;
    struct call *call;

    do {
        TAILQ_FOREACH(call, &bus->waiting, waiting_link)
        if (call->number <= last && (of_all || call->arg == arg))
            break;
        if (call != NULL)
            finish(bus, call, HMS_ECANCELED);
    } while (call != NULL);
}

/* ---- delivery ---- */

static struct server *find_server(struct bus_local *bus, enum hms_bus_role role,
                                  const char *address)
{
    struct server *server;

    TAILQ_FOREACH(server, &bus->servers, link)
    if (!server->removed && server->role == role && strcmp(server->address, address) == 0)
        return server;
    return NULL;
}

static void deliver_notification(struct bus_local *bus, struct parcel *parcel)
{
    struct server *server;

    dequeue(bus, parcel);
    TAILQ_FOREACH(server, &bus->servers, link)
    if (!server->removed && server->role == parcel->role &&
        (parcel->address == NULL || strcmp(server->address, parcel->address) == 0))
        server->fn(server->arg, parcel->message, NULL);
    parcel_clear(parcel);
    free(parcel);
}

static void deliver_request(struct bus_local *bus, struct call *call)
{
    struct server *server = find_server(bus, call->parcel.role, call->parcel.address);
    json_t *message;

    if (server == NULL) {
        finish(bus, call, HMS_EUNREACHABLE);
        return;
    }
    dequeue(bus, &call->parcel);
    call->state = CALL_SERVED;
    message = call->parcel.message;
    call->parcel.message = NULL;
    server->fn(server->arg, message, &call->public);
    json_decref(message);
}

static void sweep_servers(struct bus_local *bus)
{
    struct server *server, *next;

    for (server = TAILQ_FIRST(&bus->servers); server != NULL; server = next) {
        next = TAILQ_NEXT(server, link);
        if (!server->removed)
            continue;
        TAILQ_REMOVE(&bus->servers, server, link);
        free(server->address);
        free(server);
    }
}

/* Nobody else can be on this bus: what is asked for is held. */
static void tell_holder(struct bus_local *bus)
{
    void (*fn)(void *arg, int is_held) = bus->hold_fn;

    if (fn == NULL)
        return;
    bus->hold_fn = NULL;
    rest_pump(bus);
    fn(bus->hold_arg, 1);
}

static void on_pump(uv_idle_t *pump)
{
    struct bus_local *bus = pump->data;
    size_t left = bus->queued < BATCH ? bus->queued : BATCH;

    tell_holder(bus);
    for (; left > 0 && !bus->closing && !TAILQ_EMPTY(&bus->queue); left--) {
        struct parcel *parcel = TAILQ_FIRST(&bus->queue);

        switch (parcel->kind) {
        case PARCEL_NOTIFICATION:
            deliver_notification(bus, parcel);
            break;
        case PARCEL_REQUEST:
            deliver_request(bus, hms_container_of(parcel, struct call, parcel));
            break;
        case PARCEL_REPLY:
            finish(bus, hms_container_of(parcel, struct call, parcel), HMS_OK);
            break;
        }
    }
    sweep_servers(bus);
}

/* ---- the interface ---- */

static int local_request(struct hms_bus *public, enum hms_bus_role role, const char *address,
                         json_t *message, int64_t timeout_ms, hms_bus_reply_fn reply_fn, void *arg)
{
    struct bus_local *bus = of(public);
    struct call *call;

    if (bus->closing || bus->call_count >= HMS_BUS_LOCAL_CALLS_MAX ||
        bus->queued >= HMS_BUS_LOCAL_MESSAGES_MAX) {
        json_decref(message);
        return HMS_ELIMIT;
    }
    add_sender(bus, role, 1, message);
    count(bus, address, message);
    call = hms_calloc(1, sizeof(*call));
    call->public.bus = public;
    call->parcel.kind = PARCEL_REQUEST;
    call->parcel.role = role;
    call->parcel.address = hms_strdup(address);
    call->parcel.message = message;
    call->number = ++bus->last_number;
    call->deadline_ms = (int64_t)uv_now(bus->loop) + timeout_ms;
    call->reply_fn = reply_fn;
    call->arg = arg;
    bus->call_count++;
    wait_for(bus, call);
    enqueue(bus, &call->parcel);
    return HMS_OK;
}

static int local_notify(struct hms_bus *public, enum hms_bus_role role, const char *address,
                        json_t *message)
{
    struct bus_local *bus = of(public);
    struct parcel *parcel;

    if (bus->closing || bus->queued >= HMS_BUS_LOCAL_MESSAGES_MAX) {
        json_decref(message);
        return HMS_ELIMIT;
    }
    add_sender(bus, role, 0, message);
    count(bus, hms_bus_sender_address(message), message);
    parcel = hms_calloc(1, sizeof(*parcel));
    parcel->kind = PARCEL_NOTIFICATION;
    parcel->role = role;
    parcel->address = address ? hms_strdup(address) : NULL;
    parcel->message = message;
    enqueue(bus, parcel);
    return HMS_OK;
}

static int local_serve(struct hms_bus *public, enum hms_bus_role role, const char *address,
                       hms_bus_serve_fn fn, void *arg)
{
    struct bus_local *bus = of(public);
    struct server *server;

    if (find_server(bus, role, address) != NULL)
        return HMS_EBUSY;
    server = hms_calloc(1, sizeof(*server));
    server->role = role;
    server->address = hms_strdup(address);
    server->fn = fn;
    server->arg = arg;
    TAILQ_INSERT_TAIL(&bus->servers, server, link);
    return HMS_OK;
}

static void local_unserve(struct hms_bus *public, enum hms_bus_role role, const char *address)
{
    struct server *server = find_server(of(public), role, address);

    if (server != NULL)
        server->removed = 1;
}

static void local_reply(struct hms_bus_call *public, json_t *reply)
{
    struct call *call = hms_container_of(public, struct call, public);
    struct bus_local *bus = of(public->bus);

    assert(call->state == CALL_SERVED || call->state == CALL_ABANDONED);
    if (call->state == CALL_ABANDONED) {
        json_decref(reply);
        call_free(bus, call);
        return;
    }
    count(bus, call->parcel.address, reply);
    TAILQ_REMOVE(&bus->waiting, call, waiting_link);
    call->deadline_ms = NO_DEADLINE;
    TAILQ_INSERT_TAIL(&bus->waiting, call, waiting_link);
    arm_timer(bus);
    call->state = CALL_ANSWERED;
    call->parcel.kind = PARCEL_REPLY;
    call->parcel.message = reply;
    enqueue(bus, &call->parcel);
}

static void local_cancel(struct hms_bus *public, void *arg)
{
    cancel_calls(of(public), 0, arg);
}

static void local_hold(struct hms_bus *public, const char *name, void (*fn)(void *arg, int is_held),
                       void *arg)
{
    struct bus_local *bus = of(public);

    bus->hold_fn = fn;
    bus->hold_arg = arg;
    uv_idle_start(&bus->pump, on_pump);
}

static void local_unhold(struct hms_bus *public)
{
    struct bus_local *bus = of(public);

    bus->hold_fn = NULL;
    rest_pump(bus);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct bus_local *bus = handle->data;
    void (*closed_fn)(void *) = bus->closed_fn;
    void *closed_arg = bus->closed_arg;

    if (--bus->open_handles > 0)
        return;
    sweep_servers(bus);
    bus->closed = 1;
    maybe_free(bus);
    closed_fn(closed_arg);
}

static void local_close(struct hms_bus *public, void (*closed)(void *arg), void *arg)
{
    struct bus_local *bus = of(public);
    struct server *server;

    assert(!bus->closing);
    bus->closing = 1;
    bus->hold_fn = NULL;
    bus->closed_fn = closed;
    bus->closed_arg = arg;
    TAILQ_FOREACH(server, &bus->servers, link)
    server->removed = 1;
    cancel_calls(bus, 1, NULL);
    while (!TAILQ_EMPTY(&bus->queue)) {
        struct parcel *parcel = TAILQ_FIRST(&bus->queue);

        dequeue(bus, parcel); /* no call is left: these are notifications */
        parcel_clear(parcel);
        free(parcel);
    }
    uv_close((uv_handle_t *)&bus->pump, on_handle_closed);
    uv_close((uv_handle_t *)&bus->timer, on_handle_closed);
}

static const struct hms_bus_ops local_ops = {
    .request = local_request,
    .notify = local_notify,
    .serve = local_serve,
    .unserve = local_unserve,
    .reply = local_reply,
    .cancel = local_cancel,
    .hold = local_hold,
    .unhold = local_unhold,
    .close = local_close,
};

struct hms_bus *hms_bus_local_new(uv_loop_t *loop)
{
    struct bus_local *bus = hms_calloc(1, sizeof(*bus));

    hms_bus_init(&bus->public, &local_ops, HMS_BUS_READY);
    bus->loop = loop;
    TAILQ_INIT(&bus->queue);
    TAILQ_INIT(&bus->waiting);
    TAILQ_INIT(&bus->servers);
    uv_idle_init(loop, &bus->pump);
    uv_timer_init(loop, &bus->timer);
    bus->pump.data = bus;
    bus->timer.data = bus;
    bus->open_handles = 2;
    return &bus->public;
}
