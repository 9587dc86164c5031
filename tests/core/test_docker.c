/* The client against a real engine: every call, its refusals, and the events that follow. */
#include "engine.h"

struct result {
    int done;
    int error;
    int status;
    char message[256];
    struct hms_docker_container container;
    size_t count; /* of the body's elements */
    struct fixture *fixture;
};

static void on_done(void *arg, const struct hms_docker_answer *answer)
{
    struct result *result = arg;

    result->done++;
    result->error = answer->error;
    result->status = answer->status;
    result->count = json_array_size(answer->body);
    snprintf(result->message, sizeof(result->message), "%s", answer->message);
    assert_true((answer->error != 0) == (answer->message[0] != '\0'));
    if (json_is_object(answer->body) && answer->error == 0)
        hms_docker_read_container(answer->body, &result->container);
}

static void await(struct fixture *fixture, struct result *result, const char *what)
{
    assert_int_equal(result->done, 0); /* never within the call */
    run_until(fixture, &result->done, 1, what);
}

static void require(struct fixture *fixture, struct result *result, const char *what, int error,
                    int status)
{
    await(fixture, result, what);
    if (result->error != error || result->status != status)
        fail_msg("%s: error %d, status %d, %s", what, result->error, result->status,
                 result->message);
}

static int set_up(void **state)
{
    return set_up_fixture(state, "docker.sock");
}

static void inspect(struct fixture *fixture, const char *name,
                    struct hms_docker_container *container)
{
    struct result result = {0};

    hms_docker_inspect(fixture->docker, name, on_done, &result);
    require(fixture, &result, "inspect", 0, 200);
    *container = result.container;
}

static enum hms_docker_state state_of(struct fixture *fixture, const char *name)
{
    struct hms_docker_container container;
    enum hms_docker_state state;

    inspect(fixture, name, &container);
    state = container.state;
    hms_docker_container_clear(&container);
    return state;
}

static void test_version_and_lists(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct result version = {0}, networks = {0}, list = {0};

    assert_string_equal(hms_docker_api_version(fixture->docker), "");
    hms_docker_negotiate(fixture->docker, on_done, &version);
    require(fixture, &version, "negotiate", 0, 200);
    assert_true(strncmp(hms_docker_api_version(fixture->docker), "1.", 2) == 0);
    hms_docker_networks(fixture->docker, on_done, &networks);
    require(fixture, &networks, "networks", 0, 200);
    assert_true(networks.count >= 3);
    engine_do(the_engine, "docker create --name listed t");
    hms_docker_list(fixture->docker, on_done, &list);
    require(fixture, &list, "list", 0, 200);
    assert_true(list.count >= 1);
    engine_do(the_engine, "docker rm listed");
    assert_true(llabs(hms_docker_now_ns(fixture->docker) - hms_clock_wall_ns()) <
                INT64_C(1000000000));
}

static void test_life_of_a_container(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct hms_docker_container container;
    struct result start = {0}, again = {0}, restart = {0}, kill_it = {0}, dead = {0}, stop = {0};

    engine_do(the_engine, "docker create --init --name life -l some.label=x t sleep 10000");
    assert_int_equal(state_of(fixture, "life"), HMS_DOCKER_CREATED);
    hms_docker_start(fixture->docker, "life", on_done, &start);
    require(fixture, &start, "start", 0, 204);
    hms_docker_start(fixture->docker, "life", on_done, &again);
    require(fixture, &again, "start again", 0, 304);
    inspect(fixture, "life", &container);
    assert_string_equal(container.name, "life");
    assert_int_equal(container.state, HMS_DOCKER_RUNNING);
    assert_true(container.pid > 0);
    assert_int_equal(container.endpoint_count, 1);
    assert_string_equal(json_string_value(json_object_get(container.labels, "some.label")), "x");

    hms_docker_restart(fixture->docker, container.id, 5, on_done, &restart);
    require(fixture, &restart, "restart", 0, 204);
    hms_docker_container_clear(&container);
    hms_docker_kill(fixture->docker, "life", "KILL", on_done, &kill_it);
    require(fixture, &kill_it, "kill", 0, 204);
    hms_docker_kill(fixture->docker, "life", "9", on_done, &dead);
    await(fixture, &dead, "kill of the dead"); /* its death may not have been noticed yet */
    assert_true(dead.error == HMS_EREMOTE || dead.error == 0);
    hms_docker_stop(fixture->docker, "life", -1, on_done, &stop);
    await(fixture, &stop, "stop");
    assert_int_equal(stop.error, 0); /* 204 or 304, as before */
    inspect(fixture, "life", &container);
    assert_int_equal(container.state, HMS_DOCKER_EXITED);
    assert_int_equal(container.exit_code, 137);
    hms_docker_container_clear(&container);
    engine_do(the_engine, "docker rm life");
}

