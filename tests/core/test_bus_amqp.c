/*
 * The bus over a real RabbitMQ: messages of every kind and size, what is not for us, outages, TLS,
 * and who holds a name. Needs root for the broker's namespaces.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "broker.h"

#include "bus_fixture.h"
#include "raw_client.h"

#define MANAGER_IP    "10.0.0.1"
#define CONTROLLER_IP "10.0.0.9"

static void need_broker(void)
{
    if (the_broker == NULL)
        skip();
}

static struct peer *manager_open(struct world *world, int number, const char *address)
{
    return peer_open(world, number,
                     (struct hms_bus_amqp_options){.role = HMS_BUS_MANAGER, .address = address});
}

static struct peer *controller_open(struct world *world, int number)
{
    return peer_open(
        world, number,
        (struct hms_bus_amqp_options){.role = HMS_BUS_CONTROLLER, .address = CONTROLLER_IP});
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

static json_t *message_with(size_t text_bytes)
{
    char *text = hms_malloc(text_bytes + 1);
    json_t *large = message("large");

    memset(text, 'x', text_bytes);
    text[text_bytes] = '\0';
    json_object_set_new(large, "text", json_string(text));
    free(text);
    return large;
}

/* A broker from 4.0 on closes the channel on which it gets more; this one does so for the channels
 * that are opened meanwhile. */
static void what_no_broker_takes_is_not_sent(void **state)
{
    struct peer *controller, *manager;
    struct world *world;

    need_broker();
    broker_do("ctl eval 'application:set_env(rabbit, max_message_size, 16777216).'");
    world = joined(state, &controller, &manager);
    broker_do("ctl eval 'application:set_env(rabbit, max_message_size, 134217728).'");
    assert_int_equal(hms_bus_notify(controller->bus, HMS_BUS_MANAGER, MANAGER_IP,
                                    message_with(HMS_BUS_AMQP_SENT_MAX_BYTES)),
                     HMS_ELIMIT);
    manager->keeps = 1;
    ask(controller, MANAGER_IP, "give_content", LONG_MS);
    until(world, &manager->heard, 1, "the request");
    hms_bus_reply(manager->kept, message_with(HMS_BUS_AMQP_SENT_MAX_BYTES));
    until(world, &controller->ok, 1, "the reply");
    assert_string_equal(hms_json_string(controller->reply, "command"), "error");
    assert_non_null(strstr(hms_json_string(controller->reply, "description"), "16777216"));
    assert_int_equal(hms_bus_notify(controller->bus, HMS_BUS_MANAGER, MANAGER_IP,
                                    message_with(HMS_BUS_AMQP_SENT_MAX_BYTES - 1000)),
                     HMS_OK);
    until(world, &manager->heard, 2, "the largest one");
    assert_int_equal(hms_bus_troubles(controller->bus).disconnects, 0);
    assert_int_equal(hms_bus_troubles(manager->bus).disconnects, 0);
    assert_int_equal(hms_bus_troubles(manager->bus).refused, 1);
}

/* ---- what is not for us ---- */

static amqp_connection_state_t raw;

static void publish(const char *key, const char *correlation_id, const char *body)
{
    raw_publish(raw, key, correlation_id, NULL, body, strlen(body));
}

