/*
 * Brokers that behave badly, played by a listener on the same loop: silent, speaking garbage,
 * dying, not reading. The bus never blocks, keeps its bounds and comes back.
 */
#include <stdio.h>

#include "bus_fixture.h"

#include "core/amqp_codec.h"

#define MANAGER_IP "10.0.0.1"
#define LAG_MS     1000 /* far above what is allowed (20), for machines with much else to do */

enum manners {
    SILENT,   /* accepts and says nothing */
    GARBAGE,  /* says what is no AMQP */
    HUGE,     /* announces a frame of 4 GB */
    GOODBYE,  /* closes at once */
    STRANGE,  /* delivers what nobody asked for */
    FROZEN,   /* confirms everything, then says nothing any more */
    DEAF,     /* confirms everything, then reads nothing any more, but lives */
    OBEDIENT, /* confirms everything */
};

struct client {
    struct listener *listener;
    uv_tcp_t socket;
    uv_timer_t timer; /* heartbeats of one that is deaf */
    int open_handles;
    struct hms_amqp_decoder decoder;
    size_t header_bytes; /* of the protocol's header, read */
    int is_settled;
};

struct listener {
    struct world *world;
    uv_tcp_t socket;
    enum manners manners;
    int accepted, consumes;
    char url[64];
    struct client *client; /* the last */
};

static void on_written(uv_write_t *write, int status)
{
    free(write);
}

static void tell(struct client *client, const void *data, size_t size_bytes)
{
    uv_write_t *write = hms_malloc(sizeof(*write) + size_bytes);
    uv_buf_t buf = uv_buf_init((char *)(write + 1), (unsigned)size_bytes);

    memcpy(write + 1, data, size_bytes);
    uv_write(write, (uv_stream_t *)&client->socket, &buf, 1, on_written);
}

static void tell_method(struct client *client, uint16_t channel, amqp_method_number_t method,
                        void *fields)
{
    struct hms_buffer out;

    hms_buffer_init(&out, HMS_AMQP_FRAME_MAX_BYTES);
    hms_amqp_encode_method(&out, channel, method, fields);
    tell(client, out.data, out.size_bytes);
    hms_buffer_free(&out);
}

static void tell_start(struct client *client)
{
    amqp_connection_start_t start = {.version_minor = 9,
                                     .mechanisms = amqp_cstring_bytes("PLAIN"),
                                     .locales = amqp_cstring_bytes("en_US")};

    tell_method(client, 0, AMQP_CONNECTION_START_METHOD, &start);
}

static void on_heartbeat(uv_timer_t *timer)
{
    static const char heartbeat[] = {8, 0, 0, 0, 0, 0, 0, (char)0xCE};

    tell(timer->data, heartbeat, sizeof(heartbeat));
}

/* All is confirmed; from here on the manners differ. */
static void on_settled(struct client *client)
{
    amqp_basic_deliver_t deliver = {.consumer_tag = amqp_cstring_bytes("nobody's")};

    client->is_settled = 1;
    switch (client->listener->manners) {
    case STRANGE:
        tell_method(client, 1, AMQP_BASIC_DELIVER_METHOD, &deliver);
        tell_method(client, 1, AMQP_BASIC_DELIVER_METHOD, &deliver);
        break;
    case DEAF:
        uv_read_stop((uv_stream_t *)&client->socket);
        uv_timer_start(&client->timer, on_heartbeat, 0, 200);
        break;
    default:
        break;
    }
}

static void answer(struct client *client, const struct hms_amqp_frame *frame)
{
    amqp_connection_tune_t tune = {.frame_max = 131072, .heartbeat = 60};
    amqp_queue_declare_ok_t declared = {.queue = amqp_cstring_bytes("q")};
    amqp_basic_consume_ok_t consumed = {.consumer_tag = amqp_cstring_bytes("reply")};
    amqp_connection_open_ok_t open = {.known_hosts = amqp_empty_bytes};
    amqp_channel_open_ok_t channel = {.channel_id = amqp_empty_bytes};
    char nothing[8] = "";

    switch (frame->method) {
    case AMQP_CONNECTION_START_OK_METHOD:
        tell_method(client, 0, AMQP_CONNECTION_TUNE_METHOD, &tune);
        return;
    case AMQP_CONNECTION_OPEN_METHOD:
        tell_method(client, 0, AMQP_CONNECTION_OPEN_OK_METHOD, &open);
        return;
    case AMQP_CHANNEL_OPEN_METHOD:
        tell_method(client, frame->channel, AMQP_CHANNEL_OPEN_OK_METHOD, &channel);
        return;
    case AMQP_EXCHANGE_DECLARE_METHOD:
        tell_method(client, frame->channel, AMQP_EXCHANGE_DECLARE_OK_METHOD, nothing);
        return;
    case AMQP_QUEUE_DECLARE_METHOD:
        tell_method(client, frame->channel, AMQP_QUEUE_DECLARE_OK_METHOD, &declared);
        return;
    case AMQP_QUEUE_BIND_METHOD:
        tell_method(client, frame->channel, AMQP_QUEUE_BIND_OK_METHOD, nothing);
        return;
    case AMQP_BASIC_CONSUME_METHOD:
        tell_method(client, frame->channel, AMQP_BASIC_CONSUME_OK_METHOD, &consumed);
        client->listener->consumes++;
        on_settled(client);
        return;
    }
}

