/*
 * Hosts as a whole, by command: what is refused, registered, shown, forgotten, and what becomes of
 * one whose engine cannot be reached. Deployments that succeed are integration/test_deploy.py's.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "../wait.h"
#include "controller/deployer.h"
#include "controller/dispatcher.h"
#include "controller/gather.h"
#include "controller/registry.h"
#include "controller/roster.h"
#include "core/alloc.h"
#include "core/bus_local.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"
#include "core/loop.h"
#include "scripted_manager.h"

#define A "10.0.0.1"
#define B "10.0.0.2"

/* Nobody listens there. */
#define NOWHERE "'docker':'tcp://127.0.0.1:1'"

struct world {
    struct hms_loop *loop;
    uv_loop_t *uv;
    struct hms_log *log;
    struct hms_bus *bus;
    struct hms_registry *registry;
    struct hms_gather *gather;
    struct hms_roster *roster;
    struct hms_deployer *deployer;
    struct hms_dispatcher *dispatcher;
    char image[64];
    int answered;
    enum hms_verdict verdict;
    json_t *body;
    int closed;
};

static void on_change(void *arg)
{
}

static void on_message(void *arg, const json_t *message, struct hms_bus_call *call)
{
    struct world *world = arg;

    assert_null(call);
    hms_gather_notified(world->gather, message);
}

/* The smallest archive with an image. */
static void write_image(struct world *world)
{
    static const char script[] =
        "cd $(mktemp -d) && printf '[{\"Config\":\"%%064d.json\",\"RepoTags\":[\"hms:1\"]}]' 1 "
        "> manifest.json && tar cf %s manifest.json && rm -r $PWD";
    char command[512];

    strcpy(world->image, "/tmp/hms-test-image-XXXXXX");
    close(mkstemp(world->image));
    snprintf(command, sizeof(command), script, world->image);
    assert_int_equal(system(command), 0);
}

static struct world *world_new(enum hms_accept accept, const char *broker)
{
    struct world *world = hms_calloc(1, sizeof(*world));
    struct hms_gather_options gather = {
        .accept = accept, .aggregation_ms = 20, .reply_timeout_ms = 500, .expiry_ms = 300000};
    struct hms_deployer_options options = {
        .image_path = world->image,
        .managers = {.broker = broker, .heartbeat_ms = 1000, .aggregation_ms = 100},
        .life_timeout_ms = 1000,
        .silence_ms = 1000};
    char error[256];

    write_image(world);
    world->log = hms_log_new(STDERR_FILENO, HMS_LOG_TEXT, HMS_LOG_ERROR);
    world->loop = hms_loop_new(world->log);
    world->uv = hms_loop_uv(world->loop);
    world->bus = hms_bus_local_new(world->uv);
    world->registry = hms_registry_new();
    world->gather = hms_gather_new(world->uv, world->log, world->bus, world->registry, &gather,
                                   on_change, world);
    assert_int_equal(
        hms_roster_open(&world->roster, world->uv, world->log, NULL, error, sizeof(error)), HMS_OK);
    world->deployer = hms_deployer_new(world->uv, world->log, world->bus, world->registry,
                                       world->gather, world->roster, &options);
    world->dispatcher =
        hms_dispatcher_new(world->bus, world->registry, world->gather, world->deployer, 500);
    hms_bus_serve(world->bus, HMS_BUS_CONTROLLER, "10.0.0.9", on_message, world);
    hms_gather_start(world->gather);
    hms_gather_set_source(world->gather, HMS_GATHER_MANAGERS, NULL);
    hms_deployer_start(world->deployer);
    hms_deployer_set_active(world->deployer, 1);
    return world;
}

static void on_closed(void *arg)
{
    ((struct world *)arg)->closed++;
}

static void world_free(struct world *world)
{
    hms_bus_unserve(world->bus, HMS_BUS_CONTROLLER, "10.0.0.9");
    hms_gather_close(world->gather, on_closed, world);
    hms_dispatcher_stop(world->dispatcher);
    hms_deployer_close(world->deployer, on_closed, world);
    WAIT(world->uv, world->closed == 2);
    hms_roster_close(world->roster, on_closed, world);
    hms_bus_close(world->bus, on_closed, world);
    WAIT(world->uv, world->closed == 4);
    hms_dispatcher_free(world->dispatcher);
    hms_registry_free(world->registry);
    assert_int_equal(hms_loop_free(world->loop), 0);
    hms_log_free(world->log);
    json_decref(world->body);
    unlink(world->image);
    free(world);
}

