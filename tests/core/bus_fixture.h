/*
 * Buses on one loop for a test program, and what they tell. Nothing sleeps: until() runs the loop
 * until a counter is there, and fails the test at a deadline. Everything is static.
 */
#ifndef HMS_TESTS_CORE_BUS_FIXTURE_H
#define HMS_TESTS_CORE_BUS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "core/alloc.h"
#include "core/bus_amqp.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"

#define DEADLINE_MS 90000
#define TICK_MS     10
#define LONG_MS     60000
#define HEARD_BYTES 65536
#define PASSWORD    "health-monitor"
#define PLAIN_URL   "amqp://localhost"
#ifndef BUSES_MAX
#define BUSES_MAX 4
#endif

struct world;

/* One component: its bus and what it has been told. */
struct peer {
    struct world *world;
    struct hms_bus *bus;
    struct hms_bus_watch watch;
    int ready, congested, down; /* how often contact became so */
    int heard;                  /* messages served */
    char commands[HEARD_BYTES]; /* of them, each followed by a blank; the first ones */
    json_t *last;               /* of them */
    struct hms_bus_call *kept;  /* with keeps: the last request, unanswered */
    int keeps;
    int replies, ok, unreachable, timed_out, cancelled;
    json_t *reply; /* the last */
    int held, lost;
    int closed;
};

struct world {
    uv_loop_t loop;
    uv_timer_t tick;           /* wakes until() when nothing else happens */
    int64_t ticked_ns, lag_ns; /* when it came last, and the longest it did not come */
    struct hms_log *log;
    struct peer peers[BUSES_MAX];
};

static void on_tick(uv_timer_t *timer)
{
    struct world *world = timer->data;
    int64_t now_ns = hms_clock_mono_ns();

    if (world->ticked_ns != 0 && now_ns - world->ticked_ns > world->lag_ns)
        world->lag_ns = now_ns - world->ticked_ns;
    world->ticked_ns = now_ns;
}

static int setup(void **state)
{
    struct world *world = hms_calloc(1, sizeof(*world));

    signal(SIGPIPE, SIG_IGN);
    world->log = hms_log_new(2, HMS_LOG_TEXT,
                             getenv("HMS_TEST_LOG") != NULL ? HMS_LOG_DEBUG : HMS_LOG_ERROR);
    uv_loop_init(&world->loop);
    uv_timer_init(&world->loop, &world->tick);
    world->tick.data = world;
    uv_timer_start(&world->tick, on_tick, TICK_MS, TICK_MS);
    *state = world;
    return 0;
}

static void on_closed(void *arg)
{
    ((struct peer *)arg)->closed = 1;
}

static void peer_close(struct peer *peer)
{
    hms_bus_unwatch(&peer->watch);
    hms_bus_close(peer->bus, on_closed, peer);
    peer->bus = NULL;
}

/* Also proves that nothing is left on the loop. */
static int teardown(void **state)
{
    struct world *world = *state;
    int i;

    for (i = 0; i < BUSES_MAX; i++)
        if (world->peers[i].bus != NULL)
            peer_close(&world->peers[i]);
    uv_close((uv_handle_t *)&world->tick, NULL);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    for (i = 0; i < BUSES_MAX; i++) {
        json_decref(world->peers[i].last);
        json_decref(world->peers[i].reply);
    }
    hms_log_free(world->log);
    free(world);
    return 0;
}

/* Runs the loop until *count is `wanted` at least; `what` is told when that takes too long. */
static void until(struct world *world, const int *count, int wanted, const char *what)
{
    int64_t deadline_ms = hms_clock_mono_ms() + DEADLINE_MS;

    while (*count < wanted) {
        if (hms_clock_mono_ms() > deadline_ms)
            fail_msg("%s: %d of %d", what, *count, wanted);
        uv_run(&world->loop, UV_RUN_ONCE);
    }
}

static void on_contact(void *arg, enum hms_bus_contact contact)
{
    struct peer *peer = arg;

    peer->ready += contact == HMS_BUS_READY;
    peer->congested += contact == HMS_BUS_CONGESTED;
    peer->down += contact == HMS_BUS_DOWN;
}

/* A bus that begins to connect; the fields that are left empty are the usual ones. */
static struct peer *peer_open(struct world *world, int number, struct hms_bus_amqp_options options)
{
    struct peer *peer = &world->peers[number];
    char error[256] = "";

    if (options.url == NULL)
        options.url = PLAIN_URL;
    if (options.password == NULL)
        options.password = PASSWORD;
    if (options.heartbeat_s == 0)
        options.heartbeat_s = 10;
    memset(peer, 0, sizeof(*peer));
    peer->world = world;
    if (hms_bus_amqp_open(&peer->bus, &world->loop, world->log, &options, error, sizeof(error)) !=
        HMS_OK)
        fail_msg("%s", error);
    assert_int_equal(hms_bus_contact(peer->bus), HMS_BUS_DOWN);
    peer->watch.fn = on_contact;
    peer->watch.arg = peer;
    hms_bus_watch(peer->bus, &peer->watch);
    return peer;
}

static void on_message(void *arg, const json_t *message, struct hms_bus_call *call)
{
    struct peer *peer = arg;
    const char *command = hms_json_string(message, "command");

    assert_non_null(hms_json_string(message, "sender"));
    peer->heard++;
    if (strlen(peer->commands) + strlen(command) + 2 < sizeof(peer->commands))
        strcat(strcat(peer->commands, command), " ");
    json_decref(peer->last);
    peer->last = json_incref((json_t *)message);
    if (call == NULL)
        return;
    if (peer->keeps)
        peer->kept = call;
    else
        hms_bus_reply(call, hms_bus_ok(command));
}

static void on_reply(void *arg, int error, const json_t *reply)
{
    struct peer *peer = arg;

    assert_true((error == HMS_OK) == (reply != NULL));
    peer->replies++;
    peer->ok += error == HMS_OK;
    peer->unreachable += error == HMS_EUNREACHABLE;
    peer->timed_out += error == HMS_ETIMEDOUT;
    peer->cancelled += error == HMS_ECANCELED;
    json_decref(peer->reply);
    peer->reply = json_incref((json_t *)reply);
}

static void on_hold(void *arg, int is_held)
{
    struct peer *peer = arg;

    peer->held += is_held;
    peer->lost += !is_held;
}

static json_t *message(const char *command)
{
    return json_pack("{s:s}", "command", command);
}

static int ask(struct peer *peer, const char *address, const char *command, int64_t timeout_ms)
{
    return hms_bus_request(peer->bus, HMS_BUS_MANAGER, address, message(command), timeout_ms,
                           on_reply, peer);
}

static int say(struct peer *peer, enum hms_bus_role role, const char *address, const char *command)
{
    return hms_bus_notify(peer->bus, role, address, message(command));
}

#endif