static void test_refusals(void **state)
{
    static const char *const bad_words[] = {"", ".", "..", "a/b", "a?b", "a b", "%41", "\xc3\xa9"};
    struct fixture *fixture = fixture_of(state);
    struct result none = {0}, bad_signal = {0};
    size_t i;

    hms_docker_inspect(fixture->docker, "nobody", on_done, &none);
    require(fixture, &none, "inspect of nobody", HMS_ENOENT, 404);
    assert_non_null(strstr(none.message, "No such container"));
    for (i = 0; i < sizeof(bad_words) / sizeof(bad_words[0]); i++) {
        struct result bad = {0};

        hms_docker_start(fixture->docker, bad_words[i], on_done, &bad);
        require(fixture, &bad, bad_words[i], HMS_EINVAL, 0);
    }
    hms_docker_kill(fixture->docker, "nobody", "K&x=", on_done, &bad_signal);
    require(fixture, &bad_signal, "signal", HMS_EINVAL, 0);
}

static void on_done_call_again(void *arg, const struct hms_docker_answer *answer)
{
    struct result *result = arg;

    result->done++;
    result->error = answer->error;
    if (result->done < 3)
        hms_docker_inspect(result->fixture->docker, "nobody", on_done_call_again, result);
}

static void test_cancel_by_owner(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct result mine = {.fixture = fixture}, other = {0}, unbegun = {0};

    hms_docker_inspect(fixture->docker, "nobody", on_done_call_again, &mine);
    hms_docker_list(fixture->docker, on_done, &other);
    hms_docker_start(fixture->docker, "no/word", on_done, &unbegun);
    hms_docker_cancel(fixture->docker, &mine);
    assert_int_equal(mine.done, 1); /* the call that its callback made is left alone */
    assert_int_equal(mine.error, HMS_ECANCELED);
    hms_docker_cancel(fixture->docker, &unbegun);
    assert_int_equal(unbegun.error, HMS_ECANCELED);
    await(fixture, &other, "list");
    assert_int_equal(other.error, 0);
    run_until(fixture, &mine.done, 3, "calls from callbacks");
}

static void test_close_with_calls_under_way(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct result results[100];
    int i;

    memset(results, 0, sizeof(results));
    for (i = 0; i < 100; i++)
        hms_docker_list(fixture->docker, on_done, &results[i]);
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    fixture_free(fixture);
    *state = NULL;
    for (i = 0; i < 100; i++)
        assert_int_equal(results[i].done, 1);
}

static void test_addresses(void **state)
{
    static const char *const good[] = {
        "unix:///var/run/docker.sock", "tcp://127.0.0.1:2375", "tcp://engine",
        "http://10.0.0.1:80",          "tcp://[::1]:2375",     "tcp://engine:2375/"};
    static const char *const bad[] = {"",
                                      "fd://",
                                      "unix://",
                                      "unix://docker.sock",
                                      "npipe:////./x",
                                      "ssh://host",
                                      "https://host:2376",
                                      "tcp://",
                                      "tcp://:2375",
                                      "tcp://a:x",
                                      "tcp://a:99999",
                                      "tcp://u@a:1",
                                      "http://a/b",
                                      "tcp://a?b",
                                      "/var/run/docker.sock"};
    struct fixture *fixture = fixture_new(NULL);
    struct hms_docker *unused;
    char error[256];
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        error[0] = '\0';
        if (hms_docker_open(&unused, &fixture->loop, fixture->log, bad[i], error, sizeof(error)) !=
            HMS_EINVAL)
            fail_msg("%s was taken", bad[i]);
        assert_true(error[0] != '\0');
    }
    for (i = 1; i < sizeof(good) / sizeof(good[0]); i++) {
        if (hms_docker_open(&unused, &fixture->loop, fixture->log, good[i], error, sizeof(error)) !=
            0)
            fail_msg("%s: %s", good[i], error);
        hms_docker_close(unused, NULL, NULL);
    }
    assert_int_equal(hms_docker_open(&fixture->docker, &fixture->loop, fixture->log, good[0], error,
                                     sizeof(error)),
                     0);
    fixture_free(fixture);
}

