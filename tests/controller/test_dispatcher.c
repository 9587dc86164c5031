/* Gathering and commands against scripted managers on a local bus, without HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "../wait.h"
#include "controller/dispatcher.h"
#include "controller/gather.h"
#include "controller/notice.h"
#include "controller/registry.h"
#include "controller/view.h"
#include "core/alloc.h"
#include "core/bus_impl.h"
#include "core/bus_local.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"
#include "scripted_manager.h"

#define REPLY_MS 300
#define A        "10.0.0.1"
#define B        "10.0.0.2"

struct world {
    uv_loop_t loop;
    struct hms_log *log;
    struct hms_bus *bus;
    struct hms_registry *registry;
    struct hms_gather *gather;
    struct hms_dispatcher *dispatcher;
    struct scripted_manager a, b;
    int changes;
    int closed;
    int started;
    int results;
    enum hms_verdict verdict; /* of the last result */
    json_t *body;
};

static void on_change(void *arg)
{
    ((struct world *)arg)->changes++;
}

static void on_closed(void *arg)
{
    ((struct world *)arg)->closed++;
}

static void on_notification(void *arg, const json_t *message, struct hms_bus_call *call)
{
    assert_null(call);
    hms_gather_notified(((struct world *)arg)->gather, message);
}

static struct world *world_new(enum hms_sync_mode sync)
{
    const struct hms_gather_options options = {
        .sync = sync, .aggregation_ms = 20, .reply_timeout_ms = REPLY_MS, .expiry_ms = 300000};
    struct world *world = hms_calloc(1, sizeof(*world));

    uv_loop_init(&world->loop);
    world->log = hms_log_new(STDERR_FILENO, HMS_LOG_TEXT, HMS_LOG_ERROR);
    world->bus = hms_bus_local_new(&world->loop);
    world->registry = hms_registry_new();
    world->gather = hms_gather_new(&world->loop, world->log, world->bus, world->registry, &options,
                                   on_change, world);
    world->dispatcher =
        hms_dispatcher_new(world->bus, world->registry, world->gather, NULL, REPLY_MS);
    hms_gather_start(world->gather);
    hms_gather_set_source(world->gather, HMS_GATHER_MANAGERS, NULL);
    hms_bus_serve(world->bus, HMS_BUS_CONTROLLER, "10.0.0.9", on_notification, world);
    scripted_open(&world->a, world->bus, A);
    scripted_open(&world->b, world->bus, B);
    return world;
}

static int setup(void **state)
{
    *state = world_new(HMS_SYNC_PUSH);
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    hms_gather_close(world->gather, on_closed, world);
    hms_dispatcher_stop(world->dispatcher);
    assert_int_equal(world->results, world->started);
    scripted_close(&world->a);
    scripted_close(&world->b);
    hms_bus_close(world->bus, on_closed, world);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->closed, 2);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    hms_dispatcher_free(world->dispatcher);
    hms_registry_free(world->registry);
    hms_log_free(world->log);
    json_decref(world->body);
    free(world);
    return 0;
}

/* Runs the loop until the condition holds; fails at the deadline. */
static void on_result(void *arg, const struct hms_dispatcher_result *result)
{
    struct world *world = arg;

    assert_true((result->view == NULL) != (result->body == NULL));
    json_decref(world->body);
    world->body = result->view ? hms_view_json(result->view) : json_incref(result->body);
    world->verdict = result->verdict;
    world->results++;
}

static void start(struct world *world, json_t *message)
{
    world->started++;
    hms_dispatcher_run(world->dispatcher, message, on_result, world);
    json_decref(message);
}

static void run(struct world *world, json_t *message)
{
    int before = world->results;

    start(world, message);
    WAIT(&world->loop, world->results > before);
}

static json_t *command(const char *name, const char *address, const char *container)
{
    return json_pack("{s:s, s:s*, s:s*}", "command", name, "address", address, "containerID",
                     container);
}

static struct hms_host *host(struct world *world, const char *address)
{
    return hms_registry_find(world->registry, address);
}

static int is_updated(struct world *world, const char *address)
{
    return host(world, address) != NULL && host(world, address)->sync.status == HMS_STATUS_UPDATED;
}

