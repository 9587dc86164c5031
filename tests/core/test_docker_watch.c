/*
 * Contact with a real engine: nothing is missed and nothing told twice when the contact breaks,
 * when the engine dies or freezes, and when nobody is there.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include "engine.h"

#include "core/docker_watch.h"

#define EVENTS_MAX 4000

struct seen;

static struct seen *all_seen; /* by the running test; a failed one leaves some */

struct seen {
    struct seen *next;
    struct fixture *fixture;
    struct hms_docker_watch *watch;
    int events, replayed, renames, networks, lists, first_lists, downs;
    int is_out_of_order; /* a live event before a replayed one of the same contact */
    int is_doubled;
    int live; /* since the last first list or on_down */
    size_t rows, running;
    char reason[256];
    struct {
        int64_t time_ns;
        enum hms_docker_action action;
        char id[HMS_DOCKER_ID_SIZE];
    } told[EVENTS_MAX];
    int close_in_list; /* close the watch within its handler */
    int closed;
};

static void on_watch_closed(void *arg)
{
    ((struct seen *)arg)->closed++;
}

static void close_watch(struct seen *seen)
{
    hms_docker_watch_close(seen->watch, on_watch_closed, seen);
    seen->watch = NULL;
}

static void on_event(void *arg, const struct hms_docker_event *event, int replayed)
{
    struct seen *seen = arg;
    int i;

    assert_non_null(seen->watch);
    assert_true(seen->events < EVENTS_MAX);
    for (i = 0; i < seen->events; i++)
        seen->is_doubled |= seen->told[i].time_ns == event->time_ns &&
                            seen->told[i].action == event->action &&
                            strcmp(seen->told[i].id, event->id) == 0;
    seen->told[seen->events].time_ns = event->time_ns;
    seen->told[seen->events].action = event->action;
    memcpy(seen->told[seen->events].id, event->id, sizeof(event->id));
    seen->events++;
    seen->replayed += replayed;
    seen->is_out_of_order |= replayed && seen->live;
    seen->live |= !replayed;
    seen->renames += event->action == HMS_DOCKER_ON_RENAME;
}

static void on_networks(void *arg, const struct hms_docker_network *networks, size_t count)
{
    struct seen *seen = arg;

    assert_non_null(seen->watch);
    assert_true(count >= 3);
    seen->networks++;
}

static void on_list(void *arg, const struct hms_docker_row *rows, size_t count, int64_t asked_ms,
                    int first)
{
    struct seen *seen = arg;
    size_t i;

    assert_non_null(seen->watch);
    assert_true(asked_ms <= hms_clock_mono_ms());
    assert_true(seen->networks > 0);
    seen->lists++;
    seen->first_lists += first;
    seen->rows = count;
    seen->running = 0;
    for (i = 0; i < count; i++)
        seen->running += rows[i].state == HMS_DOCKER_RUNNING;
    if (seen->close_in_list)
        close_watch(seen);
}

static void on_down(void *arg, const char *reason)
{
    struct seen *seen = arg;

    assert_non_null(seen->watch);
    seen->downs++;
    seen->live = 0;
    snprintf(seen->reason, sizeof(seen->reason), "%s", reason);
}

static const struct hms_docker_watch_handlers handlers = {on_event, on_networks, on_list, on_down};

static void begin(struct fixture *fixture, struct seen *seen, int64_t since_ns,
                  int64_t answer_timeout_ms)
{
    struct hms_docker_watch_options options = {.since_ns = since_ns,
                                               .list_period_ms = 200,
                                               .answer_timeout_ms = answer_timeout_ms,
                                               .backoff_min_ms = 10,
                                               .backoff_max_ms = 200};

    seen->fixture = fixture;
    seen->watch = hms_docker_watch_new(&fixture->loop, fixture->log, fixture->docker, &options,
                                       &handlers, seen);
}

static void end(struct seen *seen)
{
    if (seen->watch != NULL)
        close_watch(seen);
    run_until(seen->fixture, &seen->closed, 1, "end of the watch");
    assert_false(seen->is_doubled);
    assert_false(seen->is_out_of_order);
}

