/* The inventory: names, and which stops belong together. And what survives in the memory. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "manager/inventory.h"
#include "manager/memory.h"

#define ID_A      "aaaa000000000000000000000000000000000000000000000000000000000000"
#define ID_B      "aaaab00000000000000000000000000000000000000000000000000000000000"
#define ID_C      "cccc000000000000000000000000000000000000000000000000000000000000"
#define WINDOW_MS 250
#define NOW_MS    20000

static const struct hms_guard_limits limits = {.stable_ms = 60000};

/* A running container, of a compose project (service and number 1) unless that is NULL. */
static struct hms_container *add(struct hms_inventory *inventory, const char *id, const char *name,
                                 const char *project, const char *service, int64_t created_ns)
{
    struct hms_container *container = hms_inventory_add(inventory, id);
    struct hms_docker_container info = {
        .name = hms_strdup(name),
        .image = hms_strdup("web"),
        .network_mode = hms_strdup("default"),
        .restart_policy = hms_strdup("no"),
        .state = HMS_DOCKER_RUNNING,
        .created_ns = created_ns,
        .labels = json_object(),
    };

    if (project != NULL) {
        json_object_set_new(info.labels, "com.docker.compose.project", json_string(project));
        json_object_set_new(info.labels, "com.docker.compose.service", json_string(service));
        json_object_set_new(info.labels, "com.docker.compose.container-number", json_string("1"));
    }
    strcpy(info.id, id);
    hms_container_set_info(container, &info);
    container->state = HMS_DOCKER_RUNNING;
    return container;
}

static void stop(struct hms_container *container, int64_t asked_ms, int64_t ended_ms)
{
    container->asked_to_stop_ms = container->touched_ms = container->signal_ms = asked_ms;
    hms_exit_on_kill(&container->end, SIGTERM, asked_ms * 1000000);
    if (ended_ms == 0)
        return;
    hms_exit_on_die(&container->end, 143, ended_ms * 1000000);
    container->state = HMS_DOCKER_EXITED;
    container->ended_ms = container->touched_ms = ended_ms;
}

static void test_resolve(void **state)
{
    struct hms_inventory *inventory = hms_inventory_new(&limits);
    struct hms_container *a = add(inventory, ID_A, "web", NULL, NULL, 0);
    struct hms_container *b = add(inventory, ID_B, "aaaac", NULL, NULL, 0);
    struct hms_container *c = add(inventory, ID_C, "aaaa", NULL, NULL, 0);
    const struct {
        const char *text;
        struct hms_container *found;
        int is_ambiguous;
    } table[] = {
        {ID_A, a, 0},        {"aaaa0", a, 0}, {"aaaab0000000", b, 0}, {"web", a, 0},
        {"aaaac", b, 0},     {"cccc", c, 0},  {"ccc", NULL, 0},       {"", NULL, 0},
        {"nobody", NULL, 0}, {"aaaa", c, 0},
    };
    int is_ambiguous;
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_ptr_equal(hms_inventory_resolve(inventory, table[i].text, &is_ambiguous),
                         table[i].found);
        assert_int_equal(is_ambiguous, table[i].is_ambiguous);
    }
    hms_inventory_remove(inventory, c);
    assert_null(hms_inventory_resolve(inventory, "aaaa", &is_ambiguous));
    assert_true(is_ambiguous);
    hms_inventory_free(inventory);
}

static void test_one_command_stops_several(void **state)
{
    struct hms_inventory *inventory = hms_inventory_new(&limits);
    struct hms_container *a = add(inventory, ID_A, "a", NULL, NULL, 0);
    struct hms_container *b = add(inventory, ID_B, "b", NULL, NULL, 0);
    struct hms_container *c = add(inventory, ID_C, "c", NULL, NULL, 0);

    stop(a, 1000, 1100);
    assert_int_equal(hms_inventory_stop_of(inventory, a, WINDOW_MS, NOW_MS).touched_ms, 1100);
    assert_false(hms_inventory_stop_of(inventory, a, WINDOW_MS, NOW_MS).is_of_group);
    stop(b, 1010, 0); /* asked for by the same command, takes its time */
    assert_true(hms_inventory_stop_of(inventory, a, WINDOW_MS, NOW_MS).is_of_group);
    assert_true(hms_inventory_stop_of(inventory, a, WINDOW_MS, NOW_MS).touched_ms == INT64_MAX);
    stop(c, 9000, 9100); /* another command */
    assert_false(hms_inventory_stop_of(inventory, c, WINDOW_MS, NOW_MS).is_of_group);
    assert_int_equal(hms_inventory_stop_of(inventory, c, WINDOW_MS, NOW_MS).touched_ms, 9100);
    stop(b, 1010, 11000);
    assert_int_equal(hms_inventory_stop_of(inventory, a, WINDOW_MS, NOW_MS).touched_ms, 11000);
    hms_inventory_note_removal(inventory, b, 11200); /* and now it removes them one by one */
    assert_int_equal(hms_inventory_stop_of(inventory, a, WINDOW_MS, NOW_MS).touched_ms, 11200);
    hms_inventory_free(inventory);
}