static void both_are_known(struct world *world)
{
    scripted_notify(&world->a, "live");
    scripted_notify(&world->b, "live");
    WAIT(&world->loop, is_updated(world, A) && is_updated(world, B));
}

static void an_update_is_gathered(void **state)
{
    struct world *world = *state;

    assert_int_equal(hms_gather_health(world->gather), HMS_GATHER_STARTING);
    scripted_notify(&world->a, "update");
    WAIT(&world->loop, is_updated(world, A));
    assert_int_equal(hms_gather_health(world->gather), HMS_GATHER_HEALTHY);
    assert_int_equal(world->a.asks, 1);
    assert_int_equal(world->b.asks, 0);
    assert_int_equal(json_object_size(host(world, A)->content), 2);
    assert_int_equal(host(world, A)->state, HMS_HOST_ONLINE);
    assert_true(world->changes > 0);
}

static void many_updates_are_one_question(void **state)
{
    struct world *world = *state;
    int i;

    for (i = 0; i < 100; i++)
        scripted_notify(&world->a, "update");
    WAIT(&world->loop, is_updated(world, A));
    assert_true(world->a.asks <= 3);
}

static void a_silent_manager_is_asked_again(void **state)
{
    struct world *world = *state;

    world->a.hold = 1;
    scripted_notify(&world->a, "live");
    WAIT(&world->loop, host(world, A) != NULL && host(world, A)->asks_failed >= 2);
    assert_int_equal(host(world, A)->state, HMS_HOST_STALE);
    world->a.hold = 0;
    WAIT(&world->loop, is_updated(world, A));
    assert_int_equal(host(world, A)->state, HMS_HOST_ONLINE);
}

static void bad_notifications_are_dropped(void **state)
{
    struct world *world = *state;
    const struct hms_gather_drops *drops = hms_gather_drops(world->gather);
    static const char *const texts[] = {
        "{\"command\":\"live\"}",
        "{\"command\":\"live\",\"address\":5}",
        "{\"command\":\"live\",\"address\":\"nowhere\"}",
        "{\"command\":\"dance\",\"address\":\"10.0.0.1\"}",
        "{\"command\":7}",
        "[]",
    };
    size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *message = json_loads(texts[i], 0, NULL);

        hms_gather_notified(world->gather, message);
        json_decref(message);
    }
    assert_int_equal(hms_registry_count(world->registry), 0);
    assert_int_equal(drops->malformed, 3);
    assert_int_equal(drops->unknown, 3);
}

/* ---- managers that push ---- */

static const char *state_of(struct world *world, const char *address, const char *key)
{
    return hms_json_string(json_object_get(host(world, address)->content, key), "container_state");
}

static int is_state(struct world *world, const char *address, const char *key, const char *word)
{
    return strcmp(state_of(world, address, key), word) == 0;
}

/* A begins to push at version 1, and is asked once. */
static void a_pushes(struct world *world)
{
    world->a.epoch = 7;
    world->a.version = 1;
    scripted_live(&world->a, 10000);
    WAIT(&world->loop, host(world, A) != NULL && is_updated(world, A));
    assert_int_equal(world->a.asks, 1);
}

static void what_is_pushed_needs_no_question(void **state)
{
    struct world *world = *state;
    int i;

    a_pushes(world);
    for (i = 0; i < 10; i++) {
        const char *word = i % 2 == 0 ? "exited" : "running";

        scripted_push(&world->a, "aaaa11112222", word, 0);
        WAIT(&world->loop, is_state(world, A, "aaaa11112222", word));
        assert_true(is_updated(world, A));
    }
    scripted_live(&world->a, 10000);
    WAIT(&world->loop, host(world, A)->notifications == 12);
    assert_true(is_updated(world, A));
    assert_int_equal(world->a.asks, 1);
    assert_int_equal(host(world, A)->sync.content.version, 11);
}

