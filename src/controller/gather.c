/*
 * The I/O around sync.h. Owns two timers: one runs for the next aggregation, and only while a host
 * is due; the other for the first moment at which a host that stays silent would change its state.
 */
#include "controller/gather.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/notice.h"
#include "controller/registry.h"
#include "controller/strangers.h"
#include "core/alloc.h"
#include "core/bus.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"

#define MODULE "controller"

/* Hosts that are there are heard within so long: three of their usual heartbeats. */
#define SETTLE_MS 3000

/* One give_content under way. */
struct hms_gather_ask {
    struct hms_gather *gather;
    struct hms_host *host;
    struct hms_gather_wait *waits; /* satisfied by its answer */
    struct hms_gather_wait *later; /* joined after something newer was announced: by the next */
};

struct hms_gather {
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_bus *bus;
    struct hms_registry *registry;
    struct hms_gather_options options;
    void (*on_change)(void *arg);
    void *arg;

    enum hms_gather_source source;
    char controller[INET_ADDRSTRLEN]; /* HMS_GATHER_CONTROLLER: whom to ask */
    uv_timer_t aggregation;
    uv_timer_t check;
    int64_t check_ms;   /* when it runs, if it is active */
    int64_t hearing_ms; /* since when messages can reach us, or HMS_SYNC_DEAF */
    struct hms_bus_watch watch;
    struct hms_gather_drops drops;
    struct hms_strangers strangers;
    int open_timers;
    int is_ready;
    int closing;
    void (*closed_fn)(void *arg);
    void *closed_arg;
    struct hms_log_limit dropped_limit;
    struct hms_log_limit rivals_limit;
};

static void on_aggregation(uv_timer_t *timer);
static void on_check(uv_timer_t *timer);

static int64_t now_ms(const struct hms_gather *gather)
{
    return (int64_t)uv_now(gather->loop);
}

/* On a fixed beat, so that nothing waits longer than one aggregation time, and half of it on
 * average. */
static void schedule(struct hms_gather *gather)
{
    int64_t beat_ms = gather->options.aggregation_ms;

    if (!gather->closing && !uv_is_active((uv_handle_t *)&gather->aggregation))
        uv_timer_start(&gather->aggregation, on_aggregation,
                       (uint64_t)(beat_ms - now_ms(gather) % beat_ms), 0);
}

static void check_at(struct hms_gather *gather, int64_t at_ms)
{
    if (gather->closing || at_ms == INT64_MAX ||
        (uv_is_active((uv_handle_t *)&gather->check) && gather->check_ms <= at_ms))
        return;
    gather->check_ms = at_ms;
    uv_timer_start(&gather->check, on_check, (uint64_t)(at_ms - now_ms(gather)), 0);
}

/* That all of them are stale without the bus, the bus has said already. */
static void log_state(struct hms_gather *gather, const struct hms_host *host)
{
    enum hms_log_level level = host->state == HMS_HOST_ONLINE ? HMS_LOG_INFO : HMS_LOG_WARN;

    if (gather->hearing_ms == HMS_SYNC_DEAF)
        level = HMS_LOG_DEBUG;
    hms_log(gather->log, level, MODULE, "host %s is %s", host->address,
            hms_host_state_name(host->state));
}

static void review(struct hms_gather *gather, struct hms_host *host)
{
    enum hms_host_state before = host->state;
    struct hms_registry_times times = {
        .now_ms = now_ms(gather),
        .wall_ns = hms_clock_wall_ns(),
        .hearing_ms = gather->hearing_ms,
        .expiry_ms = gather->options.expiry_ms,
    };

    hms_registry_check(gather->registry, host, &times);
    if (host->state != before)
        log_state(gather, host);
    if (hms_sync_is_due(&host->sync))
        schedule(gather);
    check_at(gather,
             hms_sync_deadline(&host->sync, times.now_ms, times.hearing_ms, times.expiry_ms));
}