static struct seen *new_seen(void)
{
    struct seen *seen = hms_calloc(1, sizeof(*seen));

    seen->next = all_seen;
    all_seen = seen;
    return seen;
}

static void free_seen(void)
{
    struct seen *seen;

    while ((seen = all_seen) != NULL) {
        all_seen = seen->next;
        free(seen);
    }
}

static int set_up(void **state)
{
    return set_up_fixture(state, "proxy.sock");
}

static int tear_down(void **state)
{
    struct seen *seen;

    for (seen = all_seen; seen != NULL; seen = seen->next)
        if (seen->watch != NULL)
            close_watch(seen);
    tear_down_fixture(state);
    free_seen();
    return 0;
}

/* --- tests ---------------------------------------------------------------------------------- */

static void test_first_contact(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct seen *seen = new_seen();

    engine_do(the_engine, "docker run -d --name first t");
    begin(fixture, seen, 0, 0);
    run_until(fixture, &seen->lists, 3, "periodic lists");
    assert_int_equal(seen->events, 0); /* what happened before is not asked for */
    assert_int_equal(seen->first_lists, 1);
    assert_int_equal(seen->networks, 1);
    assert_int_equal(seen->running, 1);
    assert_int_equal(seen->downs, 0);
    engine_do(the_engine, "docker rm -f first");
    run_until(fixture, &seen->events, 4, "kill, die, disconnect, destroy");
    assert_int_equal(seen->replayed, 0);
    end(seen);
}

static void test_networks_are_read_again(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct seen *seen = new_seen();

    begin(fixture, seen, 0, 0);
    run_until(fixture, &seen->lists, 1, "first list");
    engine_do(the_engine, "docker network create came");
    run_until(fixture, &seen->networks, 2, "networks");
    engine_do(the_engine, "docker network rm came");
    run_until(fixture, &seen->networks, 3, "networks");
    end(seen);
}

/* The contact is cut while the engine goes on: what happened meanwhile is replayed. */
static void test_cut_contact(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct seen *seen = new_seen();
    int round;

    engine_do(the_engine, "docker run -d --name cut t");
    begin(fixture, seen, 0, 0);
    run_until(fixture, &seen->lists, 1, "first list");
    for (round = 0; round < 3; round++) {
        engine_do(the_engine, "churn cut 10");
        run_until(fixture, &seen->renames, round * 120 + 20, "events before the cut");
        engine_do(the_engine, "cut");
        run_until(fixture, &seen->downs, round + 1, "loss of contact");
        engine_do(the_engine, "churn cut 50");
        engine_do(the_engine, "join");
        run_until(fixture, &seen->first_lists, round + 2, "contact");
        run_until(fixture, &seen->renames, round * 120 + 120, "missed events");
        assert_int_equal(seen->replayed, (round + 1) * 100);
    }
    assert_int_equal(seen->renames, 360);
    end(seen);
}

/* A second watch goes on where the first one ended, as after a restart of the program. */
static void test_resume(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct seen *before = new_seen(), *after = new_seen();
    int64_t last_ns;

    engine_do(the_engine, "docker run -d --name resume t");
    begin(fixture, before, 0, 0);
    run_until(fixture, &before->lists, 1, "first list");
    engine_do(the_engine, "churn resume 20");
    run_until(fixture, &before->renames, 40, "events");
    last_ns = hms_docker_watch_last_event_ns(before->watch);
    assert_int_equal(last_ns, before->told[before->events - 1].time_ns);
    end(before);

    engine_do(the_engine, "churn resume 30");
    begin(fixture, after, last_ns, 0);
    run_until(fixture, &after->first_lists, 1, "first list");
    assert_int_equal(after->renames, 60); /* all before the list */
    assert_int_equal(after->replayed, 60);
    engine_do(the_engine, "churn resume 1");
    run_until(fixture, &after->renames, 62, "live event");
    assert_int_equal(after->replayed, 60);
    end(after);
}