static int setup(void **state)
{
    *state = world_new(HMS_ACCEPT_AUTO, "amqp://broker");
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static void on_result(void *arg, const struct hms_dispatcher_result *result)
{
    struct world *world = arg;

    world->answered++;
    world->verdict = result->verdict;
    json_decref(world->body);
    world->body = json_deep_copy(result->body);
}

static json_t *parse(const char *text)
{
    char *copy = hms_strdup(text);
    json_t *value;
    char *at;

    for (at = copy; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    value = json_loads(copy, 0, NULL);
    assert_non_null(value);
    free(copy);
    return value;
}

static void begin(struct world *world, const char *text)
{
    json_t *message = parse(text);

    world->answered = 0;
    hms_dispatcher_run(world->dispatcher, message, on_result, world);
    json_decref(message);
}

static void command(struct world *world, const char *text)
{
    begin(world, text);
    WAIT(world->uv, world->answered == 1);
}

static void expect(struct world *world, enum hms_verdict verdict, const char *text)
{
    print_message("%s\n", text);
    command(world, text);
    if (world->verdict != verdict)
        fail_msg("%s", hms_json_string(world->body, "description"));
}

/* A field of the one host that is shown. */
static const json_t *shown(struct world *world, const char *field)
{
    expect(world, HMS_VERDICT_OK, "{'command':'get_host','address':'" A "'}");
    return json_object_get(json_object_get(world->body, "description"), field);
}

static void follow(struct world *world, const char *text)
{
    json_t *hosts = json_loads(text, 0, NULL);

    hms_deployer_follow(world->deployer, hosts);
    json_decref(hosts);
}

static void bad_requests_are_refused(void **state)
{
    static const struct {
        const char *text;
        enum hms_verdict verdict;
        const char *word;
    } table[] = {
        {"{'command':'add_host'}", HMS_VERDICT_MISSING, "address"},
        {"{'command':'add_host','address':'here','docker':'none'}", HMS_VERDICT_INVALID, "address"},
        {"{'command':'add_host','address':'" A "'}", HMS_VERDICT_MISSING, "docker"},
        {"{'command':'add_host','address':'" A "','dokcer':'none'}", HMS_VERDICT_INVALID, "dokcer"},
        {"{'command':'add_host','address':'" A "','docker':'none','antagonist':1}",
         HMS_VERDICT_INVALID, "antagonist"},
        {"{'command':'add_host','address':'" A "','docker':'x'}", HMS_VERDICT_INVALID, "docker"},
        {"{'command':'remove_host','address':'" A "'}", HMS_VERDICT_NO_HOST, A},
        {"{'command':'remove_host','address':'" A "','force':'yes'}", HMS_VERDICT_INVALID, "force"},
        {"{'command':'get_host','address':'" A "'}", HMS_VERDICT_NO_HOST, A},
    };
    struct world *world = *state;
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        expect(world, table[i].verdict, table[i].text);
        assert_non_null(strstr(hms_json_string(world->body, "description"), table[i].word));
    }
    assert_int_equal(hms_roster_count(world->roster), 0);
}

static void a_host_may_be_registered_only(void **state)
{
    static const char add[] = "{'command':'add_host','address':'" A "','docker':'none'}";
    struct world *world = *state;

    expect(world, HMS_VERDICT_CREATED, add);
    expect(world, HMS_VERDICT_OK, add);
    assert_string_equal(json_string_value(shown(world, "membership")), "joined");
    assert_string_equal(json_string_value(shown(world, "docker")), "none");
    assert_non_null(hms_registry_find(world->registry, A));
    expect(world, HMS_VERDICT_OK, "{'command':'remove_host','address':'" A "'}");
    assert_null(hms_registry_find(world->registry, A));
    assert_int_equal(hms_roster_count(world->roster), 0);
}

static void an_engine_out_of_reach_leaves_nothing(void **state)
{
    struct world *world = *state;

    expect(world, HMS_VERDICT_SILENT, "{'command':'add_host','address':'" A "'," NOWHERE "}");
    assert_string_equal(hms_json_string(world->body, "step"), "reach");
    assert_string_equal(hms_json_string(world->body, "type"), "unreachable");
    assert_int_equal(hms_roster_count(world->roster), 0);
    assert_null(hms_registry_find(world->registry, A));
}

static void what_nobody_waits_for_is_tried_on(void **state)
{
    struct world *world = *state;

    expect(world, HMS_VERDICT_ACCEPTED,
           "{'command':'add_host','address':'" A "','async':true," NOWHERE "}");
    WAIT(world->uv, json_is_object(shown(world, "error")));
    assert_string_equal(hms_json_string(shown(world, "error"), "step"), "reach");
    assert_string_equal(json_string_value(shown(world, "membership")), "joining");
    /* A host of which nothing is known to be there is not left either while it cannot be reached.
     */
    expect(world, HMS_VERDICT_SILENT, "{'command':'remove_host','address':'" A "'}");
    assert_string_equal(json_string_value(shown(world, "membership")), "joining");
    expect(world, HMS_VERDICT_OK, "{'command':'remove_host','address':'" A "','force':true}");
    assert_null(hms_roster_find(world->roster, A));
}

static void one_thing_at_a_time(void **state)
{
    static const char add[] = "{'command':'add_host','address':'" A "'," NOWHERE "}";
    struct world *world = *state;
    struct world second = {0};
    json_t *message = parse(add);

    begin(world, add);
    hms_dispatcher_run(world->dispatcher, message, on_result, &second);
    assert_int_equal(second.answered, 1);
    assert_int_equal(second.verdict, HMS_VERDICT_CONFLICT);
    json_decref(second.body);
    json_decref(message);
    WAIT(world->uv, world->answered == 1);
    assert_int_equal(world->verdict, HMS_VERDICT_SILENT);
}

/* As many hosts as are dealt with unasked at a time and one more, whose engines take connections
 * and say nothing; returns the listening socket. */
static int occupy(struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), i;
    char text[128];

    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(listen(fd, 16), 0);
    for (i = 0; i <= HMS_DEPLOYER_CONCURRENT; i++) {
        snprintf(text, sizeof(text),
                 "{'command':'add_host','address':'10.0.1.%d','async':true,"
                 "'docker':'tcp://127.0.0.1:%d'}",
                 i, ntohs(address.sin_port));
        expect(world, HMS_VERDICT_ACCEPTED, text);
    }
    return fd;
}

