/*
 * The bus over a real RabbitMQ: messages of every kind and size, what is not for us, outages, TLS,
 * and who holds a name. Needs root for the broker's namespaces.
 */
#include <stdio.h>
#include <unistd.h>

#include "broker.h"

#include "bus_fixture.h"

#define MANAGER_IP "10.0.0.1"

static void need_broker(void)
{
    if (the_broker == NULL)
        skip();
}

/* A controller and a manager that serve, in contact. */
static struct world *joined(void **state, struct peer **controller, struct peer **manager)
{
    struct world *world = *state;

    need_broker();
    *controller = controller_open(world, 0);
    *manager = manager_open(world, 1, MANAGER_IP);
    hms_bus_serve((*controller)->bus, HMS_BUS_CONTROLLER, CONTROLLER_IP, on_message, *controller);
    hms_bus_serve((*manager)->bus, HMS_BUS_MANAGER, MANAGER_IP, on_message, *manager);
    until(world, &(*controller)->ready, 1, "contact of the controller");
    until(world, &(*manager)->ready, 1, "contact of the manager");
    return world;
}

/* ---- messages ---- */

static void request_is_answered(void **state)
{
    struct peer *controller, *manager;
    struct world *world = joined(state, &controller, &manager);

    assert_int_equal(ask(controller, MANAGER_IP, "give_content", LONG_MS), HMS_OK);
    assert_int_equal(controller->replies, 0);
    until(world, &controller->replies, 1, "the reply");
    assert_int_equal(controller->ok, 1);
    assert_string_equal(hms_json_string(controller->reply, "description"), "give_content");
    assert_string_equal(hms_json_string(controller->reply, "sender"), "manager.callback.10.0.0.1");
    assert_string_equal(hms_json_string(manager->last, "sender"), "controller.callback.10.0.0.9");
}

static void notifications_reach_role_and_address(void **state)
{
    struct peer *controller, *manager, *other;
    struct world *world = joined(state, &controller, &manager);

    other = manager_open(world, 2, "10.0.0.2");
    hms_bus_serve(other->bus, HMS_BUS_MANAGER, "10.0.0.2", on_message, other);
    until(world, &other->ready, 1, "contact of the other");
    say(controller, HMS_BUS_MANAGER, "10.0.0.2", "one");
    say(controller, HMS_BUS_MANAGER, NULL, "all");
    say(manager, HMS_BUS_CONTROLLER, NULL, "live");
    until(world, &other->heard, 2, "messages of the other");
    until(world, &manager->heard, 1, "messages of the manager");
    until(world, &controller->heard, 1, "messages of the controller");
    assert_string_equal(other->commands, "one all ");
    assert_string_equal(manager->commands, "all ");
    assert_string_equal(controller->commands, "live ");
}

static void nobody_there_is_unreachable_at_once(void **state)
{
    struct peer *controller, *manager;
    struct world *world = joined(state, &controller, &manager);

    ask(controller, "10.0.0.77", "give_content", 100 * LONG_MS);
    until(world, &controller->replies, 1, "the end of the request");
    assert_int_equal(controller->unreachable, 1);
    hms_bus_unserve(manager->bus, HMS_BUS_MANAGER, MANAGER_IP);
    while (controller->unreachable < 2) {
        int seen = controller->replies;

        ask(controller, MANAGER_IP, "give_content", 100);
        until(world, &controller->replies, seen + 1, "the end of the request");
    }
    assert_int_equal(hms_bus_serve(manager->bus, HMS_BUS_MANAGER, MANAGER_IP, on_message, manager),
                     HMS_OK);
    while (controller->ok == 0) {
        int seen = controller->replies;

        ask(controller, MANAGER_IP, "give_content", LONG_MS);
        until(world, &controller->replies, seen + 1, "the end of the request");
    }
}

static void silence_times_out(void **state)
{
    struct peer *controller, *manager;
    struct world *world = joined(state, &controller, &manager);

    manager->keeps = 1;
    ask(controller, MANAGER_IP, "give_content", 200);
    until(world, &controller->replies, 1, "the end of the request");
    assert_int_equal(controller->timed_out, 1);
    hms_bus_reply(manager->kept, hms_bus_ok("too late"));
    ask(controller, MANAGER_IP, "give_content", LONG_MS);
    until(world, &manager->heard, 2, "the second request");
    hms_bus_cancel(controller->bus, controller);
    assert_int_equal(controller->cancelled, 1);
    hms_bus_reply(manager->kept, hms_bus_ok("too late"));
    manager->keeps = 0;
    ask(controller, MANAGER_IP, "give_content", LONG_MS);
    until(world, &controller->ok, 1, "the reply");
    assert_int_equal(hms_bus_troubles(controller->bus).unexpected, 2);
}

