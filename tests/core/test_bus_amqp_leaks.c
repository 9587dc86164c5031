/*
 * 200 lost connections to a real RabbitMQ leave nothing: no descriptor, no memory, no queue. Many
 * buses lose a few each, since one alone would wait longer and longer. Needs root.
 */
#define BUSES_MAX 50

#include "broker.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <malloc.h>

#include "../wait.h"
#include "bus_fixture.h"

#define LOSSES        4                   /* of each, after a first one */
#define QUEUES        (2 * BUSES_MAX + 1) /* one of them by a hold */
#define HEAP_MORE_MAX 8192                /* a leak of 41 bytes at each loss would be more */

#define SETTLE_MS        100
#define SETTLE_READS_MAX 50

struct possessions {
    size_t descriptors;
    size_t heap_bytes; /* 0 under ASan, which finds leaks by itself */
    size_t queues;
};

static size_t count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static size_t count_queues(void)
{
    const char *names = broker_do("queues");
    size_t count = *names != '\0';

    for (; *names != '\0'; names++)
        count += *names == ' ';
    return count;
}

/* How much of the heap is used once that does not change any more. */
static size_t settled_heap_bytes(struct world *world)
{
    size_t bytes, last_bytes = 0;
    int64_t until_ms;
    int i;

    for (i = 0; i < SETTLE_READS_MAX; i++) {
        until_ms = hms_clock_mono_ms() + SETTLE_MS;
        while (hms_clock_mono_ms() < until_ms)
            uv_run(&world->loop, UV_RUN_ONCE);
        bytes = mallinfo2().uordblks;
        if (bytes == last_bytes)
            break;
        last_bytes = bytes;
    }
    return last_bytes;
}

/* The broker takes its time to remove queues. */
static struct possessions take_stock(struct world *world)
{
    struct possessions stock = {0};
    int64_t until_ms = hms_clock_mono_ms() + WAIT_DEADLINE_MS;

    while (stock.queues != QUEUES && hms_clock_mono_ms() < until_ms)
        stock.queues = count_queues();
    stock.heap_bytes = settled_heap_bytes(world);
    stock.descriptors = count_descriptors();
    return stock;
}

static void open_all(struct world *world)
{
    char address[INET_ADDRSTRLEN];
    struct peer *peer;
    int i;

    for (i = 0; i < BUSES_MAX; i++) {
        snprintf(address, sizeof(address), "10.0.1.%d", i);
        peer = peer_open(
            world, i, (struct hms_bus_amqp_options){.role = HMS_BUS_MANAGER, .address = address});
        assert_int_equal(hms_bus_serve(peer->bus, HMS_BUS_MANAGER, address, on_message, peer),
                         HMS_OK);
    }
}

/* All have had contact `times` times, and sent and got something since; one holds a name. */
static void await_all(struct world *world, int times)
{
    char address[INET_ADDRSTRLEN];
    int i;

    for (i = 0; i < BUSES_MAX; i++) {
        until(world, &world->peers[i].down, times - 1, "loss of contact");
        WAIT(&world->loop, hms_bus_contact(world->peers[i].bus) == HMS_BUS_READY);
    }
    for (i = 0; i < BUSES_MAX; i++) {
        snprintf(address, sizeof(address), "10.0.1.%d", (i + 1) % BUSES_MAX);
        ask(&world->peers[i], address, "give_content", LONG_MS);
        say(&world->peers[i], HMS_BUS_MANAGER, address, "hello");
    }
    for (i = 0; i < BUSES_MAX; i++) {
        until(world, &world->peers[i].ok, times, "the reply");
        until(world, &world->peers[i].heard, 2 * times, "request and notification");
    }
    until(world, &world->peers[0].held, times, "the hold");
}

static void lose_all(struct world *world, int times)
{
    broker_begin("ctl close_all_connections test");
    await_all(world, times + 1);
    broker_end();
}

static void nothing_is_left_of_lost_connections(void **state)
{
    struct world *world = *state;
    struct possessions before, after;
    int i;

    if (the_broker == NULL)
        skip();
    open_all(world);
    hms_bus_hold(world->peers[0].bus, "test", on_hold, &world->peers[0]);
    await_all(world, 1);
    lose_all(world, 1);
    before = take_stock(world);
    for (i = 2; i <= 1 + LOSSES; i++)
        lose_all(world, i);
    after = take_stock(world);
    for (i = 0; i < BUSES_MAX; i++)
        assert_int_equal(hms_bus_troubles(world->peers[i].bus).disconnects, 1 + LOSSES);
    print_message("heap: %zu bytes, then %zu\n", before.heap_bytes, after.heap_bytes);
    assert_int_equal(after.queues, QUEUES);
    assert_int_equal(after.descriptors, before.descriptors);
    assert_true(after.heap_bytes <= before.heap_bytes + HEAP_MORE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_left_of_lost_connections, setup, teardown),
    };

    return cmocka_run_group_tests(tests, open_the_broker, close_the_broker);
}
