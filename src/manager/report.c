/*
 * The monitor log. Owns the heartbeat's timer, that of the next update, and what was collected for
 * it: a list of changed containers, the keys of those that went, whether the host changed. An entry
 * is made when it is asked for and then never changed, so that it can be handed out by reference.
 */
#include "manager/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "core/alloc.h"
#include "core/bus.h"
#include "core/clock.h"
#include "core/log.h"
#include "manager/entry.h"
#include "manager/inventory.h"

#define MODULE    "manager"
#define NS_PER_MS 1000000

/* Pulling: measurements alone raise no update, but are never older than this at the controller. */
#define REFRESH_MS 5000
/* Pushing: measurements and the host's counters are told by a `live` that often. */
#define MEASURES_MS 10000

#define KEY_SIZE (HMS_DOCKER_SHORT_ID_DIGITS + 1)

struct hms_report {
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_bus *bus;
    struct hms_inventory *inventory;
    struct hms_report_sources sources;
    const struct hms_manager_options *options;
    char *address;
    uv_timer_t heartbeat;
    int64_t epoch;   /* names this life of the manager */
    int64_t version; /* changes so far */

    /* pushing */
    uv_timer_t push; /* active while an update waits for its time */
    struct hms_bus_watch watch;
    int was_down;
    int64_t sent_version; /* what follows was collected since then */
    TAILQ_HEAD(, hms_container) changed;
    json_t *removed;
    int is_host_changed;
    int64_t pushed_ms;
    int64_t measured_ms;

    /* pulling */
    int is_flag_up;
    int64_t refreshed_ms;

