/* The local bus: order, lateness of delivery, every end of a request, bounds, closing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bus.h"
#include "core/bus_local.h"
#include "core/error.h"
#include "core/json.h"

#define LONG_MS 60000

struct world {
    uv_loop_t loop;
    struct hms_bus *bus;
    char heard[256]; /* commands in the order of their delivery, e.g. "a b " */
    struct hms_bus_call *held[HMS_BUS_LOCAL_CALLS_MAX];
    size_t held_count;
    int hold;         /* servers keep calls instead of answering */
    int replies;      /* callbacks that ran */
    int errors[8];    /* of the first of them */
    char content[64]; /* of the last reply */
    int closed;
};

static void on_closed(void *arg)
{
    ((struct world *)arg)->closed++;
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    uv_loop_init(&world->loop);
    world->bus = hms_bus_local_new(&world->loop);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    if (!world->closed)
        hms_bus_close(world->bus, on_closed, world);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->closed, 1);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    while (world->held_count > 0)
        hms_bus_reply(world->held[--world->held_count], hms_bus_ok(NULL));
    free(world);
    return 0;
}

static json_t *message(const char *command)
{
    return json_pack("{s:s}", "command", command);
}

static void on_message(void *arg, const json_t *body, struct hms_bus_call *call)
{
    struct world *world = arg;

    strcat(strcat(world->heard, hms_json_string(body, "command")), " ");
    assert_non_null(hms_json_string(body, "sender"));
    if (call == NULL)
        return;
    if (world->hold)
        world->held[world->held_count++] = call;
    else
        hms_bus_reply(call, hms_bus_ok(hms_json_string(body, "sender")));
}

static void on_reply(void *arg, int error, const json_t *reply)
{
    struct world *world = arg;

    if (world->replies < 8)
        world->errors[world->replies] = error;
    world->replies++;
    assert_true((error == HMS_OK) == (reply != NULL));
    if (reply != NULL)
        strcpy(world->content, hms_json_string(reply, "description"));
}

static int ask(struct world *world, const char *address, int64_t timeout_ms)
{
    return hms_bus_request(world->bus, HMS_BUS_MANAGER, address, message("give_content"),
                           timeout_ms, on_reply, world);
}

static void request_is_answered_later(void **state)
{
    struct world *world = *state;

    hms_bus_serve(world->bus, HMS_BUS_CONTROLLER, "10.0.0.9", on_message, world);
    hms_bus_serve(world->bus, HMS_BUS_MANAGER, "10.0.0.1", on_message, world);
    assert_int_equal(ask(world, "10.0.0.1", LONG_MS), HMS_OK);
    assert_string_equal(world->heard, "");
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_string_equal(world->heard, "give_content ");
    assert_int_equal(world->replies, 1);
    assert_string_equal(world->content, "controller.callback.10.0.0.9");
}

static void traffic_is_that_of_the_json(void **state)
{
    struct world *world = *state;
    struct hms_bus_traffic traffic;

    hms_bus_serve(world->bus, HMS_BUS_MANAGER, "10.0.0.1", on_message, world);
    ask(world, "10.0.0.1", LONG_MS);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    traffic = hms_bus_traffic(world->bus);
    assert_int_equal(traffic.messages, 2);
    assert_int_equal(
        traffic.bytes,
        strlen("{\"command\":\"give_content\",\"sender\":\"controller.callback.127.0.0.1\"}"
               "{\"command\":\"ok\",\"description\":\"controller.callback.127.0.0.1\"}"));
}

static void traffic_is_kept_for_each_address(void **state)
{
    struct world *world = *state;

    hms_bus_serve(world->bus, HMS_BUS_MANAGER, "10.0.0.1", on_message, world);
    hms_bus_serve(world->bus, HMS_BUS_CONTROLLER, "10.0.0.9", on_message, world);
    ask(world, "10.0.0.1", LONG_MS);
    ask(world, "10.0.0.2", LONG_MS); /* nobody serves there: no answer */
    hms_bus_notify(world->bus, HMS_BUS_CONTROLLER, NULL, message("live"));
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(hms_bus_peer_traffic(world->bus, "10.0.0.1").messages, 3);
    assert_int_equal(hms_bus_peer_traffic(world->bus, "10.0.0.2").messages, 1);
    assert_int_equal(hms_bus_peer_traffic(world->bus, "10.0.0.9").messages, 0);
    assert_int_equal(hms_bus_traffic(world->bus).messages, 4);
}