/* More than 300 events around the death of the engine, then the list tells what it did not. */
static void test_engine_dies(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct seen *seen = new_seen();

    engine_do(the_engine, "docker run -d --init --name mortal t");
    begin(fixture, seen, 0, 0);
    run_until(fixture, &seen->lists, 1, "first list");
    assert_int_equal(seen->running, 1);
    engine_do(the_engine, "churn mortal 100");
    run_until(fixture, &seen->renames, 200, "events before the death");
    engine_do(the_engine, "kill");
    run_until(fixture, &seen->downs, 1, "loss of contact");
    engine_do(the_engine, "start");
    run_until(fixture, &seen->first_lists, 2, "contact");
    assert_int_equal(seen->downs, 1); /* once for the outage, however many attempts */
    assert_int_equal(seen->rows, 1);
    assert_int_equal(seen->running, 0); /* the engine ends what it finds at its start */
    engine_do(the_engine, "docker start mortal");
    engine_do(the_engine, "churn mortal 60");
    run_until(fixture, &seen->renames, 320, "events after the death");
    run_until(fixture, &seen->lists, seen->lists + 2, "list");
    assert_int_equal(seen->running, 1);
    assert_int_equal(seen->renames, 320);
    end(seen);
}

static void test_engine_freezes(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct seen *seen = new_seen();

    engine_do(the_engine, "docker run -d --name frozen t");
    begin(fixture, seen, 0, 500);
    run_until(fixture, &seen->lists, 1, "first list");
    engine_do(the_engine, "freeze");
    run_until(fixture, &seen->downs, 1, "loss of contact");
    assert_non_null(strstr(seen->reason, "does not answer"));
    engine_do(the_engine, "thaw");
    run_until(fixture, &seen->first_lists, 2, "contact");
    engine_do(the_engine, "churn frozen 10");
    run_until(fixture, &seen->renames, 20, "events");
    end(seen);
}

static void test_close_within_a_handler(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct seen *seen = new_seen();

    seen->close_in_list = 1;
    begin(fixture, seen, 0, 0);
    run_until(fixture, &seen->closed, 1, "end of the watch");
    assert_int_equal(seen->lists, 1);
    end(seen);
}

static void test_close_at_once(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct seen *seen = new_seen();

    begin(fixture, seen, 0, 0);
    end(seen);
}

/* --- without an engine ---------------------------------------------------------------------- */

/* A watch of a socket's path; runs it until contact is said to be lost, and some attempts more. */
static void watch_nothing(const char *path, const char *reason)
{
    struct fixture *fixture = fixture_new(NULL);
    struct seen *seen = new_seen();
    char *url = hms_asprintf("unix://%s", path);
    char error[256];
    int64_t until_ms;

    assert_int_equal(
        hms_docker_open(&fixture->docker, &fixture->loop, fixture->log, url, error, sizeof(error)),
        0);
    begin(fixture, seen, 0, 200);
    run_until(fixture, &seen->downs, 1, "no contact");
    if (strstr(seen->reason, reason) == NULL)
        fail_msg("%s instead of %s", seen->reason, reason);
    until_ms = hms_clock_mono_ms() + 500;
    while (hms_clock_mono_ms() < until_ms)
        uv_run(&fixture->loop, UV_RUN_ONCE);
    assert_int_equal(seen->downs, 1);
    assert_int_equal(seen->lists, 0);
    end(seen);
    fixture_free(fixture);
    free_seen();
    free(url);
}

static void test_nobody_listens(void **state)
{
    watch_nothing("/tmp/hms-watch-nobody.sock", "No such file");
}

/* Takes connections and never answers. */
static void test_engine_never_answers(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/hms-watch-%ld.sock", (long)getpid());
    unlink(address.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 64), 0);
    watch_nothing(address.sun_path, "does not answer");
    close(fd);
    unlink(address.sun_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_engine_never_answers),
        cmocka_unit_test_setup_teardown(test_first_contact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_networks_are_read_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_contact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_resume, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_engine_dies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_engine_freezes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_within_a_handler, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_at_once, set_up, tear_down),
    };

    hms_alloc_install();
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, open_the_engine, close_the_engine);
}
