/*
 * What the report tells over a local bus, whose contact the tests set: what an update carries, when
 * it goes out, what raises none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../wait.h"
#include "core/alloc.h"
#include "core/bus_impl.h"
#include "core/bus_local.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "manager/inventory.h"
#include "manager/report.h"

#define AGGREGATION_MS 200
#define MESSAGES_MAX   64
#define ADDRESS        "10.0.0.1"

static const struct hms_guard_limits limits;

struct world {
    uv_loop_t loop;
    FILE *log_file;
    struct hms_log *log;
    struct hms_bus *bus;
    struct hms_inventory *inventory;
    struct hms_manager_options options;
    struct hms_report *report;
    json_t *updates[MESSAGES_MAX];
    int64_t arrived_ms[MESSAGES_MAX];
    size_t update_count;
    json_t *live; /* the last one */
    size_t live_count;
    int closed;
};

static void on_message(void *arg, const json_t *message, struct hms_bus_call *call)
{
    struct world *world = arg;

    assert_null(call);
    if (strcmp(hms_json_string(message, "command"), "live") == 0) {
        json_decref(world->live);
        world->live = json_incref((json_t *)message);
        world->live_count++;
        return;
    }
    assert_true(world->update_count < MESSAGES_MAX);
    world->arrived_ms[world->update_count] = (int64_t)uv_now(&world->loop);
    world->updates[world->update_count++] = json_incref((json_t *)message);
}

static const struct hms_docker_network *networks(void *arg, size_t *count)
{
    *count = 0;
    return NULL;
}

static json_t *describe_host(void *arg)
{
    return json_pack("{s:s}", "state", "online");
}

static void on_closed(void *arg)
{
    ((struct world *)arg)->closed++;
}

static struct world *world_new(enum hms_sync_mode sync)
{
    struct world *world = hms_calloc(1, sizeof(*world));
    const struct hms_report_sources sources = {.networks = networks,
                                               .describe_host = describe_host};

    world->options = (struct hms_manager_options){.address = ADDRESS,
                                                  .sync = sync,
                                                  .aggregation_ms = AGGREGATION_MS,
                                                  .loss_step_pct = 5,
                                                  .heartbeat_ms = 3600000};
    uv_loop_init(&world->loop);
    world->log_file = tmpfile();
    world->log = hms_log_new(fileno(world->log_file), HMS_LOG_JSON, HMS_LOG_DEBUG);
    world->bus = hms_bus_local_new(&world->loop);
    world->inventory = hms_inventory_new(&limits);
    hms_bus_serve(world->bus, HMS_BUS_CONTROLLER, "10.0.0.9", on_message, world);
    world->report = hms_report_new(&world->loop, world->log, world->bus, world->inventory, &sources,
                                   &world->options);
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

    hms_report_close(world->report, on_closed, world);
    hms_bus_close(world->bus, on_closed, world);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->closed, 2);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    while (world->update_count > 0)
        json_decref(world->updates[--world->update_count]);
    json_decref(world->live);
    hms_inventory_free(world->inventory);
    hms_log_free(world->log);
    fclose(world->log_file);
    free(world);
    return 0;
}

/* Runs the loop until the condition holds; fails at the deadline. */
/* A running container whose key is the digit twelve times. */
static struct hms_container *add(struct world *world, int digit)
{
    char id[HMS_DOCKER_ID_SIZE];
    struct hms_docker_container info = {
        .name = hms_asprintf("c%d", digit),
        .image = hms_strdup("web"),
        .network_mode = hms_strdup("none"),
        .restart_policy = hms_strdup("no"),
        .state = HMS_DOCKER_RUNNING,
        .labels = json_object(),
    };
    struct hms_container *container;