static void what_was_lost_is_asked_for(void **state)
{
    struct world *world = *state;

    a_pushes(world);
    scripted_push(&world->a, "aaaa11112222", "exited", 1);
    scripted_push(&world->a, "aaaa99992222", "running", 0);
    WAIT(&world->loop, is_state(world, A, "aaaa99992222", "running"));
    assert_true(is_state(world, A, "aaaa11112222", "exited"));
    assert_int_equal(world->a.asks, 2);
    assert_int_equal(hms_gather_drops(world->gather)->gaps, 1);
    /* Of the last one only a sign of life tells. */
    scripted_push(&world->a, "aaaa11112222", "running", 1);
    scripted_live(&world->a, 10000);
    WAIT(&world->loop, is_state(world, A, "aaaa11112222", "running"));
    assert_int_equal(world->a.asks, 3);
}

static void two_managers_of_one_address_are_noticed(void **state)
{
    struct world *world = *state;

    a_pushes(world);
    world->a.epoch = 8;
    scripted_live(&world->a, 10000);
    WAIT(&world->loop, host(world, A)->sync.content.epoch == 8 && is_updated(world, A));
    assert_int_equal(hms_gather_drops(world->gather)->rivals, 0);
    world->a.epoch = 7;
    scripted_live(&world->a, 10000);
    WAIT(&world->loop, host(world, A)->sync.content.epoch == 7 && is_updated(world, A));
    assert_int_equal(hms_gather_drops(world->gather)->rivals, 1);
}

static void a_new_life_is_asked_for(void **state)
{
    struct world *world = *state;

    a_pushes(world);
    world->a.epoch = 8;
    world->a.version = 0;
    json_object_del(world->a.content, "aaaa99992222");
    scripted_push(&world->a, "aaaa11112222", "exited", 0);
    WAIT(&world->loop, is_updated(world, A) && json_object_size(host(world, A)->content) == 1);
    assert_int_equal(world->a.asks, 2);
    assert_true(is_state(world, A, "aaaa11112222", "exited"));
}

static void pulling_takes_an_update_for_a_flag(void **state)
{
    struct world *world = world_new(HMS_SYNC_PULL);

    a_pushes(world);
    scripted_push(&world->a, "aaaa11112222", "exited", 0);
    WAIT(&world->loop, !is_updated(world, A));
    assert_true(is_state(world, A, "aaaa11112222", "running"));
    WAIT(&world->loop, is_updated(world, A));
    assert_true(is_state(world, A, "aaaa11112222", "exited"));
    assert_int_equal(world->a.asks, 2);
    teardown((void **)&world);
}

static json_t *parse(const char *text)
{
    json_t *message = json_loads(text, 0, NULL);

    assert_non_null(message);
    return message;
}

static void what_is_wrong_or_old_changes_nothing(void **state)
{
#define UPDATE "{\"command\":\"update\",\"address\":\"" A "\","
#define GONE   "\"removed\":[\"aaaa11112222\"]"
    struct world *world = *state;
    static const char *const malformed[] = {
        UPDATE "\"epoch\":7,\"base\":1,\"version\":2,\"changed\":{\"x\":5}," GONE "}",
        UPDATE "\"epoch\":7,\"base\":1,\"version\":\"2\"," GONE "}",
        UPDATE "\"epoch\":7,\"base\":5,\"version\":2," GONE "}",
        UPDATE "\"epoch\":7,\"version\":2," GONE "}",
        UPDATE "\"epoch\":7,\"base\":1,\"version\":2,\"host\":[]," GONE "}",
    };
    static const char repeated[] = UPDATE "\"epoch\":7,\"base\":0,\"version\":1," GONE "}";
    const struct hms_gather_drops *drops = hms_gather_drops(world->gather);
    size_t i;

    a_pushes(world);
    for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        json_t *message = parse(malformed[i]);

        hms_gather_notified(world->gather, message);
        json_decref(message);
        assert_int_equal(drops->malformed, i + 1);
        assert_int_equal(host(world, A)->notifications, 1);
    }
    for (i = 0; i < 3; i++) {
        json_t *message = parse(repeated);

        hms_gather_notified(world->gather, message);
        json_decref(message);
        assert_int_equal(drops->repeated, i + 1);
    }
    assert_true(is_updated(world, A));
    assert_int_equal(json_object_size(host(world, A)->content), 2);
    assert_int_equal(host(world, A)->sync.content.version, 1);
}