/* --- events --------------------------------------------------------------------------------- */

#define EVENTS_MAX 200

struct stream {
    struct fixture *fixture;
    struct hms_docker_stream *stream;
    int opened, done, count, error;
    int cancel_at; /* end it from within on_event when there are so many; 0: never */
    struct {
        enum hms_docker_action action;
        int exit_code, signal;
        char name[32];
    } events[EVENTS_MAX];
};

static void on_open(void *arg)
{
    ((struct stream *)arg)->opened++;
}

static void on_event(void *arg, const struct hms_docker_event *event)
{
    struct stream *stream = arg;

    assert_int_equal(stream->done, 0);
    assert_true(stream->count < EVENTS_MAX);
    stream->events[stream->count].action = event->action;
    stream->events[stream->count].exit_code = event->exit_code;
    stream->events[stream->count].signal = event->signal;
    snprintf(stream->events[stream->count].name, sizeof(stream->events[0].name), "%s", event->name);
    if (++stream->count == stream->cancel_at)
        hms_docker_stream_cancel(stream->stream);
}

static void on_stream_done(void *arg, const struct hms_docker_answer *answer)
{
    struct stream *stream = arg;

    stream->done++;
    stream->error = answer->error;
}

static void follow(struct fixture *fixture, struct stream *stream, int64_t since_ns,
                   int64_t until_ns)
{
    stream->fixture = fixture;
    stream->stream = hms_docker_events(fixture->docker, since_ns, until_ns, on_open, on_event,
                                       on_stream_done, stream);
}

static void expect(struct stream *stream, int *at, enum hms_docker_action action, int value)
{
    run_until(stream->fixture, &stream->count, *at + 1, "events");
    while (stream->events[*at].action == HMS_DOCKER_ON_NETWORK) {
        ++*at;
        run_until(stream->fixture, &stream->count, *at + 1, "events");
    }
    if (stream->events[*at].action != action)
        fail_msg("event %d is %d, not %d", *at, stream->events[*at].action, action);
    assert_int_equal(stream->events[*at].exit_code, action == HMS_DOCKER_ON_DIE ? value : -1);
    assert_int_equal(stream->events[*at].signal, action == HMS_DOCKER_ON_KILL ? value : 0);
    ++*at;
}

static void test_events_of_every_action(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct stream stream = {0};
    int at = 0;

    follow(fixture, &stream, 0, 0);
    run_until(fixture, &stream.opened, 1, "stream");
    engine_do(the_engine, "docker run -d --name e1 t sh -c 'exit 3'");
    expect(&stream, &at, HMS_DOCKER_ON_CREATE, 0);
    expect(&stream, &at, HMS_DOCKER_ON_START, 0);
    expect(&stream, &at, HMS_DOCKER_ON_DIE, 3);
    engine_do(the_engine, "docker rm e1");
    expect(&stream, &at, HMS_DOCKER_ON_DESTROY, 0);
    engine_do(the_engine, "docker run -d --init --name e2 t sleep 10000");
    expect(&stream, &at, HMS_DOCKER_ON_CREATE, 0);
    expect(&stream, &at, HMS_DOCKER_ON_START, 0);
    engine_do(the_engine, "docker exec e2 true"); /* its events are filtered at the engine */
    engine_do(the_engine, "docker pause e2");
    expect(&stream, &at, HMS_DOCKER_ON_PAUSE, 0);
    engine_do(the_engine, "docker unpause e2");
    expect(&stream, &at, HMS_DOCKER_ON_UNPAUSE, 0);
    engine_do(the_engine, "docker rename e2 e3");
    expect(&stream, &at, HMS_DOCKER_ON_RENAME, 0);
    assert_string_equal(stream.events[at - 1].name, "e3");
    engine_do(the_engine, "docker update --restart no e3");
    expect(&stream, &at, HMS_DOCKER_ON_UPDATE, 0);
    engine_do(the_engine, "docker stop e3");
    expect(&stream, &at, HMS_DOCKER_ON_KILL, SIGTERM);
    expect(&stream, &at, HMS_DOCKER_ON_DIE, 128 + SIGTERM);
    expect(&stream, &at, HMS_DOCKER_ON_STOP, 0);
    engine_do(the_engine, "docker restart e3");
    expect(&stream, &at, HMS_DOCKER_ON_START, 0);
    expect(&stream, &at, HMS_DOCKER_ON_RESTART, 0);
    engine_do(the_engine, "docker kill e3");
    expect(&stream, &at, HMS_DOCKER_ON_KILL, SIGKILL);
    expect(&stream, &at, HMS_DOCKER_ON_DIE, 128 + SIGKILL);
    engine_do(the_engine, "docker rm -f e3");
    expect(&stream, &at, HMS_DOCKER_ON_DESTROY, 0);
    hms_docker_stream_cancel(stream.stream);
    assert_int_equal(stream.done, 1);
    assert_int_equal(stream.error, HMS_ECANCELED);
}

