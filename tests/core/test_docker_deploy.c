/* Bringing a container onto a real engine, and every way in which that is refused. */
#include "engine.h"

#include "core/buffer.h"
#include "core/docker_deploy.h"
#include "core/tar.h"

#define ARCHIVE_LIMIT_BYTES (64 * 1024)

struct outcome {
    int done;
    int error;
    int status;
    char message[512];
    json_t *body;
};

static void on_done(void *arg, const struct hms_docker_answer *answer)
{
    struct outcome *outcome = arg;

    outcome->done++;
    outcome->error = answer->error;
    outcome->status = answer->status;
    outcome->body = json_incref((json_t *)answer->body);
    snprintf(outcome->message, sizeof(outcome->message), "%s", answer->message);
    assert_true((answer->error != 0) == (answer->message[0] != '\0'));
}

/* Waits for the end, which must be this; part is of the message. Forgets the outcome. */
static void require(struct fixture *fixture, struct outcome *outcome, const char *what, int error,
                    const char *part)
{
    run_until(fixture, &outcome->done, 1, what);
    if (outcome->error != error || strstr(outcome->message, part) == NULL)
        fail_msg("%s: error %d, status %d, %s", what, outcome->error, outcome->status,
                 outcome->message);
    json_decref(outcome->body);
    memset(outcome, 0, sizeof(*outcome));
}

static int set_up_engine(void **state)
{
    open_the_engine(state);
    if (the_engine == NULL)
        return 0;
    engine_do(the_engine, "docker tag t hms-image:1");
    engine_do(the_engine, "docker save -o %s hms-image:1", engine_path(the_engine, "image.tar"));
    engine_do(the_engine, "docker rmi hms-image:1");
    return 0;
}

static int set_up(void **state)
{
    return set_up_fixture(state, "proxy.sock");
}

static void create(struct fixture *fixture, const char *name, const char *command)
{
    json_t *spec = json_pack("{s:s, s:[s, s, s]}", "Image", "t", "Cmd", "sh", "-c", command);
    struct outcome outcome = {0};

    hms_docker_create(fixture->docker, name, spec, on_done, &outcome);
    json_decref(spec);
    require(fixture, &outcome, "create", 0, "");
}

/* --- images --------------------------------------------------------------------------------- */

static void test_info(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct hms_docker_info info;
    struct outcome outcome = {0};

    hms_docker_info(fixture->docker, on_done, &outcome);
    run_until(fixture, &outcome.done, 1, "info");
    assert_int_equal(hms_docker_read_info(outcome.body, &info), 0);
    assert_true(info.memory_total_bytes > INT64_C(100000000));
    assert_true(info.cpus >= 1);
    assert_string_equal(info.os_type, "linux");
    assert_true(info.architecture[0] != '\0' && info.version[0] != '\0' && info.name[0] != '\0');
    assert_false(info.remaps_users);
    hms_docker_info_clear(&info);
    json_array_append_new(json_object_get(outcome.body, "SecurityOptions"),
                          json_string("name=userns"));
    assert_int_equal(hms_docker_read_info(outcome.body, &info), 0);
    assert_true(info.remaps_users);
    hms_docker_info_clear(&info);
    json_decref(outcome.body);
}

static void test_load(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct outcome outcome = {0};

    hms_docker_image_inspect(fixture->docker, "hms-image:1", on_done, &outcome);
    require(fixture, &outcome, "inspect before", HMS_ENOENT, "No such image");
    hms_docker_image_load(fixture->docker, engine_path(the_engine, "image.tar"), on_done, &outcome);
    run_until(fixture, &outcome.done, 1, "load");
    assert_string_equal(outcome.message, "");
    assert_int_equal(json_array_size(outcome.body), 1);
    assert_string_equal(json_string_value(json_array_get(outcome.body, 0)), "hms-image:1");
    require(fixture, &outcome, "load", 0, "");
    hms_docker_image_inspect(fixture->docker, "hms-image:1", on_done, &outcome);
    run_until(fixture, &outcome.done, 1, "inspect after");
    assert_true(json_is_string(json_object_get(outcome.body, "Id")));
    require(fixture, &outcome, "inspect after", 0, "");
    engine_do(the_engine, "docker rmi hms-image:1");
}