static void order_is_kept(void **state)
{
    struct peer *controller, *manager;
    struct world *world = joined(state, &controller, &manager);
    char expected[HEARD_BYTES] = "", command[16];
    int i;

    for (i = 0; i < 2000; i++) {
        snprintf(command, sizeof(command), "c%d", i);
        strcat(strcat(expected, command), " ");
        assert_int_equal(say(controller, HMS_BUS_MANAGER, MANAGER_IP, command), HMS_OK);
    }
    until(world, &manager->heard, 2000, "messages");
    assert_string_equal(manager->commands, expected);
}

static void large_messages_go_both_ways(void **state)
{
    struct peer *controller, *manager;
    struct world *world = joined(state, &controller, &manager);
    size_t size = 5 << 20;
    char *text = hms_malloc(size + 1);
    json_t *large = message("large");

    memset(text, 'x', size);
    text[size] = '\0';
    json_object_set_new(large, "text", json_string(text));
    manager->keeps = 1;
    assert_int_equal(hms_bus_request(controller->bus, HMS_BUS_MANAGER, MANAGER_IP, large, LONG_MS,
                                     on_reply, controller),
                     HMS_OK);
    ask(controller, MANAGER_IP, "behind", LONG_MS);
    until(world, &manager->heard, 1, "the large request");
    assert_string_equal(hms_json_string(manager->last, "text"), text);
    hms_bus_reply(manager->kept, hms_bus_ok(text));
    until(world, &controller->ok, 1, "the large reply");
    assert_string_equal(hms_json_string(controller->reply, "description"), text);
    until(world, &manager->heard, 2, "what came behind it");
    hms_bus_reply(manager->kept, hms_bus_ok(NULL));
    until(world, &controller->ok, 2, "the reply to it");
    assert_true(hms_bus_peer_traffic(controller->bus, MANAGER_IP).bytes > 2 * size);
    assert_int_equal(hms_bus_peer_traffic(controller->bus, MANAGER_IP).messages, 4);
    free(text);
}

/* ---- outages ---- */

static void everything_works_again_after_an_outage(void **state)
{
    struct peer *controller, *manager;
    struct world *world = joined(state, &controller, &manager);

    hms_bus_hold(controller->bus, "test", on_hold, controller);
    until(world, &controller->held, 1, "the hold");
    broker_do("stop");
    until(world, &controller->down, 1, "loss of contact");
    until(world, &manager->down, 1, "loss of contact");
    assert_int_equal(controller->lost, 1);
    ask(controller, MANAGER_IP, "give_content", 300);
    until(world, &controller->timed_out, 1, "the end of the request");
    say(manager, HMS_BUS_CONTROLLER, NULL, "live");
    say(manager, HMS_BUS_CONTROLLER, NULL, "update");
    say(manager, HMS_BUS_CONTROLLER, NULL, "live");
    ask(controller, MANAGER_IP, "patient", LONG_MS);
    broker_begin("start");
    until(world, &controller->ready, 2, "contact again");
    until(world, &controller->heard, 2, "what had to wait");
    assert_string_equal(controller->commands, "live update ");
    until(world, &controller->replies, 2, "the answer to what had to wait");
    until(world, &controller->held, 2, "the hold again");
    ask(controller, MANAGER_IP, "give_content", LONG_MS);
    until(world, &controller->ok, 1, "the reply");
    assert_int_equal(hms_bus_troubles(controller->bus).disconnects, 1);
    broker_end();
}

/* ---- holding a name ---- */

static void one_holds_a_name(void **state)
{
    struct peer *first, *second, *third;
    struct world *world = joined(state, &first, &second);

    third = manager_open(world, 2, "10.0.0.3");
    hms_bus_hold(third->bus, "controller", on_hold, third); /* before there is contact */
    until(world, &third->held, 1, "the first hold");
    hms_bus_hold(first->bus, "controller", on_hold, first);
    ask(first, MANAGER_IP, "ask", LONG_MS);
    until(world, &first->ok, 1, "an answer");
    assert_int_equal(first->held, 0);
    peer_close(third);
    until(world, &first->held, 1, "the hold after the other closed");
    hms_bus_hold(second->bus, "controller", on_hold, second);
    hms_bus_unhold(first->bus);
    until(world, &second->held, 1, "the hold after the other gave it up");
    hms_bus_hold(first->bus, "another", on_hold, first);
    until(world, &first->held, 2, "another name");
    assert_int_equal(first->lost + second->lost + third->lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(request_is_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(notifications_reach_role_and_address, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_there_is_unreachable_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(silence_times_out, setup, teardown),
        cmocka_unit_test_setup_teardown(order_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(large_messages_go_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(everything_works_again_after_an_outage, setup, teardown),
        cmocka_unit_test_setup_teardown(one_holds_a_name, setup, teardown),
    };

    return cmocka_run_group_tests(tests, open_the_broker, close_the_broker);
}