static void too_many_containers_are_not_taken(void **state)
{
    struct world *world = *state;
    json_t *message, *changed = json_object();
    char key[16];
    int i;

    a_pushes(world);
    for (i = 0; i < HMS_NOTICE_CONTAINERS_MAX - 1; i++) {
        snprintf(key, sizeof(key), "%012d", i);
        json_object_set_new(changed, key, json_object());
    }
    message = json_pack("{s:s, s:s, s:i, s:i, s:i, s:o}", "command", "update", "address", A,
                        "epoch", 7, "base", 1, "version", 2, "changed", changed);
    hms_gather_notified(world->gather, message); /* one more than there may be, with those known */
    assert_int_equal(json_object_size(host(world, A)->content), 2);
    json_object_del(changed, "000000000000");
    hms_gather_notified(world->gather, message);
    assert_int_equal(json_object_size(host(world, A)->content), HMS_NOTICE_CONTAINERS_MAX);
    json_decref(message);
}

/* ---- silence, of a manager and of the bus ---- */

static void a_silent_host_is_offline_and_asked_when_it_returns(void **state)
{
    struct world *world = *state;

    a_pushes(world);
    scripted_live(&world->a, HMS_SYNC_PERIOD_MIN_MS);
    WAIT(&world->loop, host(world, A)->state == HMS_HOST_STALE);
    WAIT(&world->loop, host(world, A)->state == HMS_HOST_OFFLINE);
    assert_int_equal(json_object_size(host(world, A)->content), 2);
    scripted_live(&world->a, 10000);
    WAIT(&world->loop, host(world, A)->state == HMS_HOST_ONLINE && is_updated(world, A));
    assert_int_equal(world->a.asks, 2);
}

static void hosts_are_stale_while_the_bus_is_down(void **state)
{
    struct world *world = *state;
    int asks;

    a_pushes(world);
    scripted_notify(&world->b, "live");
    WAIT(&world->loop, host(world, B) != NULL && is_updated(world, B));
    scripted_live(&world->a, HMS_SYNC_PERIOD_MIN_MS);
    WAIT(&world->loop, host(world, A)->sync.period_ms == HMS_SYNC_PERIOD_MIN_MS);
    hms_bus_set_contact(world->bus, HMS_BUS_DOWN);
    assert_int_equal(host(world, A)->state, HMS_HOST_STALE);
    assert_int_equal(host(world, B)->state, HMS_HOST_STALE);
    assert_int_equal(json_object_size(host(world, A)->content), 2);
    /* A read of a pending host waits for nobody. */
    hms_gather_changed(world->gather, host(world, A));
    start(world, command("get_host_containers", A, NULL));
    assert_int_equal(world->results, 1);
    assert_int_equal(world->verdict, HMS_VERDICT_OK);
    asks = world->b.asks;
    uv_sleep(2); /* so that it returns later than they were heard */
    uv_update_time(&world->loop);
    hms_bus_set_contact(world->bus, HMS_BUS_READY);
    assert_int_equal(host(world, A)->state, HMS_HOST_STALE);      /* not heard of yet */
    WAIT(&world->loop, host(world, B)->state == HMS_HOST_ONLINE); /* B tells no version: asked */
    assert_true(world->b.asks > asks);
    WAIT(&world->loop, host(world, A)->state == HMS_HOST_OFFLINE || is_updated(world, A));
}

static void health_waits_for_every_host(void **state)
{
    struct world *world = *state;

    world->b.hold = 1;
    scripted_notify(&world->a, "live");
    scripted_notify(&world->b, "live");
    WAIT(&world->loop, world->b.held_count == 1 && is_updated(world, A));
    assert_int_equal(hms_gather_health(world->gather), HMS_GATHER_STARTING);
    world->b.hold = 0;
    scripted_release(&world->b);
    WAIT(&world->loop, is_updated(world, B));
    assert_int_equal(hms_gather_health(world->gather), HMS_GATHER_HEALTHY);
}