/* Writes a file of the first `size` bytes of another one, or of 'x' if that is NULL. */
static const char *make_file(const char *name, const char *source, long size)
{
    const char *path = engine_path(the_engine, name);
    FILE *out = fopen(path, "wb");
    FILE *in = source != NULL ? fopen(engine_path(the_engine, source), "rb") : NULL;

    while (size-- > 0)
        putc(in != NULL ? getc(in) : 'x', out);
    if (in != NULL)
        fclose(in);
    fclose(out);
    return path;
}

static void test_load_of_broken_archives(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct outcome outcome = {0};

    hms_docker_image_load(fixture->docker, make_file("junk", NULL, 10000), on_done, &outcome);
    require(fixture, &outcome, "junk", HMS_EREMOTE, "");
    hms_docker_image_load(fixture->docker, make_file("half", "image.tar", 300000), on_done,
                          &outcome);
    require(fixture, &outcome, "half an image", HMS_EREMOTE, "unexpected EOF");
    hms_docker_image_load(fixture->docker, make_file("empty", NULL, 0), on_done, &outcome);
    require(fixture, &outcome, "an empty file", HMS_EIO, "not a file with an image");
    hms_docker_image_load(fixture->docker, "/nonexistent.tar", on_done, &outcome);
    require(fixture, &outcome, "no file", HMS_EIO, "/nonexistent.tar: No such file");
    hms_docker_image_load(fixture->docker, "/", on_done, &outcome);
    require(fixture, &outcome, "a folder", HMS_EIO, "not a file with an image");
}

/* The engine has taken a part and no more when the connection goes. */
static void test_load_interrupted(void **state)
{
    struct fixture *fixture = fixture_of(state);
    const char *path = make_file("big", NULL, 8 * 1024 * 1024);
    struct outcome outcome = {0};
    int turns;

    engine_do(the_engine, "freeze");
    hms_docker_image_load(fixture->docker, path, on_done, &outcome);
    for (turns = 0; turns < 20; turns++)
        uv_run(&fixture->loop, UV_RUN_ONCE);
    assert_int_equal(outcome.done, 0);
    engine_do(the_engine, "cut");
    require(fixture, &outcome, "cut load", HMS_EIO, "");
    engine_do(the_engine, "thaw");
    engine_do(the_engine, "join");
    hms_docker_info(fixture->docker, on_done, &outcome);
    require(fixture, &outcome, "info after", 0, "");
}

static void test_load_cancelled(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct outcome outcome = {0};

    hms_docker_image_load(fixture->docker, make_file("big", NULL, 8 * 1024 * 1024), on_done,
                          &outcome);
    uv_run(&fixture->loop, UV_RUN_ONCE);
    hms_docker_cancel(fixture->docker, &outcome);
    require(fixture, &outcome, "cancel", HMS_ECANCELED, "");
    hms_docker_image_load(fixture->docker, "/nonexistent.tar", on_done, &outcome);
    hms_docker_cancel(fixture->docker, &outcome);
    require(fixture, &outcome, "cancel before it begins", HMS_ECANCELED, "");
}

/* --- containers ----------------------------------------------------------------------------- */

static void test_container(void **state)
{
    static const char secret[] = "s3cret\n";
    const struct hms_tar_file files[] = {{"hms/", NULL, 0, 0700},
                                         {"hms/secret", secret, sizeof(secret) - 1, 0600}};
    struct fixture *fixture = fixture_of(state);
    struct outcome outcome = {0};
    struct hms_buffer archive;
    const char *text;

    hms_buffer_init(&archive, ARCHIVE_LIMIT_BYTES);
    assert_int_equal(hms_tar_append(&archive, files, 2), 0);
    create(fixture, "d1", "read x < /bin/hms/secret; echo out $x; echo err >&2; sleep 10000");
    hms_docker_put_archive(fixture->docker, "d1", "/bin", archive.data, archive.size_bytes, on_done,
                           &outcome);
    require(fixture, &outcome, "archive", 0, "");
    hms_docker_start(fixture->docker, "d1", on_done, &outcome);
    require(fixture, &outcome, "start", 0, "");
    engine_do(the_engine, "docker exec d1 busybox test -f /bin/hms/secret");
    text = engine_do(the_engine, "docker exec d1 busybox stat -c %%a,%%u /bin/hms /bin/hms/secret");
    assert_string_equal(text, "700,0 600,0");

    do {
        json_decref(outcome.body);
        memset(&outcome, 0, sizeof(outcome));
        hms_docker_logs(fixture->docker, "d1", 10, on_done, &outcome);
        run_until(fixture, &outcome.done, 1, "logs");
        text = json_string_value(outcome.body);
        assert_non_null(text);
    } while (strstr(text, "err\n") == NULL);
    assert_non_null(strstr(text, "out s3cret\n"));
    require(fixture, &outcome, "logs", 0, "");

    hms_docker_remove(fixture->docker, "d1", 0, on_done, &outcome);
    require(fixture, &outcome, "remove of a running one", HMS_EREMOTE, "running container");
    hms_docker_remove(fixture->docker, "d1", 1, on_done, &outcome);
    require(fixture, &outcome, "forced remove", 0, "");
    hms_docker_remove(fixture->docker, "d1", 1, on_done, &outcome);
    require(fixture, &outcome, "remove of nobody", HMS_ENOENT, "No such container");
    hms_buffer_free(&archive);
}

