/*
 * Active or standing by. Owns one timer: both sides let the other know of them once a period, and a
 * side that was not heard for three of them is taken to be gone.
 */
#include "controller/standby.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/gather.h"
#include "controller/roster.h"
#include "core/alloc.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"

#define MODULE         "controller"
#define PERIOD_MS      1000
#define SILENT_MS      (3 * PERIOD_MS)
#define URL_MAX        255
#define HOLD_NAME      "controller"
#define ROSTER_PERIODS 10
#define NEVER_HEARD    (-(int64_t)SILENT_MS - 1)

struct hms_standby {
    struct hms_standby_parts parts;
    char address[INET_ADDRSTRLEN];
    char *url;
    const struct hms_standby_handlers *handlers;
    void *arg;
    uv_timer_t timer;
    int is_active;
    int told_roster;              /* periods since the roster was told; 0: never */
    uint64_t told_version;        /* hms_roster_version() then */
    int64_t heard_ms;             /* from the other side, whichever that is */
    char active[INET_ADDRSTRLEN]; /* standing by: the active one; "" if it is not heard */
    char *active_url;             /* and where it is reached, or NULL */
    void (*closed_fn)(void *arg);
    void *closed_arg;
};

static int64_t now_ms(const struct hms_standby *standby)
{
    return (int64_t)uv_now(standby->parts.loop);
}

static int is_other_heard(const struct hms_standby *standby)
{
    return now_ms(standby) - standby->heard_ms <= SILENT_MS;
}

/* The address of whoever sent a controller's notification; NULL with a broken one. */
static const char *address_in(const json_t *message)
{
    const char *address = hms_json_string(message, "address");
    struct in_addr ignored;

    return address && inet_pton(AF_INET, address, &ignored) == 1 ? address : NULL;
}

/* ---- active ---- */

int hms_standby_heard(struct hms_standby *standby, const json_t *message)
{
    if (strcmp(hms_json_string(message, "command"), "standby") != 0)
        return 0;
    if (address_in(message) == NULL)
        return 1;
    if (!is_other_heard(standby)) {
        hms_log(standby->parts.log, HMS_LOG_INFO, MODULE, "controller %s stands by",
                address_in(message));
        standby->told_roster = 0;
    }
    standby->heard_ms = now_ms(standby);
    return 1;
}

void hms_standby_relay(struct hms_standby *standby, const json_t *message)
{
    if (standby->is_active && is_other_heard(standby))
        hms_bus_notify(standby->parts.bus, HMS_BUS_STANDBY, NULL, json_incref((json_t *)message));
}

static void tell_active(struct hms_standby *standby)
{
    json_t *message = json_pack("{s:s, s:s}", "command", "active", "address", standby->address);

    if (standby->url != NULL)
        json_object_set_new(message, "url", json_string(standby->url));
    hms_bus_notify(standby->parts.bus, HMS_BUS_STANDBY, NULL, message);
}

/* Again now and then: a message may be lost, and there may be several that stand by. */
static void tell_roster(struct hms_standby *standby)
{
    const struct hms_roster *roster = standby->parts.roster;

    if (standby->told_roster > 0 && standby->told_roster < ROSTER_PERIODS &&
        standby->told_version == hms_roster_version(roster)) {
        standby->told_roster++;
        return;
    }
    standby->told_roster = 1;
    standby->told_version = hms_roster_version(roster);
    hms_bus_notify(standby->parts.bus, HMS_BUS_STANDBY, NULL,
                   json_pack("{s:s, s:s, s:s, s:o}", "command", "roster", "address",
                             standby->address, "origin", hms_roster_origin(roster), "hosts",
                             hms_roster_public(roster)));
}

/* ---- standing by ---- */

static void forget_active(struct hms_standby *standby)
{
    standby->active[0] = '\0';
    free(standby->active_url);
    standby->active_url = NULL;
    hms_gather_set_source(standby->parts.gather, HMS_GATHER_NOBODY, NULL);
}

static void follow(struct hms_standby *standby, const json_t *message)
{
    const char *address = address_in(message);
    const char *url = hms_json_string(message, "url");

    if (address == NULL)
        return;
    standby->heard_ms = now_ms(standby);
    free(standby->active_url);
    standby->active_url = url && strlen(url) <= URL_MAX ? hms_strdup(url) : NULL;
    if (strcmp(address, standby->active) == 0)
        return;
    snprintf(standby->active, sizeof(standby->active), "%s", address);
    hms_log(standby->parts.log, HMS_LOG_INFO, MODULE, "standing by for controller %s", address);
    hms_gather_set_source(standby->parts.gather, HMS_GATHER_CONTROLLER, address);
}