    memset(id, '0' + digit, sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    strcpy(info.id, id);
    container = hms_inventory_add(world->inventory, id);
    hms_container_set_info(container, &info);
    container->state = HMS_DOCKER_RUNNING;
    container->supervision = HMS_REASON_CLEAR;
    container->measure = (struct hms_measure){1, 0, 0.1, 0.2, 0.3};
    hms_report_touch(world->report, container);
    return container;
}

static void set_state(struct world *world, struct hms_container *container,
                      enum hms_docker_state state)
{
    container->state = state;
    hms_report_touch(world->report, container);
}

static void take_away(struct world *world, struct hms_container *container)
{
    hms_report_remove(world->report, container);
    hms_inventory_remove(world->inventory, container);
}

static int64_t number(const json_t *message, const char *key)
{
    return hms_json_int(message, key, -1);
}

static const char *state_in(const json_t *message, const char *key)
{
    return json_string_value(hms_json_path(message, "changed", key, "container_state", NULL));
}

static void the_first_change_goes_at_once_and_the_next_together(void **state)
{
    struct world *world = *state;
    struct hms_container *one = add(world, 1), *two;
    const json_t *first, *second;

    WAIT(&world->loop, world->update_count == 1);
    two = add(world, 2);
    set_state(world, one, HMS_DOCKER_EXITED);
    set_state(world, two, HMS_DOCKER_PAUSED);
    set_state(world, one, HMS_DOCKER_RESTARTING);
    WAIT(&world->loop, world->update_count == 2);
    first = world->updates[0];
    second = world->updates[1];
    assert_true(world->arrived_ms[1] - world->arrived_ms[0] >= AGGREGATION_MS);
    assert_true(number(first, "epoch") > 0);
    assert_int_equal(number(first, "base"), 0);
    assert_int_equal(number(first, "version"), 1);
    assert_int_equal(number(second, "epoch"), number(first, "epoch"));
    assert_int_equal(number(second, "base"), 1);
    assert_int_equal(number(second, "version"), 5);
    assert_int_equal(json_object_size(json_object_get(second, "changed")), 2);
    assert_string_equal(state_in(first, "111111111111"), "running"); /* not changed afterwards */
    assert_string_equal(state_in(second, "111111111111"), "restarting");
    assert_string_equal(state_in(second, "222222222222"), "paused");
    assert_null(json_object_get(second, "removed"));
    assert_null(json_object_get(second, "host"));
}

static void only_news_is_told(void **state)
{
    static const struct {
        double loss_pct;
        double rtt_avg_ms;
        int is_news;
    } steps[] = {
        {0, 500, 0}, {0.4, 500, 1}, {5.3, 1, 0}, {5.4, 1, 1}, {0.5, 1, 0},
        {0.4, 1, 1}, {0, 1, 1},     {0, 2, 0},   {100, 0, 1}, {96, 0, 0},
    };
    struct world *world = *state;
    struct hms_container *container = add(world, 1);
    int64_t version = 1;
    json_t *reply;
    size_t i;

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        print_message("loss %.1f %%\n", steps[i].loss_pct);
        container->measure.loss_pct = steps[i].loss_pct;
        container->measure.rtt_avg_ms = steps[i].rtt_avg_ms;
        hms_report_touch(world->report, container);
        hms_report_touch(world->report, container);
        version += steps[i].is_news;
        reply = hms_report_reply(world->report);
        assert_int_equal(number(reply, "version"), version);
        json_decref(reply);
    }
}

static void who_went_and_the_host_are_told(void **state)
{
    struct world *world = *state;
    struct hms_container *one = add(world, 1), *two = add(world, 2);
    const json_t *update;
    json_t *reply;

    WAIT(&world->loop, world->update_count == 1);
    set_state(world, one, HMS_DOCKER_EXITED);
    take_away(world, one);
    take_away(world, two);
    add(world, 2);
    hms_report_touch_host(world->report);
    WAIT(&world->loop, world->update_count == 2);
    update = world->updates[1];
    assert_int_equal(json_object_size(json_object_get(update, "changed")), 1);
    assert_non_null(state_in(update, "222222222222"));
    assert_int_equal(json_array_size(json_object_get(update, "removed")), 2);
    assert_string_equal(json_string_value(hms_json_path(update, "host", "state", NULL)), "online");
    reply = hms_report_reply(world->report);
    assert_int_equal(number(reply, "version"), number(update, "version"));
    assert_int_equal(number(reply, "epoch"), number(update, "epoch"));
    assert_int_equal(json_object_size(json_object_get(reply, "content")), 1);
    assert_string_equal(hms_json_string(reply, "address"), ADDRESS);
    json_decref(reply);
}

static void an_outage_is_one_update(void **state)
{
    struct world *world = *state;
    struct hms_container *one = add(world, 1);

    WAIT(&world->loop, world->update_count == 1 && world->live_count == 1);
    hms_bus_set_contact(world->bus, HMS_BUS_DOWN);
    set_state(world, one, HMS_DOCKER_EXITED);
    add(world, 2);
    hms_bus_set_contact(world->bus, HMS_BUS_CONGESTED);
    set_state(world, one, HMS_DOCKER_RUNNING);
    WAIT(&world->loop, world->live_count == 2);
    /* What is lacking is on its way: no version that was not sent is told before. */
    assert_int_equal(number(world->live, "version"), 1);
    assert_int_equal(world->update_count, 1);
    hms_bus_set_contact(world->bus, HMS_BUS_READY);
    WAIT(&world->loop, world->update_count == 2);
    assert_int_equal(number(world->updates[1], "base"), 1);
    assert_int_equal(number(world->updates[1], "version"), 4);
    assert_int_equal(json_object_size(json_object_get(world->updates[1], "changed")), 2);
}