static void review_all(struct hms_gather *gather)
{
    size_t i;

    for (i = 0; i < hms_registry_count(gather->registry); i++)
        review(gather, hms_registry_at(gather->registry, i));
    gather->on_change(gather->arg);
}

static int is_complete(const struct hms_host *host)
{
    return host->has_content && hms_json_bool(host->report, "ready", 1);
}

static int is_awaited(const struct hms_host *host)
{
    return !is_complete(host) &&
           (host->state == HMS_HOST_ONLINE || host->state == HMS_HOST_DEGRADED);
}

static void note_ready(struct hms_gather *gather)
{
    size_t count = hms_registry_count(gather->registry), complete = 0, awaited = 0, i;
    int has_settled, is_enough;

    if (gather->is_ready || gather->hearing_ms == HMS_SYNC_DEAF)
        return;
    for (i = 0; i < count; i++) {
        complete += is_complete(hms_registry_at(gather->registry, i)) != 0;
        awaited += is_awaited(hms_registry_at(gather->registry, i)) != 0;
    }
    has_settled = now_ms(gather) - gather->hearing_ms >= SETTLE_MS;
    is_enough = has_settled ? complete > 0 || awaited == 0 : complete > 0 && complete == count;
    if (!is_enough)
        return;
    gather->is_ready = 1;
    hms_log(gather->log, HMS_LOG_INFO, MODULE, "ready: %zu of %zu hosts have told all", complete,
            count);
}

/* Every event of a host ends here: its state, the next aggregation, whoever counts. */
static void settle(struct hms_gather *gather, struct hms_host *host)
{
    review(gather, host);
    note_ready(gather);
    gather->on_change(gather->arg);
}

/* ---- asking ---- */

static void release(struct hms_gather_wait *waits, int error)
{
    while (waits != NULL) {
        struct hms_gather_wait *wait = waits;

        waits = wait->next; /* the callback may free it */
        wait->fn(wait->arg, error);
    }
}

static int ask(struct hms_gather *gather, struct hms_host *host, struct hms_gather_wait *waits);

/* The other side of the true information availability: docs/wire.md. */
static void log_version(struct hms_gather *gather, const struct hms_host *host)
{
    struct hms_sync_point point = host->sync.content;

    if (point.epoch == 0 || !hms_log_enabled(gather->log, HMS_LOG_DEBUG))
        return;
    hms_log_fields(gather->log, HMS_LOG_DEBUG, MODULE,
                   json_pack("{s:I, s:I, s:s}", "epoch", (json_int_t)point.epoch, "version",
                             (json_int_t)point.version, "address", host->address),
                   "content of %s is at version %lld", host->address, (long long)point.version);
}

/* A controller tells the same as a manager, one level deeper. Returns a new reference. */
static json_t *content_in(const json_t *reply)
{
    json_t *description = json_object_get(reply, "description");
    json_t *content;

    if (!json_is_object(description))
        return json_incref((json_t *)reply);
    content = json_copy(description);
    json_object_set(content, "command", json_object_get(reply, "command"));
    return content;
}

static int take_answer(struct hms_gather *gather, struct hms_host *host, int error,
                       const json_t *reply)
{
    char text[HMS_JSON_ERROR_SIZE];

    if (error == HMS_OK) {
        json_t *content = content_in(reply);

        error = hms_registry_answered(gather->registry, host, content, now_ms(gather),
                                      hms_clock_wall_ns(), text);
        json_decref(content);
    } else {
        hms_registry_ask_failed(gather->registry, host);
        snprintf(text, sizeof(text), "%s", hms_strerror(error));
    }
    if (error == HMS_OK) {
        log_version(gather, host);
    } else {
        hms_log(gather->log, HMS_LOG_DEBUG, MODULE, "no content from %s: %s", host->address, text);
    }
    return error;
}