static void what_waits_for_its_turn_may_be_given_up(void **state)
{
    struct world *world = *state;
    int fd = occupy(world);
    const json_t *task;

    expect(world, HMS_VERDICT_OK, "{'command':'get_host','address':'10.0.1.4'}");
    task = json_object_get(json_object_get(world->body, "description"), "task");
    assert_string_equal(hms_json_string(task, "step"), "waiting");
    expect(world, HMS_VERDICT_OK, "{'command':'remove_host','address':'10.0.1.4','force':true}");
    assert_null(hms_roster_find(world->roster, "10.0.1.4"));
    close(fd);
}

/* Else an order would wait for all that is silent: half a minute for each. */
static void an_operator_is_served_first(void **state)
{
    struct world *world = *state;
    int fd = occupy(world);

    expect(world, HMS_VERDICT_SILENT, "{'command':'add_host','address':'" A "'," NOWHERE "}");
    expect(world, HMS_VERDICT_OK, "{'command':'get_host','address':'10.0.1.0'}");
    assert_true(
        json_is_object(json_object_get(json_object_get(world->body, "description"), "task")));
    close(fd);
}

/* One that was to be left is not kept because it could not be joined again, nor is the way to it
 * changed. */
static void a_failure_leaves_the_host_as_it_was(void **state)
{
    struct world *world = *state;
    struct hms_roster_host *host;

    hms_deployer_set_active(world->deployer, 0);
    follow(world, "{\"" A "\": {\"membership\":\"leaving\",\"docker\":\"unix:///nowhere\"}}");
    host = hms_roster_find(world->roster, A);
    expect(world, HMS_VERDICT_SILENT,
           "{'command':'add_host','address':'" A "','antagonist':true," NOWHERE "}");
    assert_int_equal(host->membership, HMS_LEAVING);
    assert_string_equal(host->reach.docker, "unix:///nowhere");
    assert_false(host->wants_antagonist);
}

static void closing_tells_who_waits(void **state)
{
    struct world *world = world_new(HMS_ACCEPT_AUTO, "amqp://broker");

    begin(world, "{'command':'add_host','address':'" A "'," NOWHERE "}");
    assert_int_equal(world->answered, 0);
    hms_deployer_close(world->deployer, on_closed, world);
    assert_int_equal(world->answered, 1);
    assert_int_equal(world->verdict, HMS_VERDICT_STOPPING);
    WAIT(world->uv, world->closed == 1);
    world->deployer =
        hms_deployer_new(world->uv, world->log, world->bus, world->registry, world->gather,
                         world->roster, &(struct hms_deployer_options){.silence_ms = 1});
    world->closed = 0;
    hms_deployer_start(world->deployer);
    hms_deployer_set_active(world->deployer, 1);
    world_free(world);
}

static void without_a_broker_nothing_is_deployed(void **state)
{
    struct world *world = world_new(HMS_ACCEPT_AUTO, NULL);

    expect(world, HMS_VERDICT_CONFLICT, "{'command':'add_host','address':'" A "'," NOWHERE "}");
    assert_non_null(strstr(hms_json_string(world->body, "description"), "broker"));
    expect(world, HMS_VERDICT_CREATED, "{'command':'add_host','address':'" A "','docker':'none'}");
    world_free(world);
}

