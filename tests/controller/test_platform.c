/* What GET /platform adds up: states, rates over ten seconds, nothing known yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "controller/gather.h"
#include "controller/notice.h"
#include "controller/platform.h"
#include "controller/registry.h"
#include "controller/standby.h"
#include "core/alloc.h"
#include "core/bus.h"
#include "core/bus_local.h"
#include "core/error.h"
#include "core/json.h"
#include "core/loop.h"

struct world {
    struct hms_loop *loop;
    struct hms_bus *bus;
    struct hms_registry *registry;
    struct hms_gather *gather;
    struct hms_standby *standby;
    struct hms_platform *platform;
};

static void nobody(void *arg)
{
}

static int setup(void **state)
{
    static const struct hms_gather_options options;
    struct world *world = hms_calloc(1, sizeof(*world));
    struct hms_standby_parts standby;
    struct hms_platform_sources sources;
    uv_loop_t *uv;

    world->loop = hms_loop_new(NULL);
    uv = hms_loop_uv(world->loop);
    world->bus = hms_bus_local_new(uv);
    world->registry = hms_registry_new();
    world->gather = hms_gather_new(uv, NULL, world->bus, world->registry, &options, nobody, NULL);
    standby = (struct hms_standby_parts){
        .loop = uv, .bus = world->bus, .gather = world->gather, .address = "10.0.0.9"};
    world->standby = hms_standby_new(&standby, NULL, NULL);
    sources = (struct hms_platform_sources){.registry = world->registry,
                                            .gather = world->gather,
                                            .standby = world->standby,
                                            .bus = world->bus,
                                            .loop = world->loop};
    world->platform = hms_platform_new(&sources, 0);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    hms_platform_free(world->platform);
    hms_standby_free(world->standby);
    hms_gather_free(world->gather);
    hms_registry_free(world->registry);
    hms_bus_close(world->bus, nobody, NULL);
    uv_run(hms_loop_uv(world->loop), UV_RUN_DEFAULT);
    assert_int_equal(hms_loop_free(world->loop), 0);
    free(world);
    return 0;
}

static void fill(struct world *world, const char *address, const char *state)
{
    json_t *message = json_pack("{s:s, s:{s:{s:s}}}", "command", "ok", "content", "aaaa11112222",
                                "container_state", state);
    const struct hms_notice live = {.kind = HMS_NOTICE_LIVE, .address = address};
    const struct hms_registry_times times = {.expiry_ms = 300000};
    char error[HMS_JSON_ERROR_SIZE];
    struct hms_host *host;

    assert_int_equal(hms_registry_enter(world->registry, address, &host), HMS_OK);
    hms_registry_heard(world->registry, host, &live, 0, 0);
    hms_registry_asked(host);
    assert_int_equal(hms_registry_answered(world->registry, host, message, 0, 0, error), HMS_OK);
    hms_registry_check(world->registry, host, &times);
    json_decref(message);
}

static double real_at(const json_t *body, const char *group, const char *name)
{
    return json_number_value(hms_json_path(body, "description", group, name, NULL));
}

static void nothing_is_known_at_first(void **state)
{
    struct world *world = *state;
    json_t *body = hms_platform_json(world->platform, 0);

    assert_true(json_is_null(hms_json_path(body, "description", "availability", "now_pct", NULL)));
    assert_true(
        json_is_null(hms_json_path(body, "description", "availability", "last_24h_pct", NULL)));
    assert_true(real_at(body, "hosts", "total") == 0);
    assert_true(real_at(body, "monitoring", "messages_per_s") == 0);
    assert_true(
        json_is_real(hms_json_path(body, "description", "controller", "loop_lag_max_ms", NULL)));
    json_decref(body);
}

static void states_are_counted(void **state)
{
    struct world *world = *state;
    json_t *body;

    fill(world, "10.0.0.1", "running");
    fill(world, "10.0.0.2", "exited");
    fill(world, "10.0.0.3", "disabled");
    fill(world, "10.0.0.4", "levitating");
    hms_platform_observe(world->platform, 0);
    body = hms_platform_json(world->platform, 1000);
    assert_true(real_at(body, "hosts", "total") == 4);
    assert_true(real_at(body, "hosts", "online") == 4);
    assert_true(real_at(body, "hosts", "offline") == 0);
    assert_true(real_at(body, "containers", "total") == 4);
    assert_true(real_at(body, "containers", "supervised") == 3);
    assert_true(real_at(body, "containers", "up") == 1);
    assert_int_equal(json_integer_value(hms_json_path(body, "description", "containers", "by_state",
                                                      "other", NULL)),
                     1);
    assert_int_equal((int)(real_at(body, "availability", "last_24h_pct") * 100), 3333);
    json_decref(body);
}

static void rates_are_those_of_the_last_ten_seconds(void **state)
{
    struct hms_platform_totals totals = {0};
    struct world *world = *state;
    json_t *body;
    int second;

    for (second = 0; second < 60; second++) { /* busy first, then calm */
        hms_platform_sample(world->platform, second * INT64_C(1000), &totals);
        totals.bus_messages += second < 30 ? 1000 : 4;
        totals.bus_bytes += 500;
        totals.rest_bytes += 70;
    }
    body = hms_platform_json(world->platform, 60000);
    assert_true(real_at(body, "monitoring", "messages_per_s") == 4.0);
    assert_true(real_at(body, "monitoring", "bytes_per_s") == 500.0);
    assert_true(real_at(body, "rest", "bytes_per_s") == 70.0);
    assert_true(real_at(body, "rest", "bytes") == 59 * 70);
    json_decref(body);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_known_at_first),
        TEST(states_are_counted),
        TEST(rates_are_those_of_the_last_ten_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