static void health_needs_contact(void **state)
{
    struct world *world = *state;

    hms_bus_set_contact(world->bus, HMS_BUS_DOWN);
    assert_int_equal(hms_gather_health(world->gather), HMS_GATHER_STARTING);
    hms_bus_set_contact(world->bus, HMS_BUS_READY);
    both_are_known(world);
    hms_bus_set_contact(world->bus, HMS_BUS_DOWN);
    assert_int_equal(hms_gather_health(world->gather), HMS_GATHER_DISCONNECTED);
    hms_bus_set_contact(world->bus, HMS_BUS_CONGESTED);
    assert_int_equal(hms_gather_health(world->gather), HMS_GATHER_HEALTHY);
}

static void health_does_not_need_hosts(void **state)
{
    struct world *world = *state;
    int64_t until_ms = hms_clock_mono_ms() + WAIT_DEADLINE_MS;

    assert_int_equal(hms_gather_health(world->gather), HMS_GATHER_STARTING);
    while (hms_gather_health(world->gather) != HMS_GATHER_HEALTHY) {
        assert_true(hms_clock_mono_ms() < until_ms);
        uv_sleep(20);
        uv_update_time(&world->loop);
    }
}

static void a_read_asks_a_pending_host_first(void **state)
{
    struct world *world = *state;

    both_are_known(world);
    json_object_set_new(json_object_get(world->a.content, "aaaa11112222"), "name",
                        json_string("new"));
    scripted_notify(&world->a, "update");
    WAIT(&world->loop, hms_sync_is_pending(&host(world, A)->sync));
    run(world, command("get_host_containers", A, NULL));
    assert_int_equal(world->verdict, HMS_VERDICT_OK);
    assert_string_equal(json_string_value(hms_json_path(world->body, "description", "content",
                                                        "aaaa11112222", "name", NULL)),
                        "new");
}

static void an_update_during_the_question_is_not_missed(void **state)
{
    struct world *world = *state;
    struct hms_host *a;

    both_are_known(world);
    a = host(world, A);
    world->a.hold = 1;
    scripted_notify(&world->a, "update");
    WAIT(&world->loop, world->a.held_count == 1);
    scripted_notify(&world->a, "update");
    WAIT(&world->loop, a->sync.again);
    start(world, command("get_host_containers", A, NULL));
    scripted_release(&world->a);
    WAIT(&world->loop, world->a.held_count == 1); /* asked once more, the read still waits */
    assert_int_equal(world->results, 0);
    scripted_release(&world->a);
    WAIT(&world->loop, world->results == 1);
    assert_int_equal(world->verdict, HMS_VERDICT_OK);
}

static void a_read_of_a_silent_host_tells_the_last_known(void **state)
{
    struct world *world = *state;

    both_are_known(world);
    world->a.hold = 1;
    scripted_notify(&world->a, "update");
    WAIT(&world->loop, hms_sync_is_pending(&host(world, A)->sync));
    run(world, command("get_all_containers", NULL, NULL));
    assert_int_equal(world->verdict, HMS_VERDICT_OK);
    assert_int_equal(json_array_size(json_object_get(world->body, "description")), 2);
    assert_string_equal(
        hms_json_string(json_array_get(json_object_get(world->body, "description"), 0),
                        "host_state"),
        "stale");
}

static void a_host_that_never_answered_has_nothing_to_read(void **state)
{
    struct world *world = *state;

    world->a.hold = 1;
    scripted_notify(&world->a, "live");
    WAIT(&world->loop, host(world, A) != NULL);
    run(world, command("get_host_containers", A, NULL));
    assert_int_equal(world->verdict, HMS_VERDICT_SILENT);
    assert_string_equal(hms_json_string(world->body, "type"), "unreachable");
}

static void commands_reach_the_manager(void **state)
{
    struct world *world = *state;
    static const char *const cases[][2] = {
        {"add_container", "{\"command\":\"container_add\",\"containerID\":\"aaaa11112222\"}"},
        {"remove_container", "{\"command\":\"container_ignore\",\"containerID\":\"aaaa11112222\"}"},
        {"release_container",
         "{\"command\":\"container_release\",\"containerID\":\"aaaa11112222\"}"},
        {"get_decisions", "{\"command\":\"give_decisions\",\"containerID\":\"aaaa11112222\"}"},
    };
    size_t i;

    both_are_known(world);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        run(world, command(cases[i][0], A, "web"));
        assert_int_equal(world->verdict, HMS_VERDICT_OK);
        assert_string_equal(world->a.order, cases[i][1]);
    }
    assert_true(json_is_array(json_object_get(world->body, "description")));
}