static void malformed_messages_are_dropped(void **state)
{
    static const char *const bodies[] = {
        "",
        "no JSON",
        "[]",
        "{}",
        "{\"command\":1,\"sender\":\"s\"}",
        "{\"command\":\"no sender\"}",
        "{\"command\":\"c\",\"sender\":1}",
        "{\"command\":\"c\",\"sender\":\"\"}",
        "{\"command\":\"c\",\"command\":\"d\",\"sender\":\"s\"}",
        "{\"command\":\"\xff\",\"sender\":\"s\"}",
        "{\"command\":\"c\",\"sender\":\"s\"} and more",
    };
    enum { COUNT = sizeof(bodies) / sizeof(bodies[0]) };
    struct peer *controller, *manager;
    struct world *world = joined(state, &controller, &manager);
    struct hms_bus_troubles troubles;
    char long_key[300], *deep = hms_calloc(1, 100001), *long_sender;
    size_t i;

    raw = raw_open(PASSWORD, PASSWORD);
    for (i = 0; i < COUNT; i++)
        publish("manager.10.0.0.1", i % 2 ? "ID" : NULL, bodies[i]);
    memset(deep, '[', 100000);
    publish("manager.10.0.0.1", NULL, deep);
    memset(long_key, 'k', sizeof(long_key) - 1);
    long_key[sizeof(long_key) - 1] = '\0';
    long_sender = hms_asprintf("{\"command\":\"c\",\"sender\":\"%s\"}", long_key);
    publish("manager.10.0.0.1", "ID", long_sender);
    publish("manager.10.0.0.1", NULL, "{\"command\":\"last\",\"sender\":\"s\"}");
    until(world, &manager->heard, 1, "the good message");
    assert_string_equal(manager->commands, "last ");
    troubles = hms_bus_troubles(manager->bus);
    assert_int_equal(troubles.malformed, COUNT + 2);
    assert_int_equal(troubles.oversized + troubles.unexpected + troubles.disconnects, 0);
    raw_close(raw);
    free(deep);
    free(long_sender);
}

/* Tables within tables, as deep as a frame can have them. */
static void nested_headers_do_no_harm(void **state)
{
    enum { DEPTH = 10000 };
    struct peer *controller, *manager;
    struct world *world = joined(state, &controller, &manager);
    amqp_table_t tables[2] = {{0}};
    amqp_table_entry_t *entries = hms_calloc(DEPTH, sizeof(*entries));
    int i;

    for (i = 0; i < DEPTH; i++) {
        entries[i].value.kind = AMQP_FIELD_KIND_TABLE;
        if (i > 0)
            entries[i].value.value.table = (amqp_table_t){1, &entries[i - 1]};
    }
    tables[0] = (amqp_table_t){1, &entries[DEPTH - 1]};
    raw = raw_open(PASSWORD, PASSWORD);
    raw_publish(raw, "manager", NULL, &tables[0], "{}", 2);
    publish("manager", NULL, "{\"command\":\"last\",\"sender\":\"s\"}");
    until(world, &manager->heard, 1, "the good message");
    assert_int_equal(hms_bus_troubles(manager->bus).malformed, 1);
    raw_close(raw);
    free(entries);
}

static void oversized_messages_are_dropped(void **state)
{
    struct peer *controller, *manager;
    struct world *world = joined(state, &controller, &manager);
    size_t size = HMS_BUS_AMQP_BODY_MAX_BYTES + 1;
    char *body = hms_malloc(size);

    memset(body, ' ', size);
    raw = raw_open(PASSWORD, PASSWORD);
    raw_publish(raw, "manager", NULL, NULL, body, size);
    publish("manager", NULL, "{\"command\":\"last\",\"sender\":\"s\"}");
    until(world, &manager->heard, 1, "the good message");
    assert_int_equal(hms_bus_troubles(manager->bus).oversized, 1);
    assert_true(hms_bus_traffic(manager->bus).bytes > size);
    raw_close(raw);
    free(body);
}