static void on_relayed(void *arg, const json_t *message, struct hms_bus_call *call)
{
    struct hms_standby *standby = arg;
    const char *command = hms_json_string(message, "command");
    const json_t *hosts = json_object_get(message, "hosts");

    if (call != NULL)
        hms_bus_reply(call, hms_bus_error("INVALID_REQUEST", "this controller stands by"));
    else if (strcmp(command, "active") == 0)
        follow(standby, message);
    else if (strcmp(command, "roster") == 0 && json_is_object(hosts))
        standby->handlers->on_roster(standby->arg, hms_json_string(message, "origin"), hosts);
    else
        hms_gather_notified(standby->parts.gather, message);
}

static void tell_standby(struct hms_standby *standby)
{
    hms_bus_notify(standby->parts.bus, HMS_BUS_CONTROLLER, NULL,
                   json_pack("{s:s, s:s}", "command", "standby", "address", standby->address));
}

static void on_timer(uv_timer_t *timer)
{
    struct hms_standby *standby = timer->data;

    if (standby->is_active) {
        tell_active(standby); /* also if nobody hears it: a broker that blocks then says so */
        if (is_other_heard(standby))
            tell_roster(standby);
        return;
    }
    if (standby->active[0] != '\0' && !is_other_heard(standby)) {
        hms_log(standby->parts.log, HMS_LOG_WARN, MODULE, "controller %s is not heard any more",
                standby->active);
        forget_active(standby);
    }
    tell_standby(standby);
}

/* ---- changes between the two ---- */

/* Nobody else serves these roles on our bus. */
static void serve_role(struct hms_standby *standby, enum hms_bus_role role, hms_bus_serve_fn fn,
                       void *arg)
{
    int result = hms_bus_serve(standby->parts.bus, role, standby->address, fn, arg);

    assert(result == HMS_OK);
    (void)result;
}

static void become_active(struct hms_standby *standby)
{
    forget_active(standby);
    hms_bus_unserve(standby->parts.bus, HMS_BUS_STANDBY, standby->address);
    serve_role(standby, HMS_BUS_CONTROLLER, standby->handlers->serve, standby->arg);
    hms_gather_set_source(standby->parts.gather, HMS_GATHER_MANAGERS, NULL);
}

static void stand_by(struct hms_standby *standby)
{
    hms_bus_unserve(standby->parts.bus, HMS_BUS_CONTROLLER, standby->address);
    serve_role(standby, HMS_BUS_STANDBY, on_relayed, standby);
    forget_active(standby);
}

static void on_held(void *arg, int is_held)
{
    struct hms_standby *standby = arg;

    hms_log(standby->parts.log, HMS_LOG_INFO, MODULE, "this controller %s",
            is_held ? "is the active one" : "stands by: the broker was lost");
    standby->is_active = is_held;
    standby->heard_ms = NEVER_HEARD;
    if (is_held)
        become_active(standby);
    else
        stand_by(standby);
    standby->handlers->on_turn(standby->arg, is_held);
}

/* ---- life ---- */

struct hms_standby *hms_standby_new(const struct hms_standby_parts *parts,
                                    const struct hms_standby_handlers *handlers, void *arg)
{
    struct hms_standby *standby = hms_calloc(1, sizeof(*standby));

    standby->parts = *parts;
    snprintf(standby->address, sizeof(standby->address), "%s", parts->address);
    standby->handlers = handlers;
    standby->arg = arg;
    standby->heard_ms = NEVER_HEARD;
    return standby;
}

void hms_standby_free(struct hms_standby *standby)
{
    free(standby->url);
    free(standby->active_url);
    free(standby);
}

void hms_standby_start(struct hms_standby *standby, const char *url)
{
    standby->url = url ? hms_strdup(url) : NULL;
    uv_timer_init(standby->parts.loop, &standby->timer);
    standby->timer.data = standby;
    uv_timer_start(&standby->timer, on_timer, PERIOD_MS, PERIOD_MS);
    serve_role(standby, HMS_BUS_STANDBY, on_relayed, standby);
    hms_bus_hold(standby->parts.bus, HOLD_NAME, on_held, standby);
}

int hms_standby_is_active(const struct hms_standby *standby)
{
    return standby->is_active;
}

const char *hms_standby_active(const struct hms_standby *standby)
{
    if (standby->is_active)
        return standby->address;
    return standby->active[0] != '\0' ? standby->active : NULL;
}

const char *hms_standby_active_url(const struct hms_standby *standby)
{
    return standby->is_active ? standby->url : standby->active_url;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct hms_standby *standby = handle->data;
    void (*closed_fn)(void *) = standby->closed_fn;
    void *closed_arg = standby->closed_arg;

    hms_standby_free(standby);
    closed_fn(closed_arg);
}

void hms_standby_close(struct hms_standby *standby, void (*closed)(void *arg), void *arg)
{
    standby->closed_fn = closed;
    standby->closed_arg = arg;
    hms_bus_unhold(standby->parts.bus);
    hms_bus_unserve(standby->parts.bus, standby->is_active ? HMS_BUS_CONTROLLER : HMS_BUS_STANDBY,
                    standby->address);
    uv_close((uv_handle_t *)&standby->timer, on_timer_closed);
}