static void a_change_is_seen_by_the_next_read(void **state)
{
    struct world *world = *state;
    int asks;

    both_are_known(world);
    run(world, command("remove_container", A, "web"));
    asks = world->a.asks;
    run(world, command("get_container", A, "web"));
    assert_int_equal(world->verdict, HMS_VERDICT_OK);
    assert_true(world->a.asks > asks);
}

static void threshold_of_one_and_of_all(void **state)
{
    struct world *world = *state;
    json_t *list;

    both_are_known(world);
    run(world,
        json_pack("{s:s, s:s, s:i}", "command", "change_threshold", "address", A, "threshold", 40));
    assert_int_equal(world->verdict, HMS_VERDICT_OK);
    assert_string_equal(world->a.order, "{\"command\":\"container_threshold\",\"threshold\":40}");
    assert_string_equal(world->b.order, "");

    run(world, json_pack("{s:s, s:f}", "command", "change_all_threshold", "threshold", 0.5));
    assert_int_equal(world->verdict, HMS_VERDICT_OK);
    assert_string_equal(world->b.order, "{\"command\":\"container_threshold\",\"threshold\":0.5}");

    world->b.error_type = "INTERNAL_ERROR";
    run(world, json_pack("{s:s, s:i}", "command", "change_all_threshold", "threshold", 1));
    assert_int_equal(world->verdict, HMS_VERDICT_PARTIAL);
    list = json_object_get(world->body, "description");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(hms_json_string(json_array_get(list, 0), "command"), "ok");
    assert_string_equal(hms_json_string(json_array_get(list, 0), "address"), A);
    assert_string_equal(hms_json_string(json_array_get(list, 1), "command"), "error");
    assert_string_equal(hms_json_string(json_array_get(list, 1), "address"), B);

    world->a.hold = 1;
    run(world, json_pack("{s:s, s:i}", "command", "change_all_threshold", "threshold", 1));
    assert_int_equal(world->verdict, HMS_VERDICT_SILENT);
}

static void failures_have_their_verdicts(void **state)
{
    static const struct {
        const char *type; /* of the manager */
        enum hms_verdict verdict;
    } cases[] = {
        {"invalid_op", HMS_VERDICT_CONFLICT},   {"CONTAINER_NOT_PRESENT", HMS_VERDICT_NO_CONTAINER},
        {"invalid_param", HMS_VERDICT_INVALID}, {"unreachable", HMS_VERDICT_SILENT},
        {"missing_par", HMS_VERDICT_BROKEN},    {"INTERNAL_ERROR", HMS_VERDICT_BROKEN},
        {"what", HMS_VERDICT_BROKEN},
    };
    struct world *world = *state;
    size_t i;

    both_are_known(world);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        world->a.error_type = cases[i].type;
        run(world, command("add_container", A, "web"));
        assert_int_equal(world->verdict, cases[i].verdict);
        assert_string_equal(hms_json_string(world->body, "command"), "error");
    }
    hms_bus_unserve(world->bus, HMS_BUS_MANAGER, A);
    run(world, command("add_container", A, "web"));
    assert_int_equal(world->verdict, HMS_VERDICT_SILENT);
}

