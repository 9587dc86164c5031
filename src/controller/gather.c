/*
 * The I/O around sync.h. Owns two timers: one runs for the next aggregation, and only while a host
 * is due; the other looks every second for hosts that fell silent.
 */
#include "controller/gather.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/registry.h"
#include "core/alloc.h"
#include "core/bus.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"

#define MODULE          "controller"
#define CHECK_PERIOD_MS 1000

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

    uv_timer_t aggregation;
    uv_timer_t check;
    int open_timers;
    int is_ready;
    int closing;
    void (*closed_fn)(void *arg);
    void *closed_arg;
    struct hms_log_limit dropped_limit;
};

static void on_aggregation(uv_timer_t *timer);

static int64_t now_ms(const struct hms_gather *gather)
{
    return (int64_t)uv_now(gather->loop);
}

static void schedule(struct hms_gather *gather)
{
    if (!gather->closing && !uv_is_active((uv_handle_t *)&gather->aggregation))
        uv_timer_start(&gather->aggregation, on_aggregation,
                       (uint64_t)gather->options.aggregation_ms, 0);
}

static void review(struct hms_gather *gather, struct hms_host *host)
{
    enum hms_host_state before = host->state;

    hms_registry_check(gather->registry, host, now_ms(gather), gather->options.expiry_ms);
    if (host->state != before)
        hms_log(gather->log, host->state == HMS_HOST_ONLINE ? HMS_LOG_INFO : HMS_LOG_WARN, MODULE,
                "host %s is %s", host->address, hms_host_state_name(host->state));
    if (hms_sync_is_due(&host->sync))
        schedule(gather);
}

/* Every event of a host ends here: its state, the next aggregation, whoever counts. */
static void settle(struct hms_gather *gather, struct hms_host *host)
{
    review(gather, host);
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

static void note_ready(struct hms_gather *gather, const struct hms_host *host)
{
    if (gather->is_ready || !hms_json_bool(host->report, "ready", 1))
        return;
    gather->is_ready = 1;
    hms_log(gather->log, HMS_LOG_INFO, MODULE, "ready: %s tells of %zu containers", host->address,
            json_object_size(host->content));
}

static int take_answer(struct hms_gather *gather, struct hms_host *host, int error,
                       const json_t *reply)
{
    char text[HMS_JSON_ERROR_SIZE];

    if (error == HMS_OK) {
        error = hms_registry_answered(gather->registry, host, reply, now_ms(gather),
                                      hms_clock_wall_ns(), text, sizeof(text));
    } else {
        hms_registry_ask_failed(gather->registry, host, now_ms(gather));
        snprintf(text, sizeof(text), "%s", hms_strerror(error));
    }
    if (error == HMS_OK)
        note_ready(gather, host);
    else
        hms_log(gather->log, HMS_LOG_DEBUG, MODULE, "no content from %s: %s", host->address, text);
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
    if (later != NULL && (error != HMS_OK || (error = ask(gather, host, later)) != HMS_OK))
        release(later, error);
    settle(gather, host);
    release(waits, error);
}

/* Returns 0 or HMS_ELIMIT. */
static int ask(struct hms_gather *gather, struct hms_host *host, struct hms_gather_wait *waits)
{
    struct hms_gather_ask *request = hms_calloc(1, sizeof(*request));
    int error;

    request->gather = gather;
    request->host = host;
    request->waits = waits;
    error = hms_bus_request(gather->bus, HMS_BUS_MANAGER, host->address,
                            json_pack("{s:s}", "command", "give_content"),
                            gather->options.reply_timeout_ms, on_answer, request);
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
    list = host->sync.again ? &host->ask->later : &host->ask->waits;
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

        if (hms_sync_is_due(&host->sync) && ask(gather, host, NULL) != HMS_OK)
            schedule(gather);
    }
}

/* ---- hearing ---- */

static void drop(struct hms_gather *gather, const char *why, const char *what)
{
    if (hms_log_limit_pass(&gather->dropped_limit, now_ms(gather)))
        hms_log(gather->log, HMS_LOG_WARN, MODULE, "notification dropped: %s (%s)", why,
                what ? what : "-");
}

void hms_gather_notified(struct hms_gather *gather, const json_t *message)
{
    const char *command = hms_json_string(message, "command");
    const char *address = hms_json_string(message, "address");
    struct hms_host *host;
    int error;

    if (command == NULL || (strcmp(command, "live") != 0 && strcmp(command, "update") != 0)) {
        drop(gather, "unknown command", command);
        return;
    }
    error = address ? hms_registry_enter(gather->registry, address, &host) : HMS_EINVAL;
    if (error != HMS_OK) {
        drop(gather, error == HMS_ELIMIT ? "too many hosts" : "address is no IPv4 text", address);
        return;
    }
    if (host->notifications == 0)
        hms_log(gather->log, HMS_LOG_INFO, MODULE, "host %s appeared", host->address);
    hms_registry_heard(gather->registry, host, now_ms(gather), hms_clock_wall_ns(),
                       hms_json_int(message, "period_ms", 0));
    settle(gather, host);
}

void hms_gather_changed(struct hms_gather *gather, struct hms_host *host)
{
    hms_registry_changed(gather->registry, host);
    settle(gather, host);
}

int hms_gather_is_ready(const struct hms_gather *gather)
{
    return gather->is_ready;
}

static void on_check(uv_timer_t *timer)
{
    struct hms_gather *gather = timer->data;
    size_t i;

    for (i = 0; i < hms_registry_count(gather->registry); i++)
        review(gather, hms_registry_at(gather->registry, i));
    gather->on_change(gather->arg);
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
    uv_timer_start(&gather->check, on_check, CHECK_PERIOD_MS, CHECK_PERIOD_MS);
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
    size_t i;

    gather->closing = 1;
    gather->closed_fn = closed;
    gather->closed_arg = arg;
    for (i = 0; i < hms_registry_count(gather->registry); i++) {
        struct hms_gather_ask *request = hms_registry_at(gather->registry, i)->ask;

        if (request != NULL)
            hms_bus_cancel(gather->bus, request);
    }
    uv_close((uv_handle_t *)&gather->aggregation, on_timer_closed);
    uv_close((uv_handle_t *)&gather->check, on_timer_closed);
}