static void test_a_compose_project_stops_one_after_the_other(void **state)
{
    struct hms_inventory *inventory = hms_inventory_new(&limits);
    struct hms_container *web = add(inventory, ID_A, "web", "shop", "web", 1);
    struct hms_container *base = add(inventory, ID_B, "db", "shop", "db", 1);
    struct hms_container *other = add(inventory, ID_C, "other", "blog", "web", 1);

    stop(web, 1000, 1100);
    assert_true(hms_inventory_stop_of(inventory, web, WINDOW_MS, NOW_MS).is_of_group);
    stop(base, 5000, 0);
    assert_true(hms_inventory_stop_of(inventory, web, WINDOW_MS, NOW_MS).touched_ms == INT64_MAX);
    stop(other, 20000, 0);
    stop(base, 5000, 15000);
    assert_int_equal(hms_inventory_stop_of(inventory, web, WINDOW_MS, NOW_MS).touched_ms, 15000);
    hms_inventory_free(inventory);
}

static void test_an_ignored_signal_is_no_stop_for_ever(void **state)
{
    struct hms_inventory *inventory = hms_inventory_new(&limits);
    struct hms_container *web = add(inventory, ID_A, "web", "shop", "web", 1);
    struct hms_container *deaf = add(inventory, ID_B, "deaf", "shop", "db", 1);
    int64_t later_ms = 1000 + HMS_STOPPING_MS;

    assert_false(hms_container_is_stopping(deaf, 1000));
    stop(deaf, 1000, 0);
    assert_true(hms_container_is_stopping(deaf, later_ms - 1));
    assert_false(hms_container_is_stopping(deaf, later_ms));
    stop(web, later_ms, later_ms + 100);
    assert_int_equal(hms_inventory_stop_of(inventory, web, WINDOW_MS, later_ms + 100).touched_ms,
                     later_ms + 100);
    hms_inventory_free(inventory);
}

static void test_superseded(void **state)
{
    struct hms_inventory *inventory = hms_inventory_new(&limits);
    struct hms_container *old = add(inventory, ID_A, "old", "shop", "web", 1);
    struct hms_container *other = add(inventory, ID_B, "db", "shop", "db", 2);
    struct hms_container *young;

    assert_false(hms_inventory_is_superseded(inventory, old));
    young = add(inventory, ID_C, "web", "shop", "web", 3);
    assert_true(hms_inventory_is_superseded(inventory, old));
    assert_false(hms_inventory_is_superseded(inventory, young));
    assert_false(hms_inventory_is_superseded(inventory, other));
    hms_inventory_free(inventory);
}

static void test_memory_round_trip(void **state)
{
    struct hms_inventory *inventory = hms_inventory_new(&limits);
    struct hms_memory memory = {.threshold_pct = 42.5, .last_event_ns = 7};
    struct hms_container *a = add(inventory, ID_A, "a", NULL, NULL, 0);
    struct hms_container *b = add(inventory, ID_B, "b", NULL, NULL, 0);
    json_t *document;

    a->is_ignored = a->is_seen = 1;
    hms_exit_on_kill(&a->end, SIGTERM, 5);
    b->guard.is_quarantined = 1;
    b->restarts = 3;
    b->end = (struct hms_exit){.cause = HMS_CAUSE_COMPLETED, .exit_code = 0, .ended_ns = 9};
    document = hms_memory_document(inventory, &memory);
    hms_inventory_free(inventory);

    inventory = hms_inventory_new(&limits);
    memory = (struct hms_memory){.threshold_pct = 60};
    assert_int_equal(hms_memory_recall(document, inventory, &memory), 0);
    assert_true(memory.threshold_pct == 42.5 && memory.last_event_ns == 7);
    assert_int_equal(hms_inventory_count(inventory), 2);
    a = hms_inventory_find(inventory, ID_A);
    b = hms_inventory_find(inventory, ID_B);
    assert_true(a->is_ignored && a->is_seen && !a->guard.is_quarantined);
    assert_int_equal(hms_exit_on_die(&a->end, 0, 9), HMS_CAUSE_STOPPED);
    assert_true(b->guard.is_quarantined && b->restarts == 3);
    assert_int_equal(b->end.cause, HMS_CAUSE_COMPLETED);
    assert_int_equal(b->end.ended_ns, 9);
    json_decref(document);
    hms_inventory_free(inventory);
}

static void test_memory_survives_nonsense(void **state)
{
    static const char *const documents[] = {
        "[]",
        "{}",
        "{\"version\":1,\"threshold\":\"x\",\"containers\":[]}",
        "{\"version\":1,\"threshold\":-1,\"containers\":{\"short\":{}}}",
        "{\"version\":1,\"threshold\":1,\"containers\":{\"../etc/passwd\":{\"ignored\":1}}}",
    };
    size_t i;

    for (i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        struct hms_inventory *inventory = hms_inventory_new(&limits);
        struct hms_memory memory = {.threshold_pct = 60};
        json_t *document = json_loads(documents[i], 0, NULL);

        assert_true(hms_memory_recall(document, inventory, &memory) > 0);
        assert_int_equal(hms_inventory_count(inventory), 0);
        json_decref(document);
        hms_inventory_free(inventory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_one_command_stops_several),
        cmocka_unit_test(test_a_compose_project_stops_one_after_the_other),
        cmocka_unit_test(test_an_ignored_signal_is_no_stop_for_ever),
        cmocka_unit_test(test_superseded),
        cmocka_unit_test(test_memory_round_trip),
        cmocka_unit_test(test_memory_survives_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