static void a_long_outage_makes_the_controller_ask(void **state)
{
    struct world *world = *state;
    int i;

    hms_bus_set_contact(world->bus, HMS_BUS_DOWN);
    add(world, 1);
    for (i = 0; i < HMS_REPORT_REMOVED_MAX + 1; i++)
        take_away(world, add(world, 2));
    hms_bus_set_contact(world->bus, HMS_BUS_READY);
    WAIT(&world->loop, world->update_count == 1);
    assert_true(number(world->updates[0], "base") > 1);
    assert_null(json_object_get(world->updates[0], "changed"));
    assert_int_equal(json_array_size(json_object_get(world->updates[0], "removed")), 1);
}

static void what_the_bus_refuses_is_told_later(void **state)
{
    struct world *world = *state;

    while (hms_bus_notify(world->bus, HMS_BUS_INTERFACE, NULL,
                          json_pack("{s:s}", "command", "filler")) == HMS_OK)
        ;
    add(world, 1);
    uv_run(&world->loop, UV_RUN_NOWAIT); /* now it is to be sent, and is refused */
    add(world, 2);
    WAIT(&world->loop, world->update_count == 1);
    assert_int_equal(number(world->updates[0], "base"), 0);
    assert_int_equal(number(world->updates[0], "version"), 2);
    assert_int_equal(json_object_size(json_object_get(world->updates[0], "changed")), 2);
}

static void measurements_come_with_signs_of_life(void **state)
{
    struct world *world = *state;
    struct hms_container *one = add(world, 1), *two = add(world, 2), *three = add(world, 3);
    const json_t *measures;

    WAIT(&world->loop, world->update_count == 1);
    one->measure = (struct hms_measure){1, 4.96, 0.12345, 0.5, 1};
    two->measure.rtt_avg_ms += 0.09; /* jitter */
    three->measure.is_known = 0;
    hms_bus_set_contact(world->bus, HMS_BUS_DOWN);
    hms_bus_set_contact(world->bus, HMS_BUS_READY);
    WAIT(&world->loop, world->live_count >= 1 && json_object_get(world->live, "measures") != NULL);
    measures = json_object_get(world->live, "measures");
    assert_int_equal(json_object_size(measures), 1);
    measures = json_object_get(measures, "111111111111");
    assert_true(json_number_value(json_array_get(measures, 0)) == 5.0);
    assert_true(json_number_value(json_array_get(measures, 1)) == 0.123);
    assert_true(json_number_value(json_array_get(measures, 2)) == 0.5);
    assert_true(json_number_value(json_array_get(measures, 3)) == 1);
    assert_non_null(json_object_get(world->live, "host"));
    assert_int_equal(world->update_count, 1);
}

/* What the true information availability is computed from. */
static void versions_are_logged(void **state)
{
    struct world *world = *state;
    json_t *reply, *line;
    int version;

    add(world, 1);
    add(world, 2);
    reply = hms_report_reply(world->report);
    rewind(world->log_file);
    for (version = 0; version <= 2; version++) {
        line = json_loadf(world->log_file, JSON_DISABLE_EOF_CHECK, NULL);
        assert_non_null(line);
        assert_int_equal(number(line, "version"), version);
        assert_int_equal(number(line, "epoch"), number(reply, "epoch"));
        assert_string_equal(hms_json_string(line, "address"), ADDRESS);
        json_decref(line);
    }
    json_decref(reply);
}

static void pulling_is_a_bare_flag(void **state)
{
    struct world *world = world_new(HMS_SYNC_PULL);
    struct hms_container *one = add(world, 1);
    json_t *reply;

    set_state(world, one, HMS_DOCKER_EXITED);
    WAIT(&world->loop, world->update_count == 1 && world->live_count == 1);
    set_state(world, one, HMS_DOCKER_RUNNING);
    take_away(world, add(world, 2));
    json_decref(hms_report_reply(world->report)); /* lowers the flag */
    set_state(world, one, HMS_DOCKER_EXITED);
    WAIT(&world->loop, world->update_count == 2);
    assert_int_equal(json_object_size(world->updates[1]), 3); /* command, sender, address */
    assert_int_equal(json_object_size(world->live), 4);       /* and the period */
    reply = hms_report_reply(world->report);
    assert_int_equal(number(reply, "version"), 6);
    json_decref(reply);
    teardown((void **)&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_change_goes_at_once_and_the_next_together),
        TEST(only_news_is_told),
        TEST(who_went_and_the_host_are_told),
        TEST(an_outage_is_one_update),
        TEST(a_long_outage_makes_the_controller_ask),
        TEST(what_the_bus_refuses_is_told_later),
        TEST(measurements_come_with_signs_of_life),
        TEST(versions_are_logged),
        cmocka_unit_test(pulling_is_a_bare_flag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