static void on_answer(void *arg, int error, const json_t *reply)
{
    struct hms_gather_ask *request = arg;
    struct hms_gather *gather = request->gather;
    struct hms_host *host = request->host;
    struct hms_gather_wait *waits = request->waits, *later = request->later;

    free(request);
    host->ask = NULL;
    error = take_answer(gather, host, error, reply);
    settle(gather, host);
    if (later != NULL && error == HMS_OK && hms_sync_is_pending(&host->sync)) {
        error = ask(gather, host, later);
        if (error == HMS_OK)
            later = NULL;
    }
    release(later, error);
    release(waits, error);
}

static int send_question(struct hms_gather_ask *request)
{
    struct hms_gather *gather = request->gather;
    const char *address = request->host->address;
    int64_t timeout_ms = gather->options.reply_timeout_ms;

    if (gather->source == HMS_GATHER_MANAGERS)
        return hms_bus_request(gather->bus, HMS_BUS_MANAGER, address,
                               json_pack("{s:s}", "command", "give_content"), timeout_ms, on_answer,
                               request);
    /* That one may have to ask the manager first. */
    return hms_bus_request(
        gather->bus, HMS_BUS_CONTROLLER, gather->controller,
        json_pack("{s:s, s:s}", "command", "get_host_containers", "address", address),
        2 * timeout_ms, on_answer, request);
}

/* Returns 0, HMS_ELIMIT, or HMS_EUNREACHABLE while there is nobody to ask. */
static int ask(struct hms_gather *gather, struct hms_host *host, struct hms_gather_wait *waits)
{
    struct hms_gather_ask *request;
    int error;

    if (gather->hearing_ms == HMS_SYNC_DEAF)
        return HMS_EUNREACHABLE;
    request = hms_calloc(1, sizeof(*request));
    request->gather = gather;
    request->host = host;
    request->waits = waits;
    error = send_question(request);
    if (error != HMS_OK) {
        free(request);
        return error;
    }
    host->ask = request;
    hms_registry_asked(host);
    return HMS_OK;
}

int hms_gather_refresh(struct hms_gather *gather, struct hms_host *host,
                       struct hms_gather_wait *wait, void (*fn)(void *arg, int error), void *arg)
{
    struct hms_gather_wait **list;

    wait->fn = fn;
    wait->arg = arg;
    wait->next = NULL;
    if (gather->closing)
        return HMS_ELIMIT;
    if (host->ask == NULL)
        return ask(gather, host, wait);
    list = hms_sync_may_fall_short(&host->sync) ? &host->ask->later : &host->ask->waits;
    wait->next = *list;
    *list = wait;
    return HMS_OK;
}

static void on_aggregation(uv_timer_t *timer)
{
    struct hms_gather *gather = timer->data;
    size_t i;

    for (i = 0; i < hms_registry_count(gather->registry); i++) {
        struct hms_host *host = hms_registry_at(gather->registry, i);

        if (hms_sync_is_due(&host->sync) && ask(gather, host, NULL) == HMS_ELIMIT)
            schedule(gather);
    }
}

/* ---- hearing ---- */

static void drop(struct hms_gather *gather, uint64_t *counter, const char *why, const char *what)
{
    ++*counter;
    if (hms_log_limit_pass(&gather->dropped_limit, now_ms(gather)))
        hms_log(gather->log, HMS_LOG_WARN, MODULE, "notification%s%s dropped: %s",
                what ? " of " : "", what ? what : "", why);
}

/* Each of them is taken for the other's new life, and asked; who must end that is the operator. */
static void note_rival(struct hms_gather *gather, const struct hms_host *host)
{
    gather->drops.rivals++;
    if (hms_log_limit_pass(&gather->rivals_limit, now_ms(gather)))
        hms_log(gather->log, HMS_LOG_WARN, MODULE,
                "two managers tell of host %s: one of them has the wrong --address, or should be "
                "stopped",
                host->address);
}