static void on_held(void *arg, int is_held)
{
    strcat(((struct world *)arg)->heard, is_held ? "held " : "lost ");
}

static void hold_is_granted_later(void **state)
{
    struct world *world = *state;

    hms_bus_hold(world->bus, "controller", on_held, world);
    assert_string_equal(world->heard, "");
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_string_equal(world->heard, "held ");
    hms_bus_hold(world->bus, "controller", on_held, world);
    hms_bus_unhold(world->bus);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_string_equal(world->heard, "held ");
}

static void order_is_kept(void **state)
{
    struct world *world = *state;

    hms_bus_serve(world->bus, HMS_BUS_MANAGER, "10.0.0.1", on_message, world);
    hms_bus_notify(world->bus, HMS_BUS_MANAGER, "10.0.0.1", message("a"));
    ask(world, "10.0.0.1", LONG_MS);
    hms_bus_notify(world->bus, HMS_BUS_MANAGER, NULL, message("b"));
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_string_equal(world->heard, "a give_content b ");
}

static void notification_reaches_its_role_only(void **state)
{
    struct world *world = *state;

    hms_bus_serve(world->bus, HMS_BUS_MANAGER, "10.0.0.1", on_message, world);
    hms_bus_serve(world->bus, HMS_BUS_MANAGER, "10.0.0.2", on_message, world);
    hms_bus_serve(world->bus, HMS_BUS_CONTROLLER, "10.0.0.1", on_message, world);
    assert_int_equal(hms_bus_serve(world->bus, HMS_BUS_MANAGER, "10.0.0.2", on_message, world),
                     HMS_EBUSY);
    hms_bus_notify(world->bus, HMS_BUS_MANAGER, NULL, message("all"));
    hms_bus_notify(world->bus, HMS_BUS_MANAGER, "10.0.0.2", message("one"));
    hms_bus_notify(world->bus, HMS_BUS_MANAGER, "10.0.0.3", message("nobody"));
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_string_equal(world->heard, "all all one ");
}

static void nobody_serves(void **state)
{
    struct world *world = *state;

    hms_bus_serve(world->bus, HMS_BUS_MANAGER, "10.0.0.1", on_message, world);
    ask(world, "10.0.0.1", LONG_MS);
    ask(world, "10.0.0.2", LONG_MS);
    hms_bus_unserve(world->bus, HMS_BUS_MANAGER, "10.0.0.1");
    assert_int_equal(world->replies, 0);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->replies, 2);
    assert_int_equal(world->errors[0], HMS_EUNREACHABLE);
    assert_int_equal(world->errors[1], HMS_EUNREACHABLE);
    assert_int_equal(hms_bus_serve(world->bus, HMS_BUS_MANAGER, "10.0.0.1", on_message, world),
                     HMS_OK);
}

static void silence_times_out_and_a_late_answer_is_dropped(void **state)
{
    struct world *world = *state;

    world->hold = 1;
    hms_bus_serve(world->bus, HMS_BUS_MANAGER, "10.0.0.1", on_message, world);
    ask(world, "10.0.0.1", 30);
    ask(world, "10.0.0.1", 10);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->replies, 2);
    assert_int_equal(world->errors[0], HMS_ETIMEDOUT);
    assert_int_equal(world->errors[1], HMS_ETIMEDOUT);
    assert_int_equal(world->held_count, 2);
    hms_bus_reply(world->held[--world->held_count], hms_bus_ok("late"));
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->replies, 2);
}

static void an_answer_in_time_survives_a_late_loop(void **state)
{
    struct world *world = *state;

    world->hold = 1;
    hms_bus_serve(world->bus, HMS_BUS_MANAGER, "10.0.0.1", on_message, world);
    ask(world, "10.0.0.1", 200);
    while (world->held_count == 0)
        uv_run(&world->loop, UV_RUN_NOWAIT);
    hms_bus_reply(world->held[--world->held_count], hms_bus_ok("in time"));
    uv_sleep(250);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->replies, 1);
    assert_string_equal(world->content, "in time");
}

static void cancel_ends_an_owners_requests(void **state)
{
    struct world *world = *state;
    struct world *other = calloc(1, sizeof(*other));

    world->hold = 1;
    hms_bus_serve(world->bus, HMS_BUS_MANAGER, "10.0.0.1", on_message, world);
    ask(world, "10.0.0.1", LONG_MS);
    while (world->held_count == 0)
        uv_run(&world->loop, UV_RUN_NOWAIT);
    ask(world, "10.0.0.1", LONG_MS);
    hms_bus_request(world->bus, HMS_BUS_MANAGER, "10.0.0.2", message("x"), LONG_MS, on_reply,
                    other);
    hms_bus_cancel(world->bus, world);
    assert_int_equal(world->replies, 2);
    assert_int_equal(world->errors[0], HMS_ECANCELED);
    assert_int_equal(world->errors[1], HMS_ECANCELED);
    assert_int_equal(other->replies, 0);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(other->replies, 1);
    assert_string_equal(world->heard, "give_content ");
    free(other);
}