static void strangers_are_taken_in_and_forgotten(void **state)
{
    struct world *world = *state;
    struct scripted_manager manager;

    scripted_open(&manager, world->bus, A);
    scripted_notify(&manager, "live");
    WAIT(world->uv, hms_registry_find(world->registry, A) != NULL);
    assert_string_equal(json_string_value(shown(world, "membership")), "stranger");
    expect(world, HMS_VERDICT_OK, "{'command':'remove_host','address':'" A "'}");
    assert_null(hms_registry_find(world->registry, A));
    scripted_notify(&manager, "live");
    WAIT(world->uv, hms_registry_find(world->registry, A) != NULL);
    scripted_close(&manager);
}

/* A read of all hosts waits for one that is removed meanwhile. */
static void a_host_goes_while_it_is_asked(void **state)
{
    struct world *world = *state;
    struct scripted_manager manager;

    scripted_open(&manager, world->bus, A);
    manager.hold = 1;
    scripted_notify(&manager, "update");
    WAIT(world->uv, manager.held_count == 1);
    begin(world, "{'command':'get_all_containers'}");
    assert_int_equal(world->answered, 0);
    hms_gather_forget(world->gather, hms_registry_find(world->registry, A));
    assert_int_equal(world->answered, 1);
    scripted_close(&manager);
}

static void another_roster_is_followed(void **state)
{
    struct world *world = *state;
    struct hms_roster_host *host;

    hms_deployer_set_active(world->deployer, 0);
    follow(world, "{\"" A "\": {\"membership\":\"joining\",\"docker\":\"ssh://root@" A "\","
                  "\"secret_needed\":true},"
                  " \"" B "\": {\"membership\":\"joined\",\"docker\":\"none\"},"
                  " \"10.0.0.3\": {\"membership\":\"here\",\"docker\":\"none\"}, \"x\": 1}");
    assert_int_equal(hms_roster_count(world->roster), 2);
    assert_string_equal(json_string_value(shown(world, "membership")), "joining");
    assert_string_equal(json_string_value(shown(world, "credentials")), "needed");
    assert_non_null(hms_registry_find(world->registry, B));

    /* A password that is known here is kept; what is no longer told of is given up. */
    host = hms_roster_find(world->roster, A);
    host->reach.password = hms_strdup("known");
    follow(world, "{\"" A "\": {\"membership\":\"joined\",\"docker\":\"ssh://root@" A "\","
                  "\"secret_needed\":true}}");
    assert_int_equal(host->membership, HMS_JOINED);
    assert_string_equal(host->reach.password, "known");
    assert_int_equal(hms_roster_count(world->roster), 1);
    assert_null(hms_registry_find(world->registry, B));
}

static void strangers_are_refused(void **state)
{
    struct world *world = world_new(HMS_ACCEPT_REGISTERED, "amqp://broker");
    struct scripted_manager a, b;
    const json_t *refused;

    expect(world, HMS_VERDICT_CREATED, "{'command':'add_host','address':'" A "','docker':'none'}");
    scripted_open(&a, world->bus, A);
    scripted_open(&b, world->bus, B);
    scripted_notify(&b, "live");
    scripted_notify(&a, "live");
    WAIT(world->uv, hms_registry_find(world->registry, A)->notifications > 0);
    assert_null(hms_registry_find(world->registry, B));
    expect(world, HMS_VERDICT_OK, "{'command':'get_hosts'}");
    refused = json_object_get(json_object_get(world->body, "description"), "refused");
    assert_int_equal(json_array_size(refused), 1);
    assert_string_equal(hms_json_string(json_array_get(refused, 0), "address"), B);
    assert_int_equal(hms_gather_drops(world->gather)->strangers, 1);
    expect(world, HMS_VERDICT_CREATED, "{'command':'add_host','address':'" B "','docker':'none'}");
    scripted_notify(&b, "live");
    WAIT(world->uv, hms_registry_find(world->registry, B)->notifications > 0);
    scripted_close(&a);
    scripted_close(&b);
    world_free(world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_requests_are_refused),
        TEST(a_host_may_be_registered_only),
        TEST(an_engine_out_of_reach_leaves_nothing),
        TEST(what_nobody_waits_for_is_tried_on),
        TEST(one_thing_at_a_time),
        TEST(what_waits_for_its_turn_may_be_given_up),
        TEST(an_operator_is_served_first),
        TEST(a_failure_leaves_the_host_as_it_was),
        cmocka_unit_test(closing_tells_who_waits),
        cmocka_unit_test(without_a_broker_nothing_is_deployed),
        TEST(strangers_are_taken_in_and_forgotten),
        TEST(a_host_goes_while_it_is_asked),
        TEST(another_roster_is_followed),
        cmocka_unit_test(strangers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