static void bad_commands_are_refused(void **state)
{
    static const struct {
        const char *message;
        enum hms_verdict verdict;
    } cases[] = {
        {"{}", HMS_VERDICT_UNKNOWN},
        {"{\"command\":5}", HMS_VERDICT_UNKNOWN},
        {"{\"command\":\"reboot\"}", HMS_VERDICT_UNKNOWN},
        {"{\"command\":\"get_host_containers\"}", HMS_VERDICT_MISSING},
        {"{\"command\":\"get_host_containers\",\"address\":1}", HMS_VERDICT_INVALID},
        {"{\"command\":\"get_host_containers\",\"address\":\"x\"}", HMS_VERDICT_INVALID},
        {"{\"command\":\"get_host_containers\",\"address\":\"10.0.0.7\"}", HMS_VERDICT_NO_HOST},
        {"{\"command\":\"get_container\",\"address\":\"10.0.0.1\"}", HMS_VERDICT_MISSING},
        {"{\"command\":\"get_container\",\"address\":\"10.0.0.1\",\"containerID\":\"\"}",
         HMS_VERDICT_INVALID},
        {"{\"command\":\"get_container\",\"address\":\"10.0.0.1\",\"containerID\":\"mail\"}",
         HMS_VERDICT_NO_CONTAINER},
        {"{\"command\":\"add_container\",\"address\":\"10.0.0.1\",\"containerID\":\"aaaa\"}",
         HMS_VERDICT_AMBIGUOUS},
        {"{\"command\":\"change_all_threshold\"}", HMS_VERDICT_MISSING},
        {"{\"command\":\"change_all_threshold\",\"threshold\":\"5\"}", HMS_VERDICT_INVALID},
        {"{\"command\":\"change_all_threshold\",\"threshold\":101}", HMS_VERDICT_INVALID},
        {"{\"command\":\"change_all_threshold\",\"threshold\":-1}", HMS_VERDICT_INVALID},
    };
    struct world *world = *state;
    size_t i;

    both_are_known(world);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("%s\n", cases[i].message);
        run(world, json_loads(cases[i].message, 0, NULL));
        assert_int_equal(world->verdict, cases[i].verdict);
        assert_string_equal(hms_json_string(world->body, "type"),
                            hms_verdict_type(cases[i].verdict));
    }
    assert_string_equal(world->a.order, "");
}

static void commands_are_bounded(void **state)
{
    struct world *world = *state;
    int i;

    both_are_known(world);
    world->a.hold = 1;
    scripted_notify(&world->a, "update");
    WAIT(&world->loop, hms_sync_is_pending(&host(world, A)->sync));
    for (i = 0; i < HMS_DISPATCHER_COMMANDS_MAX; i++)
        start(world, command("get_host_containers", A, NULL));
    assert_int_equal(world->results, 0);
    start(world, command("get_host_containers", A, NULL));
    assert_int_equal(world->verdict, HMS_VERDICT_BUSY);
    WAIT(&world->loop, world->results == HMS_DISPATCHER_COMMANDS_MAX + 1);
}

static void stopping_ends_what_is_under_way(void **state)
{
    struct world *world = *state;

    both_are_known(world);
    world->a.hold = world->b.hold = 1;
    start(world, json_pack("{s:s, s:i}", "command", "change_all_threshold", "threshold", 1));
    WAIT(&world->loop, world->a.held_count == 1 && world->b.held_count == 1);
    start(world, command("add_container", A, "web"));
    scripted_notify(&world->a, "update");
    WAIT(&world->loop, hms_sync_is_pending(&host(world, A)->sync));
    start(world, command("add_container", A, "db"));
    assert_int_equal(world->results, 0);
    /* The teardown closes, and looks whether every command has got its result. */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_update_is_gathered),
        TEST(many_updates_are_one_question),
        TEST(a_silent_manager_is_asked_again),
        TEST(bad_notifications_are_dropped),
        TEST(what_is_pushed_needs_no_question),
        TEST(what_was_lost_is_asked_for),
        TEST(two_managers_of_one_address_are_noticed),
        TEST(a_new_life_is_asked_for),
        cmocka_unit_test(pulling_takes_an_update_for_a_flag),
        TEST(what_is_wrong_or_old_changes_nothing),
        TEST(too_many_containers_are_not_taken),
        TEST(a_silent_host_is_offline_and_asked_when_it_returns),
        TEST(hosts_are_stale_while_the_bus_is_down),
        TEST(health_waits_for_every_host),
        TEST(health_needs_contact),
        TEST(health_does_not_need_hosts),
        TEST(a_read_asks_a_pending_host_first),
        TEST(an_update_during_the_question_is_not_missed),
        TEST(a_read_of_a_silent_host_tells_the_last_known),
        TEST(a_host_that_never_answered_has_nothing_to_read),
        TEST(commands_reach_the_manager),
        TEST(a_change_is_seen_by_the_next_read),
        TEST(threshold_of_one_and_of_all),
        TEST(failures_have_their_verdicts),
        TEST(bad_commands_are_refused),
        TEST(commands_are_bounded),
        TEST(stopping_ends_what_is_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