static void on_client_handle_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;

    if (--client->open_handles > 0)
        return;
    hms_amqp_decoder_free(&client->decoder);
    if (client->listener->client == client)
        client->listener->client = NULL;
    free(client);
}

static void client_close(struct client *client)
{
    if (uv_is_closing((uv_handle_t *)&client->socket))
        return;
    uv_close((uv_handle_t *)&client->socket, on_client_handle_closed);
    uv_close((uv_handle_t *)&client->timer, on_client_handle_closed);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char bytes[65536];

    *buf = uv_buf_init(bytes, sizeof(bytes));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct client *client = stream->data;
    struct hms_amqp_frame frame;
    const char *data = buf->base, *why;
    size_t left = size > 0 ? (size_t)size : 0, skipped;

    if (size < 0) {
        client_close(client);
        return;
    }
    if (client->listener->manners < STRANGE)
        return;
    skipped = 8 - client->header_bytes < left ? 8 - client->header_bytes : left;
    client->header_bytes += skipped;
    data += skipped;
    left -= skipped;
    while (hms_amqp_decoder_next(&client->decoder, &data, &left, &frame, &why) > 0)
        if (frame.kind == HMS_AMQP_METHOD)
            answer(client, &frame);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *listener = stream->data;
    struct client *client = hms_calloc(1, sizeof(*client));
    int small = 4096;

    listener->accepted++;
    listener->client = client;
    client->listener = listener;
    client->open_handles = 2;
    hms_amqp_decoder_init(&client->decoder);
    uv_tcp_init(&listener->world->loop, &client->socket);
    uv_timer_init(&listener->world->loop, &client->timer);
    client->socket.data = client->timer.data = client;
    assert_int_equal(uv_accept(stream, (uv_stream_t *)&client->socket), 0);
    uv_recv_buffer_size((uv_handle_t *)&client->socket, &small);
    uv_read_start((uv_stream_t *)&client->socket, on_alloc, on_read);
    switch (listener->manners) {
    case SILENT:
        break;
    case GARBAGE:
        tell(client, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
        break;
    case HUGE:
        tell(client, "\x01\0\0\xff\xff\xff\xff huge", 12);
        break;
    case GOODBYE:
        client_close(client);
        break;
    default:
        tell_start(client);
    }
}

static void listener_open(struct listener *listener, struct world *world, enum manners manners)
{
    struct sockaddr_in address;
    int size = sizeof(address);

    memset(listener, 0, sizeof(*listener));
    listener->world = world;
    listener->manners = manners;
    uv_tcp_init(&world->loop, &listener->socket);
    listener->socket.data = listener;
    uv_ip4_addr("127.0.0.1", 0, &address);
    assert_int_equal(uv_tcp_bind(&listener->socket, (const struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&listener->socket, 16, on_connection), 0);
    uv_tcp_getsockname(&listener->socket, (struct sockaddr *)&address, &size);
    snprintf(listener->url, sizeof(listener->url), "amqp://127.0.0.1:%d", ntohs(address.sin_port));
}

static struct peer *opposite(struct listener *listener, int heartbeat_s)
{
    return peer_open(listener->world, 0,
                     (struct hms_bus_amqp_options){.url = listener->url,
                                                   .role = HMS_BUS_MANAGER,
                                                   .address = MANAGER_IP,
                                                   .heartbeat_s = heartbeat_s});
}

/* Runs until all has gone: the bus before the listener's end of it. */
static void leave(struct listener *listener, struct peer *peer)
{
    peer_close(peer);
    while (!peer->closed)
        uv_run(&listener->world->loop, UV_RUN_ONCE);
    if (listener->client != NULL)
        client_close(listener->client);
    while (listener->client != NULL)
        uv_run(&listener->world->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&listener->socket, NULL);
    uv_run(&listener->world->loop, UV_RUN_NOWAIT);
}

static void comes_back(void **state, enum manners manners)
{
    struct listener listener;
    struct peer *peer;

    listener_open(&listener, *state, manners);
    peer = opposite(&listener, 10);
    until(listener.world, &listener.accepted, 3, "attempts");
    assert_int_equal(peer->ready, 0);
    leave(&listener, peer);
}

static void garbage_is_refused(void **state)
{
    comes_back(state, GARBAGE);
}

static void huge_frames_are_refused(void **state)
{
    comes_back(state, HUGE);
}

static void goodbyes_are_survived(void **state)
{
    comes_back(state, GOODBYE);
}

static void silence_ends_the_handshake(void **state)
{
    struct listener listener;
    struct peer *peer;

    listener_open(&listener, *state, SILENT);
    peer = opposite(&listener, 10);
    say(peer, HMS_BUS_CONTROLLER, NULL, "live");
    ask(peer, MANAGER_IP, "give_content", 100);
    until(listener.world, &peer->timed_out, 1, "the end of the request");
    until(listener.world, &listener.accepted, 2, "attempts");
    assert_true(listener.world->lag_ns < LAG_MS * 1000000);
    leave(&listener, peer);
}

static void strange_deliveries_end_the_connection(void **state)
{
    struct listener listener;
    struct peer *peer;

    listener_open(&listener, *state, STRANGE);
    peer = opposite(&listener, 10);
    until(listener.world, &listener.accepted, 2, "attempts");
    assert_true(hms_bus_troubles(peer->bus).disconnects > 0);
    leave(&listener, peer);
}

static void a_frozen_broker_is_left(void **state)
{
    struct listener listener;
    struct peer *peer;

    listener_open(&listener, *state, FROZEN);
    peer = opposite(&listener, 1);
    until(listener.world, &peer->ready, 1, "contact");
    until(listener.world, &peer->down, 1, "loss of contact");
    until(listener.world, &peer->ready, 2, "contact again");
    leave(&listener, peer);
}

/* Sends until the bus takes no more; returns how many messages it took. */
static int fill(struct peer *peer, size_t size_bytes)
{
    char *text = hms_malloc(size_bytes + 1), command[32];
    int count = 0, result;

    memset(text, 'x', size_bytes);
    text[size_bytes] = '\0';
    do {
        json_t *body;

        snprintf(command, sizeof(command), "command %d", count);
        body = message(command);
        json_object_set_new(body, "text", json_string(text));
        result = hms_bus_notify(peer->bus, HMS_BUS_CONTROLLER, NULL, body);
        count += result == HMS_OK;
        uv_run(&peer->world->loop, UV_RUN_NOWAIT);
    } while (result == HMS_OK);
    assert_int_equal(result, HMS_ELIMIT);
    free(text);
    return count;
}

static void a_deaf_broker_fills_the_queue(void **state)
{
    struct listener listener;
    struct peer *peer;
    int taken;

    listener_open(&listener, *state, DEAF);
    peer = opposite(&listener, 1);
    until(listener.world, &peer->ready, 1, "contact");
    listener.world->lag_ns = 0;
    taken = fill(peer, 100000);
    assert_in_range(taken, HMS_BUS_AMQP_QUEUE_BYTES / 101000,
                    HMS_BUS_AMQP_QUEUE_BYTES / 100000 + 100);
    assert_int_equal(hms_bus_contact(peer->bus), HMS_BUS_CONGESTED);
    assert_int_equal(hms_bus_troubles(peer->bus).refused, 1);
    ask(peer, MANAGER_IP, "give_content", 4000); /* more than two heartbeats */
    until(listener.world, &peer->timed_out, 1, "the end of the request");
    assert_true(listener.world->lag_ns < LAG_MS * 1000000);
    assert_int_equal(peer->down, 0);
    leave(&listener, peer);
}

static void the_queue_has_a_bound_while_nobody_is_there(void **state)
{
    struct listener listener;
    struct peer *peer;

    listener_open(&listener, *state, SILENT);
    peer = opposite(&listener, 10);
    assert_int_equal(fill(peer, 10), HMS_BUS_AMQP_QUEUE_MESSAGES);
    assert_int_equal(say(peer, HMS_BUS_CONTROLLER, NULL, "command 7"), HMS_OK); /* replaces one */
    assert_int_equal(say(peer, HMS_BUS_CONTROLLER, MANAGER_IP, "command 7"), HMS_ELIMIT);
    assert_int_equal(ask(peer, MANAGER_IP, "give_content", LONG_MS), HMS_ELIMIT);
    assert_int_equal(peer->replies, 0);
    leave(&listener, peer);
}

static void requests_have_a_bound(void **state)
{
    struct listener listener;
    struct peer *peer;
    int i;

    listener_open(&listener, *state, SILENT);
    peer = opposite(&listener, 10);
    for (i = 0; i < HMS_BUS_AMQP_CALLS_MAX; i++)
        assert_int_equal(ask(peer, MANAGER_IP, "give_content", i % 2 ? 100 : LONG_MS), HMS_OK);
    assert_int_equal(ask(peer, MANAGER_IP, "give_content", LONG_MS), HMS_ELIMIT);
    until(listener.world, &peer->timed_out, HMS_BUS_AMQP_CALLS_MAX / 2, "ends of requests");
    assert_int_equal(ask(peer, MANAGER_IP, "give_content", LONG_MS), HMS_OK);
    leave(&listener, peer);
    assert_int_equal(peer->cancelled, HMS_BUS_AMQP_CALLS_MAX / 2 + 1);
}

static void bad_options_are_refused(void **state)
{
    static const char *const urls[] = {
        "",           "localhost",       "http://localhost", "amqp://",
        "amqp://:1/", "amqp://h:0",      "amqp://h:70000",   "amqp://user:secret@h",
        "amqp://h?x", "amqp://h/v#part", "amqp://%00@h/",    "amqp://h/%00",
        "amqp://h:x", "amqp://a b",      "amqp:///vhost",    "amqps//h",
        "amqp:/h",
    };
    static const char *const good[] = {
        "amqp://h",       "amqps://user@h:1/", "amqp://h/%2f",
        "amqp://h/v%20x", "amqp://[::1]:5/v",  "AMQP://10.0.0.1",
    };
    struct world *world = *state;
    struct hms_bus_amqp_options options = {.url = "amqp://localhost",
                                           .password = PASSWORD,
                                           .role = HMS_BUS_MANAGER,
                                           .address = "no address",
                                           .heartbeat_s = 10};
    struct hms_bus *bus;
    char error[256];
    size_t i;

    for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        if (hms_bus_amqp_check(urls[i]) == NULL)
            fail_msg("%s is taken", urls[i]);
    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (hms_bus_amqp_check(good[i]) != NULL)
            fail_msg("%s: %s", good[i], hms_bus_amqp_check(good[i]));
    assert_int_equal(
        hms_bus_amqp_open(&bus, &world->loop, world->log, &options, error, sizeof(error)),
        HMS_EINVAL);
    options.address = MANAGER_IP;
    options.heartbeat_s = 0;
    assert_int_equal(
        hms_bus_amqp_open(&bus, &world->loop, world->log, &options, error, sizeof(error)),
        HMS_EINVAL);
    assert_non_null(strstr(error, "1 to 3600"));
    options.heartbeat_s = 1;
    options.password = NULL;
    assert_int_equal(
        hms_bus_amqp_open(&bus, &world->loop, world->log, &options, error, sizeof(error)),
        HMS_EINVAL);
}

static void a_bus_closes_at_any_time(void **state)
{
    struct listener listener;
    struct peer *peer;
    enum manners manners;
    int turns;

    for (manners = SILENT; manners <= OBEDIENT; manners++)
        for (turns = 0; turns < 20; turns += turns / 4 + 1) {
            int i;

            listener_open(&listener, *state, manners);
            peer = opposite(&listener, 1);
            hms_bus_serve(peer->bus, HMS_BUS_MANAGER, MANAGER_IP, on_message, peer);
            hms_bus_hold(peer->bus, "name", on_hold, peer);
            ask(peer, MANAGER_IP, "give_content", LONG_MS);
            for (i = 0; i < turns; i++)
                uv_run(&listener.world->loop, UV_RUN_NOWAIT);
            leave(&listener, peer);
            assert_int_equal(peer->cancelled, 1);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bad_options_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(garbage_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(huge_frames_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(goodbyes_are_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(silence_ends_the_handshake, setup, teardown),
        cmocka_unit_test_setup_teardown(strange_deliveries_end_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(a_frozen_broker_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deaf_broker_fills_the_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(the_queue_has_a_bound_while_nobody_is_there, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(requests_have_a_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bus_closes_at_any_time, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