static void wrong_messages_are_refused(void **state)
{
    struct world *world = *state;

    assert_int_equal(hms_bus_request(world->bus, HMS_BUS_MANAGER, "10.0.0.1", json_array(), LONG_MS,
                                     on_reply, world),
                     HMS_EINVAL);
    assert_int_equal(
        hms_bus_request(world->bus, HMS_BUS_MANAGER, NULL, message("x"), LONG_MS, on_reply, world),
        HMS_EINVAL);
    assert_int_equal(hms_bus_notify(world->bus, HMS_BUS_MANAGER, NULL, json_object()), HMS_EINVAL);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->replies, 0);
    assert_int_equal(hms_bus_traffic(world->bus).messages, 0);
}

static void bounds_hold(void **state)
{
    struct world *world = *state;
    int i;

    world->hold = 1;
    hms_bus_serve(world->bus, HMS_BUS_ANTAGONIST, "10.0.0.1", on_message, world);
    for (i = 0; i < HMS_BUS_LOCAL_CALLS_MAX; i++)
        assert_int_equal(ask(world, "10.0.0.1", LONG_MS), HMS_OK);
    assert_int_equal(ask(world, "10.0.0.1", LONG_MS), HMS_ELIMIT);
    for (; i < HMS_BUS_LOCAL_MESSAGES_MAX; i++)
        assert_int_equal(hms_bus_notify(world->bus, HMS_BUS_MANAGER, NULL, message("n")), HMS_OK);
    assert_int_equal(hms_bus_notify(world->bus, HMS_BUS_MANAGER, NULL, message("n")), HMS_ELIMIT);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->replies, HMS_BUS_LOCAL_CALLS_MAX);
    assert_int_equal(ask(world, "10.0.0.1", LONG_MS), HMS_OK);
}

static void close_ends_everything(void **state)
{
    struct world *world = *state;

    world->hold = 1;
    hms_bus_serve(world->bus, HMS_BUS_MANAGER, "10.0.0.1", on_message, world);
    ask(world, "10.0.0.1", LONG_MS);
    while (world->held_count == 0)
        uv_run(&world->loop, UV_RUN_NOWAIT);
    ask(world, "10.0.0.1", LONG_MS);
    hms_bus_notify(world->bus, HMS_BUS_MANAGER, NULL, message("n"));
    hms_bus_close(world->bus, on_closed, world);
    assert_int_equal(world->replies, 2);
    assert_int_equal(ask(world, "10.0.0.1", LONG_MS), HMS_ELIMIT);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_string_equal(world->heard, "give_content ");
    assert_int_equal(world->replies, 2);
    /* The teardown answers the call that the server still holds. */
}

static void bodies_of_replies(void **state)
{
    json_t *ok = hms_bus_ok("done");
    json_t *error = hms_bus_error("invalid_param", "threshold is %d", 101);

    (void)state;
    assert_string_equal(hms_json_string(ok, "command"), "ok");
    assert_string_equal(hms_json_string(ok, "description"), "done");
    assert_string_equal(hms_json_string(error, "command"), "error");
    assert_string_equal(hms_json_string(error, "type"), "invalid_param");
    assert_string_equal(hms_json_string(error, "description"), "threshold is 101");
    assert_string_equal(hms_bus_role_name(HMS_BUS_INTERFACE), "interface");
    json_decref(ok);
    json_decref(error);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(request_is_answered_later),
        TEST(traffic_is_that_of_the_json),
        TEST(traffic_is_kept_for_each_address),
        TEST(hold_is_granted_later),
        TEST(order_is_kept),
        TEST(notification_reaches_its_role_only),
        TEST(nobody_serves),
        TEST(silence_times_out_and_a_late_answer_is_dropped),
        TEST(an_answer_in_time_survives_a_late_loop),
        TEST(cancel_ends_an_owners_requests),
        TEST(wrong_messages_are_refused),
        TEST(bounds_hold),
        TEST(close_ends_everything),
        cmocka_unit_test(bodies_of_replies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