static void a_peer_without_sender_answers(void **state)
{
    struct peer *controller, *manager;
    struct world *world = joined(state, &controller, &manager);
    amqp_envelope_t envelope;
    amqp_bytes_t queue, exchange = amqp_cstring_bytes("health_system_exchange");
    char id[32];

    raw = raw_open(PASSWORD, PASSWORD);
    queue = amqp_bytes_malloc_dup(
        amqp_queue_declare(raw, 1, amqp_empty_bytes, 0, 0, 1, 0, amqp_empty_table)->queue);
    amqp_queue_bind(raw, 1, queue, exchange, amqp_cstring_bytes("manager.10.0.0.5"),
                    amqp_empty_table);
    amqp_basic_consume(raw, 1, queue, amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
    ask(controller, "10.0.0.5", "give_content", LONG_MS);
    uv_run(&world->loop, UV_RUN_NOWAIT);
    assert_int_equal(amqp_consume_message(raw, &envelope, NULL, 0).reply_type,
                     AMQP_RESPONSE_NORMAL);
    assert_int_equal(envelope.message.properties.correlation_id.len, 10);
    snprintf(id, sizeof(id), "%.10s",
             (const char *)envelope.message.properties.correlation_id.bytes);
    assert_int_equal(strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"), 10);
    assert_memory_equal(envelope.message.properties.content_type.bytes, "application/json", 16);
    amqp_destroy_envelope(&envelope);
    publish("controller.callback.10.0.0.9", "SOMEBODYSX", "{\"command\":\"ok\"}");
    publish("controller.callback.10.0.0.9", NULL, "{\"command\":\"ok\"}");
    publish("controller.callback.10.0.0.9", id, "{\"no command\":1}");
    publish("controller.callback.10.0.0.9", id, "{\"command\":\"ok\",\"content\":7}");
    publish("controller.callback.10.0.0.9", id, "{\"command\":\"ok\",\"content\":8}");
    publish("controller", NULL, "{\"command\":\"last\",\"sender\":\"s\"}");
    until(world, &controller->heard, 1, "the message behind the replies");
    assert_int_equal(controller->ok, 1);
    assert_int_equal(hms_json_int(controller->reply, "content", 0), 7);
    assert_int_equal(hms_bus_troubles(controller->bus).unexpected, 3);
    assert_int_equal(hms_bus_troubles(controller->bus).malformed, 1);
    assert_int_equal(hms_bus_peer_traffic(controller->bus, "10.0.0.5").messages, 3);
    amqp_bytes_free(queue);
    raw_close(raw);
}

static void a_flood_leaves_the_loop_alive(void **state)
{
    struct peer *controller, *manager;
    struct world *world = joined(state, &controller, &manager);
    const int count = 20000;
    int i;

    raw = raw_open(PASSWORD, PASSWORD);
    for (i = 0; i < count; i++)
        publish("manager", NULL, "{\"command\":\"flood\",\"sender\":\"s\"}");
    world->lag_ns = world->ticked_ns = 0;
    until(world, &manager->heard, count, "messages");
    assert_true(world->lag_ns < 200 * 1000000); /* ten times what is allowed */
    raw_close(raw);
}

/* ---- the broker's own limits ---- */

static void a_blocked_bus_keeps_its_messages(void **state)
{
    struct peer *controller, *manager;
    struct world *world = joined(state, &controller, &manager);
    int i;

    broker_do("ctl set_vm_memory_high_watermark 0.000001");
    say(controller, HMS_BUS_MANAGER, MANAGER_IP, "that makes it block");
    until(world, &controller->down, 1, "loss of contact");
    for (i = 0; i < 3; i++) {
        say(controller, HMS_BUS_MANAGER, MANAGER_IP, "live");
        say(controller, HMS_BUS_MANAGER, MANAGER_IP, "update");
    }
    ask(controller, MANAGER_IP, "impatient", 200);
    until(world, &controller->timed_out, 1, "the end of the request");
    broker_begin("ctl set_vm_memory_high_watermark 0.4");
    until(world, &controller->ready, 2, "contact again");
    until(world, &manager->heard, 3, "what had to wait");
    assert_string_equal(manager->commands, "that makes it block live update ");
    ask(controller, MANAGER_IP, "give_content", LONG_MS);
    until(world, &controller->ok, 1, "the reply");
    assert_int_equal(manager->heard, 4);
    assert_int_equal(hms_bus_troubles(controller->bus).disconnects, 0);
    broker_end();
}

static void nothing_is_left_at_the_broker(void **state)
{
    struct peer *controller, *manager;
    struct world *world = joined(state, &controller, &manager);

    hms_bus_hold(controller->bus, "test", on_hold, controller);
    until(world, &controller->held, 1, "the hold");
    assert_non_null(strstr(broker_do("queues"), "hms.hold.test"));
    assert_non_null(strstr(broker_do("connections"), "hms controller 10.0.0.9"));
    peer_close(controller);
    peer_close(manager);
    while (!controller->closed || !manager->closed)
        uv_run(&world->loop, UV_RUN_ONCE);
    assert_string_equal(broker_do("queues"), "");
    assert_string_equal(broker_do("connections"), "");
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
    say(controller, HMS_BUS_CONTROLLER, NULL, "live");
    say(controller, HMS_BUS_CONTROLLER, NULL, "update");
    say(controller, HMS_BUS_CONTROLLER, NULL, "live");
    ask(controller, MANAGER_IP, "patient", LONG_MS);
    broker_begin("start");
    until(world, &controller->ready, 2, "contact again");
    until(world, &controller->heard, 2, "what had to wait");
    assert_string_equal(controller->commands, "live update ");
    until(world, &controller->replies, 2, "the answer to what had to wait");
    until(world, &controller->held, 2, "the hold again");
    until(world, &manager->ready, 2, "contact of the manager again");
    ask(controller, MANAGER_IP, "give_content", LONG_MS);
    until(world, &controller->ok, 1, "the reply");
    assert_int_equal(hms_bus_troubles(controller->bus).disconnects, 1);
    broker_end();
}

/* ---- refusals ---- */

static const char *in_folder(const char *name)
{
    static char paths[4][320];
    static int next;

    next = (next + 1) % 4;
    snprintf(paths[next], sizeof(paths[next]), "%s/%s", the_broker->folder, name);
    return paths[next];
}

/* What peer 0 makes the log say, read while it is told. */
struct hearsay {
    int fds[2];
    char text[8192];
};

static void hearsay_open(struct hearsay *hearsay, struct world *world)
{
    memset(hearsay, 0, sizeof(*hearsay));
    assert_int_equal(pipe2(hearsay->fds, O_CLOEXEC | O_NONBLOCK), 0);
    hms_log_free(world->log);
    world->log = hms_log_new(hearsay->fds[1], HMS_LOG_TEXT, HMS_LOG_INFO);
}

/* Runs the loop for so long. */
static void hear_for(struct hearsay *hearsay, struct world *world, int64_t span_ms)
{
    int64_t until_ms = hms_clock_mono_ms() + span_ms;
    size_t length = strlen(hearsay->text);

    while (hms_clock_mono_ms() < until_ms)
        uv_run(&world->loop, UV_RUN_ONCE);
    if (read(hearsay->fds[0], hearsay->text + length, sizeof(hearsay->text) - 1 - length) < 0)
        assert_int_equal(errno, EAGAIN);
}

/* Runs the loop until the log has that. */
static void hear(struct hearsay *hearsay, struct world *world, const char *wanted)
{
    int waiting;

    for (waiting = 0; strstr(hearsay->text, wanted) == NULL; waiting++) {
        if (waiting >= DEADLINE_MS / 10)
            fail_msg("not '%s', but: %s", wanted, hearsay->text);
        hear_for(hearsay, world, 10);
    }
}

static void hearsay_close(struct hearsay *hearsay, struct world *world)
{
    close(hearsay->fds[0]);
    hms_log_free(world->log);
    world->log = NULL;
    close(hearsay->fds[1]);
}

/* Fails at an attempt, and says so; the text is that of the log. */
static void refused(void **state, struct hms_bus_amqp_options options, const char *why)
{
    struct world *world = *state;
    struct hearsay hearsay;

    hearsay_open(&hearsay, world);
    options.role = HMS_BUS_MANAGER;
    options.address = MANAGER_IP;
    peer_open(world, 0, options);
    hear(&hearsay, world, why);
    assert_null(strstr(hearsay.text, PASSWORD "\n"));
    assert_int_equal(world->peers[0].ready, 0);
    hearsay_close(&hearsay, world);
}

static void wrong_passwords_are_told(void **state)
{
    need_broker();
    refused(state, (struct hms_bus_amqp_options){.password = "wrong"}, "ACCESS_REFUSED");
}

static void wrong_vhosts_are_told(void **state)
{
    need_broker();
    refused(state, (struct hms_bus_amqp_options){.url = PLAIN_URL "/nowhere"}, "vhost nowhere");
}

static void a_password_file_is_read_anew(void **state)
{
    struct world *world = *state;
    struct peer *peer;
    FILE *file;

    need_broker();
    peer = peer_open(world, 0,
                     (struct hms_bus_amqp_options){.password_file = in_folder("secret"),
                                                   .role = HMS_BUS_MANAGER,
                                                   .address = MANAGER_IP});
    uv_run(&world->loop, UV_RUN_ONCE);
    file = fopen(in_folder("secret"), "w");
    assert_non_null(file);
    fprintf(file, "%s\n", PASSWORD);
    fclose(file);
    until(world, &peer->ready, 1, "contact with the password of the file");
    unlink(in_folder("secret"));
}

/* ---- TLS ---- */

static void joins_over_tls(void **state, const char *url, const char *cert, const char *key)
{
    struct world *world = *state;
    struct peer *peer;

    need_broker();
    peer = peer_open(world, 0,
                     (struct hms_bus_amqp_options){.url = url,
                                                   .ca_file = in_folder("ca.pem"),
                                                   .cert_file = cert ? in_folder(cert) : NULL,
                                                   .key_file = key ? in_folder(key) : NULL,
                                                   .role = HMS_BUS_MANAGER,
                                                   .address = MANAGER_IP});
    hms_bus_serve(peer->bus, HMS_BUS_MANAGER, MANAGER_IP, on_message, peer);
    until(world, &peer->ready, 1, "contact over TLS");
    ask(peer, MANAGER_IP, "give_content", LONG_MS);
    until(world, &peer->ok, 1, "the reply over TLS");
}

static void tls_carries_messages(void **state)
{
    struct world *world = *state;
    struct peer *peer = &world->peers[0];
    size_t size = 3 << 20;
    char *text = hms_malloc(size + 1);
    json_t *large = message("large");

    memset(text, 'y', size);
    text[size] = '\0';
    json_object_set_new(large, "text", json_string(text));
    joins_over_tls(state, "amqps://localhost", NULL, NULL);
    assert_int_equal(
        hms_bus_request(peer->bus, HMS_BUS_MANAGER, MANAGER_IP, large, LONG_MS, on_reply, peer),
        HMS_OK);
    until(world, &peer->ok, 2, "the reply to the large request");
    assert_string_equal(hms_json_string(peer->last, "text"), text);
    free(text);
}

static void tls_shows_a_client_certificate(void **state)
{
    joins_over_tls(state, "amqps://localhost", "client.pem", "client.key");
}

static void tls_refuses_a_stranger(void **state)
{
    need_broker();
    refused(state,
            (struct hms_bus_amqp_options){.url = "amqps://localhost",
                                          .ca_file = in_folder("other-ca.pem")},
            "the certificate is refused");
}

static void tls_refuses_another_name(void **state)
{
    need_broker();
    refused(
        state,
        (struct hms_bus_amqp_options){.url = "amqps://127.0.0.1", .ca_file = in_folder("ca.pem")},
        "IP address mismatch");
}

static void tls_refuses_a_strange_client(void **state)
{
    need_broker();
    refused(state,
            (struct hms_bus_amqp_options){.url = "amqps://localhost",
                                          .ca_file = in_folder("ca.pem"),
                                          .cert_file = in_folder("other-ca.pem"),
                                          .key_file = in_folder("other-ca.key")},
            "TLS: sslv3 alert");
}

static void files_of_tls_are_checked(void **state)
{
    struct world *world = *state;
    struct hms_bus_amqp_options options = {.url = "amqps://localhost",
                                           .password = PASSWORD,
                                           .ca_file = "/nowhere.pem",
                                           .role = HMS_BUS_MANAGER,
                                           .address = MANAGER_IP,
                                           .heartbeat_s = 10};
    struct hms_bus *bus;
    char error[256] = "";

    assert_int_equal(
        hms_bus_amqp_open(&bus, &world->loop, world->log, &options, error, sizeof(error)), HMS_EIO);
    assert_non_null(strstr(error, "/nowhere.pem"));
    options.ca_file = NULL;
    options.cert_file = "/nowhere.pem";
    assert_int_equal(
        hms_bus_amqp_open(&bus, &world->loop, world->log, &options, error, sizeof(error)),
        HMS_EINVAL);
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
    broker_begin("ctl delete_queue hms.hold.another");
    until(world, &first->lost, 1, "the end of the hold");
    until(world, &first->held, 3, "the hold again");
    broker_end();
}

/* Brokers from 4.3 on refuse queues that are neither durable nor exclusive. */
static void what_is_left_at_the_broker_is_exclusive(void **state)
{
    struct peer *controller, *manager;
    struct world *world = joined(state, &controller, &manager);

    hms_bus_hold(controller->bus, "controller", on_hold, controller);
    until(world, &controller->held, 1, "the hold");
    assert_null(strstr(broker_do("ctl list_queues --no-table-headers exclusive"), "false"));
}

/* As long as nobody holds the name, one that stands by must say why it does. */
static void a_name_that_may_not_be_held_is_told_once(void **state)
{
    struct world *world = *state;
    struct hearsay hearsay;
    struct peer *peer;

    need_broker();
    broker_do("ctl add_user poor secret");
    broker_do("ctl set_permissions poor '^(health_system_exchange|amq[.]gen.*)$' '.*' '.*'");
    hearsay_open(&hearsay, world);
    peer = peer_open(world, 0,
                     (struct hms_bus_amqp_options){.url = "amqp://poor@localhost",
                                                   .password = "secret",
                                                   .role = HMS_BUS_CONTROLLER,
                                                   .address = CONTROLLER_IP});
    hms_bus_hold(peer->bus, "controller", on_hold, peer);
    hear(&hearsay, world, "ACCESS_REFUSED - access to queue 'hms.hold.controller'");
    hear_for(&hearsay, world, 3000); /* it asks on */
    assert_null(strstr(strstr(hearsay.text, "ACCESS_REFUSED") + 1, "ACCESS_REFUSED"));
    broker_do("ctl set_permissions poor '.*' '.*' '.*'");
    until(world, &peer->held, 1, "the hold once it may");
    peer_close(peer);
    until(world, &peer->closed, 1, "the end");
    broker_do("ctl delete_user poor");
    hearsay_close(&hearsay, world);
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
        cmocka_unit_test_setup_teardown(what_no_broker_takes_is_not_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(malformed_messages_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(nested_headers_do_no_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(oversized_messages_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_peer_without_sender_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flood_leaves_the_loop_alive, setup, teardown),
        cmocka_unit_test_setup_teardown(a_blocked_bus_keeps_its_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_left_at_the_broker, setup, teardown),
        cmocka_unit_test_setup_teardown(everything_works_again_after_an_outage, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_passwords_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_vhosts_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_password_file_is_read_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(tls_carries_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(tls_shows_a_client_certificate, setup, teardown),
        cmocka_unit_test_setup_teardown(tls_refuses_a_stranger, setup, teardown),
        cmocka_unit_test_setup_teardown(tls_refuses_another_name, setup, teardown),
        cmocka_unit_test_setup_teardown(tls_refuses_a_strange_client, setup, teardown),
        cmocka_unit_test_setup_teardown(files_of_tls_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(one_holds_a_name, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_left_at_the_broker_is_exclusive, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_that_may_not_be_held_is_told_once, setup, teardown),
    };

    return cmocka_run_group_tests(tests, open_the_broker, close_the_broker);
}