static void hear(struct hms_gather *gather, struct hms_host *host, const struct hms_notice *notice)
{
    uint64_t returns = host->sync.returns;

    if (host->notifications == 0)
        hms_log(gather->log, HMS_LOG_INFO, MODULE, "host %s appeared", host->address);
    switch (
        hms_registry_heard(gather->registry, host, notice, now_ms(gather), hms_clock_wall_ns())) {
    case HMS_SYNC_FOLLOWS:
        log_version(gather, host);
        break;
    case HMS_SYNC_KNOWN:
        gather->drops.repeated += notice->kind == HMS_NOTICE_UPDATE;
        break;
    case HMS_SYNC_GAP:
        gather->drops.gaps++;
        break;
    case HMS_SYNC_FLAGGED:
    case HMS_SYNC_NEW_LIFE:
        break;
    }
    if (host->sync.returns != returns)
        note_rival(gather, host);
    settle(gather, host);
}

/* Whether the host may be heard; only those that it may are entered into the registry. */
static int admit(struct hms_gather *gather, const char *address, struct hms_host **host)
{
    *host = hms_registry_find(gather->registry, address);
    if (*host != NULL)
        return 1;
    if (gather->options.accept == HMS_ACCEPT_REGISTERED) {
        ++gather->drops.strangers;
        if (hms_strangers_note(&gather->strangers, address, hms_clock_wall_ns()) &&
            hms_log_limit_pass(&gather->dropped_limit, now_ms(gather)))
            hms_log(gather->log, HMS_LOG_WARN, MODULE,
                    "host %s is refused: it is not registered (--accept-managers=registered)",
                    address);
        return 0;
    }
    if (hms_registry_enter(gather->registry, address, host) == HMS_OK)
        return 1;
    drop(gather, &gather->drops.strangers, "too many hosts", address);
    return 0;
}

void hms_gather_notified(struct hms_gather *gather, const json_t *message)
{
    char error[HMS_JSON_ERROR_SIZE];
    struct hms_notice notice;
    struct hms_host *host;

    switch (hms_notice_read(&notice, message, error)) {
    case HMS_OK:
        break;
    case HMS_ENOENT:
        drop(gather, &gather->drops.unknown, error, NULL);
        return;
    default:
        drop(gather, &gather->drops.malformed, error, notice.address);
        return;
    }
    if (!admit(gather, notice.address, &host))
        return;
    if (host->notifications == 0)
        hms_strangers_forget(&gather->strangers, notice.address);
    if (hms_host_count_after(host, notice.removed, notice.changed) > HMS_NOTICE_CONTAINERS_MAX) {
        drop(gather, &gather->drops.malformed, "too many containers", notice.address);
        return;
    }
    if (gather->options.sync == HMS_SYNC_PULL && notice.kind == HMS_NOTICE_UPDATE)
        notice.point = (struct hms_sync_point){0};
    hear(gather, host, &notice);
}

void hms_gather_changed(struct hms_gather *gather, struct hms_host *host)
{
    hms_registry_changed(gather->registry, host);
    settle(gather, host);
}

void hms_gather_forget(struct hms_gather *gather, struct hms_host *host)
{
    if (host->ask != NULL)
        hms_bus_cancel(gather->bus, host->ask);
    hms_registry_remove(gather->registry, host);
    gather->on_change(gather->arg);
}

enum hms_gather_health hms_gather_health(struct hms_gather *gather)
{
    note_ready(gather);
    if (!gather->is_ready)
        return HMS_GATHER_STARTING;
    return gather->hearing_ms == HMS_SYNC_DEAF ? HMS_GATHER_DISCONNECTED : HMS_GATHER_HEALTHY;
}

const struct hms_gather_drops *hms_gather_drops(const struct hms_gather *gather)
{
    return &gather->drops;
}

const struct hms_strangers *hms_gather_strangers(const struct hms_gather *gather)
{
    return &gather->strangers;
}

/* ---- silence ---- */