static void test_events_of_the_past(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct stream stream = {0};
    int64_t since_ns = hms_clock_wall_ns();
    int at = 0;

    engine_do(the_engine, "docker create --name past t");
    engine_do(the_engine, "docker rm past");
    follow(fixture, &stream, since_ns, hms_clock_wall_ns());
    run_until(fixture, &stream.done, 1, "end of the replay");
    assert_int_equal(stream.error, 0);
    assert_int_equal(stream.count, 2);
    expect(&stream, &at, HMS_DOCKER_ON_CREATE, 0);
    expect(&stream, &at, HMS_DOCKER_ON_DESTROY, 0);
}

static void test_networks_come_and_go(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct stream stream = {0};

    follow(fixture, &stream, 0, 0);
    run_until(fixture, &stream.opened, 1, "stream");
    engine_do(the_engine, "docker network create n");
    engine_do(the_engine, "docker network rm n");
    run_until(fixture, &stream.count, 2, "network events");
    assert_int_equal(stream.events[0].action, HMS_DOCKER_ON_NETWORK);
    assert_int_equal(stream.events[1].action, HMS_DOCKER_ON_NETWORK);
    hms_docker_stream_cancel(stream.stream);
}

static void test_stream_ends_from_its_callback(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct stream stream = {.cancel_at = 3};
    int64_t since_ns = hms_clock_wall_ns();

    engine_do(the_engine, "docker run -d --name ended t");
    engine_do(the_engine, "churn ended 5");
    engine_do(the_engine, "docker rm -f ended");
    follow(fixture, &stream, since_ns, 0); /* all of them arrive at once */
    run_until(fixture, &stream.done, 1, "cancelled stream");
    assert_int_equal(stream.error, HMS_ECANCELED);
    assert_int_equal(stream.count, 3);
}

/* Lists of any length must not hold the loop: tells how long one turn takes at most. */
static void test_events_and_calls_share_the_loop(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct result results[50];
    struct stream stream = {0};
    int64_t turn_ns, turn_max_ns = 0;
    int i;

    memset(results, 0, sizeof(results));
    follow(fixture, &stream, 0, 0);
    for (i = 0; i < 50; i++)
        hms_docker_list(fixture->docker, on_done, &results[i]);
    for (i = 0; i < 50; i++) {
        while (results[i].done == 0) {
            turn_ns = hms_clock_mono_ns();
            uv_run(&fixture->loop, UV_RUN_NOWAIT);
            turn_ns = hms_clock_mono_ns() - turn_ns;
            turn_max_ns = turn_ns > turn_max_ns ? turn_ns : turn_max_ns;
        }
        assert_int_equal(results[i].error, 0);
    }
    print_message("longest turn of the loop: %.2f ms\n", (double)turn_max_ns / 1e6);
    hms_docker_stream_cancel(stream.stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test_setup_teardown(test_version_and_lists, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_life_of_a_container, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_cancel_by_owner, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_close_with_calls_under_way, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_events_of_every_action, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_events_of_the_past, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_networks_come_and_go, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_stream_ends_from_its_callback, set_up,
                                        tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_events_and_calls_share_the_loop, set_up,
                                        tear_down_fixture),
    };

    hms_alloc_install();
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, open_the_engine, close_the_engine);
}