    int open_timers;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void on_push(uv_timer_t *timer);

static int64_t now_ms(const struct hms_report *report)
{
    return (int64_t)uv_now(report->loop);
}

static int is_pushing(const struct hms_report *report)
{
    return report->options->sync == HMS_SYNC_PUSH;
}

static int is_ready(const struct hms_report *report)
{
    return hms_bus_contact(report->bus) == HMS_BUS_READY;
}

/* ---- entries ---- */

static const char *key_of(const struct hms_container *container, char key[KEY_SIZE])
{
    snprintf(key, KEY_SIZE, "%.*s", HMS_DOCKER_SHORT_ID_DIGITS, container->id);
    return key;
}

static json_t *entry_of(struct hms_report *report, struct hms_container *container)
{
    const struct hms_docker_network *networks;
    size_t count;

    if (container->entry == NULL) {
        networks = report->sources.networks(report->sources.arg, &count);
        container->entry = hms_entry_make(container, networks, count);
        container->told = container->measure;
    }
    return container->entry;
}

/* ---- what was collected for the next update ---- */

static void collect(struct hms_report *report, struct hms_container *container)
{
    if (container->is_changed)
        return;
    container->is_changed = 1;
    TAILQ_INSERT_TAIL(&report->changed, container, changed_link);
}

static void uncollect(struct hms_report *report, struct hms_container *container)
{
    if (!container->is_changed)
        return;
    container->is_changed = 0;
    TAILQ_REMOVE(&report->changed, container, changed_link);
}

/* All that is collected is told, or not to be told: what comes next follows this version. */
static void begin_collection(struct hms_report *report)
{
    struct hms_container *container, *next;

    for (container = TAILQ_FIRST(&report->changed); container != NULL; container = next) {
        next = TAILQ_NEXT(container, changed_link);
        container->is_changed = 0;
    }
    TAILQ_INIT(&report->changed);
    json_array_clear(report->removed);
    report->is_host_changed = 0;
    report->sent_version = report->version;
}

static void collect_removed(struct hms_report *report, const struct hms_container *container)
{
    char key[KEY_SIZE];

    if (json_array_size(report->removed) >= HMS_REPORT_REMOVED_MAX)
        begin_collection(report);
    json_array_append_new(report->removed, json_string(key_of(container, key)));
}

/* ---- telling ---- */

static json_t *message_new(const struct hms_report *report, const char *command)
{
    return json_pack("{s:s, s:s}", "command", command, "address", report->address);
}

static int notify(struct hms_report *report, json_t *message)
{
    return hms_bus_notify(report->bus, HMS_BUS_CONTROLLER, NULL, message);
}

static json_t *update_message(struct hms_report *report)
{
    json_t *message = message_new(report, "update"), *changed;
    struct hms_container *container;
    char key[KEY_SIZE];

    json_object_set_new(message, "epoch", json_integer(report->epoch));
    json_object_set_new(message, "base", json_integer(report->sent_version));
    json_object_set_new(message, "version", json_integer(report->version));
    if (!TAILQ_EMPTY(&report->changed)) {
        changed = json_object();
        TAILQ_FOREACH(container, &report->changed, changed_link)
        json_object_set(changed, key_of(container, key), entry_of(report, container));
        json_object_set_new(message, "changed", changed);
    }
    if (json_array_size(report->removed) > 0)
        json_object_set_new(message, "removed", json_copy(report->removed));
    if (report->is_host_changed)
        json_object_set_new(message, "host", report->sources.describe_host(report->sources.arg));
    return message;
}

/* What is already on its way to the timer, or cannot go out now, changes nothing. */
static void schedule(struct hms_report *report)
{
    int64_t left_ms = report->pushed_ms + report->options->aggregation_ms - now_ms(report);

    if (report->version == report->sent_version || !is_ready(report) ||
        uv_is_active((uv_handle_t *)&report->push))
        return;
    uv_timer_start(&report->push, on_push, left_ms > 0 ? (uint64_t)left_ms : 0, 0);
}

/* A message that the bus does not take is made again after the aggregation time. */
static void on_push(uv_timer_t *timer)
{
    struct hms_report *report = timer->data;

    if (!is_ready(report))
        return;
    report->pushed_ms = now_ms(report);
    if (notify(report, update_message(report)) == 0)
        begin_collection(report);
    schedule(report);
}

static void raise_flag(struct hms_report *report)
{
    if (report->is_flag_up)
        return;
    report->is_flag_up = 1;
    notify(report, message_new(report, "update"));
}

/* One side of the true information availability: docs/wire.md. */
static void log_version(const struct hms_report *report)
{
    if (hms_log_enabled(report->log, HMS_LOG_DEBUG))
        hms_log_fields(report->log, HMS_LOG_DEBUG, MODULE,
                       json_pack("{s:I, s:I, s:s}", "epoch", (json_int_t)report->epoch, "version",
                                 (json_int_t)report->version, "address", report->address),
                       "monitor log of %s is at version %lld", report->address,
                       (long long)report->version);
}

/* The monitor log has changed. */
static void advance(struct hms_report *report)
{
    report->version++;
    log_version(report);
    if (is_pushing(report))
        schedule(report);
    else
        raise_flag(report);
}

void hms_report_touch(struct hms_report *report, struct hms_container *container)
{
    const struct hms_docker_network *networks;
    uint64_t signature;
    size_t count;

    if (!container->is_inspected)
        return;
    json_decref(container->entry);
    container->entry = NULL;
    networks = report->sources.networks(report->sources.arg, &count);
    signature = hms_entry_sign(container, networks, count);
    if (signature == container->signature &&
        !hms_entry_is_loss_news(container, report->options->loss_step_pct))
        return;
    container->signature = signature;
    container->announced_loss_pct = container->measure.loss_pct;
    if (is_pushing(report))
        collect(report, container);
    advance(report);
}

void hms_report_remove(struct hms_report *report, struct hms_container *container)
{
    if (!container->is_inspected)
        return;
    if (is_pushing(report)) {
        uncollect(report, container);
        collect_removed(report, container);
    }
    advance(report);
}

void hms_report_touch_host(struct hms_report *report)
{
    report->is_host_changed = 1;
    advance(report);
}

json_t *hms_report_reply(struct hms_report *report)
{
    json_t *content = json_object();
    struct hms_container *container;
    char key[KEY_SIZE];

    for (container = hms_inventory_first(report->inventory); container != NULL;
         container = container->hh.next)
        if (container->is_inspected)
            json_object_set(content, key_of(container, key), entry_of(report, container));
    report->is_flag_up = 0;
    report->refreshed_ms = now_ms(report);
    return json_pack("{s:s, s:s, s:I, s:I, s:o, s:o}", "command", "ok", "address", report->address,
                     "epoch", (json_int_t)report->epoch, "version", (json_int_t)report->version,
                     "content", content, "host",
                     report->sources.describe_host(report->sources.arg));
}

/* ---- signs of life ---- */

static json_t *measures(struct hms_report *report)
{
    json_t *object = json_object();
    struct hms_container *container;
    char key[KEY_SIZE];

    for (container = hms_inventory_first(report->inventory);
         container != NULL && json_object_size(object) < HMS_REPORT_MEASURES_MAX;
         container = container->hh.next) {
        if (!hms_entry_is_measure_news(container))
            continue;
        json_object_set_new(object, key_of(container, key), hms_entry_measure(container));
        container->told = container->measure;
    }
    return object;
}

/*
 * The version told is that of the last update sent, not one that still waits to be: whoever lacks
 * it has missed something.
 */
static void add_version(struct hms_report *report, json_t *message)
{
    json_object_set_new(message, "epoch", json_integer(report->epoch));
    json_object_set_new(message, "version", json_integer(report->sent_version));
    if (!is_ready(report) || now_ms(report) - report->measured_ms < MEASURES_MS)
        return;
    report->measured_ms = now_ms(report);
    json_object_set_new(message, "measures", measures(report));
    json_object_set_new(message, "host", report->sources.describe_host(report->sources.arg));
}

static void tell_live(struct hms_report *report)
{
    json_t *message;

    if (hms_bus_contact(report->bus) == HMS_BUS_DOWN)
        return;
    message = message_new(report, "live");
    json_object_set_new(message, "period_ms", json_integer(report->options->heartbeat_ms));
    if (is_pushing(report))
        add_version(report, message);
    notify(report, message);
}

static void on_heartbeat(uv_timer_t *timer)
{
    struct hms_report *report = timer->data;

    tell_live(report);
    if (!is_pushing(report) && now_ms(report) - report->refreshed_ms >= REFRESH_MS)
        raise_flag(report);
}

static void on_contact(void *arg, enum hms_bus_contact contact)
{
    struct hms_report *report = arg;

    if (report->was_down && contact != HMS_BUS_DOWN) {
        report->measured_ms = now_ms(report) - MEASURES_MS;
        tell_live(report);
    }
    report->was_down = contact == HMS_BUS_DOWN;
    if (is_pushing(report))
        schedule(report);
}

/* ---- life ---- */

struct hms_report *hms_report_new(uv_loop_t *loop, struct hms_log *log, struct hms_bus *bus,
                                  struct hms_inventory *inventory,
                                  const struct hms_report_sources *sources,
                                  const struct hms_manager_options *options)
{
    struct hms_report *report = hms_calloc(1, sizeof(*report));

    report->loop = loop;
    report->log = log;
    report->bus = bus;
    report->inventory = inventory;
    report->sources = *sources;
    report->options = options;
    report->address = hms_strdup(options->address);
    report->epoch = hms_clock_wall_ns() / NS_PER_MS;
    TAILQ_INIT(&report->changed);
    report->removed = json_array();
    report->pushed_ms = now_ms(report) - options->aggregation_ms; /* the first goes at once */
    report->measured_ms = now_ms(report);
    report->was_down = hms_bus_contact(bus) == HMS_BUS_DOWN;
    report->watch = (struct hms_bus_watch){.fn = on_contact, .arg = report};
    hms_bus_watch(bus, &report->watch);
    log_version(report);
    uv_timer_init(loop, &report->push);
    uv_timer_init(loop, &report->heartbeat);
    report->push.data = report;
    report->heartbeat.data = report;
    report->open_timers = 2;
    uv_timer_start(&report->heartbeat, on_heartbeat, 0, (uint64_t)options->heartbeat_ms);
    return report;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct hms_report *report = handle->data;

    if (--report->open_timers > 0)
        return;
    report->closed(report->closed_arg);
    json_decref(report->removed);
    free(report->address);
    free(report);
}

void hms_report_close(struct hms_report *report, void (*closed)(void *arg), void *arg)
{
    report->closed = closed;
    report->closed_arg = arg;
    begin_collection(report);
    hms_bus_unwatch(&report->watch);
    uv_close((uv_handle_t *)&report->push, on_timer_closed);
    uv_close((uv_handle_t *)&report->heartbeat, on_timer_closed);
}