static void on_check(uv_timer_t *timer)
{
    review_all(timer->data);
}

/* Managers that tell no version cannot tell what we missed either. */
static void doubt_unversioned(struct hms_gather *gather)
{
    size_t i;

    for (i = 0; i < hms_registry_count(gather->registry); i++) {
        struct hms_host *host = hms_registry_at(gather->registry, i);

        if (host->sync.content.epoch == 0)
            hms_registry_changed(gather->registry, host);
    }
}

/* Silence counts from when it could have been broken. */
static void hear_anew(struct hms_gather *gather)
{
    int was_deaf = gather->hearing_ms == HMS_SYNC_DEAF;
    int is_deaf =
        gather->source == HMS_GATHER_NOBODY || hms_bus_contact(gather->bus) == HMS_BUS_DOWN;

    gather->hearing_ms = is_deaf ? HMS_SYNC_DEAF : now_ms(gather);
    if (was_deaf && !is_deaf)
        doubt_unversioned(gather);
    review_all(gather);
}

static void on_contact(void *arg, enum hms_bus_contact contact)
{
    struct hms_gather *gather = arg;
    int was_deaf = gather->hearing_ms == HMS_SYNC_DEAF;

    if (was_deaf != (contact == HMS_BUS_DOWN))
        hear_anew(gather);
}

static void give_up_questions(struct hms_gather *gather)
{
    size_t i;

    for (i = 0; i < hms_registry_count(gather->registry); i++) {
        struct hms_gather_ask *request = hms_registry_at(gather->registry, i)->ask;

        if (request != NULL)
            hms_bus_cancel(gather->bus, request);
    }
}

void hms_gather_set_source(struct hms_gather *gather, enum hms_gather_source source,
                           const char *controller)
{
    gather->source = source;
    snprintf(gather->controller, sizeof(gather->controller), "%s", controller ? controller : "");
    give_up_questions(gather);
    hear_anew(gather);
}

/* ---- life ---- */

struct hms_gather *hms_gather_new(uv_loop_t *loop, struct hms_log *log, struct hms_bus *bus,
                                  struct hms_registry *registry,
                                  const struct hms_gather_options *options,
                                  void (*on_change)(void *arg), void *arg)
{
    struct hms_gather *gather = hms_calloc(1, sizeof(*gather));

    gather->loop = loop;
    gather->log = log;
    gather->bus = bus;
    gather->registry = registry;
    gather->options = *options;
    gather->on_change = on_change;
    gather->arg = arg;
    gather->dropped_limit = (struct hms_log_limit){.period_ms = 60000, .burst = 5};
    gather->rivals_limit = gather->dropped_limit;
    return gather;
}

void hms_gather_free(struct hms_gather *gather)
{
    free(gather);
}

void hms_gather_start(struct hms_gather *gather)
{
    uv_timer_init(gather->loop, &gather->aggregation);
    uv_timer_init(gather->loop, &gather->check);
    gather->aggregation.data = gather;
    gather->check.data = gather;
    gather->open_timers = 2;
    gather->hearing_ms = HMS_SYNC_DEAF;
    gather->watch = (struct hms_bus_watch){.fn = on_contact, .arg = gather};
    hms_bus_watch(gather->bus, &gather->watch);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct hms_gather *gather = handle->data;
    void (*closed_fn)(void *) = gather->closed_fn;
    void *closed_arg = gather->closed_arg;

    if (--gather->open_timers > 0)
        return;
    free(gather);
    closed_fn(closed_arg);
}

void hms_gather_close(struct hms_gather *gather, void (*closed)(void *arg), void *arg)
{
    gather->closing = 1;
    gather->closed_fn = closed;
    gather->closed_arg = arg;
    hms_bus_unwatch(&gather->watch);
    give_up_questions(gather);
    uv_close((uv_handle_t *)&gather->aggregation, on_timer_closed);
    uv_close((uv_handle_t *)&gather->check, on_timer_closed);
}