static void test_last_words(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct outcome outcome = {0};
    const char *text;

    create(fixture, "d2", "busybox seq 1 20000; busybox printf 'a\\0b\\377\\n'");
    engine_do(the_engine, "docker start d2");
    engine_do(the_engine, "docker wait d2");
    hms_docker_logs(fixture->docker, "d2", 3, on_done, &outcome);
    run_until(fixture, &outcome.done, 1, "logs");
    assert_string_equal(json_string_value(outcome.body), "19999\n20000\na b\xef\xbf\xbd\n");
    require(fixture, &outcome, "three lines", 0, "");
    hms_docker_logs(fixture->docker, "d2", 1000, on_done, &outcome);
    run_until(fixture, &outcome.done, 1, "logs");
    text = json_string_value(outcome.body);
    assert_true(strlen(text) <= HMS_DOCKER_LOG_MAX_BYTES + 8);
    assert_non_null(strstr(text, "20000\n"));
    require(fixture, &outcome, "many lines", 0, "");
    engine_do(the_engine, "docker run --name d3 -t t sh -c 'echo with a terminal'");
    hms_docker_logs(fixture->docker, "d3", 1000, on_done, &outcome);
    require(fixture, &outcome, "terminal", HMS_EPROTO, "terminal");
}

static void test_refusals(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct outcome outcome = {0};
    json_t *spec = json_pack("{s:s}", "Image", "none:1");
    char *big = hms_calloc(1, HMS_DOCKER_ARCHIVE_MAX_BYTES + 1);

    hms_docker_create(fixture->docker, "d4", spec, on_done, &outcome);
    require(fixture, &outcome, "create without image", HMS_ENOENT, "No such image");
    hms_docker_create(fixture->docker, "a b", spec, on_done, &outcome);
    require(fixture, &outcome, "create of a bad name", HMS_EINVAL, "");
    json_decref(spec);
    create(fixture, "d4", "true");
    spec = json_pack("{s:s}", "Image", "t");
    hms_docker_create(fixture->docker, "d4", spec, on_done, &outcome);
    run_until(fixture, &outcome.done, 1, "create");
    assert_int_equal(outcome.status, 409);
    require(fixture, &outcome, "create of a name that is taken", HMS_EREMOTE, "already in use");
    json_decref(spec);
    hms_docker_put_archive(fixture->docker, "d4", "/none", "x", 1, on_done, &outcome);
    require(fixture, &outcome, "archive for no folder", HMS_ENOENT, "");
    hms_docker_put_archive(fixture->docker, "d4", "bin", "x", 1, on_done, &outcome);
    require(fixture, &outcome, "archive for a relative folder", HMS_EINVAL, "");
    hms_docker_put_archive(fixture->docker, "d4", "/bin", big, HMS_DOCKER_ARCHIVE_MAX_BYTES + 1,
                           on_done, &outcome);
    require(fixture, &outcome, "long archive", HMS_ELIMIT, "more than 1048576 bytes");
    hms_docker_image_inspect(fixture->docker, "../containers/d4", on_done, &outcome);
    require(fixture, &outcome, "bad image", HMS_EINVAL, "");
    hms_docker_logs(fixture->docker, "d4", 0, on_done, &outcome);
    require(fixture, &outcome, "no lines", HMS_EINVAL, "");
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_info, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_load, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_load_of_broken_archives, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_load_interrupted, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_load_cancelled, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_container, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_last_words, set_up, tear_down_fixture),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down_fixture),
    };

    signal(SIGPIPE, SIG_IGN);
    hms_alloc_install();
    return cmocka_run_group_tests(tests, set_up_engine, close_the_engine);
}
